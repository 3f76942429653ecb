# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What single entities demand beyond the rules of the schema."""

from __future__ import annotations

import ipaddress
import re
import xml.etree.ElementTree as ET
from zoneinfo import available_timezones

from . import rules, schedules
from .defaults import APPLIANCE
from .device import Device
from .envelope import Refused
from .schema import Entity, named, text
from .store import CENTRAL, FAILED

__all__ = ["CHECKS", "certificates_fit"]

ADDRESSES = {"IP": ("IPAddress",), "Network": ("IPAddress",), "IPRange": ("StartIPAddress", "EndIPAddress")}
PORTS = r"\d{1,5}(:\d{1,5})?"
VPN = "VPN/OtherVPNConfigurations"
CERTIFICATE_INVALID = (508, "Certificate invalid.")
KEY_NEEDED = ("SophosConnectClient", "VPNIPSecConnection", "L2TPConnection")
PORT_TAKEN = (
    504,
    "Virtual host could not be added. Virtual host/web server with the same port/port range already exists.",
)
CANNOT_REDIRECT = "Can't redirect to HTTPS. The specified domains are in use in another firewall rule on port 80"
CANNOT_USE_80 = "Can't specify port 80 for this domain. The domain has HTTP to HTTPS redirection in another rule"


def _family(value: str) -> str:
    """ "" when this is no address."""
    try:
        return f"IPv{ipaddress.ip_address(value).version}"
    except ValueError:
        return ""


def _is_mask(value: str, family: str) -> bool:
    if family == "IPv6":
        return value.isdecimal() and 1 <= int(value) <= 128
    try:
        ipaddress.IPv4Network(f"0.0.0.0/{value}")
    except ValueError:
        return False
    return "." in value


def _others(device: Device, element: ET.Element, key: str = "Name") -> list[ET.Element]:
    name = text(element, key)
    return [other for other in device.store.all(element.tag) if text(other, key) != name]


def certificates_fit(device: Device, entity: Entity, element: ET.Element) -> None:
    """Is every certificate that this entity names of use to it?"""
    for ref in entity.references:
        for name in named(element, ref.path) if "Certificate" in ref.targets else ():
            material = device.store.material("Certificate", name)
            if material is None:
                continue
            if entity.tag in device.settings.reject_ec and material.elliptic and name != APPLIANCE:
                raise Refused(*(CERTIFICATE_INVALID if entity.right == VPN else FAILED))
            if entity.tag in KEY_NEEDED and ref.path.endswith("LocalCertificate") and not material.key:
                raise Refused(*CERTIFICATE_INVALID)


def ip_host(device: Device, element: ET.Element, update: bool) -> None:
    kind, family = text(element, "HostType"), text(element, "IPFamily", "IPv4")
    bad = [tag for tag in ADDRESSES.get(kind, ()) if _family(text(element, tag)) != family]
    if kind == "Network" and not _is_mask(text(element, "Subnet"), family):
        bad.append("Subnet")
    listed = text(element, "ListOfIPAddresses")
    if kind == "IPList" and any(_family(address) != family for address in listed.split(",")):
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
        # A system host is called # and the name of its interface.
        if any(name != "Any" and f"#{name}" not in device.store.names("IPHost") for name in named(element, path)):
            raise Refused.validation(f"/NATRule/{path}")
    _one_family(device, element, NAT_NETWORKS)
    if rules.destination_conflict(device.store, element):
        raise Refused(
            503,
            "Virtual host could not be added. Virtual host/web server with the same IP address "
            "already exists, choose a different external IP address.",
        )
    if device.settings.waf_blocks_dnat and rules.waf_on_port_80(device.store, element):
        raise Refused(*PORT_TAKEN)


NAT_NETWORKS = ("OriginalSourceNetworks/Network", "OriginalDestinationNetworks/Network", "TranslatedDestination")
RULE_NETWORKS = ("NetworkPolicy/SourceNetworks/Network", "NetworkPolicy/DestinationNetworks/Network")


def _one_family(device: Device, element: ET.Element, paths: tuple[str, ...]) -> None:
    family = text(element, "IPFamily", "IPv4")
    hosts = {path: [device.store.get("IPHost", name) for name in named(element, path)] for path in paths}
    bad = [
        f"/{element.tag}/{path}"
        for path, found in hosts.items()
        if any(host is not None and text(host, "IPFamily", "IPv4") != family for host in found)
    ]
    if bad:
        raise Refused.validation(*bad)


def firewall_rule(device: Device, element: ET.Element, update: bool) -> None:
    kind = text(element, "PolicyType")
    policy = {"Network": "NetworkPolicy", "User": "UserPolicy", "HTTPBased": "HTTPBasedPolicy"}[kind]
    if element.find(policy) is None:
        raise Refused.validation(f"/FirewallRule/{policy}")
    if text(element, "Section", "Local") != "Local":
        raise Refused(*CENTRAL)
    _one_family(device, element, RULE_NETWORKS)
    before = device.store.get("FirewallRule", text(element, "Name"))
    if before is not None and text(before, "PolicyType") != kind:
        raise Refused(552, "Firewall rule with the same rule name but different rule type already exists.")
    if kind == "HTTPBased":
        if update and not device.settings.waf_updates:
            raise Refused(*FAILED)
        _waf_rule(device, element, update)


def _waf_rule(device: Device, element: ET.Element, update: bool) -> None:
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
    _waf_redirects(device, element, update)


def _waf_redirects(device: Device, element: ET.Element, update: bool) -> None:
    """Port 80 of a domain belongs to one rule. The help has the two codes the other way round for an update."""
    mine = rules.waf_site(element, "")
    for other in rules.waf_sites(device.store):
        if other.rule == mine.rule or not set(mine.domains) & set(other.domains):
            continue
        if mine.redirect and other.redirect:
            raise Refused(553, "Can't set up redirection to HTTPS for the same domains in different policies")
        if mine.redirect and other.plain_http:
            raise Refused(544 if update else 543, CANNOT_REDIRECT)
        if mine.plain_http and other.redirect:
            raise Refused(543 if update else 544, CANNOT_USE_80)


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


def vpn_connection(device: Device, element: ET.Element, update: bool) -> None:
    """Whoever authenticates by certificate names one; all but L2TP name that of the other side too."""
    block = "" if element.tag == "SophosConnectClient" else "Configuration/"
    wanted = ("LocalCertificate",) if element.tag == "L2TPConnection" else ("LocalCertificate", "RemoteCertificate")
    if text(element, f"{block}AuthenticationType") == "DigitalCertificate":
        bad = [tag for tag in wanted if not text(element, block + tag)]
        if bad:
            raise Refused.validation(*(f"/{element.tag}/{block}{tag}" for tag in bad))


def admin_settings(device: Device, element: ET.Element, update: bool) -> None:
    web = element.find("WebAdminSettings")
    assert web is not None
    if device.persona.vpn_portal and not text(web, "VPNPortalHTTPSPort"):
        raise Refused.validation("/AdminSettings/WebAdminSettings/VPNPortalHTTPSPort")
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
    "SophosConnectClient": vpn_connection,
    "VPNIPSecConnection": vpn_connection,
    "L2TPConnection": vpn_connection,
    "AdminSettings": admin_settings,
    "Time": time_settings,
}
