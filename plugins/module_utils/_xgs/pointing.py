# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Point one consumer at a certificate: change one node of what the firewall holds now, and mend what it loses by it."""

from __future__ import annotations

import copy
import dataclasses
import typing as t
import xml.etree.ElementTree as ET

from .api import Firewall, Write
from .consumers import Consumer, read_consumers
from .errors import XgsError


def point(firewall: Firewall, consumer: Consumer, certificate: str, groups: t.Sequence[ET.Element]) -> None:
    """Write it, and see the rule in its groups again. groups: groups_of() the consumer, before its first switch.

    Raises XgsError when the consumer is gone, the firewall refuses, or a rule does not go back into its group.
    The consumer is read anew: two kinds share the e-mail settings, and what somebody changed meanwhile has to survive.
    An updated rule falls out of its group (measured by two tools), so the group goes with it in one request, whose
    entities are carried out in their order (API document): nobody would know of it later, if the way were cut between.
    """
    now = reread(firewall, consumer)
    if now.certificate != certificate:
        whole = [_with_member(_now(firewall, group), consumer.name, _members(group)) for group in groups]
        firewall.send(dataclasses.replace(now.pointed_at(certificate), then=tuple(whole)))
    for group in groups:
        _restore_member(firewall, group, consumer.name)


def reread(firewall: Firewall, consumer: Consumer) -> Consumer:
    """The consumer as it is now. Raises XgsError when it is gone."""
    for now in read_consumers(firewall, [consumer.kind.key], consumer.name or None):
        if now == consumer:
            return now
    raise XgsError(f"the firewall does not have {consumer} any more", remedy="Run again.")


def groups_of(firewall: Firewall, consumer: Consumer) -> list[ET.Element]:
    """The rule groups that a web server protection rule is in."""
    if consumer.kind.key != "waf":
        return []
    return [group for group in firewall.get("FirewallRuleGroup") if consumer.name in _members(group)]


def _restore_member(firewall: Firewall, group: ET.Element, rule: str) -> None:
    """Look that the rule is in its group; if it is not, put it back."""
    name = group.findtext("Name", "")
    now = _now(firewall, group)
    if now is not group and rule in _members(now):
        return
    firewall.send(Write("update", _with_member(now, rule, _members(group))))
    if not any(rule in _members(now) for now in firewall.get("FirewallRuleGroup", name)):
        raise XgsError(
            f"the rule '{rule}' fell out of the rule group '{name}' and does not go back",
            remedy=f"Move it back into the group in the web console, to where it was: {', '.join(_members(group))}.",
        )


def displaced(firewall: Firewall, groups: t.Iterable[ET.Element]) -> dict[str, list[str]]:
    """Groups whose rules stand in another order than in these, and the order of before.

    Whether the order that a group is sent in counts, no source says. Rules that joined or left meanwhile do not matter.
    """
    found = {}
    for group in groups:
        before, now = _members(group), _members(_now(firewall, group))
        if [rule for rule in now if rule in before] != [rule for rule in before if rule in now]:
            found[group.findtext("Name", "")] = before
    return found


def _now(firewall: Firewall, group: ET.Element) -> ET.Element:
    """The group as it is now; the very same element where it is gone."""
    return next(iter(firewall.get("FirewallRuleGroup", group.findtext("Name", ""))), group)


def _with_member(group: ET.Element, rule: str, order: list[str]) -> ET.Element:
    """The group as it is now, and the rule where it was. order: the members of before."""
    restored = copy.deepcopy(group)
    restored.attrib.clear()
    members = restored.find("SecurityPolicyList")
    if members is None:
        members = ET.SubElement(restored, "SecurityPolicyList")
    others = _members(restored)
    if rule not in others:
        before = order[: order.index(rule)]
        place = next((at + 1 for at in reversed(range(len(others))) if others[at] in before), 0)
        member = ET.Element("SecurityPolicy")
        member.text = rule
        members.insert(place, member)
    return restored


def _members(group: ET.Element) -> list[str]:
    return [element.text or "" for element in group.findall("SecurityPolicyList/SecurityPolicy")]


__all__ = ("displaced", "groups_of", "point", "reread")
