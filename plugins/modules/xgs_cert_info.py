#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_cert_info
short_description: Read which certificates a Sophos XGS firewall holds and who uses them
version_added: 0.1.0
author: certfleet contributors (@certfleet)
description:
  - Reads names, validity, issuer, key type and fingerprint of the certificates on a firewall, and what refers to each.
  - The firewall sends private keys along with the certificates. They are dropped unread.
options:
  name:
    description:
      - Only this certificate, all its versions included. A version is named NAME-YYYYMMDD-FFFFFFFF by
        M(certfleet.sophos_xgs.xgs_cert_upload).
    type: str
  consumers:
    description:
      - Whether to find out who uses each certificate, which takes a read for each kind of consumer.
    type: bool
    default: true
extends_documentation_fragment:
  - certfleet.sophos_xgs._xgs
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_xgs
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
"""

EXAMPLES = r"""
- name: What is there
  certfleet.sophos_xgs.xgs_cert_info:
  register: result

- name: What expires first
  ansible.builtin.debug:
    msg: "{{ result.certificates | sort(attribute='not_after') | first }}"
"""

RETURN = r"""
certificates:
  description: One entry for each certificate, newest first where O(name) is given.
  returned: success
  type: list
  elements: dict
  sample:
    - name: OWA-20270219-1a2b3c4d
      names: [owa.example.com]
      not_before: "2026-11-21T04:00:00Z"
      not_after: "2027-02-19T04:00:00Z"
      days_left: 90
      issuer: CN=R12,O=Let's Encrypt,C=US
      key_type: rsa2048
      fingerprint: 1a2b3c4d00000000000000000000000000000000000000000000000000000000
      chain_length: 2
      has_key: true
      used_by: [webadmin, "waf:OWA rule"]
"""

from ..module_utils._errors import stage
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._xgs.certificates import read_certificates, versions
from ..module_utils._xgs.consumers import read_consumers
from ..module_utils._xgs_options import firewall_from, xgs_spec

ARGUMENTS = Arguments(
    spec={**xgs_spec(), "name": {"type": "str"}, "consumers": {"type": "bool", "default": True}}, connection=""
)


def run(params: Params, check_mode: bool) -> Outcome:
    firewall = firewall_from(params)
    with stage("plan"):
        stored = read_certificates(firewall)
        if params["name"]:
            stored = versions(params["name"], stored)
        consumers = read_consumers(firewall) if params["consumers"] else None
    certificates = []
    for certificate in stored:
        entry = certificate.as_dict()
        if certificate.facts:
            entry["days_left"] = (certificate.facts.not_after - firewall.clock.now()).days
        if consumers is not None:
            entry["used_by"] = [str(consumer) for consumer in consumers if consumer.certificate == certificate.name]
        certificates.append(entry)
    return Outcome(False, {"certificates": certificates})


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
