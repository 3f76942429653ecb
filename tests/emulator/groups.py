# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups of firewall rules: an updated rule falls out, groups only grow, and a group's rules stand together.

That they stand together, and what becomes of a place in a group, the sources do not say: see README.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

from .device import Device
from .schema import named, text
from .store import Store

__all__ = ["close_ranks", "drop", "grow"]

GROUP, RULE = "FirewallRuleGroup", "FirewallRule"


def grow(device: Device, group: ET.Element) -> ET.Element:
    """The group as it is stored when this is written. A rule is in one group at a time."""
    store, name = device.store, text(group, "Name")
    before, sent = _members(store.get(GROUP, name)), _members(group)
    order = [member for member in before if member not in sent] + sent
    if device.settings.group_order == "end":
        order = before + sent
    order = list(dict.fromkeys(order))
    drop(store, set(order))
    _gather(store, order, next((member for member in order if member in before), order[0] if order else ""))
    return _with_members(group, order)


def drop(store: Store, rules: set[str]) -> None:
    for group in list(store.all(GROUP)):
        members = _members(group)
        if rules & set(members):
            kept = [member for member in members if member not in rules]
            store.put(GROUP, text(group, "Name"), _with_members(group, kept))


def close_ranks(store: Store) -> None:
    """A rule that came between those of a group goes below them."""
    for group in store.all(GROUP):
        for upper, lower in pairwise(_members(group)):
            store.move(RULE, lower, "After", upper)


def _gather(store: Store, order: list[str], anchor: str) -> None:
    """Bring the rules together where the anchor stands."""
    at = order.index(anchor) if order else 0
    for lower, upper in pairwise(reversed(order[: at + 1])):
        store.move(RULE, upper, "Before", lower)
    for upper, lower in pairwise(order[at:]):
        store.move(RULE, lower, "After", upper)


def _members(group: ET.Element | None) -> list[str]:
    return named(group, "SecurityPolicyList/SecurityPolicy") if group is not None else []


def _with_members(group: ET.Element, members: list[str]) -> ET.Element:
    changed = ET.Element(group.tag)
    changed.extend(child for child in group if child.tag != "SecurityPolicyList")
    listed = ET.SubElement(changed, "SecurityPolicyList")
    for member in members:
        ET.SubElement(listed, "SecurityPolicy").text = member
    return changed
