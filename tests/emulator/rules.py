# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rules decide: does WAN port 80 lead anywhere, and which sites does the WAF serve?"""

from __future__ import annotations

import ipaddress
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from . import schedules
from .schema import HOSTS, named, text
from .store import Store

__all__ = [
    "HTTP",
    "Forward",
    "Network",
    "WafSite",
    "destination_conflict",
    "enabled",
    "find_forward",
    "has_schedules",
    "schedule_active",
    "target",
    "tcp_ports",
    "waf_sites",
]

HTTP = 80
WAN_INTERFACES = ("Port2", "Any")
Ports = list[tuple[int, int]]


@dataclass(frozen=True)
class Network:
    """What the rules need to know about the surroundings."""

    address: str
    zones: Mapping[str, list[str]]
    timezone: str
    clock: float

    def zone_of(self, address: str) -> str:
        for zone, members in self.zones.items():
            if _inside(address, members):
                return zone
        return "WAN"


@dataclass(frozen=True)
class Forward:
    nat_rule: str
    firewall_rule: str
    host: str
    port: int
    masquerade: bool


@dataclass(frozen=True)
class WafSite:
    rule: str
    port: int
    https: bool
    redirect: bool
    domains: tuple[str, ...]
    certificate: str

    @property
    def on_port_80(self) -> bool:
        return self.redirect or (not self.https and self.port == HTTP)

    def serves(self, name: str) -> bool:
        wildcard = "*." + name.lower().partition(".")[2]
        return any(domain.lower() in (name.lower(), wildcard) for domain in self.domains)


def _inside(address: str, networks: Iterable[str]) -> bool:
    ip = ipaddress.ip_address(address)
    return any(ip in ipaddress.ip_network(network, strict=False) for network in networks)


def _host_covers(host: ET.Element, address: str) -> bool:
    kind = text(host, "HostType")
    if kind in ("IP", "System Host"):
        return text(host, "IPAddress") == address
    if kind == "Network":
        return _inside(address, [f"{text(host, 'IPAddress')}/{text(host, 'Subnet', '32')}"])
    if kind == "IPRange":
        ends = (text(host, "StartIPAddress"), address, text(host, "EndIPAddress"))
        first, wanted, last = (int(ipaddress.ip_address(end)) for end in ends)
        return first <= wanted <= last
    return address in text(host, "ListOfIPAddresses").split(",")


def _covers(store: Store, names: list[str], address: str) -> bool:
    for name in names:
        group = store.get("IPHostGroup", name)
        if group is not None and _covers(store, named(group, "HostList/Host"), address):
            return True
        host = store.get("IPHost", name)
        if host is not None and _host_covers(host, address):
            return True
    return False


def _networks_allow(store: Store, names: list[str], *addresses: str | None) -> bool:
    """No names and Any allow everything; an unknown address (None) is given the benefit of the doubt."""
    if not names or "Any" in names:
        return True
    return any(address is None or _covers(store, names, address) for address in addresses)


def tcp_ports(store: Store, names: list[str]) -> Ports:
    ports = []
    for name in names:
        group = store.get("ServiceGroup", name)
        if group is not None:
            ports += tcp_ports(store, named(group, "ServiceList/Service"))
        service = store.get("Services", name)
        for detail in service.findall("ServiceDetails/ServiceDetail") if service is not None else ():
            if text(detail, "Protocol") == "TCP":
                first, _, last = text(detail, "DestinationPort").partition(":")
                ports.append((int(first), int(last or first)))
    return ports


def _services_allow(store: Store, names: list[str], *ports: int) -> bool:
    if not names or "Any" in names:
        return True
    return any(first <= port <= last for first, last in tcp_ports(store, names) for port in ports)


def enabled(rule: ET.Element) -> bool:
    return text(rule, "Status", "Enable") == "Enable" and text(rule, "IPFamily", "IPv4") == "IPv4"


def _translates(rule: ET.Element) -> bool:
    return text(rule, "TranslatedDestination", "Original") != "Original"


def _nat_matches(store: Store, net: Network, rule: ET.Element, client: str | None) -> bool:
    interfaces = named(rule, "InboundInterfaces/Interface")
    return (
        enabled(rule)
        and _translates(rule)
        # A rule for Any destination is not taken for a DNAT of this address (see README).
        and _covers(store, named(rule, "OriginalDestinationNetworks/Network"), net.address)
        and _services_allow(store, named(rule, "OriginalServices/Service"), HTTP)
        and _networks_allow(store, named(rule, "OriginalSourceNetworks/Network"), client)
        and (not interfaces or any(name in WAN_INTERFACES for name in interfaces))
    )


def target(store: Store, rule: ET.Element) -> tuple[str, int] | None:
    host = store.get("IPHost", text(rule, "TranslatedDestination"))
    if host is None or text(host, "HostType") != "IP":
        return None
    service = text(rule, "TranslatedService", "Original")
    ports = [(HTTP, HTTP)] if service == "Original" else tcp_ports(store, [service])
    return (text(host, "IPAddress"), ports[0][0]) if ports else None


def _zones_allow(names: list[str], zone: str) -> bool:
    return not names or "Any" in names or zone in names


def schedule_active(store: Store, net: Network, policy: ET.Element) -> bool:
    schedule = store.get("Schedule", text(policy, "Schedule", schedules.ALWAYS))
    return schedule is not None and schedules.active(schedule, net.timezone, net.clock)


def _rule_matches(store: Store, net: Network, rule: ET.Element, host: str, port: int, client: str | None) -> bool:
    policy = rule.find("NetworkPolicy")
    return (
        enabled(rule)
        and text(rule, "PolicyType") == "Network"
        and policy is not None
        and _zones_allow(named(policy, "SourceZones/Zone"), "WAN")
        and _zones_allow(named(policy, "DestinationZones/Zone"), net.zone_of(host))
        and _networks_allow(store, named(policy, "SourceNetworks/Network"), client)
        and _networks_allow(store, named(policy, "DestinationNetworks/Network"), net.address, host)
        and _services_allow(store, named(policy, "Services/Service"), HTTP, port)
        and schedule_active(store, net, policy)
    )


def find_forward(store: Store, net: Network, client: str | None = None) -> Forward | None:
    """Where a connection to WAN port 80 goes; without a client: where that of some client would go."""
    for nat in store.all("NATRule"):
        if not _nat_matches(store, net, nat, client):
            continue
        found = target(store, nat)
        if found is None:
            return None
        for rule in store.all("FirewallRule"):
            if _rule_matches(store, net, rule, *found, client):
                if text(rule, "NetworkPolicy/Action", "Drop") != "Accept":
                    return None
                masquerade = text(nat, "TranslatedSource", "Original") != "Original"
                return Forward(text(nat, "Name"), text(rule, "Name"), *found, masquerade)
        return None
    return None


def has_schedules(store: Store) -> bool:
    return any(
        text(rule, "NetworkPolicy/Schedule", schedules.ALWAYS) != schedules.ALWAYS for rule in store.all("FirewallRule")
    )


def destination_conflict(store: Store, rule: ET.Element) -> bool:
    """Does another DNAT rule translate the same destination and port?"""
    if not _translates(rule):
        return False
    mine = list(_destinations(store, rule))
    return any(
        text(other, "Name") != text(rule, "Name")
        and _translates(other)
        and any(host in mine for host in _destinations(store, other))
        and _services_overlap(store, rule, other)
        for other in store.all("NATRule")
    )


def _destinations(store: Store, rule: ET.Element) -> Iterator[str]:
    for name in named(rule, "OriginalDestinationNetworks/Network"):
        host = store.resolve(HOSTS, name)
        yield (text(host, "IPAddress") if host is not None else "") or name


def _services_overlap(store: Store, rule: ET.Element, other: ET.Element) -> bool:
    mine, theirs = (named(each, "OriginalServices/Service") for each in (rule, other))
    if not mine or not theirs or "Any" in mine + theirs:
        return True
    return any(
        low <= last and first <= high
        for low, high in tcp_ports(store, mine)
        for first, last in tcp_ports(store, theirs)
    )


def waf_sites(store: Store) -> list[WafSite]:
    return [
        _site(rule) for rule in store.all("FirewallRule") if text(rule, "PolicyType") == "HTTPBased" and enabled(rule)
    ]


def _site(rule: ET.Element) -> WafSite:
    policy = rule.find("HTTPBasedPolicy")
    assert policy is not None, "checked when the rule was written"
    return WafSite(
        rule=text(rule, "Name"),
        port=int(text(policy, "ListenPort")),
        https=text(policy, "HTTPS", "Disable") == "Enable",
        redirect=text(policy, "RedirectHTTP", "Disable") == "Enable",
        domains=tuple(named(policy, "Domains/Domain")),
        certificate=text(policy, "Certificate"),
    )
