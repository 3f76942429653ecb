# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What single entities demand beyond the rules of the schema."""

from __future__ import annotations

import ipaddress
import re
import xml.etree.ElementTree as ET
from zoneinfo import available_timezones

from . import rules, schedules
from .device import Device
from .envelope import Refused
from .schema import named, text

__all__ = ["CHECKS"]

ADDRESSES = {"IP": ("IPAddress",), "Network": ("IPAddress", "Subnet"), "IPRange": ("StartIPAddress", "EndIPAddress")}
PORTS = r"\d{1,5}(:\d{1,5})?"
INTERFACES = ("Port1", "Port2", "Any")


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _others(device: Device, element: ET.Element, key: str = "Name") -> list[ET.Element]:
    name = text(element, key)
    return [other for other in device.store.all(element.tag) if text(other, key) != name]


def ip_host(device: Device, element: ET.Element, update: bool) -> None:
    kind = text(element, "HostType")
    bad = [tag for tag in ADDRESSES.get(kind, ()) if not _is_address(text(element, tag))]
    listed = text(element, "ListOfIPAddresses")
    if kind == "IPList" and not (listed and all(map(_is_address, listed.split(",")))):
        bad.append("ListOfIPAddresses")
    if bad:
        raise Refused.validation(*(f"/IPHost/{tag}" for tag in bad))
    details = ("HostType", "IPAddress", "Subnet", "StartIPAddress", "EndIPAddress", "ListOfIPAddresses")
    mine = [text(element, tag) for tag in details]
    repeated = any([text(other, tag) for tag in details] == mine for other in _others(device, element))
    if repeated and not device.settings.allow_duplicate_hosts:
        raise Refused(503, "Host with the same detail already exists.")


def service(device: Device, element: ET.Element, update: bool) -> None:
    details = element.findall("ServiceDetails/ServiceDetail")
    bad = [] if details else ["ServiceDetails/ServiceDetail"]
    if text(element, "Type", "TCPorUDP") == "TCPorUDP":
        for detail in details:
            bad += [
                f"ServiceDetails/ServiceDetail/{tag}"
                for tag in ("SourcePort", "DestinationPort")
                if not _is_port_range(text(detail, tag))
            ]
            if text(detail, "Protocol") not in ("TCP", "UDP"):
                bad.append("ServiceDetails/ServiceDetail/Protocol")
    if bad:
        raise Refused.validation(*(f"/Services/{path}" for path in bad))
    users = device.store.users("Services", text(element, "Name")) if update else ()
    if any(tag == "NATRule" for tag, _ in users):
        raise Refused(503, "Service cannot be updated. It is currently being used in business application rule(s).")


def _is_port_range(value: str) -> bool:
    return bool(re.fullmatch(PORTS, value)) and all(0 < int(port) < 65536 for port in value.split(":"))


def schedule(device: Device, element: ET.Element, update: bool) -> None:
    schedules.check(element, _others(device, element))


def nat_rule(device: Device, element: ET.Element, update: bool) -> None:
    for path in ("InboundInterfaces/Interface", "OutboundInterfaces/Interface"):
        if any(name not in INTERFACES for name in named(element, path)):
            raise Refused.validation(f"/NATRule/{path}")
    if rules.destination_conflict(device.store, element):
        raise Refused(
            503,
            "Virtual host could not be added. Virtual host/web server with the same IP address "
            "already exists, choose a different external IP address.",
        )


def firewall_rule(device: Device, element: ET.Element, update: bool) -> None:
    kind = text(element, "PolicyType")
    policy = {"Network": "NetworkPolicy", "User": "UserPolicy", "HTTPBased": "HTTPBasedPolicy"}[kind]
    if element.find(policy) is None:
        raise Refused.validation(f"/FirewallRule/{policy}")
    before = device.store.get("FirewallRule", text(element, "Name"))
    if before is not None and text(before, "PolicyType") != kind:
        raise Refused(552, "Firewall rule with the same rule name but different rule type already exists.")
    if kind == "HTTPBased":
        _waf_rule(device, element)


def _waf_rule(device: Device, element: ET.Element) -> None:
    required = ["HostedAddress", "HTTPS", "ListenPort", "Domains/Domain"]
    if text(element, "HTTPBasedPolicy/HTTPS") == "Enable":
        required.append("Certificate")
    bad = [path for path in required if not named(element, f"HTTPBasedPolicy/{path}")]
    if bad:
        raise Refused.validation(*(f"/FirewallRule/HTTPBasedPolicy/{path}" for path in bad))
    port = text(element, "HTTPBasedPolicy/ListenPort")
    admin = device.store.get("AdminSettings")
    assert admin is not None
    if port == text(admin, "WebAdminSettings/UserPortalHTTPSPort"):
        raise Refused(550, f'You cannot configure "{port}" for listening port as it is configured as user portal port.')
    if port == text(admin, "WebAdminSettings/HTTPSport"):
        raise Refused(545, "Service is already configured on the specified port, choose another port.")
    _waf_neighbours(device, element, port)


def _waf_neighbours(device: Device, element: ET.Element, port: str) -> None:
    domains = set(named(element, "HTTPBasedPolicy/Domains/Domain"))
    for other in _others(device, element):
        if text(other, "HTTPBasedPolicy/ListenPort") != port:
            continue
        if text(other, "HTTPBasedPolicy/HTTPS") != text(element, "HTTPBasedPolicy/HTTPS"):
            raise Refused(
                542, "Can't select HTTP on the specified listening port. Another server is using HTTPS on this port."
            )
        if domains & set(named(other, "HTTPBasedPolicy/Domains/Domain")):
            raise Refused(546, "The specified domains are in use in another policy on the same listening port.")


def rule_group(device: Device, element: ET.Element, update: bool) -> None:
    if len(named(element, "SecurityPolicyList/SecurityPolicy")) > 200:
        raise Refused.validation("/FirewallRuleGroup/SecurityPolicyList/SecurityPolicy")


def connect_client(device: Device, element: ET.Element, update: bool) -> None:
    if text(element, "AuthenticationType") == "DigitalCertificate":
        bad = [tag for tag in ("LocalCertificate", "RemoteCertificate") if not text(element, tag)]
        if bad:
            raise Refused.validation(*(f"/SophosConnectClient/{tag}" for tag in bad))


def admin_settings(device: Device, element: ET.Element, update: bool) -> None:
    web = element.find("WebAdminSettings")
    assert web is not None
    ports = [int(text(web, tag)) for tag in ("HTTPSport", "UserPortalHTTPSPort")]
    if not all(0 < port < 65536 for port in ports):
        raise Refused.validation("/AdminSettings/WebAdminSettings/HTTPSport")
    if ports[0] == ports[1] or ports[1] in {site.port for site in rules.waf_sites(device.store)}:
        raise Refused(541, "Service is already configured on the specified port, choose another HTTP port.")
    if ports[0] in {site.port for site in rules.waf_sites(device.store)}:
        raise Refused(542, "The admin console port is already in use. Enter a different port number.")


def time_settings(device: Device, element: ET.Element, update: bool) -> None:
    zone = text(element, "TimeZone")
    if zone not in available_timezones():
        raise Refused.validation("/Time/TimeZone")


CHECKS = {
    "IPHost": ip_host,
    "Services": service,
    "Schedule": schedule,
    "NATRule": nat_rule,
    "FirewallRule": firewall_rule,
    "FirewallRuleGroup": rule_group,
    "SophosConnectClient": connect_client,
    "AdminSettings": admin_settings,
    "Time": time_settings,
}
