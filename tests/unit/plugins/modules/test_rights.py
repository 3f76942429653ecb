# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A right that the account lacks: told before anything is written where its profile can be read; else by the first
refused write, and then nothing of ours is left behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.consumers import KINDS
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.switches import NEEDED
from ansible_collections.certfleet.sophos_xgs.plugins.modules import (
    xgs_cert_bind,
    xgs_cert_plan,
    xgs_cert_upload,
    xgs_dnat_port,
)

from emulator.specimens import SPECIMENS, specimen
from unit.plugins.module_utils._xgs.firewalls import Box, authority, special
from unit.plugins.modules.xgs_tasks import README, run

NAMES = ("owa.example.com", "mail.example.com")
# As docs/firewall.md has them: the switch in the API, in the console, and the tasks that write what hangs on it.
SWITCHES = {
    "Objects": ("Objects", ["port"]),
    "Firewall": ("Firewall", ["port", "waf:OWA"]),
    "System/OtherCertificateConfiguration": ("System > Other certificate configuration", ["upload", "provisional"]),
    "System/OtherSystemConfiguration": ("System > Other system configuration", ["webadmin"]),
    "WAF/OtherWAFConfiguration": ("WAF > Other WAF configuration", ["waf:OWA"]),
    "VPN/OtherVPNConfigurations": (
        "VPN > Other VPN configurations",
        ["sslvpn", "remoteaccess", "ipsec:Branch", "l2tp:Roadwarriors_L2TP"],
    ),
    "EmailProtection": ("Email protection", ["smtp", "popimap"]),
    "Network": ("Network", ["hotspot"]),
}
CASES = [(switch, called, task) for switch, (called, tasks) in SWITCHES.items() for task in tasks]
# A sign-in page may hang on wireless protection as well: only where neither lets it be written it is sure.
ALONGSIDE = {"Network": {"WirelessProtection/WirelessProtectionSettings": "None"}}
UNSEEN = {"System/Profile": "None"}


def accounts() -> list[dict[str, Any]]:
    """For each switch one that has all but this, and another that cannot tell, because it may not read profiles."""
    lacking = {
        switch: {"default": "Read-Write", **ALONGSIDE.get(switch, {}), switch: "Read-Only"} for switch in SWITCHES
    }
    return [
        {"username": f"{kind} {switch}", "password": "x", "profile": {**profile, **more}}
        for kind, more in (("seen", {}), ("unseen", UNSEEN))
        for switch, profile in lacking.items()
    ]


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    rule = {"name": "OWA", "domains": list(NAMES), "listen_port": 8443}
    objects = [specimen(entity) for entity in SPECIMENS if entity != "FirewallRule"]
    with special(accounts=accounts(), waf_rules=[rule], objects=objects) as made:
        made.put("OWA-20300101-00000000", authority().issue(*NAMES))
        yield made


def carry_out(box: Box, task: str, *, check_mode: bool = False, **login: Any) -> Outcome:
    """Fails as the task would."""
    host: dict[str, Any] = {"validate_certs": False, "password": "x", **login}
    if task == "port":
        return run(xgs_dnat_port, box, check_mode, target="127.0.0.1", **host)
    if task == "provisional":
        return run(xgs_cert_upload, box, check_mode, name="new", state="provisional", domains=["a.example.com"], **host)
    if task == "upload":
        issued = authority().issue(*NAMES)
        pem = {"certificate_content": issued.chain_pem.decode(), "private_key_content": issued.key_pem.decode()}
        return run(xgs_cert_upload, box, check_mode, name="OWA", **pem, **host)
    bound = run(xgs_cert_bind, box, check_mode, certificate="OWA-20300101-00000000", consumers=[task], **host)
    if bound.failure:
        raise bound.failure
    return bound


def everything(box: Box) -> tuple[Any, ...]:
    state = box.state
    return state["objects"], state["bindings"], state["certificates"], state["port80_open"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(("switch", "called", "task"), CASES)
def test_it_is_told_before_anything_is_written(box: Box, switch: str, called: str, task: str, check_mode: bool) -> None:
    writes = box.writes
    with pytest.raises(CertfleetError) as told:
        carry_out(box, task, check_mode=check_mode, username=f"seen {switch}")
    assert box.writes == writes
    assert told.value.stage == ("open" if task == "port" else "plan")
    assert f"the profile 'seen {switch} profile' of the administrator 'seen {switch}' has {called}" in str(told.value)
    assert f"{called} on Read-Only" in str(told.value)
    assert f"to Read-Write under Profiles > Device access > seen {switch} profile" in told.value.remedy


@pytest.mark.parametrize(("switch", "called", "task"), CASES)
def test_where_it_cannot_be_told_nothing_is_left_behind(box: Box, switch: str, called: str, task: str) -> None:
    before = everything(box)
    with pytest.raises(CertfleetError) as told:
        carry_out(box, task, username=f"unseen {switch}")
    assert "status 599" in str(told.value)
    assert "Read-Write on" in told.value.remedy
    assert called in told.value.remedy
    assert everything(box) == before


def test_the_table_is_that_of_the_documentation() -> None:
    """And no kind of consumer is without."""
    rows = (README.parent / "docs/firewall.md").read_text(encoding="utf-8")
    for called, _tasks in SWITCHES.values():
        assert f"| {called} | Read" in rows
    assert {kind.entity for kind in KINDS.values()} <= set(NEEDED)


# --- what cannot be told stops nothing -------------------------------------------------------------------------------


def absent(box: Box) -> None:
    run(xgs_dnat_port, box, state="absent", validate_certs=False)


@pytest.mark.parametrize("entity", ["User", "AdministrationProfile"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "code": 529},
        {"kind": "status", "code": 599},
        {"kind": "empty"},
        {"kind": "html"},
        {"kind": "truncated"},
        {"kind": "wrong_entity"},
        {"kind": "reset_before"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_another_answer_than_a_profile_stops_nothing(box: Box, entity: str, fault: dict[str, Any]) -> None:
    """It is asked for once, too."""
    reads = len(box.statuses("get", entity))
    box.faults({**fault, "operation": "get", "entity": entity})
    assert carry_out(box, "port", username="admin", password="secret").changed
    assert len(box.statuses("get", entity)) <= reads + 1
    absent(box)


@pytest.mark.parametrize("kind", ["zero", "fail", "unknown"])
def test_a_firmware_without_it_stops_nothing(kind: str) -> None:
    with special(absent_entities={"User": kind, "AdministrationProfile": kind}) as box:
        assert run(xgs_dnat_port, box, target="127.0.0.1").changed


def test_who_says_not_to_look_is_not_stopped_by_it(box: Box) -> None:
    """And then the firewall itself decides."""
    reads = len(box.statuses("get", "AdministrationProfile"))
    with pytest.raises(CertfleetError, match="status 599"):
        carry_out(box, "port", username="seen Objects", check_rights=False)
    assert len(box.statuses("get", "AdministrationProfile")) == reads


# --- what it costs ---------------------------------------------------------------------------------------------------


def asked(box: Box, task: str, **options: Any) -> tuple[int, int, int]:
    """Requests of a task, and how often it reads the account and the profiles."""

    def count() -> tuple[int, ...]:
        asked_for = (len(box.statuses("get", entity)) for entity in ("User", "AdministrationProfile"))
        return (box.state["counters"]["requests"], *asked_for)

    before = count()
    carry_out(box, task, username="admin", password="secret", **options)
    requests, users, profiles = (now - then for now, then in zip(count(), before, strict=True))
    return requests, users, profiles


def test_it_is_asked_once_in_one_request_and_only_before_a_write(box: Box) -> None:
    for task in ("port", "provisional", "sslvpn"):
        assert asked(box, task)[1:] == (1, 1)
        assert asked(box, task)[1:] == (0, 0), "nothing is to be written"
    absent(box)
    with_it, users, _profiles = asked(box, "port")
    absent(box)
    without, *_none = asked(box, "port", check_rights=False)
    assert (with_it, users) == (without + 1, 1)
    log = len(box.statuses("get", "User"))
    absent(box)
    assert len(box.statuses("get", "User")) == log, "whoever closes is not asked for his rights"


def test_one_consumer_that_may_not_be_switched_does_not_keep_the_others() -> None:
    rule = {"name": "OWA", "domains": list(NAMES), "listen_port": 8443}
    with special(accounts=accounts(), waf_rules=[rule]) as box:
        name = "OWA-20300101-00000000"
        box.put(name, authority().issue(*NAMES))
        login = {"username": "seen VPN/OtherVPNConfigurations", "password": "x", "verify_timeout": 10}
        outcome = run(xgs_cert_bind, box, certificate=name, consumers=["sslvpn", "waf:OWA"], **login)
        assert box.bound("FirewallRule") == [name]
        assert box.bound("SSLTunnelAccessSettings") == ["ApplianceCertificate"]
        assert [each["consumer"] for each in outcome.facts["consumers"]] == ["waf:OWA"]
        assert str(outcome.failure).startswith(f"{name}: plan: sslvpn was not switched: the profile 'seen VPN/Other")


# --- before anything is ordered --------------------------------------------------------------------------------------


def plan(box: Box, username: str, **options: Any) -> Outcome:
    """Of a certificate that the firewall does not have; the CA is not asked about it."""
    wanted = [{"name": "missing", "domains": ["a.example.com"]}]
    host = {"validate_certs": False, "username": username, "password": "x", "acme_directory": "https://ca.invalid/dir"}
    return run(xgs_cert_plan, box, certificates=wanted, **host, **options)


@pytest.mark.parametrize("switch", ["Objects", "Firewall", "System/OtherCertificateConfiguration"])
def test_a_plan_tells_what_every_renewal_would_lack(box: Box, switch: str) -> None:
    with pytest.raises(CertfleetError, match=f"has {re.escape(SWITCHES[switch][0])} on Read-Only") as told:
        plan(box, f"seen {switch}", port_forward={"target": "127.0.0.1"})
    assert told.value.stage == "plan"
    assert plan(box, f"unseen {switch}", port_forward={"target": "127.0.0.1"}).facts["due"]


@pytest.mark.parametrize("switch", ["Objects", "Firewall", "VPN/OtherVPNConfigurations"])
def test_a_plan_asks_for_no_more_than_is_needed(box: Box, switch: str) -> None:
    """Without a port to be opened, that of rules does not matter; what a consumer takes is told when it is switched."""
    assert plan(box, f"seen {switch}").facts["due"]
