# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules as the kernel's packet filter has them, for a firewall in a network namespace of its own.

A rule is a conjunction of lists (zones, networks, services), each list a disjunction. So it is one chain for each list:
what matches an entry jumps to the next list's chain, from the last one to the verdict; what matches none returns.
"""

from __future__ import annotations

import asyncio
import ipaddress
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator

from .device import Device
from .rules import HTTP, enabled, schedule_active, target, tcp_ports, waf_sites
from .schema import named, text
from .store import Store

__all__ = ["Netfilter", "render"]

Alternatives = list[str]
ANY: Alternatives = [""]
# Interface of the namespace for each zone, and the firewall's own name for it.
ZONES = {"WAN": "wan", "LAN": "lan", "VPN": "vpn"}
INTERFACES = {"Port1": "lan", "Port2": "wan"}
VERDICTS = {"Accept": "ACCEPT", "Reject": "REJECT"}
BEFORE = "-m conntrack --ctorig"
# Address family and the tool that loads its rules.
TOOLS = {"IPv4": "iptables-restore", "IPv6": "ip6tables-restore"}
# Without it nobody on the link finds an IPv6 address; so no rule of the administrator can forbid it.
NEIGHBOURS = "-A INPUT -p ipv6-icmp -j ACCEPT"
KNOWN = "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"


class Netfilter:
    """Keeps the filter of one namespace what the configuration says: `refresh()` after each write and each second."""

    def __init__(self, device: Device) -> None:
        self._device = device
        # IPv6 only where the firewall has an address of it.
        self._families = sorted({device.network(address).family for address in device.wan_addresses})
        self._applied: dict[str, str] = {}

    async def refresh(self, visible: Collection[int]) -> None:
        """`visible`: the firewall's own ports that the WAN may reach. Raises OSError when the kernel refuses."""
        for family in self._families:
            wanted = render(self._device, visible, family)
            if wanted != self._applied.get(family):
                await self._load(TOOLS[family], wanted)
                self._applied[family] = wanted

    async def _load(self, tool: str, wanted: str) -> None:
        command = ["nsenter", f"--net={self._device.config.namespace}", tool]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        _, said = await process.communicate(wanted.encode())
        if process.returncode:
            raise OSError(0, f"{tool}: {said.decode(errors='replace').strip()}\n{wanted}")


def render(device: Device, visible: Collection[int], family: str) -> str:
    """What the family's tool reads: it replaces both tables in one go."""
    tables = {"nat": _nat(device, family), "filter": _filter(device, visible, family)}
    return "".join(f"*{name}\n" + "".join(f"{line}\n" for line in lines) + "COMMIT\n" for name, lines in tables.items())


# --- tables -----------------------------------------------------------------------------------------------------


def _filter(device: Device, visible: Collection[int], family: str) -> Iterator[str]:
    yield from (":INPUT DROP", ":FORWARD DROP", ":OUTPUT ACCEPT")
    yield f"-A INPUT {KNOWN}"
    yield "-A INPUT -i lo -j ACCEPT"
    if family == "IPv6":
        yield NEIGHBOURS
    # Device access: everything from inside, from the WAN what is published there.
    yield from (f"-A INPUT -i {interface} -j ACCEPT" for zone, interface in ZONES.items() if zone != "WAN")
    redirects = [HTTP] if any(site.on_port_80 for site in waf_sites(device.store)) else []
    yield from (f"-A INPUT -i wan -p tcp --dport {port} -j ACCEPT" for port in sorted({*visible, *redirects}))
    yield f"-A FORWARD {KNOWN}"
    for number, rule in enumerate(device.store.all("FirewallRule")):
        policy = rule.find("NetworkPolicy")
        if policy is not None and enabled(rule, family) and schedule_active(device.store, device.network(), policy):
            yield from _chains("FORWARD", f"r{number}", _policy(device.store, policy), _verdict(policy))


def _nat(device: Device, family: str) -> Iterator[str]:
    yield from (":PREROUTING ACCEPT", ":POSTROUTING ACCEPT", ":OUTPUT ACCEPT")
    for number, rule in enumerate(device.store.all("NATRule")):
        if not enabled(rule, family):
            continue
        if text(rule, "TranslatedDestination", "Original") != "Original":
            yield from _destination_nat(device.store, f"d{number}", rule)
        elif text(rule, "TranslatedSource", "Original") != "Original":
            lists = [*_traffic(device.store, rule), _interfaces(rule, "OutboundInterfaces/Interface", "-o")]
            yield from _chains("POSTROUTING", f"s{number}", lists, _source(device.store, rule))


def _destination_nat(store: Store, name: str, rule: ET.Element) -> Iterator[str]:
    lists = [*_traffic(store, rule), _interfaces(rule, "InboundInterfaces/Interface", "-i"), ["-p tcp"]]
    if not named(rule, "OriginalDestinationNetworks/Network"):
        return  # a rule for Any destination is not taken for a DNAT (see README)
    found = target(store, rule)
    yield from _chains("PREROUTING", name, lists, f"DNAT --to-destination {_socket(*found)}" if found else "ACCEPT")
    if found and text(rule, "TranslatedSource", "Original") != "Original":
        here = f"-p tcp -d {found[0]} --dport {found[1]} -m conntrack --ctstate DNAT"
        before = [
            _networks(store, rule, "OriginalDestinationNetworks/Network", BEFORE + "dst"),
            _services(store, rule, "OriginalServices/Service", f"-p tcp {BEFORE}dstport"),
        ]
        yield from _chains("POSTROUTING", f"{name}m", [[here], *before], _source(store, rule))


# --- lists of a rule --------------------------------------------------------------------------------------------


def _traffic(store: Store, rule: ET.Element) -> list[Alternatives]:
    """What a NAT rule is about, as it was before any translation."""
    return [
        _networks(store, rule, "OriginalSourceNetworks/Network", "-s"),
        _networks(store, rule, "OriginalDestinationNetworks/Network", "-d"),
        _services(store, rule, "OriginalServices/Service", "-p tcp --dport"),
    ]


def _policy(store: Store, policy: ET.Element) -> list[Alternatives]:
    """What a firewall rule is about. Networks and services count before and after translation (see README)."""
    networks, services = "DestinationNetworks/Network", "Services/Service"
    return [
        _zones(policy, "SourceZones/Zone", "-i"),
        _zones(policy, "DestinationZones/Zone", "-o"),
        _networks(store, policy, "SourceNetworks/Network", "-s"),
        [match for flag in ("-d", BEFORE + "dst") for match in _networks(store, policy, networks, flag)],
        [
            match
            for flag in ("--dport", BEFORE + "dstport")
            for match in _services(store, policy, services, f"-p tcp {flag}")
        ],
    ]


def _any(names: list[str]) -> bool:
    return not names or "Any" in names


def _zones(rule: ET.Element, path: str, flag: str) -> Alternatives:
    names = named(rule, path)
    return ANY if _any(names) else [f"{flag} {ZONES[name]}" for name in names if name in ZONES]


def _interfaces(rule: ET.Element, path: str, flag: str) -> Alternatives:
    names = named(rule, path)
    return ANY if _any(names) else [f"{flag} {INTERFACES[name]}" for name in names if name in INTERFACES]


def _services(store: Store, rule: ET.Element, path: str, flag: str) -> Alternatives:
    names = named(rule, path)
    if _any(names):
        return ANY
    return [f"{flag} {first}:{last}" if first != last else f"{flag} {first}" for first, last in tcp_ports(store, names)]


def _networks(store: Store, rule: ET.Element, path: str, flag: str) -> Alternatives:
    names = named(rule, path)
    return ANY if _any(names) else [f"{flag} {network}" for name in names for network in _addresses(store, name)]


def _addresses(store: Store, name: str) -> Iterator[str]:
    group = store.get("IPHostGroup", name)
    for member in named(group, "HostList/Host") if group is not None else ():
        yield from _addresses(store, member)
    host = store.get("IPHost", name)
    if host is None:
        return
    kind = text(host, "HostType")
    if kind in ("IP", "System Host"):
        yield text(host, "IPAddress")
    elif kind == "Network":
        yield f"{text(host, 'IPAddress')}/{text(host, 'Subnet', '32')}"
    elif kind == "IPRange":
        ends = (text(host, end) for end in ("StartIPAddress", "EndIPAddress"))
        yield from map(str, ipaddress.summarize_address_range(*map(ipaddress.ip_address, ends)))
    else:
        yield from text(host, "ListOfIPAddresses").split(",")


# --- verdicts and chains ----------------------------------------------------------------------------------------


def _verdict(policy: ET.Element) -> str:
    return VERDICTS.get(text(policy, "Action", "Drop"), "DROP")


def _socket(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _source(store: Store, rule: ET.Element) -> str:
    address = next(_addresses(store, text(rule, "TranslatedSource")), "")
    return f"SNAT --to-source {address}" if address else "MASQUERADE"


def _chains(base: str, name: str, lists: list[Alternatives], verdict: str) -> Iterator[str]:
    narrowing = [list(dict.fromkeys(alternatives)) for alternatives in lists if "" not in alternatives] or [ANY]
    steps = [base, *(f"{name}-{step}" for step in range(1, len(narrowing))), verdict]
    yield from (f":{step} -" for step in steps[1:-1])
    for here, there, alternatives in zip(steps, steps[1:], narrowing, strict=False):
        yield from (f"-A {here} {match} -j {there}".replace("  ", " ") for match in alternatives)
