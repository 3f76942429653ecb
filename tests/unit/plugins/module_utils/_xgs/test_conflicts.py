# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the way of a forward: told with object and remedy, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsAccessError, XgsError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.window import Window

from emulator.client import Emulator
from lab.ports import free_port
from unit.plugins.module_utils._xgs.firewalls import NET, Box
from unit.plugins.module_utils._xgs.forwards import HOST, NAT, SERVICE, fetch, forward, present

NETWORK = (
    "<IPHost><Name>net</Name><IPFamily>IPv4</IPFamily><HostType>Network</HostType><IPAddress>127.0.0.0</IPAddress>"
    "<Subnet>255.0.0.0</Subnet></IPHost>"
)
RANGE = (
    "<IPHost><Name>range</Name><IPFamily>IPv4</IPFamily><HostType>IPRange</HostType>"
    "<StartIPAddress>127.0.0.1</StartIPAddress><EndIPAddress>127.255.255.254</EndIPAddress></IPHost>"
)
LIST = (
    "<IPHost><Name>list</Name><IPFamily>IPv4</IPFamily><HostType>IPList</HostType>"
    "<ListOfIPAddresses>192.0.2.1,{0}</ListOfIPAddresses></IPHost>"
)
SINGLE = HOST.format("single", "", "{0}")
HOSTS_GROUP = (
    "<IPHostGroup><Name>hosts</Name><IPFamily>IPv4</IPFamily><HostList><Host>net</Host></HostList></IPHostGroup>"
)
PORTS = SERVICE.format("ports", "1:1023")
SERVICES_GROUP = "<ServiceGroup><Name>group</Name><ServiceList><Service>ports</Service></ServiceList></ServiceGroup>"
PORT2 = "<OriginalDestinationNetworks><Network>#Port2</Network></OriginalDestinationNetworks>"
HTTP = "<OriginalServices><Service>HTTP</Service></OriginalServices>"


def their_rule(
    box: Box, destination: str = "#Port2", service: str = "HTTP", extra: str = "", state: str = "Enable"
) -> None:
    """A NAT rule of an administrator."""
    box.add(HOST.format("web", "", "192.0.2.8"))
    rule = NAT.format("their rule", "", state).replace("#Port2", destination)
    rule = rule.replace(HTTP, HTTP.replace("HTTP", service)).replace("</NATRule>", f"{extra}</NATRule>")
    box.add(rule)


def refusal(box: Box, responder: int, **more: object) -> str:
    """What an attempt to open is answered; it must not have written."""
    writes = box.writes
    with pytest.raises(CertfleetError) as caught, Window(box.firewall(), forward(responder, **more))():
        pytest.fail("it is open")
    assert box.writes == writes
    assert caught.value.stage == "open"
    return str(caught.value)


@pytest.mark.parametrize(
    ("destination", "objects"),
    [
        ("#Port2", ()),
        ("single", (SINGLE,)),
        ("net", (NETWORK,)),
        ("range", (RANGE,)),
        ("list", (LIST,)),
        ("hosts", (NETWORK, HOSTS_GROUP)),
        ("Any", ()),
    ],
)
def test_a_rule_for_our_address_by_whatever_name(
    box: Box, responder: int, destination: str, objects: tuple[str, ...]
) -> None:
    for text in objects:
        box.add(text.replace("{0}", box.address))
    their_rule(box, destination)
    assert "the NAT rule 'their rule' forwards #Port2:80 already. Remove or disable it" in refusal(box, responder)


@pytest.mark.parametrize(
    ("service", "objects"), [("HTTP", ()), ("ports", (PORTS,)), ("group", (PORTS, SERVICES_GROUP)), ("Any", ())]
)
def test_a_rule_for_our_port_by_whatever_name(box: Box, responder: int, service: str, objects: tuple[str, ...]) -> None:
    for text in objects:
        box.add(text)
    their_rule(box, service=service)
    assert "the NAT rule 'their rule'" in refusal(box, responder)


@pytest.mark.parametrize(
    ("destination", "service", "extra"),
    [
        ("#Port1", "HTTP", ""),
        ("#Port2", "HTTPS", ""),
        # One for an inner network or interface leads a way out, not in.
        ("Any", "HTTP", "<OriginalSourceNetworks><Network>#Port1</Network></OriginalSourceNetworks>"),
        ("Any", "HTTP", "<InboundInterfaces><Interface>Port1</Interface></InboundInterfaces>"),
    ],
)
def test_rules_that_are_no_conflict(box: Box, responder: int, destination: str, service: str, extra: str) -> None:
    their_rule(box, destination, service, extra)
    assert present(box.firewall(), forward(responder))
    assert fetch(box)


def test_a_rule_that_translates_no_destination_is_none(box: Box, responder: int) -> None:
    box.add(
        "<NATRule><Name>snat</Name><Position>Top</Position><TranslatedSource>MASQ</TranslatedSource>"
        "<TranslatedDestination>Original</TranslatedDestination></NATRule>"
    )
    assert present(box.firewall(), forward(responder))
    assert fetch(box)


def test_a_disabled_rule_that_the_firewall_minds(box: Box, responder: int) -> None:
    """Not known beforehand; nothing stays, and the message has the idea."""
    their_rule(box, state="Disable")
    before = box.names("IPHost")
    with (
        pytest.raises(CertfleetError, match=r"status 503.*another NAT rule .* disabled"),
        Window(box.firewall(), forward(responder))(),
    ):
        pytest.fail("it is open")
    assert box.names("IPHost") == before


def test_all_conflicts_are_told_at_once(box: Box, responder: int) -> None:
    their_rule(box)
    box.add(waf("plain", 80, "Disable"))
    told = refusal(box, responder)
    assert "the NAT rule 'their rule'" in told
    assert "the web server protection rule 'plain'" in told


# --- web server protection -------------------------------------------------------------------------------------------


def waf(name: str, port: int, https: str, redirect: str = "Disable", hosted: str = "#Port2") -> str:
    return (
        f"<FirewallRule><Name>{name}</Name><Position>Bottom</Position><PolicyType>HTTPBased</PolicyType><HTTPBasedPolicy>"
        f"<HostedAddress>{hosted}</HostedAddress><HTTPS>{https}</HTTPS><RedirectHTTP>{redirect}</RedirectHTTP>"
        f"<ListenPort>{port}</ListenPort><Domains><Domain>{name}.example.com</Domain></Domains>"
        "<Certificate>ApplianceCertificate</Certificate></HTTPBasedPolicy></FirewallRule>"
    )


def test_a_site_on_port_80(box: Box, responder: int) -> None:
    box.add(waf("plain", 80, "Disable"))
    told = refusal(box, responder)
    assert "the web server protection rule 'plain' serves a site on #Port2:80" in told
    assert "interrupt_waf" in told
    plan = Window(box.firewall(), forward(responder, interrupt_waf=True)).plan()
    assert plan.interrupts == ("plain",)


@pytest.mark.parametrize(
    ("redirect", "hosted", "interrupted"),
    [("Enable", "#Port2", ("site",)), ("Disable", "#Port2", ()), ("Enable", "#Port1", ())],
)
def test_a_redirect_is_interrupted_and_told(
    box: Box, responder: int, redirect: str, hosted: str, interrupted: tuple[str, ...]
) -> None:
    box.add(waf("site", 8444, "Enable", redirect, hosted))
    window = Window(box.firewall(), forward(responder))
    assert window.plan().interrupts == interrupted
    with window():
        assert fetch(box)


# --- access ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"api_enabled": False}, "Backup & firmware > API"), ({"allowed_sources": ["192.0.2.1"]}, "allowed sources")],
)
def test_the_api_is_off_or_not_for_us(box: Box, responder: int, settings: dict[str, object], told: str) -> None:
    box.settings(**settings)
    with pytest.raises(XgsAccessError, match=told):
        present(box.firewall(), forward(responder))


def test_a_profile_that_may_only_read(box: Box, responder: int) -> None:
    """Told before anything is written, and all at once."""
    with pytest.raises(XgsError, match=r"'reader profile' .* has Objects on Read-Only and Firewall on Read-Only"):
        present(box.firewall(username="reader", password="x"), forward(responder))
    assert box.writes == 0


def test_it_is_read_once(box: Box, responder: int) -> None:
    """Time zone, rules, schedules, services, hosts; groups only where a rule has one."""
    Window(box.firewall(), forward(responder)).plan()
    assert box.reads == 6 + 2, "and who the account is, and what it may: one request"
    box.add(NETWORK)
    box.add(HOSTS_GROUP)
    their_rule(box, "hosts", "HTTPS")
    reads = box.reads
    Window(box.firewall(), forward(responder)).plan()
    assert box.reads == reads + 7 + 2


# --- Sophos Central, more addresses, IPv6 ----------------------------------------------------------------------------

CENTRAL = (
    "<FirewallRule><Name>from Central</Name><IPFamily>IPv4</IPFamily><Status>{status}</Status><Position>Top</Position>"
    "<PolicyType>Network</PolicyType><NetworkPolicy><Action>{action}</Action><SourceZones><Zone>WAN</Zone></SourceZones>"
    "<DestinationZones><Zone>{zone}</Zone></DestinationZones>{more}</NetworkPolicy></FirewallRule>"
)
ONE = {"status": "Enable", "action": "Drop", "zone": "LAN", "more": ""}
SOME = "<SourceNetworks><Network>#Port1</Network></SourceNetworks>"
OUR_PORT = "<Services><Service>HTTP</Service></Services>"
OTHER_PORT = "<Services><Service>HTTPS</Service></Services>"


@pytest.fixture
def central(request: pytest.FixtureRequest) -> Iterator[Box]:
    rule = CENTRAL.format(**{**ONE, **request.param})
    address = f"{NET}.201"
    firewall = {"name": "fw1", "address": address, "central_rules": [rule]}
    with Emulator({"firewalls": [firewall]}) as emulator:
        yield Box(emulator, "fw1", address)


@pytest.mark.parametrize(
    "central", [{}, {"action": "Reject"}, {"more": "<Services><Service>HTTP</Service></Services>"}], indirect=True
)
def test_a_rule_of_sophos_central_drops(central: Box, responder: int) -> None:
    told = refusal(central, responder)
    assert "the firewall rule 'from Central', which Sophos Central put above all local ones, drops" in told
    assert "In Sophos Central, allow TCP 80 from WAN to LAN above it" in told


@pytest.mark.parametrize(
    "central",
    [{"status": "Disable"}, {"action": "Accept"}, {"zone": "DMZ"}, {"more": SOME}, {"more": OTHER_PORT}],
    ids=str,
    indirect=True,
)
def test_other_rules_of_sophos_central_are_no_conflict(central: Box, responder: int) -> None:
    assert present(central.firewall(), forward(responder))


def test_several_addresses_and_ipv6_lead_to_the_responder(responder: int) -> None:
    """Through real sockets of each family; to a host of each family."""
    address, port = f"{NET}.202", free_port()
    more = {"#Port2:0": f"{NET}.203", "#Port2_v6": "::1"}
    with Emulator(
        {"firewalls": [{"name": "fw1", "address": address, "http_port": port, "wan_hosts": more}]}
    ) as emulator:
        box = Box(emulator, "fw1", address)
        wanted = forward(responder, target6="::1", wan_hosts=("#Port2", "#Port2:0", "#Port2_v6"))
        window = Window(box.firewall(), wanted)
        with window():
            intervals = box.state["open_intervals"]
            assert {one["host"] for one in intervals} == {"127.0.0.1", "::1"}
        assert all(one["closed_at"] for one in box.state["open_intervals"])
