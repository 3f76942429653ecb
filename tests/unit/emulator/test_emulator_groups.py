# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups of firewall rules: who falls out, and where the rules stand."""

from __future__ import annotations

import pytest

TOP = "<Position>Top</Position>"


def rule(name, position=TOP):
    return (
        f"<FirewallRule><Name>{name}</Name>{position}<PolicyType>Network</PolicyType>"
        "<NetworkPolicy><Action>Accept</Action></NetworkPolicy></FirewallRule>"
    )


def test_updated_rule_falls_out_of_its_group(box):
    group = "<FirewallRuleGroup><Name>g</Name><SecurityPolicyList>{}</SecurityPolicyList></FirewallRuleGroup>"

    def put(operation, *names):
        members = "".join(f"<SecurityPolicy>{name}</SecurityPolicy>" for name in names)
        return box.code(f'<Set operation="{operation}">{group.format(members)}</Set>')

    def members():
        return [found.text for found in box.get("FirewallRuleGroup", "g")[0].iter("SecurityPolicy")]

    for name in ("a", "b"):
        box.add(rule(name))
    assert put("add", "a", "b") == "200"
    box.update(rule("a"))
    assert members() == ["b"]
    assert put("update", "a") == "200"
    assert members() == ["b", "a"]
    assert put("update", "nothing") == "501"
    box.remove("FirewallRule", "b")
    assert members() == ["a"]


@pytest.mark.parametrize(("order", "comes_back_as"), [("sent", "abc"), ("end", "acb")])
def test_place_of_a_rule_in_its_group(box, order, comes_back_as):
    box.settings(group_order=order)

    def put(operation, names):
        members = "".join(f"<SecurityPolicy>{name}</SecurityPolicy>" for name in names)
        group = f"<Name>g</Name><SecurityPolicyList>{members}</SecurityPolicyList>"
        assert box.code(f'<Set operation="{operation}"><FirewallRuleGroup>{group}</FirewallRuleGroup></Set>') == "200"

    def listed():
        in_group = [found.text for found in box.get("FirewallRuleGroup", "g")[0].iter("SecurityPolicy")]
        return "".join(in_group), "".join(found.findtext("Name") for found in box.get("FirewallRule"))

    for name in "zycbax":
        box.add(rule(name))
    put("add", "abc")
    assert listed() == ("abc", "xabcyz"), "they stand together, at the place of the first that is named"
    after = "<Position>After</Position><After><Name>a</Name></After>"
    for name in "bn":
        assert box.code(f"<Set>{rule(name, after)}</Set>") == "200"
    assert listed() == ("ac", "xacnbyz"), "nobody else stands between them"
    put("update", "abc")
    assert listed() == (comes_back_as, f"x{comes_back_as}nyz")
    put("update", "a")
    assert listed()[0] == (comes_back_as if order == "end" else "bca"), "who is named comes last"
    put("update", "x")
    assert listed()[1].startswith("bcax" if order == "sent" else "acbx")
