#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: onbox_config_info
short_description: Read the certificates that an on-box shell tool renewed
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Reads the C(config.csv) of the shell tools that renew certificates on the firewall itself, and returns what stands in it as
    C(xgs_letsencrypt_certificates) wants to have it. Nothing is written.
  - A line is C(NAME;DOMAIN,DOMAIN). Commas instead of semicolons, missing names, comments, quotes, a byte order mark, UTF-16, Latin-1 and
    any kind of line end are read as well.
  - Whatever does not come over as it stands has a remark. So what no remark tells came over.
options:
  path:
    description:
      - The file, on the control node. Without it and without O(content) the firewall's own is read by SSH, which is C(/var/acme/config.csv)
        or C(/conf/acme/config.csv).
    type: path
  content:
    description: What stands in the file, instead.
    type: str
extends_documentation_fragment:
  - certfleet.sophos_xgs._ssh
  - certfleet.sophos_xgs._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
seealso:
  - module: certfleet.sophos_xgs.onbox_tool
"""

EXAMPLES = r"""
- name: What the old tool renews, from a copy of its file
  certfleet.sophos_xgs.onbox_config_info:
    path: "old/{{ inventory_hostname }}.csv"
  register: old

- name: The same from the firewall, with xgs_ssh_password and xgs_ssh_fingerprint in the inventory
  certfleet.sophos_xgs.onbox_config_info:
  register: old

- name: What did not come over as it stands
  ansible.builtin.debug:
    var: old.remarks
"""

RETURN = r"""
certificates:
  description: As C(xgs_letsencrypt_certificates) wants to have them, in the order of the file.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description:
        - The name that stands in the file, which is that of the certificate on the firewall. Where it is missing, or cannot be that of a
          certificate with versions, one that resembles it or the first domain.
      type: str
    domains:
      description: DNS names in their ASCII form, and IP addresses, each once.
      type: list
      elements: str
  sample:
    - name: OWA
      domains: [owa.example.com, exchange.example.com]
remarks:
  description: What was left out, changed or is doubtful, by line.
  returned: success
  type: list
  elements: dict
  contains:
    line:
      description: The line, counted from 1.
      type: int
    what:
      description: What became of it.
      type: str
    why:
      description: Why.
      type: str
  sample:
    - line: 4
      what: "'*.example.com' is left out"
      why: "The name '*.example.com' is a wildcard. HTTP-01 cannot validate wildcards: list each name."
"""

import dataclasses

from ..module_utils._errors import CertfleetError, stage
from ..module_utils._onbox.config_csv import read_config
from ..module_utils._onbox.tool import read_config_csv
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._shell.session import shell
from ..module_utils._ssh_options import ssh_endpoint_from, ssh_spec

ARGUMENTS = Arguments(
    spec={**ssh_spec(), "path": {"type": "path"}, "content": {"type": "str"}},
    mutually_exclusive=(("path", "content"),),
    ssh="ssh",
)


def run(params: Params, check_mode: bool) -> Outcome:
    with stage("plan"):
        config = read_config(_data(params))
    return Outcome(
        False,
        {
            "certificates": [{"name": each.name, "domains": each.domains} for each in config.certificates],
            "remarks": [dataclasses.asdict(each) for each in config.remarks],
        },
    )


def _data(params: Params) -> bytes:
    if params["content"] is not None:
        return str(params["content"]).encode(errors="replace")
    if params["path"] is None:
        with shell(ssh_endpoint_from(params)) as session:
            return read_config_csv(session)
    try:
        with open(params["path"], "rb") as file:
            return file.read()
    except OSError as error:
        raise CertfleetError(f"cannot read {params['path']}: {error.strerror or error}") from error


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
