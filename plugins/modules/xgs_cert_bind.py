#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_cert_bind
short_description: Point consumers on a Sophos XGS firewall at a certificate, and verify that they serve it
version_added: 0.1.0
author: certfleet contributors (@certfleet)
description:
  - Switches web admin console and portals, web server protection rules, SSL VPN, e-mail TLS and hotspot page to a certificate, one by one.
  - After each switch a TLS handshake shows what is served. Where it is not the new certificate in time, the previous one is put back.
  - All other settings of a consumer survive. A web server protection rule goes back into the rule group that the firewall drops it from.
options:
  certificate:
    description:
      - Name of the certificate object, as M(certfleet.sophos_xgs.xgs_cert_upload) returns it.
    type: str
    required: true
  consumers:
    description:
      - Who shall use it. V(webadmin), V(sslvpn), V(smtp), V(popimap), V(hotspot), or V(waf:NAME) for the web server protection rule NAME.
      - Without it, whatever uses another version of the same certificate.
    type: list
    elements: str
  verify_timeout:
    description:
      - Seconds that a consumer may take to serve the new certificate.
    type: int
    default: 60
  verify_address:
    description:
      - Where web server protection rules are reached from here, if not at the address of their hosted interface.
    type: str
extends_documentation_fragment:
  - certfleet.sophos_xgs._xgs
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_xgs
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
notes:
  - SSL VPN, e-mail TLS and hotspot page are switched, but no handshake is made with them.
  - An endpoint that cannot be reached from here before the switch is not verified after it; RV(consumers[].verified) says so.
"""

EXAMPLES = r"""
- name: The admin console and one web application use the new certificate
  certfleet.sophos_xgs.xgs_cert_bind:
    certificate: OWA-20270219-1a2b3c4d
    consumers:
      - webadmin
      - "waf:OWA rule"
"""

RETURN = r"""
consumers:
  description: The consumers that were switched.
  returned: success
  type: list
  elements: dict
  contains:
    consumer:
      description: Which one.
      type: str
      returned: success
      sample: "waf:OWA rule"
    previous:
      description: The certificate that it used before.
      type: str
      returned: success
      sample: ApplianceCertificate
    certificate:
      description: The certificate that it uses now.
      type: str
      returned: success
      sample: OWA-20270219-1a2b3c4d
    verified:
      description: Whether a handshake showed the new certificate; none where no handshake was possible before either.
      type: bool
      returned: success
      sample: true
    served_by:
      description: The endpoints that showed it.
      type: list
      elements: str
      returned: success
      sample: ["192.0.2.10:443 for owa.example.com"]
  sample: []
"""

from ..module_utils._errors import CertfleetError, joined, stage
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._x509 import CertificateFacts
from ..module_utils._xgs.api import Firewall
from ..module_utils._xgs.binding import Verification, bind
from ..module_utils._xgs.certificates import base_name, read_certificates, versions
from ..module_utils._xgs.consumers import (
    Consumer,
    check_consumers,
    check_names,
    kinds_of,
    plan_bind,
    read_consumers,
    select,
)
from ..module_utils._xgs_options import firewall_from, xgs_spec

ARGUMENTS = Arguments(
    spec={
        **xgs_spec(),
        "certificate": {"type": "str", "required": True},
        "consumers": {"type": "list", "elements": "str"},
        "verify_timeout": {"type": "int", "default": 60},
        "verify_address": {"type": "str"},
    },
    connection="",
)


def run(params: Params, check_mode: bool) -> Outcome:
    check_consumers(params["consumers"] or [])
    with stage("bind", certificate=params["certificate"]):
        firewall = firewall_from(params)
        stored = read_certificates(firewall)
        certificate = next((one for one in stored if one.name == params["certificate"] and one.facts), None)
        consumers = read_consumers(firewall, kinds_of(params["consumers"]))
        if certificate is None and not check_mode:
            raise CertfleetError(
                "the firewall holds no such certificate", remedy="Upload it first, with xgs_cert_upload."
            )
        family = {version.name for version in versions(base_name(params["certificate"]), stored)}
        selected = select(consumers, params["consumers"], family)
        if certificate and certificate.facts:
            check_names(selected, certificate.facts.names, firewall.endpoint)
        changes = plan_bind(selected, params["certificate"])
        before, after = {}, {}
        for _consumer, change in changes:
            before.update(change.before)
            after.update(change.after)
        outcome = Outcome(bool(changes), {"consumers": []}, before, after)
        if not selected:
            outcome.warnings.append(f"Nothing on {firewall.endpoint.host} uses {params['certificate']}: set consumers.")
        if not check_mode and certificate and certificate.facts:
            to_switch = [consumer for consumer, _change in changes]
            outcome.failure = _switch(firewall, to_switch, certificate.name, certificate.facts, params, outcome)
    return outcome


def _switch(
    firewall: Firewall,
    consumers: list[Consumer],
    certificate: str,
    facts: CertificateFacts,
    params: Params,
    outcome: Outcome,
) -> CertfleetError | None:
    """One after the other; one that fails is put back and does not keep the others from being switched."""
    verification = Verification(params["verify_timeout"], params["verify_address"])
    failures = []
    for consumer in consumers:
        try:
            with stage("bind", certificate=certificate):
                bound = bind(firewall, consumer, certificate, facts, verification)
            outcome.facts["consumers"].append(bound.as_dict())
            if not bound.verified:
                outcome.warnings.append(f"{consumer} uses {certificate} now, but no handshake from here could show it.")
        except CertfleetError as error:
            failures.append(error)
    return joined(failures)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
