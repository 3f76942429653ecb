# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Forward one TCP port of the firewall to a host, for the time of a lease, and take it back.

It takes five objects: host, service, schedule, firewall rule, NAT rule. The NAT rule comes last and goes first, so the
port is open no longer than need be. What exists with equal content is used, not owned; what we make bears our mark.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
import xml.etree.ElementTree as ET

from .api import Firewall, Write
from .change import Change
from .errors import XgsError
from .lease import Lease, mark_of

# In the order of removal: what refers before what is referred to (API document, 504).
ENTITIES = ("NATRule", "FirewallRule", "Schedule", "Services", "IPHost")
RULES = ENTITIES[:2]
# Somebody else uses a helper object of ours by now: it stays until the next sweep.
STILL_USED = (504,)


@dataclasses.dataclass(frozen=True)
class Forward:
    """What shall be forwarded.

    target, target_port: IPv4 address and TCP port of the host that answers. zone: where it is, seen from the firewall.
    port: TCP port on the firewall. wan_host: the host object of the interface, such as #Port2.
    masquerade: replace the source address; without it only a host answers whose way back is this firewall (measured).
    lease: seconds.
    """

    name: str
    target: str
    target_port: int = 8080
    zone: str = "LAN"
    port: int = 80
    wan_host: str = "#Port2"
    masquerade: bool = True
    lease: int = 900

    def __str__(self) -> str:
        return f"{self.wan_host}:{self.port} to {self.target}:{self.target_port}"


Objects = t.Dict[str, t.List[ET.Element]]


def read_objects(firewall: Firewall) -> Objects:
    """Everything that a plan looks at: one read for each entity."""
    return {entity: firewall.get(entity) for entity in ENTITIES}


def plan_present(objects: Objects, wanted: Forward, lease: Lease, now: datetime.datetime) -> Change:
    """Open, or leave open what is open as wanted for half of the lease at least; a remainder is cleared away first."""
    _check(objects, wanted)
    owned = _owned(objects, wanted.name)
    # Somebody may use our helper objects by now: those that fit are used on, whatever their mark, and never changed.
    stale = [element for element in owned if not _fits(element, wanted)]
    enough = datetime.timedelta(seconds=wanted.lease / 2)
    if _same(owned, objects, wanted) and all((mark_of(element) or now) >= now + enough for element in stale):
        return Change({}, {})
    fresh = _build(_without(objects, stale), wanted, lease)
    return Change(_listed(stale), _summary(wanted, lease), (*_removals(stale), *fresh))


def plan_absent(objects: Objects, name: str) -> Change:
    """Close: remove what we made under this name, whole, half-made or expired."""
    owned = _owned(objects, name)
    return Change(_listed(owned), {}, tuple(_removals(owned)))


def plan_swept(objects: Objects, now: datetime.datetime) -> Change:
    """Remove everything of ours, under whatever name, whose lease is over; and nothing else."""
    stale = [element for element in _all(objects) if (mark_of(element) or now) < now]
    return Change(_listed(stale), {}, tuple(_removals(stale)))


def _names(name: str) -> dict[str, tuple[str, ...]]:
    return {
        "NATRule": (name,),
        "FirewallRule": (name,),
        "Schedule": (f"{name}-lease",),
        "Services": (f"{name}-target", f"{name}-wan"),
        "IPHost": (f"{name}-target",),
    }


def _all(objects: Objects) -> t.Iterator[ET.Element]:
    for entity in ENTITIES:
        yield from objects[entity]


def _owned(objects: Objects, name: str) -> list[ET.Element]:
    """Our objects of this name. Raises XgsError when somebody else's object bears one of the names."""
    names = _names(name)
    found = [element for element in _all(objects) if element.findtext("Name") in names[element.tag]]
    for element in found:
        if mark_of(element) is None:
            raise XgsError(
                f"there is a {element.tag} '{element.findtext('Name')}' that this collection did not make",
                remedy="Rename it, or set another name for the port forward.",
            )
    return found


def _without(objects: Objects, gone: list[ET.Element]) -> Objects:
    return {entity: [element for element in objects[entity] if element not in gone] for entity in ENTITIES}


def _removals(elements: t.Iterable[ET.Element]) -> t.Iterator[Write]:
    for element in elements:
        entity = ET.Element(element.tag)
        ET.SubElement(entity, "Name").text = element.findtext("Name")
        yield Write("remove", entity, satisfied_by=() if element.tag in RULES else STILL_USED)


def _check(objects: Objects, wanted: Forward) -> None:
    """Conflicts that are known before anything is written."""
    hosts = [host.findtext("Name", "") for host in objects["IPHost"]]
    if wanted.wan_host not in hosts:
        system = ", ".join(sorted(name for name in hosts if name.startswith("#")))
        raise XgsError(
            f"there is no host object '{wanted.wan_host}'",
            remedy=f"Set wan_host to the interface that the names point to: {system}." if system else "Set wan_host.",
        )
    services = {name for name in map(_tcp_service(wanted.port), objects["Services"]) if name}
    for rule in objects["NATRule"]:
        if rule.findtext("Name") == wanted.name or rule.findtext("Status") != "Enable":
            continue
        networks = {element.text for element in rule.findall("OriginalDestinationNetworks/Network")}
        ports = {element.text for element in rule.findall("OriginalServices/Service")}
        if wanted.wan_host in networks and ports & services:
            raise XgsError(
                f"the NAT rule '{rule.findtext('Name')}' forwards {wanted.wan_host}:{wanted.port} already",
                remedy="Remove or disable it, or serve /.well-known/acme-challenge/ on the host that it leads to.",
            )


def _build(objects: Objects, wanted: Forward, lease: Lease) -> list[Write]:
    """The writes that open, over what can be used of what is there."""
    names = _names(wanted.name)
    host = _reuse(objects["IPHost"], lambda element: wanted.target if _is_host(element, wanted.target) else None)
    target = _reuse(objects["Services"], _tcp_service(wanted.target_port))
    wan = _reuse(objects["Services"], _tcp_service(wanted.port))
    schedule = _reuse(objects["Schedule"], lease.equals)
    mark = lease.description
    new: list[ET.Element] = []
    if host is None:
        host = names["IPHost"][0]
        new.append(
            _element("IPHost", Name=host, Description=mark, IPFamily="IPv4", HostType="IP", IPAddress=wanted.target)
        )
    if target is None:
        target = names["Services"][0]
        new.append(_service(target, wanted.target_port, mark))
    if wan is None:
        wan = target if wanted.port == wanted.target_port else names["Services"][1]
        if wan != target:
            new.append(_service(wan, wanted.port, mark))
    if schedule is None:
        schedule = names["Schedule"][0]
        new.append(lease.schedule(schedule))
    new.append(_firewall_rule(wanted, mark, schedule, host, sorted({wan, target})))
    new.append(_nat_rule(wanted, mark, host, wan, target))
    return [Write("add", element) for element in new]


def _reuse(elements: t.Iterable[ET.Element], fits: t.Callable[[ET.Element], t.Any]) -> str | None:
    """Name of an existing object of the same content. An equal one must not be made again (503)."""
    return next((element.findtext("Name") for element in elements if fits(element)), None)


def _is_host(element: ET.Element, address: str) -> bool:
    return element.findtext("HostType") == "IP" and element.findtext("IPAddress") == address


def _fits(element: ET.Element, wanted: Forward) -> bool:
    """Whether it is a host or service as the forward needs it."""
    ports = (wanted.port, wanted.target_port)
    return _is_host(element, wanted.target) or any(_tcp_service(port)(element) for port in ports)


def _tcp_service(port: int) -> t.Callable[[ET.Element], str | None]:
    """A test for services that are this TCP port and nothing else; gives their name."""

    def name_of(element: ET.Element) -> str | None:
        details = element.findall("ServiceDetails/ServiceDetail")
        if len(details) != 1 or details[0].findtext("Protocol") != "TCP":
            return None
        return element.findtext("Name") if details[0].findtext("DestinationPort") == str(port) else None

    return name_of


def _service(name: str, port: int, mark: str) -> ET.Element:
    service = _element("Services", Name=name, Description=mark, Type="TCPorUDP")
    detail = ET.SubElement(ET.SubElement(service, "ServiceDetails"), "ServiceDetail")
    for tag, text in {"SourcePort": "1:65535", "DestinationPort": str(port), "Protocol": "TCP"}.items():
        ET.SubElement(detail, tag).text = text
    return service


def _firewall_rule(wanted: Forward, mark: str, schedule: str, host: str, services: list[str]) -> ET.Element:
    """Both services and both hosts: whether the rule is matched before or after translation is not documented."""
    rule = _element(
        "FirewallRule",
        Name=wanted.name,
        Description=mark,
        IPFamily="IPv4",
        Status="Enable",
        Position="Top",
        PolicyType="Network",
    )
    policy = ET.SubElement(rule, "NetworkPolicy")
    for tag, text in {"Action": "Accept", "LogTraffic": "Enable", "SkipLocalDestined": "Disable"}.items():
        ET.SubElement(policy, tag).text = text
    _list(policy, "SourceZones", "Zone", ["WAN"])
    _list(policy, "DestinationZones", "Zone", [wanted.zone])
    ET.SubElement(policy, "Schedule").text = schedule
    _list(policy, "DestinationNetworks", "Network", [wanted.wan_host, host])
    _list(policy, "Services", "Service", services)
    return rule


def _nat_rule(wanted: Forward, mark: str, host: str, wan: str, target: str) -> ET.Element:
    rule = _element(
        "NATRule",
        Name=wanted.name,
        Description=mark,
        IPFamily="IPv4",
        Status="Enable",
        Position="Top",
        LinkedFirewallrule="None",
        TranslatedSource="MASQ" if wanted.masquerade else "Original",
    )
    _list(rule, "OriginalDestinationNetworks", "Network", [wanted.wan_host])
    ET.SubElement(rule, "TranslatedDestination").text = host
    _list(rule, "OriginalServices", "Service", [wan])
    ET.SubElement(rule, "TranslatedService").text = target
    return rule


def _same(owned: list[ET.Element], objects: Objects, wanted: Forward) -> bool:
    """Whether both rules are there and lead where they shall, judged by what they refer to."""
    rules = {element.tag: element for element in owned if element.tag in RULES}
    if len(rules) != 2:
        return False
    nat, rule = rules["NATRule"], rules["FirewallRule"]
    hosts = {element.findtext("Name"): element for element in objects["IPHost"]}
    target = hosts.get(nat.findtext("TranslatedDestination"))
    services = {
        port: {_tcp_service(port)(element) for element in objects["Services"]}
        for port in (wanted.port, wanted.target_port)
    }
    return (
        target is not None
        and _is_host(target, wanted.target)
        and nat.findtext("OriginalDestinationNetworks/Network") == wanted.wan_host
        and nat.findtext("OriginalServices/Service") in services[wanted.port]
        and nat.findtext("TranslatedService") in services[wanted.target_port]
        and nat.findtext("TranslatedSource") == ("MASQ" if wanted.masquerade else "Original")
        and {nat.findtext("Status"), rule.findtext("Status")} == {"Enable"}
        and rule.findtext("NetworkPolicy/DestinationZones/Zone") == wanted.zone
    )


def _element(tag: str, **children: str) -> ET.Element:
    element = ET.Element(tag)
    for child, text in children.items():
        ET.SubElement(element, child).text = text
    return element


def _list(parent: ET.Element, tag: str, item: str, texts: t.Iterable[str]) -> None:
    outer = ET.SubElement(parent, tag)
    for text in texts:
        ET.SubElement(outer, item).text = text


def _summary(wanted: Forward, lease: Lease) -> dict[str, t.Any]:
    return {
        "forward": str(wanted),
        "zone": wanted.zone,
        "masquerade": wanted.masquerade,
        "until": f"{lease.end:%Y-%m-%d %H:%M %Z}",
    }


def _listed(elements: t.Iterable[ET.Element]) -> dict[str, t.Any]:
    return {f"{element.tag} {element.findtext('Name')}": element.findtext("Description") for element in elements}


__all__ = ("Forward", "Objects", "plan_absent", "plan_present", "plan_swept", "read_objects")
