# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as a task sees it: changed, diff, what it returns, and how many writes that took."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.window import Window
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs_options import forward_from
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_dnat_port

from unit.plugins.module_utils._xgs.firewalls import Box
from unit.plugins.module_utils._xgs.forwards import EXPIRED, GROUP, HOST, SERVICE, ours, records

README = Path(__file__).parents[4] / "README.md"
TARGET = "127.0.0.1"


def params(box: Box, **options: Any) -> dict[str, Any]:
    return {
        "host": box.address,
        "port": None,
        "username": "admin",
        "password": "secret",
        "validate_certs": None,
        "ca_path": None,
        "fingerprint": [box.fingerprint],
        "tls_server_name": None,
        "timeout": 10,
        "connect_timeout": 10,
        "check_rights": None,
        "name": "certfleet-http01",
        "target": TARGET,
        "target6": None,
        "target_port": 8080,
        "zone": "LAN",
        "wan_host": ["#Port2"],
        "wan_port": 80,
        "masquerade": True,
        "lease": 3600,
        "interrupt_waf": False,
        "method": "api",
        "run_id": "run1",
        "state": "present",
        **options,
    }


def run(box: Box, check_mode: bool = False, **options: Any) -> Outcome:
    """One task; what it says of its writes has to be true."""
    before = box.writes
    outcome = xgs_dnat_port.run(params(box, **options), check_mode)
    assert outcome.facts["writes"] == box.writes - before
    return outcome


def configuration(box: Box) -> dict[str, list[str]]:
    return {entity: names for entity, names in box.state["objects"].items() if names}


def diff(outcome: Outcome) -> dict[str, Any]:
    return dict(outcome.as_result(show_diff=True).get("diff", {}))


# --- check, do, do again, change, remove, remove again ---------------------------------------------------------------

MADE = [
    "IPHost certfleet-http01-127.0.0.1",
    "Services certfleet-http01-tcp-8080",
    "Schedule",
    "FirewallRule certfleet-http01-run1",
    "NATRule certfleet-http01-run1",
]


def without_times(labels: Any) -> list[str]:
    return [re.sub(r"(Schedule) \S+", r"\1", label) for label in labels]


def test_six_steps(box: Box) -> None:
    untouched = configuration(box)

    would = run(box, check_mode=True)
    assert (would.changed, box.writes, configuration(box)) == (True, 0, untouched)
    assert would.facts["opened_at"] is None

    did = run(box)
    assert (did.changed, did.facts["writes"], box.forwards) == (True, 5, True)
    assert without_times(did.facts["made"]) == MADE
    assert did.facts["removed"] == []
    assert did.facts["opened_at"]
    assert would.before == did.before == {}
    assert without_times(would.after) == without_times(did.after)
    assert did.after["forward"] == did.facts["forward"] == "#Port2:80 to 127.0.0.1:8080"

    for check_mode in (True, False):
        again = run(box, check_mode)
        assert (again.changed, again.facts["writes"], diff(again)) == (False, 0, {})
        assert again.facts["until"] == did.facts["until"]
        assert again.facts["opened_at"] <= did.facts["opened_at"]

    would = run(box, check_mode=True, target_port=8081, zone="DMZ")
    changed = run(box, target_port=8081, zone="DMZ")
    assert changed.facts["writes"] == 5, "rule and service away, rule, service and firewall rule anew"
    assert without_times(changed.facts["removed"]) == [MADE[4], MADE[1]]
    assert (would.before, would.after) == (changed.before, changed.after)
    assert (changed.after["zone"], changed.after["forward"]) == ("DMZ", "#Port2:80 to 127.0.0.1:8081")

    would = run(box, check_mode=True, state="absent")
    gone = run(box, state="absent")
    assert (gone.changed, gone.facts["writes"], box.forwards) == (True, 5, False)
    assert (would.before, would.after) == (gone.before, gone.after)
    assert len(gone.before) == 5
    assert gone.after == {}
    assert configuration(box) == untouched

    for check_mode in (True, False):
        again = run(box, check_mode, state="absent")
        assert (again.changed, again.facts["writes"], diff(again)) == (False, 0, {})


def test_the_rule_that_opens_is_the_last_made_and_the_first_removed(box: Box) -> None:
    """So the port is open for what happens in between and one write, whatever a write takes."""
    run(box)
    run(box, state="absent")
    writes = [(e["operation"], e["entity"]) for e in box.state["log"] if e["operation"] in ("add", "remove")]
    assert writes[4:6] == [("add", "NATRule"), ("remove", "NATRule")]
    (interval,) = box.state["open_intervals"]
    assert interval["closed_at"]


# --- writes per renewal ----------------------------------------------------------------------------------------------


def documented(step: str) -> tuple[int, int]:
    """Fewest and most writes of a step in the README's table."""
    row = re.search(rf"^\| {step} \| (\d+)(?: to (\d+))? \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert row, f"the README says nothing of {step}"
    return int(row[1]), int(row[2] or row[1])


@pytest.mark.parametrize("there", [True, False])
def test_the_readme_counts_right(box: Box, there: bool) -> None:
    """The window of an order: with the responder's host and port known to the firewall already, and without."""
    if there:
        box.add(HOST.format("responder", "", TARGET))
        box.add(SERVICE.format("responder-port", 8080))
    before = box.writes
    window = Window(box.firewall(), forward_from(params(box)))
    with window():
        opened = box.writes - before
    closed = box.writes - before - opened
    assert opened == documented("open")[0 if there else 1]
    assert closed == documented("close")[0 if there else 1]
    assert window.firewall.writes == opened + closed


# --- addresses and families ------------------------------------------------------------------------------------------


def test_several_addresses_take_no_more_than_one(box: Box) -> None:
    first = run(box, wan_host=["#Port2", "#Port1"])
    assert first.facts["writes"] == 5
    (rule,) = records(box, "NATRule")
    assert [one.text for one in rule.findall("OriginalDestinationNetworks/Network")] == ["#Port2", "#Port1"]
    assert first.facts["forward"] == "#Port2:80, #Port1:80 to 127.0.0.1:8080"
    assert not run(box, wan_host=["#Port1", "#Port2"]).changed
    run(box, state="absent")
    assert ours(box) == {}


def test_an_address_stands_for_its_host_object(box: Box) -> None:
    """The interface's own, where it has one; else one is made, and removed."""
    assert run(box, wan_host=[box.address]).facts["writes"] == 5
    assert box.forwards
    second = run(box, wan_host=[box.address, "192.0.2.77"])
    assert "IPHost certfleet-http01-192.0.2.77" in second.facts["made"]
    run(box, state="absent")
    assert ours(box) == {}


def test_ipv6_has_rules_and_hosts_of_its_own(box: Box) -> None:
    both = run(box, wan_host=["#Port2", "2001:db8::1"], target6="fd00::20")
    assert both.facts["writes"] == 9
    assert both.facts["forward"] == "#Port2:80, [2001:db8::1]:80 to 127.0.0.1:8080, [fd00::20]:8080"
    rules = [rule for entity in ("NATRule", "FirewallRule") for rule in records(box, entity)]
    families = [rule.findtext("IPFamily") for rule in rules if rule.findtext("Name", "").startswith("certfleet")]
    assert sorted(families) == ["IPv4", "IPv4", "IPv6", "IPv6"]
    assert not run(box, wan_host=["#Port2", "2001:db8::1"], target6="fd00::20").changed
    assert not run(box, wan_host=["#Port2", "2001:DB8:0::1"], target6="fd00::0020").changed
    without = run(box)
    assert without.facts["writes"] == 4
    assert box.forwards
    run(box, state="absent")
    assert ours(box) == {}


def test_ipv6_alone(box: Box) -> None:
    assert run(box, wan_host=["2001:db8::1"], target=None, target6="fd00::20").facts["writes"] == 6
    assert {rule.findtext("IPFamily") for rule in records(box, "NATRule")} == {"IPv6"}
    run(box, state="absent")
    assert ours(box) == {}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"wan_host": ["2001:db8::1"]}, "no IPv6 address of the responder is known. Set target6"),
        ({"target6": "fd00::20"}, "there is an IPv6 target, but no IPv6 address of the firewall"),
        ({"target": None, "target6": "fd00::20", "wan_host": ["#Port2", "2001:db8::1"]}, "no IPv4 address of the resp"),
        ({"target": None}, "there is no responder address"),
        ({"target": "responder.example.com"}, "Set it to an IPv4 address"),
        ({"target6": "10.0.0.1"}, "Set it to an IPv6 address"),
        ({"wan_host": []}, "wan_host is empty"),
        ({"wan_host": ["#Port9"]}, "#Port1, #Port2"),
        ({"lease": 59}, "between 60 and 86400"),
        ({"name": "n" * 33}, "at most 32 characters"),
        ({"name": "a,b"}, "no comma"),
        ({"name": "#Port2"}, "no # at the beginning"),
        ({"target_port": 0}, "target_port is 0"),
        ({"wan_port": 65536}, "wan_port is 65536"),
        ({"run_id": "a-b"}, "letters and digits"),
        ({"run_id": "*"}, "letters and digits"),
    ],
    ids=str,
)
def test_mistakes(box: Box, options: dict[str, Any], told: str) -> None:
    with pytest.raises(CertfleetError, match=re.escape(told)):
        run(box, **options)
    assert box.writes == 0


def test_a_name_and_a_zone_of_any_characters(box: Box) -> None:
    """The firewall's objects may be called almost anything."""
    name = "Müller & Söhne <\"HTTP\"> 'x'"
    box.add("<Zone><Name>Zone &amp; &lt;Ü&gt;</Name></Zone>")
    box.add(HOST.format("&quot;R&amp;D&quot; Büro", "", "127.0.0.7"))
    opened = run(box, name=name, zone="Zone & <Ü>", target="127.0.0.7")
    assert opened.facts["writes"] == 4
    assert not run(box, name=name, zone="Zone & <Ü>", target="127.0.0.7").changed
    assert run(box, name=name, state="absent").facts["writes"] == 4


# --- other runs, and what is stale -----------------------------------------------------------------------------------


def test_absent_tells_of_other_runs(box: Box) -> None:
    run(box)
    outcome = run(box, state="absent", run_id="other")
    assert not outcome.changed
    assert "run run1 of " in outcome.warnings[0]
    assert box.forwards
    assert run(box, state="absent", run_id="*").changed
    assert not box.forwards


USED = "certfleet-http01-127.0.0.1"
THEIRS = (
    "<NATRule><Name>theirs</Name><Status>Enable</Status><Position>Top</Position><TranslatedSource>MASQ"
    "</TranslatedSource><OriginalDestinationNetworks><Network>#Port1</Network></OriginalDestinationNetworks>"
    f"<TranslatedDestination>{USED}</TranslatedDestination><OriginalServices><Service>HTTPS</Service>"
    "</OriginalServices><TranslatedService>HTTPS</TranslatedService></NATRule>"
)


@pytest.mark.parametrize("theirs", [GROUP.format(USED), THEIRS], ids=["group", "rule"])
def test_absent_in_check_mode_sees_who_else_uses_a_host(box: Box, theirs: str) -> None:
    run(box)
    box.add(theirs)
    would = run(box, check_mode=True, state="absent")
    gone = run(box, state="absent")
    assert (would.before, would.after) == (gone.before, gone.after)
    assert would.facts["removed"] == gone.facts["removed"]
    assert f"IPHost {USED}" not in gone.before
    assert (
        would.warnings
        == gone.warnings
        == [f"IPHost '{USED}' stays, because something that this collection did not make uses it"]
    )
    for check_mode in (True, False):
        again = run(box, check_mode, state="absent")
        assert (again.changed, diff(again)) == (False, {})


def test_swept_in_check_mode_and_for_real(box: Box) -> None:
    run(box)
    box.add(HOST.format("stale", EXPIRED, "192.0.2.1"))
    box.add(HOST.format("used", EXPIRED, "192.0.2.2"))
    box.add(GROUP.format("used"))
    would = run(box, check_mode=True, state="swept")
    swept = run(box, state="swept")
    assert (would.before, would.after) == (swept.before, swept.after) == ({"IPHost stale": EXPIRED}, {})
    assert (swept.changed, swept.facts["writes"], swept.facts["removed"]) == (True, 1, ["IPHost stale"])
    assert swept.warnings == ["IPHost 'used' stays, because something that this collection did not make uses it"]
    assert not run(box, state="swept").changed
    assert box.forwards


def test_what_something_unknown_uses_stays_with_a_warning(box: Box) -> None:
    """Only the firewall knows of all users."""
    box.add(HOST.format("used", EXPIRED, "192.0.2.2"))
    box.add(
        "<LocalServiceACL><RuleName>acl</RuleName><IPFamily>IPv4</IPFamily><SourceZone>WAN</SourceZone>"
        "<Hosts><Host>used</Host></Hosts><Services><Service>HTTPS</Service></Services><Action>accept</Action>"
        "</LocalServiceACL>"
    )
    swept = run(box, state="swept")
    assert (swept.changed, swept.facts["removed"]) == (False, [])
    assert "IPHost 'used' stays" in swept.warnings[0]
    assert diff(swept) == {}
