# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The firewall's objects around a port: each entity read once at most, and what hosts and services amount to.

Their elements: API document, IPHost, IPHostGroup, Services, ServiceGroup. Ports are TCP ports.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
import xml.etree.ElementTree as ET

from .api import Firewall

ANY = "Any"
# Hosts that are one address; the firewall makes a system host for each interface.
SINGLE = ("IP", "System Host")


class Objects:
    """What the firewall holds, an entity read when it is first looked at; whatever looks may raise XgsError.

    like: only objects with this in their name.
    """

    def __init__(self, firewall: Firewall, like: str | None = None) -> None:
        self._firewall = firewall
        self._like = like
        self._read: dict[str, dict[str, ET.Element]] = {}

    def __getitem__(self, entity: str) -> t.Collection[ET.Element]:
        return self._all(entity).values()

    def find(self, entity: str, name: str) -> ET.Element | None:
        """The object of this name, None where there is none."""
        return self._all(entity).get(name)

    def now(self) -> datetime.datetime:
        """The firewall's own time, aware, which it tells with whatever is read: leases go by it."""
        if not self._read:
            self._all("NATRule")
        return self._firewall.time.now()

    @property
    def complete(self) -> bool:
        """Whether it shows who else uses an object."""
        return self._like is None

    def _all(self, entity: str) -> dict[str, ET.Element]:
        if entity not in self._read:
            records = self._firewall.get(entity, like=self._like)
            self._read[entity] = {record.findtext("Name", ""): record for record in records}
        return self._read[entity]


def name_of(element: ET.Element) -> str:
    """Its Name; "" where it has none."""
    return element.findtext("Name", "")


def texts(element: ET.Element, path: str) -> list[str]:
    """The non-empty texts below a path."""
    return [text for found in element.findall(path) if (text := (found.text or "").strip())]


def family_of(element: ET.Element) -> str:
    """IPv4 or IPv6; the former where it does not say."""
    return element.findtext("IPFamily") or "IPv4"


def is_host(element: ET.Element, address: str, kinds: t.Container[str] = ("IP",)) -> bool:
    """Whether it is a host of this one address."""
    return element.findtext("HostType") in kinds and _equal(element.findtext("IPAddress", ""), address)


def _equal(one: str, other: str) -> bool:
    """IPv6 has more than one spelling."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False


def is_service(element: ET.Element, port: int) -> bool:
    """Whether it is this TCP port and nothing else."""
    details = element.findall("ServiceDetails/ServiceDetail")
    return len(details) == 1 and _ports(details[0]) == (port, port)


def _ports(detail: ET.Element) -> tuple[int, int] | None:
    """First and last TCP port, or None when it is something else."""
    if detail.findtext("Protocol") != "TCP":
        return None
    first, colon, last = detail.findtext("DestinationPort", "").partition(":")
    try:
        return int(first), int(last if colon else first)
    except ValueError:
        return None


def allows_port(objects: Objects, names: t.Sequence[str], ports: t.Iterable[int]) -> bool:
    """Whether one of these services or service groups has one of the TCP ports; no name and Any mean all."""
    if not names or ANY in names:
        return True
    return any(_has_port(objects, name, port) for name in names for port in ports)


def _has_port(objects: Objects, name: str, port: int) -> bool:
    service = objects.find("Services", name)
    if service is None:
        group = objects.find("ServiceGroup", name)
        return group is not None and any(_has_port(objects, one, port) for one in texts(group, "ServiceList/Service"))
    spans = [span for detail in service.findall("ServiceDetails/ServiceDetail") if (span := _ports(detail))]
    return any(first <= port <= last for first, last in spans)


def covers(objects: Objects, names: t.Iterable[str], addresses: t.Collection[str]) -> bool:
    """Whether one of these hosts or host groups has one of the addresses. Any and what only DNS knows do not count."""
    return any(_covers(objects, name, addresses) for name in names)


def _covers(objects: Objects, name: str, addresses: t.Collection[str]) -> bool:
    if name == ANY:
        return False
    host = objects.find("IPHost", name)
    if host is None:
        group = objects.find("IPHostGroup", name)
        return group is not None and covers(objects, texts(group, "HostList/Host"), addresses)
    return any(_has_address(host, address) for address in addresses)


def _has_address(host: ET.Element, address: str) -> bool:
    kind = host.findtext("HostType")
    try:
        wanted = ipaddress.ip_address(address)
        if kind == "Network":
            network = f"{host.findtext('IPAddress', '')}/{host.findtext('Subnet') or '32'}"
            return wanted in ipaddress.ip_network(network, strict=False)
        if kind == "IPRange":
            ends = [ipaddress.ip_address(host.findtext(tag, "")) for tag in ("StartIPAddress", "EndIPAddress")]
            return wanted.version == ends[0].version and int(ends[0]) <= int(wanted) <= int(ends[1])
    except ValueError:
        return False
    if kind == "IPList":
        return any(_equal(one.strip(), address) for one in host.findtext("ListOfIPAddresses", "").split(","))
    return is_host(host, address, SINGLE)


def element(tag: str, content: t.Mapping[str, t.Any]) -> ET.Element:
    """A nested mapping as XML; a sequence repeats its element."""
    root = ET.Element(tag)
    for key, value in content.items():
        for entry in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(entry, dict):
                root.append(element(key, entry))
            else:
                ET.SubElement(root, key).text = str(entry)
    return root


def alike(there: ET.Element, wanted: ET.Element, but: t.Container[str]) -> bool:
    """Whether all that is wanted stands there, in whatever order; children of these names, and more, do not matter."""
    return all(
        sorted(map(_canonical, there.findall(child.tag))) == sorted(map(_canonical, wanted.findall(child.tag)))
        for child in wanted
        if child.tag not in but and not len(child)
    ) and all(_within(there, child, but) for child in wanted if child.tag not in but and len(child))


def _within(there: ET.Element, child: ET.Element, but: t.Container[str]) -> bool:
    found = there.find(child.tag)
    return found is not None and alike(found, child, but)


def _canonical(leaf: ET.Element) -> str:
    return (leaf.text or "").strip()


__all__ = (
    "ANY",
    "SINGLE",
    "Objects",
    "alike",
    "allows_port",
    "covers",
    "element",
    "family_of",
    "is_host",
    "is_service",
    "name_of",
    "texts",
)
