# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Consumers are switched one by one; what a visitor is shown decides."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.binding import Bound, Verification, bind
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.certificates import read_certificates
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.consumers import (
    KINDS,
    check_consumers,
    check_names,
    kinds_of,
    plan_bind,
    read_consumers,
    select,
)

from unit.plugins.module_utils._xgs.firewalls import WAF_PORT, Box, Issued, authority

NAMES = ("owa.example.com", "mail.example.com")
OTHER = (
    "<FirewallRule><Name>Other &amp; more</Name><Position>Bottom</Position><PolicyType>HTTPBased</PolicyType>"
    "<HTTPBasedPolicy><HostedAddress>#Port2</HostedAddress><HTTPS>Enable</HTTPS><ListenPort>9443</ListenPort>"
    "<Domains><Domain>Other.example.com</Domain></Domains><Certificate>ApplianceCertificate</Certificate>"
    "<AccessPaths><AccessPath><path>/a?b=&lt;c&gt;</path><backend>x</backend></AccessPath></AccessPaths>"
    "</HTTPBasedPolicy></FirewallRule>"
)
QUICK = Verification(timeout=3.0)


@pytest.fixture
def issued(box: Box) -> Issued:
    """On the firewall under the name `new`."""
    made = authority().issue(*NAMES)
    box.put("new", made)
    return made


def switch(
    box: Box, consumer: str, issued: Issued, verification: Verification = QUICK, firewall: Firewall | None = None
) -> Bound:
    firewall = firewall or box.firewall(clock=Clock())
    (found,) = select(read_consumers(firewall), [consumer], (), NAMES)
    stored = {one.name: one for one in read_certificates(firewall)}
    previous = stored.get(found.certificate)
    return bind(firewall, found, stored["new"], verification, previous.facts.fingerprint if previous else None)


def record(box: Box, entity: str, name: str | None = None) -> str:
    """As the firewall holds it, but for the certificate, and whatever the order of different elements."""
    (found,) = [one for one in box.ask(f"<Get><{entity}/></Get>").findall(entity) if one.findtext("Name") == name]
    for certificate in found.iter("Certificate"):
        certificate.text = "*"
    for element in found.iter():
        element[:] = sorted(element, key=lambda child: child.tag)
    return ET.tostring(found, encoding="unicode")


def members(box: Box) -> list[str | None]:
    return [member.text for member in box.ask("<Get><FirewallRuleGroup/></Get>").iter("SecurityPolicy")]


# --- who uses what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "webadmin",
        "sslvpn",
        "smtp",
        "popimap",
        "hotspot",
        "waf",
        "waf:OWA",
        "waf:a:b",
        "waf: x",
        "remoteaccess",
        "ipsec:a",
        "l2tp:b",
    ],
)
def test_consumers(text: str) -> None:
    check_consumers([text])


@pytest.mark.parametrize(
    "text",
    ["", "waf:", "ipsec", "l2tp", "l2tp:", "remoteaccess:x", "webadmin:", "webadmin:x", "WAF:x", "vpn", ":x", "OWA"],
)
def test_no_consumers(text: str) -> None:
    with pytest.raises(CertfleetError, match=r"is not a consumer. Known are webadmin, waf:NAME") as caught:
        check_consumers(["webadmin", text])
    assert caught.value.stage == "plan"


def test_every_consumer_is_found(box: Box) -> None:
    box.add(OTHER)
    found = {str(consumer): consumer.certificate for consumer in read_consumers(box.firewall())}
    appliance = dict.fromkeys(
        ["webadmin", "waf:OWA", "waf:Other & more", "sslvpn", "smtp", "hotspot"], "ApplianceCertificate"
    )
    assert found == {**appliance, "popimap": "SecurityAppliance_SSL_CA"}


def test_only_what_matters_is_read(box: Box) -> None:
    read_consumers(box.firewall(), kinds_of(["smtp", "popimap", "waf:OWA"]))
    assert sorted(entry["entity"] for entry in box.state["log"]) == ["EmailConfiguration", "FirewallRule"]
    assert kinds_of(None) == list(KINDS)


def test_selection(box: Box) -> None:
    consumers = read_consumers(box.firewall())
    assert [str(one) for one in select(consumers, ["waf:OWA", "webadmin", "waf:OWA"], (), NAMES)] == [
        "waf:OWA",
        "webadmin",
    ]
    assert [str(one) for one in select(consumers, None, {"SecurityAppliance_SSL_CA"}, NAMES)] == ["popimap"]
    assert select(consumers, None, {"nobody-20260101-00000000"}, NAMES) == []
    with pytest.raises(CertfleetError, match=r"no consumer 'waf:owa'\. There are: waf:OWA"):
        select(consumers, ["waf:owa"], (), NAMES)
    with pytest.raises(CertfleetError, match="Nothing of that kind"):
        select(read_consumers(box.firewall(), ["smtp"]), ["waf:OWA"], (), NAMES)


def test_a_rule_answers_for_more_than_the_certificate(box: Box) -> None:
    consumers = read_consumers(box.firewall())
    firewall = box.firewall(server_name=NAMES[0])
    check_names(consumers, NAMES, firewall.endpoint)
    with pytest.raises(CertfleetError, match=r"waf:OWA answers for mail.example.com, which the certificate does not"):
        check_names(consumers, NAMES[:1], firewall.endpoint)
    assert box.writes == 0


def test_the_plan_names_only_what_changes(box: Box) -> None:
    consumers = read_consumers(box.firewall())
    assert plan_bind(consumers, "ApplianceCertificate")[0][1].before == {"popimap": "SecurityAppliance_SSL_CA"}
    assert len(plan_bind(consumers, "new")) == len(consumers)


# --- switching -------------------------------------------------------------------------------------------------------


def test_a_waf_rule(box: Box, issued: Issued) -> None:
    before = record(box, "FirewallRule", "OWA")
    bound = switch(box, "waf:OWA", issued)
    assert bound.verified is True
    assert bound.previous == "ApplianceCertificate"
    assert len(bound.served_by) == 2
    for name in NAMES:
        shown = box.shown(WAF_PORT, name)
        assert (shown.fingerprint, shown.trusted) == (issued.fingerprint, True)
    assert record(box, "FirewallRule", "OWA") == before
    assert members(box) == ["OWA"]


def test_a_rule_in_no_group_and_with_odd_characters(box: Box) -> None:
    made = authority().issue("other.example.com")
    box.put("new", made)
    box.add(OTHER)
    before = record(box, "FirewallRule", "Other & more")
    bound = switch(box, "waf:Other & more", made)
    assert bound.verified is True
    assert box.shown(9443, "other.example.com").fingerprint == made.fingerprint
    assert record(box, "FirewallRule", "Other & more") == before
    assert members(box) == ["OWA"]


def test_a_group_that_cannot_be_restored(box: Box, issued: Issued) -> None:
    box.faults({"kind": "lie", "operation": "update", "entity": "FirewallRuleGroup", "count": 0})
    with pytest.raises(CertfleetError, match="fell out of the rule group 'Web'") as caught:
        switch(box, "waf:OWA", issued)
    assert caught.value.stage == "bind"


@pytest.fixture
def ca_path(tmp_path: Path) -> str:
    """What a user has who trusts the authority."""
    (tmp_path / "ca.pem").write_text(authority().root_pem)
    return str(tmp_path / "ca.pem")


def test_the_console_and_the_portals(box: Box, issued: Issued, ca_path: str) -> None:
    before = record(box, "AdminSettings")
    firewall = box.firewall(clock=Clock(), ca_path=ca_path, server_name=NAMES[0])
    bound = switch(box, "webadmin", issued, firewall=firewall)
    assert bound.verified is True
    for port in (4444, 4443):
        assert box.shown(port).fingerprint == issued.fingerprint
    assert record(box, "AdminSettings") == before
    assert firewall.get("Zone"), "the pin of the old certificate does not lock us out"


def test_the_console_cuts_connections(box: Box, issued: Issued, ca_path: str) -> None:
    box.settings(webadmin_drop=True)
    firewall = box.firewall(clock=Clock(), ca_path=ca_path, server_name=NAMES[0])
    assert switch(box, "webadmin", issued, firewall=firewall).verified is True
    assert firewall.get("Zone")


def test_a_console_that_we_would_not_trust_is_put_back(box: Box, issued: Issued) -> None:
    """As with a staging CA's certificate: the next run would be locked out."""
    with pytest.raises(CertfleetError, match=r"not trusted.*ApplianceCertificate is still in place") as caught:
        switch(box, "webadmin", issued, firewall=box.firewall(clock=Clock(), server_name=NAMES[0]))
    assert caught.value.stage == "verify"
    assert box.shown(4444).fingerprint == box.fingerprint
    assert box.firewall().get("Zone")


def test_the_console_under_another_name_is_refused_before_the_switch(box: Box) -> None:
    firewall = box.firewall(server_name="fw.example.com")
    consumers = read_consumers(firewall, ["webadmin"])
    with pytest.raises(CertfleetError, match=r"not issued for 'fw.example.com'.*tls_server_name"):
        check_names(consumers, NAMES, firewall.endpoint)
    check_names(consumers, NAMES, box.firewall(validate_certs=False).endpoint)
    assert box.writes == 0


@pytest.mark.parametrize(
    ("consumer", "entity"),
    [
        ("sslvpn", "SSLTunnelAccessSettings"),
        ("smtp", "EmailConfiguration"),
        ("popimap", "EmailConfiguration"),
        ("hotspot", "AdvancedConfiguration"),
    ],
)
def test_what_shows_no_handshake(box: Box, issued: Issued, consumer: str, entity: str) -> None:
    bound = switch(box, consumer, issued)
    assert bound.verified is None
    assert bound.served_by == []
    assert box.bound(entity).count("new") == 1


def test_an_endpoint_that_nobody_reaches(box: Box, issued: Issued) -> None:
    bound = switch(box, "waf:OWA", issued, Verification(timeout=1.0, address="127.0.0.1"))
    assert bound.verified is None
    assert box.bound("FirewallRule") == ["new"]


def test_a_damaged_certificate_is_taken_back(box: Box) -> None:
    """Without its key the handshakes fail."""
    made = authority().issue(*NAMES)
    box.emulator.put_certificate(box.name, "new", made.chain_pem.decode())
    with pytest.raises(
        CertfleetError, match=r"owa.example.com fails: .*ApplianceCertificate is still in place"
    ) as caught:
        switch(box, "waf:OWA", made, Verification(timeout=0.5))
    assert caught.value.stage == "verify"
    assert box.shown(WAF_PORT, NAMES[0]).fingerprint == box.fingerprint


@pytest.mark.parametrize(
    ("consumer", "entity", "port"), [("waf:OWA", "FirewallRule", WAF_PORT), ("webadmin", "AdminSettings", 4444)]
)
@pytest.mark.parametrize(
    "fault", [lambda entity: {"kind": "stale_tls", "entity": entity}, lambda entity: {"kind": "lie", "entity": entity}]
)
def test_the_previous_certificate_is_put_back(
    box: Box, issued: Issued, consumer: str, entity: str, port: int, fault: Callable[[str], dict[str, str]]
) -> None:
    before = record(box, entity, "OWA" if consumer == "waf:OWA" else None)
    box.faults({"operation": "update", **fault(entity)})
    with pytest.raises(CertfleetError, match=r"does not serve .* is still in place") as caught:
        switch(box, consumer, issued, Verification(timeout=0.6))
    assert caught.value.stage == "verify"
    box.emulator.clear_faults(box.name)
    assert box.bound(entity) == ["ApplianceCertificate"]
    assert box.shown(port, NAMES[0]).fingerprint == box.fingerprint
    assert record(box, entity, "OWA" if consumer == "waf:OWA" else None) == before
    assert members(box) == ["OWA"]


def test_a_refused_switch_changes_nothing(box: Box, issued: Issued) -> None:
    box.faults({"kind": "status", "operation": "update", "entity": "FirewallRule", "text": "no"})
    with pytest.raises(CertfleetError, match=r"status 500, no.*is still in place") as caught:
        switch(box, "waf:OWA", issued)
    assert caught.value.stage == "bind"
    assert box.bound("FirewallRule") == ["ApplianceCertificate"]


def test_a_lost_answer_to_the_switch(box: Box, issued: Issued) -> None:
    box.faults({"kind": "reset_after", "operation": "update", "entity": "FirewallRule"})
    assert switch(box, "waf:OWA", issued, firewall=box.firewall()).verified is True
    assert members(box) == ["OWA"]


def test_what_cannot_be_put_back_is_told(box: Box, issued: Issued) -> None:
    box.faults(
        {"kind": "stale_tls", "entity": "FirewallRule"},
        {"kind": "status", "operation": "update", "entity": "FirewallRule", "nth": 2, "count": 0},
    )
    with pytest.raises(CertfleetError, match="Putting ApplianceCertificate back failed too") as caught:
        switch(box, "waf:OWA", issued, Verification(timeout=0.3))
    assert caught.value.stage == "verify"
