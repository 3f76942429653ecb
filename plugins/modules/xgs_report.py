#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_report
short_description: Write the report of a renewal to files
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Writes what became of the certificates of a fleet to files on the control node, as JSON, as a page for people, and as metrics for Prometheus.
  - Each file is written at once or not at all. One that cannot be written does not keep the others from being written; then the task fails.
  - The role C(xgs_letsencrypt) does this by itself where it is told the files' names.
options:
  rows:
    description: The rows of the report, as the role leaves them in C(xgs_letsencrypt_report).
    type: list
    elements: dict
    required: true
  mode:
    description: What kind of run it was.
    type: str
    choices: [run, check, rehearsal]
    default: run
  json:
    description: File for the report as JSON. C(docs/report.schema.json) of the collection describes it.
    type: path
  html:
    description: File for the report as a page, which needs nothing but a browser.
    type: path
  prometheus:
    description: File for the report as metrics, for node_exporter's textfile collector, which reads what ends in C(.prom).
    type: path
extends_documentation_fragment:
  - certfleet.sophos_xgs._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
notes:
  - Missing directories are made. Everybody may read the files; they hold names and messages, and no secret.
  - Works in the controller only, whatever C(delegate_to) says.
"""

EXAMPLES = r"""
- name: A page for those who want to look
  certfleet.sophos_xgs.xgs_report:
    rows: "{{ xgs_letsencrypt_report }}"
    html: /var/www/html/certificates.html
  run_once: true
"""

RETURN = r"""
written:
  description: The files, or in check mode those that would be written.
  returned: success
  type: list
  elements: str
  sample: [/var/www/html/certificates.html]
"""
