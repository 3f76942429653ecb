# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A forward, and the objects of the firewall that it takes: hosts, services, a firewall rule and a NAT rule.

Their elements: API document, IPHost, Services, FirewallRule, NATRule.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t
import xml.etree.ElementTree as ET

from .._names import is_address
from .errors import XgsError
from .objects import SINGLE, Objects, element, family_of, is_host, is_service, name_of, texts

V4, V6 = "IPv4", "IPv6"


@dataclasses.dataclass(frozen=True)
class Forward:
    """What shall be forwarded.

    target, target6, target_port: addresses and TCP port of the host that answers. zone: where it is, seen from the
    firewall. port: TCP port on the firewall. wan_hosts: host objects such as #Port2, or addresses of the firewall.
    masquerade: replace the source address; without it only a host answers whose way back is this firewall (measured).
    lease: seconds. interrupt_waf: whether a web server protection rule may be without its port meanwhile.
    """

    name: str
    target: str
    target_port: int = 8080
    zone: str = "LAN"
    port: int = 80
    wan_hosts: tuple[str, ...] = ("#Port2",)
    masquerade: bool = True
    lease: int = 900
    target6: str = ""
    interrupt_waf: bool = False

    def __str__(self) -> str:
        hosts = ", ".join(f"{_bracketed(host)}:{self.port}" for host in self.wan_hosts)
        targets = [f"{_bracketed(target)}:{self.target_port}" for target in (self.target, self.target6) if target]
        return f"{hosts} to {', '.join(targets)}"


@dataclasses.dataclass(frozen=True)
class Leg:
    """One address family's part of a forward.

    wan: names of host objects; addresses: theirs, as far as the firewall tells; host: the target's host object.
    """

    family: str
    wan: tuple[str, ...]
    addresses: tuple[str, ...]
    target: str
    host: str

    def rule_name(self, forward: str, run: str) -> str:
        """Name of the leg's firewall rule for this run, and of the NAT rule where this run makes that."""
        return f"{forward}-{run}" if self.family == V4 else f"{forward}-{run}-6"


class Parts:
    """The helper objects of a forward: what is there and fits is used, whoever made it; the rest is new.

    mark: a Lease's description. Raises XgsError when a wan host is not there, a family lacks one of its two ends, or a
    name is taken.
    """

    def __init__(self, objects: Objects, wanted: Forward, mark: str) -> None:
        self.used: list[ET.Element] = []
        self.new: list[ET.Element] = []
        self._objects = objects
        self._wanted = wanted
        self._mark = mark
        self.legs = self._legs()
        self.wan = self._service(wanted.port)
        self.target = self._service(wanted.target_port)

    def use(self, wanted: ET.Element, fits: t.Callable[[ET.Element], bool]) -> str:
        """Name of an object of that content. An equal one must not be made again (503). XgsError: its name is taken."""
        for there in self._objects[wanted.tag]:
            if fits(there):
                self.used.append(there)
                return name_of(there)
        if not any(name_of(one) == name_of(wanted) and one.tag == wanted.tag for one in self.new):
            must_be_free(self._objects, wanted)
            self.new.append(wanted)
        return name_of(wanted)

    def _legs(self) -> list[Leg]:
        found: dict[str, list[tuple[str, str]]] = {}
        for entry in self._wanted.wan_hosts:
            family, name, address = self._wan_host(entry)
            found.setdefault(family, []).append((name, address))
        if self._wanted.target6 and V6 not in found:
            raise XgsError(
                "there is an IPv6 target, but no IPv6 address of the firewall",
                remedy="Name one in wan_host, as an address or a host object.",
            )
        return [self._leg(family, found[family]) for family in sorted(found)]

    def _leg(self, family: str, hosts: list[tuple[str, str]]) -> Leg:
        target = self._wanted.target if family == V4 else self._wanted.target6
        if not target:
            raise XgsError(
                f"{hosts[0][0]} is of {family}, and no {family} address of the responder is known",
                remedy=f"Set {'target' if family == V4 else 'target6'}, or take {hosts[0][0]} out of wan_host.",
            )
        host = self._host(target, ("IP",))
        names, addresses = zip(*hosts)
        return Leg(family, names, tuple(filter(None, addresses)), target, host)

    def _wan_host(self, entry: str) -> tuple[str, str, str]:
        """Family, name and address."""
        if is_address(entry):
            return _family(entry), self._host(entry, SINGLE), entry
        host = self._objects.find("IPHost", entry)
        if host is None:
            system = ", ".join(sorted(name_of(one) for one in self._objects["IPHost"] if name_of(one)[:1] == "#"))
            raise XgsError(
                f"there is no host object '{entry}'",
                remedy=f"Set wan_host to the interface that the names point to: {system}."
                if system
                else "Set wan_host.",
            )
        return family_of(host), entry, host.findtext("IPAddress") or ""

    def _host(self, address: str, kinds: tuple[str, ...]) -> str:
        wanted = element(
            "IPHost",
            {
                "Name": f"{self._wanted.name}-{_slug(address)}",
                "Description": self._mark,
                "IPFamily": _family(address),
                "HostType": "IP",
                "IPAddress": address,
            },
        )
        return self.use(wanted, lambda there: is_host(there, address, kinds))

    def _service(self, port: int) -> str:
        detail = {"SourcePort": "1:65535", "DestinationPort": str(port), "Protocol": "TCP"}
        wanted = element(
            "Services",
            {
                "Name": f"{self._wanted.name}-tcp-{port}",
                "Description": self._mark,
                "Type": "TCPorUDP",
                "ServiceDetails": {"ServiceDetail": detail},
            },
        )
        return self.use(wanted, lambda there: is_service(there, port))


def must_be_free(objects: Objects, wanted: ET.Element) -> None:
    """Raises XgsError when the name that we would give is taken."""
    if objects.find(wanted.tag, name_of(wanted)) is not None:
        raise XgsError(
            f"there is a {wanted.tag} '{name_of(wanted)}' that this collection did not make, or that was changed since",
            remedy="Rename it, or set another name for the port forward.",
        )


def firewall_rule(wanted: Forward, leg: Leg, parts: Parts, name: str, schedule: str, mark: str) -> ET.Element:
    """Both services and both hosts: whether the rule is matched before or after translation is not documented."""
    policy = {
        "Action": "Accept",
        "LogTraffic": "Enable",
        "SkipLocalDestined": "Disable",
        "SourceZones": {"Zone": "WAN"},
        "DestinationZones": {"Zone": wanted.zone},
        "Schedule": schedule,
        "DestinationNetworks": {"Network": [*leg.wan, leg.host]},
        "Services": {"Service": sorted({parts.wan, parts.target})},
    }
    return element("FirewallRule", {**_rule(leg, name, mark), "PolicyType": "Network", "NetworkPolicy": policy})


def nat_rule(wanted: Forward, leg: Leg, parts: Parts, name: str, mark: str) -> ET.Element:
    """One for all addresses of a family."""
    return element(
        "NATRule",
        {
            **_rule(leg, name, mark),
            "LinkedFirewallrule": "None",
            "TranslatedSource": "MASQ" if wanted.masquerade else "Original",
            "OriginalDestinationNetworks": {"Network": leg.wan},
            "TranslatedDestination": leg.host,
            "OriginalServices": {"Service": parts.wan},
            "TranslatedService": parts.target,
        },
    )


def _rule(leg: Leg, name: str, mark: str) -> dict[str, t.Any]:
    return {"Name": name, "Description": mark, "IPFamily": leg.family, "Status": "Enable", "Position": "Top"}


def serves(rule: ET.Element, nat: ET.Element) -> bool:
    """Whether a firewall rule of ours lets through what a NAT rule of ours forwards."""
    hosts = texts(rule, "NetworkPolicy/DestinationNetworks/Network")
    services = texts(rule, "NetworkPolicy/Services/Service")
    to_hosts = [*texts(nat, "OriginalDestinationNetworks/Network"), *texts(nat, "TranslatedDestination")]
    for_services = [*texts(nat, "OriginalServices/Service"), *texts(nat, "TranslatedService")]
    return set(to_hosts) <= set(hosts) and set(for_services) <= set(services)


def _family(address: str) -> str:
    return V6 if ":" in address else V4


def _slug(address: str) -> str:
    """For a name: an IPv6 address may be too long for one."""
    return address if _family(address) == V4 else f"ip6-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if is_address(host, 6) else host


__all__ = ("V4", "V6", "Forward", "Leg", "Parts", "firewall_rule", "must_be_free", "nat_rule", "serves")
