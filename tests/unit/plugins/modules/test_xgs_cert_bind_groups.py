# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rule that is switched stays in its rule group, and where it stands: in the group and in the list of all rules."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import api

from emulator.specimens import specimen
from unit.plugins.module_utils._xgs.firewalls import Box
from unit.plugins.modules.test_xgs_cert_bind import APPLIANCE, both, groups, put, run


def put_rules(box: Box) -> None:
    """rule 0, and a group of rule 1 to 3, and rule 4."""
    for number in range(5):
        rule = specimen("FirewallRule").replace("Specimen rule", f"rule {number}")
        box.ask(
            f"<Set>{re.sub('<Domains>.*</Domains>', f'<Domains><Domain>r{number}.test</Domain></Domains>', rule)}</Set>"
        )
    inside = "".join(f"<SecurityPolicy>rule {number}</SecurityPolicy>" for number in (1, 2, 3))
    box.add(
        "<FirewallRuleGroup><Name>Three &amp; more</Name><Description>x</Description>"
        f"<SecurityPolicyList>{inside}</SecurityPolicyList><Policytype>WAF rule</Policytype></FirewallRuleGroup>"
    )


def rules(box: Box) -> dict[str, str]:
    """All there is to them but the certificate: their order, and where each says that it stands."""
    records = box.ask("<Get><FirewallRule/></Get>").findall("FirewallRule")
    return {
        record.findtext("Name", ""): re.sub("<Certificate>.*?</Certificate>", "", ET.tostring(record, "unicode"))
        for record in records
    }


@pytest.mark.parametrize("number", [2, 1, 3], ids=["middle", "first", "last"])
def test_a_rule_goes_back_to_its_place_in_its_group(box: Box, number: int) -> None:
    put_rules(box)
    in_groups, in_list = groups(box), rules(box)
    name, _issued = put(box, f"r{number}.test")
    did, writes = both(box, name, f"waf:rule {number}")
    assert (did.changed, writes) == (True, 2)
    assert did.facts["consumers"][0]["displaced"] == {}
    assert box.bound("FirewallRule").count(name) == 1
    assert groups(box) == in_groups
    assert list(rules(box).items()) == list(in_list.items())


def test_a_rule_that_is_put_back_stands_where_it_was(box: Box) -> None:
    """The rule was switched and fell out, the group refused it; so it is read below the group, and switched again."""
    put_rules(box)
    in_groups, in_list = groups(box), rules(box)
    name, _issued = put(box, "r2.test")
    box.faults({"kind": "status", "operation": "update", "entity": "FirewallRuleGroup", "text": "busy", "count": 2})
    did = run(box, name, "waf:rule 2")
    assert "status 500, busy" in str(did.failure)
    assert box.bound("FirewallRule").count(name) == 0
    assert groups(box) == in_groups
    assert list(rules(box).items()) == list(in_list.items())


def test_every_rule_of_a_group(box: Box) -> None:
    put_rules(box)
    in_groups, in_list = groups(box), rules(box)
    name, _issued = put(box, *(f"r{number}.test" for number in range(5)))
    run(box, name, "waf")
    assert box.bound("FirewallRule").count(name) == 5
    assert groups(box) == in_groups
    assert list(rules(box).items()) == list(in_list.items())


def test_a_firewall_that_does_not_take_the_order(box: Box) -> None:
    """No source says that it does. The rule is back in its group then, and somebody is told where it stood."""
    put_rules(box)
    box.settings(group_order="end")
    name, _issued = put(box, "r2.test", "r3.test")
    did, _writes = both(box, name, "waf:rule 2")
    assert did.facts["consumers"][0]["displaced"] == {"Three & more": ["rule 1", "rule 2", "rule 3"]}
    assert any("not at its place. It was so in 'Three & more': rule 1, rule 2, rule 3." in it for it in did.warnings)
    assert re.findall("<SecurityPolicy>(.*?)</", groups(box)["Three & more"]) == ["rule 1", "rule 3", "rule 2"]
    did = run(box, name, "waf:rule 3")
    assert did.facts["consumers"][0]["displaced"] == {"Three & more": ["rule 1", "rule 3", "rule 2"]}


def test_a_firewall_that_falls_silent_does_not_lose_the_group(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule and its group are one request, so that nothing has to come after it."""
    monkeypatch.setattr(api, "PAUSES", (0.1, 0.1, 0.1))
    before = groups(box)
    name, _issued = put(box)
    box.faults(
        {"kind": "reset_after", "operation": "update", "entity": "FirewallRule", "count": 4},
        {"kind": "reset_before", "operation": "get", "entity": "FirewallRuleGroup", "nth": 3, "count": 0},
    )
    assert "Putting ApplianceCertificate back failed too" in str(run(box, name, "waf:OWA").failure)
    box.emulator.clear_faults(box.name)
    assert groups(box) == before
    assert box.bound("FirewallRule") == [name]


def test_a_busy_firewall_does_not_lose_the_group(box: Box) -> None:
    """The rule was switched and fell out; nothing goes until the previous certificate is put back."""
    before = groups(box)
    name, _issued = put(box)
    box.faults({"kind": "status", "operation": "update", "entity": "FirewallRuleGroup", "text": "busy", "count": 2})
    did = run(box, name, "waf:OWA")
    assert "status 500, busy" in str(did.failure)
    assert f"{APPLIANCE} is still in place" in str(did.failure)
    assert groups(box) == before
    assert box.bound("FirewallRule") == [APPLIANCE]
