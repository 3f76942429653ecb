# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both planes lead port 80 where the rules say, and the namespaces go whatever happens to their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emulator.client import Emulator
from lab.entries import NET, waf_rule
from lab.plane import Loopback
from lab.ports import free_port, knock
from lab.processes import wait_until

TESTS = Path(__file__).resolve().parents[2]
EVERYWHERE = ("loopback", "namespaces", "rootless")
TARGET = [
    "<IPHost><Name>ctl</Name><IPFamily>IPv4</IPFamily><HostType>IP</HostType><IPAddress>{0}</IPAddress></IPHost>",
    """<Services><Name>alt</Name><Type>TCPorUDP</Type><ServiceDetails><ServiceDetail><SourcePort>1:65535</SourcePort>
    <DestinationPort>{1}</DestinationPort><Protocol>TCP</Protocol></ServiceDetail></ServiceDetails></Services>""",
]
HOST = "<IPHost><Name>other</Name><IPFamily>IPv4</IPFamily><HostType>{}</HostType>{}</IPHost>"
MONDAYS = (
    "<Schedule><Name>once</Name><Type>OneTime</Type><ScheduleDetails><StartDate>2020-01-06 00:00:00</StartDate>"
    "<EndDate>2020-01-07 00:00:00</EndDate><ScheduleDetail><Days>Monday</Days><StartTime>00:00</StartTime>"
    "<StopTime>23:59</StopTime></ScheduleDetail></ScheduleDetails></Schedule>"
)


def nat(destination="#Port2", status="Enable", service="HTTP", interface="Port2"):
    return (
        f"<NATRule><Name>nat</Name><Status>{status}</Status><Position>Top</Position>"
        "<TranslatedSource>MASQ</TranslatedSource><TranslatedDestination>ctl</TranslatedDestination>"
        f"<OriginalDestinationNetworks><Network>{destination}</Network></OriginalDestinationNetworks>"
        f"<OriginalServices><Service>{service}</Service></OriginalServices><TranslatedService>alt</TranslatedService>"
        f"<InboundInterfaces><Interface>{interface}</Interface></InboundInterfaces></NATRule>"
    )


def rule(zone="LAN", action="Accept", network="#Port2", service="HTTP", schedule="All The Time", **more):
    source, status, name = more.get("source", "WAN"), more.get("status", "Enable"), more.get("name", "rule")
    return (
        f"<FirewallRule><Name>{name}</Name><Status>{status}</Status><Position>Top</Position>"
        f"<PolicyType>Network</PolicyType><NetworkPolicy><Action>{action}</Action><Schedule>{schedule}</Schedule>"
        f"<SourceZones><Zone>{source}</Zone></SourceZones><DestinationZones><Zone>{zone}</Zone></DestinationZones>"
        f"<DestinationNetworks><Network>{network}</Network></DestinationNetworks>"
        f"<Services><Service>{service}</Service></Services></NetworkPolicy></FirewallRule>"
    )


def network(address):
    return HOST.format(
        "Network", f"<IPAddress>{address.rpartition('.')[0]}.0</IPAddress><Subnet>255.255.255.0</Subnet>"
    )


def between(address):
    head, _, last = address.rpartition(".")
    ends = f"<StartIPAddress>{head}.{int(last) - 1}</StartIPAddress><EndIPAddress>{head}.{int(last) + 1}</EndIPAddress>"
    return HOST.format("IPRange", ends)


def listed(address):
    return HOST.format("IPList", f"<ListOfIPAddresses>203.0.113.1,{address}</ListOfIPAddresses>")


# What an administrator wrote, and whether port 80 leads to the control node. A function is given the WAN address.
OPEN = {
    "both rules": [nat(), rule()],
    "after translation": [nat(), rule(network="ctl", service="alt")],
    "any": [nat(service="Any", interface="Any"), rule("Any", network="Any", service="Any", source="Any")],
    "network": [network, nat("other"), rule(network="other")],
    "range": [between, nat("other"), rule(network="other")],
    "list": [listed, nat("other"), rule(network="other")],
    "a rule for others above": [nat(), rule(), rule(name="above", action="Drop", service="HTTPS")],
}
CLOSED = {
    "no rule": [],
    "NAT alone": [nat()],
    "firewall rule alone": [rule()],
    "wrong zone": [nat(), rule("DMZ")],
    "zone of another interface": [nat(), rule("VPN")],
    "not from the WAN": [nat(), rule(source="LAN")],
    "dropped": [nat(), rule(action="Drop")],
    "dropped above": [nat(), rule(), rule(name="above", action="Drop")],
    "NAT switched off": [nat(status="Disable"), rule()],
    "rule switched off": [nat(), rule(status="Disable")],
    "another port": [nat(service="HTTPS"), rule()],
    "rule for another port": [nat(), rule(service="HTTPS")],
    "another address": [nat("#Port1"), rule()],
    "another interface": [nat(interface="Port1"), rule()],
    "over": [MONDAYS, nat(), rule(schedule="once")],
}


@pytest.mark.planes(*EVERYWHERE)
def test_the_rules_decide(plane):
    cases = {**OPEN, **CLOSED}
    names = {f"fw{number}": case for number, case in enumerate(cases, 1)}
    with plane([{"name": name} for name in names]) as place:
        port = place.control.free_port()
        firewalls = [
            place.firewall({"name": name, "address": f"127.23.{NET}.{number}", "objects": []})
            for number, name in enumerate(names, 1)
        ]
        for firewall in firewalls:
            written = [
                xml(firewall["address"]) if callable(xml) else xml for xml in (*TARGET, *cases[names[firewall["name"]]])
            ]
            target = (place.control.address, port)
            firewall["objects"] += [xml.format(*target) if xml in TARGET else xml for xml in written]
        document = {"http_port": place.http_port, "firewalls": firewalls}
        with (
            Emulator(document, prefix=place.prefix),
            place.control.listen(port),
            ThreadPoolExecutor(len(names)) as pool,
        ):
            addresses = [firewall["address"] for firewall in firewalls]
            seen = pool.map(lambda address: knock(address, place.http_port, 1.0, place.outside.connect), addresses)
            closed = "refused" if isinstance(place, Loopback) else "silent"
            assert dict(zip(cases, seen, strict=True)) == {
                **dict.fromkeys(OPEN, "open"),
                **dict.fromkeys(CLOSED, closed),
            }


@pytest.mark.planes(*EVERYWHERE)
def test_what_the_outside_may_reach_of_the_firewall(plane):
    site = waf_rule("OWA", "owa.example.com", redirect_http=True)
    with plane([{"name": "fw1"}]) as place:
        firewall = place.firewall({"name": "fw1", "address": f"127.23.{NET}.99", "waf_rules": [site]})
        with Emulator({"http_port": place.http_port, "firewalls": [firewall]}, prefix=place.prefix):
            address = firewall["address"]
            reached = {port: knock(address, port, 1.0, place.outside.connect) for port in (place.http_port, 8443, 4444)}
            administrator = knock(place.admin_address("fw1"), 4444, 1.0, place.control.connect)
    assert administrator == "open"
    assert reached.pop(4444) == ("open" if isinstance(place, Loopback) else "silent")
    assert set(reached.values()) == {"open"}


@pytest.mark.planes("loopback", "namespaces")
def test_one_of_several_wan_addresses(plane):
    alias = "#Port2:0"
    config = {"name": "fw1", "address": f"127.23.{NET}.97", "wan_hosts": {alias: f"127.23.{NET}.98"}}
    with plane([config]) as place:
        port = place.control.free_port()
        target = [xml.format(place.control.address, port) for xml in TARGET]
        firewall = place.firewall({**config, "objects": [*target, nat(alias), rule(network=alias)]})
        document = {"http_port": place.http_port, "firewalls": [firewall]}
        with Emulator(document, prefix=place.prefix), place.control.listen(port):
            addresses = (firewall["wan_hosts"][alias], firewall["address"])
            seen = [knock(address, place.http_port, 1.0, place.outside.connect) for address in addresses]
    assert seen == ["open", "refused" if isinstance(place, Loopback) else "silent"]


def of_ipv6(xml):
    """The same rule or host for the other family."""
    return xml.replace("#Port2<", "#Port2_v6<").replace(">ctl<", ">ctl6<").replace("</Name>", "</Name>" + IPV6, 1)


IPV6 = "<IPFamily>IPv6</IPFamily>"
TARGET6 = TARGET[0].replace(">ctl<", ">ctl6<").replace("IPv4", "IPv6")
RANGE6 = (
    "<IPHost><Name>other6</Name><IPFamily>IPv6</IPFamily><HostType>IPRange</HostType>"
    "<StartIPAddress>::1</StartIPAddress><EndIPAddress>fd00:ffff::</EndIPAddress></IPHost>"
)
# Rules, and what port 80 comes to of IPv4 and of IPv6; "" for closed.
FAMILIES = {
    "IPv6 alone": ([nat(), of_ipv6(nat()).replace(">nat<", ">nat6<"), of_ipv6(rule())], ("", "open")),
    "IPv4 alone": ([nat(), of_ipv6(nat()).replace(">nat<", ">nat6<"), rule()], ("open", "")),
    "a range": ([RANGE6, of_ipv6(nat("other6")), of_ipv6(rule(network="other6"))], ("", "open")),
    "after translation": ([of_ipv6(nat()), of_ipv6(rule(network="ctl", service="alt"))], ("", "open")),
    "any": ([of_ipv6(nat()), of_ipv6(rule(zone="Any", network="Any", service="Any"))], ("", "open")),
    "wrong zone": ([of_ipv6(nat()), of_ipv6(rule("DMZ"))], ("", "")),
    "NAT alone": ([of_ipv6(nat())], ("", "")),
}


@pytest.mark.planes(*EVERYWHERE)
def test_rules_are_of_one_family(plane):
    """Loopback has one IPv6 address, so there each firewall has a port 80 of its own."""
    alias = "#Port2_v6"
    boxes = [
        {"name": f"fw{number}", "address": f"127.23.{NET}.{number}", "wan_hosts": {alias: "::1"}}
        for number in range(1, len(FAMILIES) + 1)
    ]
    with plane(boxes) as place:
        control, port = place.control, place.control.free_port()
        targets = [TARGET[0].format(control.address), TARGET6.format(control.address6), TARGET[1].format("", port)]
        firewalls = [
            place.firewall({**box, "objects": [*targets, *rules]})
            for box, (rules, _states) in zip(boxes, FAMILIES.values(), strict=True)
        ]
        for firewall in firewalls:
            firewall["http_port"] = free_port("::1") if isinstance(place, Loopback) else place.http_port
        with (
            Emulator({"firewalls": firewalls}, prefix=place.prefix),
            control.listen(port),
            control.listen(port, control.address6),
            ThreadPoolExecutor(2 * len(firewalls)) as pool,
        ):
            doors = [
                (address, firewall["http_port"])
                for firewall in firewalls
                for address in (firewall["address"], firewall["wan_hosts"][alias])
            ]
            seen = list(pool.map(lambda door: knock(*door, 1.0, place.outside.connect), doors))
    closed = "refused" if isinstance(place, Loopback) else "silent"
    assert dict(zip(FAMILIES, zip(seen[::2], seen[1::2], strict=True), strict=True)) == {
        case: tuple(state or closed for state in states) for case, (_rules, states) in FAMILIES.items()
    }


@pytest.mark.planes("namespaces")
def test_a_forward_left_over_takes_the_redirect_away(plane):
    """The kernel translates before it filters: with the firewall rule gone, port 80 is nobody's, the WAF's neither."""
    redirecting = waf_rule("OWA", "owa.example.com", redirect_http=True)
    with plane([{"name": "fw1"}]) as place:
        target = [xml.format(place.control.address, 8080) for xml in TARGET]
        firewall = place.firewall({"name": "fw1", "waf_rules": [redirecting], "objects": [*target, nat()]})
        with Emulator({"http_port": place.http_port, "firewalls": [firewall]}, prefix=place.prefix):
            assert knock(firewall["address"], 80, 1.0, place.outside.connect) == "silent"


OWNER = """
import os, signal, subprocess, sys, time
from emulator.client import Emulator
from lab.plane import Namespaces, missing
# It may have come with SIGINT ignored, as whatever a shell starts in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Namespaces([{"name": "fw1"}], sys.argv[1] == "rootless" or bool(missing(rootless=False))) as plane:
    emulator = Emulator({"http_port": 80, "firewalls": [plane.firewall({"name": "fw1"})]}, prefix=plane.prefix)
    emulator.start()
    command = plane.control.command(["sh", "-c", "echo; exec sleep 600"])
    inside = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    inside.stdout.readline()
    print(plane._world._process.pid, emulator.pid, inside.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.planes("namespaces", "rootless")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_tests(plane, number, request):
    kind = request.node.callspec.params["plane"]
    command = [sys.executable, "-c", OWNER, kind]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as owner:
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 3
        assert all(running(pid) for pid in pids)
        owner.send_signal(number)
    wait_until(lambda: not any(running(pid) for pid in pids), 10, lambda: f"still there of {pids}: {running(*pids)}")


def running(*pids):
    """Those that are there and no zombies: nobody may be left to reap them."""
    return [pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and "Z" not in state(pid)]


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.planes("namespaces")
def test_planes_side_by_side_do_not_meet(plane):
    """The same addresses and ports twice at once, as two workers have them."""
    with plane([{"name": "fw1"}]) as one, plane([{"name": "fw1"}]) as other:
        address = (one.control.address, 8080)
        assert address[0] == other.control.address
        with one.control.listen(8080):
            assert knock(*address, 1.0, one.control.connect) == "open"
            assert knock(*address, 1.0, other.control.connect) == "refused"
