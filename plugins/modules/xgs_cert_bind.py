#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_cert_bind
short_description: Point consumers on a Sophos XGS firewall at a certificate, and verify that they serve it
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Switches web admin console and portals, web server protection rules, SSL VPN, e-mail TLS, hotspot page, remote access IPsec,
    IPsec and L2TP connections to a certificate, one by one.
  - After each switch a TLS handshake shows what is served. Where it is not the new certificate with its intermediates in time, the
    previous one is put back.
  - Each consumer is read right before its switch, and one element of it is changed. All else survives, known or not.
    A web server protection rule goes back into the rule group that the firewall drops it from, to its place.
options:
  certificate:
    description:
      - Name of the certificate object, as M(certfleet.sophos_xgs.xgs_cert_upload) returns it.
    type: str
    required: true
  consumers:
    description:
      - Who shall use it. V(webadmin), V(sslvpn), V(smtp), V(popimap), V(hotspot), V(remoteaccess), or, by their names, V(waf:NAME) for
        a web server protection rule, V(ipsec:NAME) and V(l2tp:NAME) for a connection.
      - V(waf) is every rule whose domains the certificate covers, whatever it uses now. RV(left_alone) names the others.
        Two certificates that cover the same rule must not both ask for it.
      - Without it, whatever uses another version of the same certificate.
      - A rule with a domain that the certificate does not cover is never switched.
    type: list
    elements: str
  domains:
    description:
      - Names of the certificate, for check mode before it is on the firewall. Without them check mode goes by the version before.
      - A run goes by the certificate itself and takes no notice of this.
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
  verify_chain:
    description:
      - Whether the intermediates that were uploaded with the certificate have to be served with it.
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
    support: full
notes:
  - Console, portals and rules are verified, and the SSL VPN if it answers a TLS handshake. E-mail TLS, hotspot page and IPsec cannot
    be seen from here; what the firewall stored is read back, RV(consumers[].verified) is none and RV(consumers[].reason) says why.
  - So it is with an endpoint that cannot be reached from here before the switch, or shows another certificate than the previous one.
  - The switch of an IPsec or L2TP connection may interrupt its tunnels for a moment.
  - What a connection expects of the other side (V(RemoteCertificate)) is never switched, but RV(left_alone) tells of it.
"""

EXAMPLES = r"""
- name: The admin console and one web application use the new certificate
  certfleet.sophos_xgs.xgs_cert_bind:
    certificate: OWA-20270219-1a2b3c4d
    consumers:
      - webadmin
      - "waf:OWA rule"

- name: Every web application whose names it has
  certfleet.sophos_xgs.xgs_cert_bind:
    certificate: OWA-20270219-1a2b3c4d
    consumers: [waf]
"""

RETURN = r"""
consumers:
  description: The consumers that were switched, or would be.
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
    reason:
      description: Why RV(consumers[].verified) is none.
      type: str
      returned: success
      sample: "before the switch 192.0.2.10:443 for owa.example.com failed: timed out"
    displaced:
      description: Rule groups that the firewall put the rule back into at another place, and the order that they had.
      type: dict
      returned: success
      sample: {}
  sample: []
foreseen:
  description: Whether this is what check mode foresees, so that nothing has happened.
  returned: success
  type: bool
  sample: false
left_alone:
  description: Consumers that were not switched although one may expect it, and why.
  returned: success
  type: dict
  sample: {"ipsec-peer:Branch": "uses OWA-20261122-99887766, but it is what the other side has to show"}
"""

from ..module_utils._errors import CertfleetError, joined, stage
from ..module_utils._names import normalise_domains
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._signals import Interrupted, orderly_end, undisturbed
from ..module_utils._xgs.api import Firewall
from ..module_utils._xgs.binding import Bound, Verification, bind
from ..module_utils._xgs.certificates import StoredCertificate, base_name, read_certificates, versions
from ..module_utils._xgs.consumers import (
    Consumer,
    check_consumers,
    check_names,
    kinds_of,
    left_alone,
    plan_bind,
    read_consumers,
    select,
)
from ..module_utils._xgs.rights import check_rights, parts_of
from ..module_utils._xgs_options import firewall_from, xgs_spec

REMEDY_ABSENT = "Upload it first, with xgs_cert_upload. If that was done, another run has removed it since: run again."

ARGUMENTS = Arguments(
    spec={
        **xgs_spec(),
        "certificate": {"type": "str", "required": True},
        "consumers": {"type": "list", "elements": "str"},
        "domains": {"type": "list", "elements": "str"},
        "verify_timeout": {"type": "int", "default": 60},
        "verify_address": {"type": "str"},
        "verify_chain": {"type": "bool", "default": True},
    },
    connection="",
)


def run(params: Params, check_mode: bool) -> Outcome:
    wanted = params["consumers"]
    check_consumers(wanted or [])
    with stage("bind", certificate=params["certificate"]):
        firewall = firewall_from(params)
        stored = read_certificates(firewall)
        certificate = next((one for one in stored if one.name == params["certificate"] and one.facts), None)
        consumers = read_consumers(firewall, kinds_of(wanted))
        if certificate is None:
            _check_absence(params["certificate"], stored, check_mode)
        existing = versions(base_name(params["certificate"]), stored)
        family = {version.name for version in existing}
        # In check mode it may not be there yet; then it will hardly have other names than the version before.
        likely = certificate or next(iter(existing), None)
        names = likely.facts.names if likely and likely.facts else ()
        if certificate is None and params["domains"]:
            names = normalise_domains(params["domains"])
        selected = select(consumers, wanted, family, names)
        if certificate or params["domains"]:
            check_names(selected, names, firewall.endpoint)
        left = left_alone(consumers, wanted, family - {params["certificate"]}, names)
        outcome = _planned(selected, params["certificate"], left, check_mode)
        if not selected:
            outcome.warnings.append(f"Nothing on {firewall.endpoint.host} uses {params['certificate']}: set consumers.")
        to_switch, failures = _permitted(firewall, selected, params["certificate"])
        if certificate and not check_mode:
            try:
                with orderly_end():
                    failures += _switch(firewall, to_switch, certificate, stored, params, outcome)
            except Interrupted as signal:
                raise CertfleetError(
                    f"ended by {signal}; what was switched has been verified", remedy="Run again."
                ) from signal
            outcome.warnings += firewall.remarks
        outcome.failure = joined(failures)
    return outcome


def _check_absence(certificate: str, stored: list[StoredCertificate], check_mode: bool) -> None:
    """In check mode the upload that brings it may not have happened."""
    if any(one.name == certificate for one in stored):
        raise CertfleetError(
            "the firewall has it, but does not show the certificate itself, so nothing could be verified",
            remedy="If its file is damaged, upload it again under another name.",
        )
    if not check_mode:
        raise CertfleetError("the firewall holds no such certificate", remedy=REMEDY_ABSENT)


def _planned(selected: list[Consumer], certificate: str, left: dict[str, str], check_mode: bool) -> Outcome:
    """The diff, and in check mode the consumers too; a run fills them in as it goes."""
    before, after, foreseen = {}, {}, []
    for consumer, change in plan_bind(selected, certificate):
        before.update(change.before)
        after.update(change.after)
        bound = Bound(str(consumer), consumer.certificate, certificate, None, [], "in check mode nothing is switched")
        foreseen.append(bound.as_dict())
    facts = {"consumers": foreseen if check_mode else [], "left_alone": left, "foreseen": check_mode}
    warnings = [f"{consumer} is left as it is: it {reason}." for consumer, reason in left.items()]
    return Outcome(bool(after), facts, before, after, warnings=warnings)


def _permitted(
    firewall: Firewall, selected: list[Consumer], certificate: str
) -> tuple[list[Consumer], list[CertfleetError]]:
    """Of those to be switched, the ones that the account may be allowed to, and why not the others."""
    permitted: list[Consumer] = []
    failures: list[CertfleetError] = []
    for consumer, change in plan_bind(selected, certificate):
        try:
            with stage("plan", certificate=certificate):
                check_rights(firewall, parts_of(change.writes))
            permitted.append(consumer)
        except CertfleetError as error:
            error.problem = f"{consumer} was not switched: {error.problem}"
            failures.append(error)
    return permitted, failures


def _switch(
    firewall: Firewall,
    consumers: list[Consumer],
    certificate: StoredCertificate,
    stored: list[StoredCertificate],
    params: Params,
    outcome: Outcome,
) -> list[CertfleetError]:
    """One after the other; one that fails is put back and does not keep the others from being switched."""
    verification = Verification(params["verify_timeout"], params["verify_address"], params["verify_chain"])
    fingerprints = {one.name: one.facts.fingerprint for one in stored if one.facts}
    failures: list[CertfleetError] = []
    for consumer in consumers:
        try:
            # Half done it would be a rule out of its group, or a switch that nobody has verified.
            with undisturbed(), stage("bind", certificate=certificate.name):
                bound = bind(firewall, consumer, certificate, verification, fingerprints.get(consumer.certificate))
            outcome.facts["consumers"].append(bound.as_dict())
            if not bound.verified:
                outcome.warnings.append(
                    f"{consumer} uses {bound.certificate} now, but no handshake could show it: {bound.reason}."
                )
            outcome.warnings += [
                f"{consumer} is back in its rule group, but not at its place. It was so in '{group}': {', '.join(order)}."
                for group, order in bound.displaced.items()
            ]
        except CertfleetError as error:
            failures.append(error)
    return failures


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
