#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_cert_info
short_description: Read which certificates a Sophos XGS firewall holds and who uses them
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Reads names, validity, issuer, key type and fingerprint of the certificates on a firewall, whether their chains are complete, and who uses each.
    Nothing is written.
  - The firewall sends private keys along with the certificates. They are dropped unread.
  - What the firmware does not have, or the account may not read, is told in RV(unread); the rest is read all the same.
  - With O(endpoints) no firewall is asked for anything, and no account is needed. What the endpoints serve is looked at by TLS handshakes.
options:
  name:
    description:
      - Only these certificates, by the name of the object or the name without version, which stands for all versions. A version is named
        NAME-YYYYMMDD-FFFFFFFF by M(certfleet.sophos_xgs.xgs_cert_upload).
    type: list
    elements: str
  consumers:
    description:
      - Whether to find out who uses each certificate, which takes eight reads, one for each entity that can name a certificate.
    type: bool
    default: true
  authorities:
    description:
      - Whether to find out what each chain lacks, which takes one read, of all certificate authorities on the firewall.
    type: bool
    default: true
  endpoints:
    description:
      - Look at what these serve, C(HOST:PORT) or C(HOST:PORT:NAME), where NAME is asked for (SNI) instead of HOST; an IPv6 address stands in brackets.
      - One that does not answer is no failure, but has a RV(endpoints[].problem).
      - O(ca_path) names the authorities by which they are to be trusted, instead of the system's.
    type: list
    elements: str
  query:
    description:
      - A JMESPath expression over the result; what it yields is RV(query_result). Needs the Python library jmespath.
    type: str
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
- name: What is there, and who uses it; ten reads
  certfleet.sophos_xgs.xgs_cert_info:
  register: result

- name: What expires within a month; one read
  certfleet.sophos_xgs.xgs_cert_info:
    consumers: false
    authorities: false
    query: "certificates[?days_left && days_left < `30`].[name, not_after]"
  register: soon

- name: What visitors are shown, without an account
  certfleet.sophos_xgs.xgs_cert_info:
    endpoints: ["198.51.100.7:443:owa.example.com", "fw1.example.com:4444"]
  register: served
"""

RETURN = r"""
certificates:
  description: One entry for each certificate; the newest first where O(name) is given.
  returned: success without O(endpoints)
  type: list
  elements: dict
  contains:
    name:
      description: The object's name.
      type: str
      returned: always
    has_key:
      description: Whether the firewall has the private key.
      type: bool
      returned: always
    chain_length:
      description: Number of certificates in the object's file; 0 where the firewall did not show it.
      type: int
      returned: always
    fingerprint:
      description: SHA-256, hexadecimal. V(null) where the certificate cannot be read; then the entries about its contents are missing.
      type: str
      returned: always
    names:
      description: DNS names and IP addresses.
      type: list
      elements: str
      returned: where the certificate can be read
    not_before:
      description: Start of its validity, ISO 8601.
      type: str
      returned: where the certificate can be read
    not_after:
      description: End of its validity, ISO 8601.
      type: str
      returned: where the certificate can be read
    days_left:
      description: Days until then.
      type: float
      returned: where the certificate can be read
    subject:
      description: Its subject.
      type: str
      returned: where the certificate can be read
    issuer:
      description: Its issuer.
      type: str
      returned: where the certificate can be read
    serial:
      description: Its serial number, hexadecimal.
      type: str
      returned: where the certificate can be read
    key_type:
      description: Kind of its key, such as V(rsa2048).
      type: str
      returned: where the certificate can be read
    self_signed:
      description: Whether it vouches for itself.
      type: bool
      returned: where the certificate can be read
    chain_complete:
      description: Whether the chain leads to a self-signed certificate, by what stands in the object's file and by the firewall's authorities.
      type: bool
      returned: where the certificate and the authorities can be read
    chain_missing:
      description: Subject of the first issuer that is nowhere to be found; V(null) for a complete chain.
      type: str
      returned: where the certificate and the authorities can be read
    used_by:
      description: Who uses it, as in RV(consumers).
      type: list
      elements: str
      returned: with O(consumers)
  sample:
    - name: OWA-20270219-1a2b3c4d
      names: [owa.example.com]
      not_before: "2026-11-21T04:00:00Z"
      not_after: "2027-02-19T04:00:00Z"
      days_left: 89.9
      subject: CN=owa.example.com
      issuer: CN=R12,O=Let's Encrypt,C=US
      serial: 4a1b
      self_signed: false
      key_type: rsa2048
      fingerprint: 1a2b3c4d00000000000000000000000000000000000000000000000000000000
      chain_length: 2
      chain_complete: true
      chain_missing:
      has_key: true
      used_by: [webadmin, "waf:OWA rule"]
consumers:
  description:
    - Everything that uses a certificate, and which. C(webadmin) is the admin console with the portals, C(waf:NAME) a web server protection rule,
      C(sslvpn), C(smtp), C(popimap), C(hotspot), C(remoteaccess) the remote access IPsec, C(ipsec:NAME) and C(l2tp:NAME) connections.
    - C(remoteaccess-peer) and C(ipsec-peer:NAME) name the certificate that the other side has to show.
    - Not all of them are consumers that M(certfleet.sophos_xgs.xgs_cert_bind) switches.
  returned: success with O(consumers)
  type: list
  elements: dict
  sample:
    - consumer: waf:OWA rule
      certificate: OWA-20270219-1a2b3c4d
unread:
  description: What could not be read, such as C(Certificate) or C(L2TPConnection), and why.
  returned: success without O(endpoints)
  type: list
  elements: dict
  sample:
    - entity: L2TPConnection
      reason: "the firewall refused to read L2TPConnection: status 529, Input request file is Invalid"
endpoints:
  description: What each endpoint serves. The entries about the certificate are as in RV(certificates), and missing where nothing was served.
  returned: success with O(endpoints)
  type: list
  elements: dict
  contains:
    endpoint:
      description: The endpoint as it was given.
      type: str
      returned: always
    problem:
      description: Why there is no certificate; empty where there is one.
      type: str
      returned: always
    trusted:
      description: Whether a visitor would trust it.
      type: bool
      returned: always
    distrust:
      description: Why not; empty where he would.
      type: str
      returned: always
  sample:
    - endpoint: 198.51.100.7:443:owa.example.com
      problem: ""
      trusted: true
      distrust: ""
      names: [owa.example.com]
      not_after: "2027-02-19T04:00:00Z"
      days_left: 89.9
      fingerprint: 1a2b3c4d00000000000000000000000000000000000000000000000000000000
query_result:
  description: What O(query) yields.
  returned: success with O(query)
  type: raw
  sample: [[OWA-20270219-1a2b3c4d, "2027-02-19T04:00:00Z"]]
"""

import typing as t

from ..module_utils._endpoints import look_at, parse_endpoint
from ..module_utils._errors import stage
from ..module_utils._query import compiled
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._xgs.inventory import read_inventory
from ..module_utils._xgs_options import firewall_from, xgs_spec

ARGUMENTS = Arguments(
    spec={
        **xgs_spec(),
        "name": {"type": "list", "elements": "str"},
        "consumers": {"type": "bool", "default": True},
        "authorities": {"type": "bool", "default": True},
        "endpoints": {"type": "list", "elements": "str"},
        "query": {"type": "str"},
    },
    mutually_exclusive=(("endpoints", "name"),),
    connection="",
)


def run(params: Params, check_mode: bool) -> Outcome:
    with stage("plan"):
        query = compiled(params["query"]) if params["query"] else None
        facts: dict[str, t.Any]
        if params["endpoints"]:
            endpoints = [parse_endpoint(text) for text in params["endpoints"]]
            facts = {"endpoints": look_at(endpoints, params["ca_path"])}
        else:
            facts = read_inventory(
                firewall_from(params), params["name"], uses=params["consumers"], chains=params["authorities"]
            )
        if query:
            facts["query_result"] = query(facts)
    return Outcome(False, facts)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
