# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What others have on the address and port that we are to forward, found before anything is written.

Elements of NATRule and FirewallRule: API document. Ports are TCP ports.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from .._errors import joined
from .errors import XgsError
from .forward import V4, Forward, Leg
from .lease import Mark, mark_of
from .objects import ANY, Objects, allows_port, covers, family_of, name_of, texts

# Rules of the central management stand above local ones and cannot be changed here (API document, 596).
ABOVE = "central_top"
REFUSING = ("Drop", "Reject")


def check(objects: Objects, wanted: Forward, legs: t.Sequence[Leg]) -> None:
    """Raises one XgsError that tells all conflicts."""
    failure = joined([error for leg in legs for error in _conflicts(objects, wanted, leg)])
    if failure is not None:
        raise failure


def interrupted(objects: Objects, wanted: Forward, legs: t.Sequence[Leg]) -> list[str]:
    """Web server protection rules whose port goes to us meanwhile: DNAT comes first (inferred)."""
    return [name_of(rule) for leg in legs for rule in _waf_rules(objects, leg) if _uses(rule, wanted.port)]


def held(nat: ET.Element, mark: Mark, where: str) -> XgsError:
    """Another run of ours forwards the port to somewhere else."""
    return XgsError(
        f"{mark} forwards {where} to {nat.findtext('TranslatedDestination')} until"
        f" {mark.expires:%H:%M} UTC (NAT rule '{name_of(nat)}')",
        remedy="Wait until it is over; if that run is dead, xgs_dnat_port with state=absent and run_id"
        f" {mark.run} closes it.",
    )


def forwards(objects: Objects, nat: ET.Element, leg: Leg, port: int) -> bool:
    """Whether an enabled rule takes what comes in from outside for an address and port of ours."""
    return (
        nat.findtext("Status") != "Disable"
        and family_of(nat) == leg.family
        and (nat.findtext("TranslatedDestination") or "Original") != "Original"
        and _meant(objects, nat, leg)
        and allows_port(objects, texts(nat, "OriginalServices/Service"), [port])
    )


def _meant(objects: Objects, nat: ET.Element, leg: Leg) -> bool:
    destinations = texts(nat, "OriginalDestinationNetworks/Network")
    if destinations and ANY not in destinations:
        return bool(set(destinations) & set(leg.wan)) or covers(objects, destinations, leg.addresses)
    # Whatever comes from anywhere. One for an inner interface or network leads a way out, not in.
    sources = texts(nat, "OriginalSourceNetworks/Network")
    interfaces = texts(nat, "InboundInterfaces/Interface")
    outside = {ANY, *(name.lstrip("#") for name in leg.wan)}
    return (not sources or ANY in sources) and (not interfaces or bool(outside & set(interfaces)))


def _conflicts(objects: Objects, wanted: Forward, leg: Leg) -> t.Iterator[XgsError]:
    where = f"{', '.join(leg.wan)}:{wanted.port}"
    for nat in objects["NATRule"]:
        if mark_of(nat) is None and forwards(objects, nat, leg, wanted.port):
            yield XgsError(
                f"the NAT rule '{name_of(nat)}' forwards {where} already",
                remedy="Remove or disable it, or serve /.well-known/acme-challenge/ on the host that it leads to.",
            )
    for rule in objects["FirewallRule"]:
        if _drops(objects, rule, wanted, leg):
            yield XgsError(
                f"the firewall rule '{name_of(rule)}', which Sophos Central put above all local ones, drops what comes"
                f" in for {where}",
                remedy=f"In Sophos Central, allow TCP {wanted.port} from WAN to {wanted.zone} above it.",
            )
    for rule in _waf_rules(objects, leg):
        if not wanted.interrupt_waf and _serves(rule, wanted.port):
            yield XgsError(
                f"the web server protection rule '{name_of(rule)}' serves a site on {where}, which nobody would reach"
                " while the CA validates",
                remedy="Switch the rule to HTTPS in the web console (Rules and policies > Firewall rules); or permit"
                " that it is interrupted, mostly for seconds: interrupt_waf (in the role:"
                " xgs_letsencrypt_interrupt_waf).",
            )


def _drops(objects: Objects, rule: ET.Element, wanted: Forward, leg: Leg) -> bool:
    """A rule for some sources only is none: who knows where the CA asks from."""
    policy = rule.find("NetworkPolicy")
    if policy is None or rule.findtext("Section", "").lower() != ABOVE or rule.findtext("Status") == "Disable":
        return False
    networks = texts(policy, "DestinationNetworks/Network")
    return (
        policy.findtext("Action") in REFUSING
        and family_of(rule) == leg.family
        and _has(texts(policy, "SourceZones/Zone"), "WAN")
        and _has(texts(policy, "DestinationZones/Zone"), wanted.zone)
        and _has(texts(policy, "SourceNetworks/Network"), ANY)
        and (_has(networks, *leg.wan) or covers(objects, networks, (*leg.addresses, leg.target)))
        and allows_port(objects, texts(policy, "Services/Service"), (wanted.port, wanted.target_port))
    )


def _has(names: t.Sequence[str], *wanted: str) -> bool:
    """No name means any."""
    return not names or bool({ANY, *wanted} & set(names))


def _waf_rules(objects: Objects, leg: Leg) -> t.Iterator[ET.Element]:
    """On one of the addresses. There are none of IPv6 (reported)."""
    for rule in objects["FirewallRule"] if leg.family == V4 else ():
        hosted = texts(rule, "HTTPBasedPolicy/HostedAddress")
        if rule.findtext("Status") == "Disable":
            continue
        if set(hosted) & set(leg.wan) or covers(objects, hosted, leg.addresses):
            yield rule


def _serves(rule: ET.Element, port: int) -> bool:
    listens = rule.findtext("HTTPBasedPolicy/ListenPort") == str(port)
    return listens and (port != 80 or rule.findtext("HTTPBasedPolicy/HTTPS") != "Enable")


def _uses(rule: ET.Element, port: int) -> bool:
    return _serves(rule, port) or (port == 80 and rule.findtext("HTTPBasedPolicy/RedirectHTTP") == "Enable")


__all__ = ("check", "forwards", "held", "interrupted")
