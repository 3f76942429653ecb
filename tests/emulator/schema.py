# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each entity looks like: its name, its fields, and the objects that it names."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from .envelope import Refused

__all__ = ["CERTIFICATE_ENTITIES", "ENTITIES", "Entity", "Field", "Reference", "named", "text", "validate"]

TOGGLE = ("Enable", "Disable")
NO_COMMA = r"[^,]+"


@dataclass(frozen=True)
class Field:
    path: str
    required: bool = False
    choices: tuple[str, ...] = ()
    pattern: str = ""
    longest: int = 0

    def allows(self, value: str) -> bool:
        return not (
            (self.choices and value not in self.choices)
            or (self.pattern and not re.fullmatch(self.pattern, value))
            or (self.longest and len(value) > self.longest)
        )


@dataclass(frozen=True)
class Reference:
    path: str
    targets: tuple[str, ...]
    # Words that stand there without being an object's name.
    words: tuple[str, ...] = ()
    # A weak reference follows the removal of its target instead of forbidding it.
    weak: bool = False


@dataclass(frozen=True)
class Entity:
    tag: str
    right: str
    key: str = "Name"
    singleton: bool = False
    positioned: bool = False
    fields: tuple[Field, ...] = ()
    references: tuple[Reference, ...] = ()
    # Names are taken together with those of this entity (a service and a service group).
    shares_names_with: str = ""
    filters: tuple[str, ...] = ()


HOSTS = ("IPHost", "IPHostGroup", "FQDNHost")
SERVICES = ("Services", "ServiceGroup")
ANY = ("Any",)
DESCRIPTION = Field("Description", longest=255)
FAMILY = Field("IPFamily", choices=("IPv4", "IPv6"))
STATUS = Field("Status", choices=TOGGLE)
POSITION = Field("Position", choices=("Top", "Bottom", "After", "Before"))


def _name(longest: int, pattern: str = NO_COMMA, key: str = "Name") -> Field:
    return Field(key, required=True, pattern=pattern, longest=longest)


def _port(path: str, required: bool = True) -> Field:
    return Field(path, required=required, pattern=r"\d{1,5}")


def _certificate(path: str, *more: str) -> Reference:
    return Reference(path, ("Certificate", *more))


_NETWORK = "NetworkPolicy"
_WAF = "HTTPBasedPolicy"

_ENTITIES = (
    Entity(
        "IPHost",
        "Objects",
        filters=("IPAddress",),
        fields=(
            _name(60, r"[^#,][^,]*"),
            FAMILY,
            DESCRIPTION,
            Field("HostType", required=True, choices=("IP", "Network", "IPRange", "IPList")),
        ),
        references=(Reference("HostGroupList/HostGroup", ("IPHostGroup",)),),
    ),
    Entity(
        "IPHostGroup", "Objects", fields=(_name(60), DESCRIPTION), references=(Reference("HostList/Host", ("IPHost",)),)
    ),
    Entity("FQDNHost", "Objects", fields=(_name(60), DESCRIPTION, Field("FQDN", required=True))),
    Entity(
        "Services",
        "Objects",
        shares_names_with="ServiceGroup",
        fields=(_name(50), DESCRIPTION, Field("Type", choices=("TCPorUDP", "IP", "ICMP", "ICMPv6"))),
    ),
    Entity(
        "ServiceGroup",
        "Objects",
        shares_names_with="Services",
        fields=(_name(50), DESCRIPTION),
        references=(Reference("ServiceList/Service", ("Services",)),),
    ),
    Entity("Schedule", "Objects", fields=(_name(50), DESCRIPTION)),
    Entity("Zone", "Network", fields=(_name(60), DESCRIPTION)),
    Entity("Time", "System/OtherSystemConfiguration", singleton=True),
    Entity(
        "NATRule",
        "Firewall",
        positioned=True,
        fields=(
            _name(60),
            DESCRIPTION,
            FAMILY,
            STATUS,
            POSITION,
            Field("NATMethod", choices=("Round-robin", "First_alive", "Random", "StickyIP", "OnetoOne")),
        ),
        references=(
            Reference("OriginalSourceNetworks/Network", HOSTS, ANY),
            Reference("OriginalDestinationNetworks/Network", HOSTS, ANY),
            Reference("TranslatedSource", HOSTS, ("Original", "MASQ")),
            Reference("TranslatedDestination", HOSTS, ("Original",)),
            Reference("OriginalServices/Service", SERVICES, ANY),
            Reference("TranslatedService", SERVICES, ("Original",)),
            Reference("LinkedFirewallrule", ("FirewallRule",), ("None",)),
        ),
    ),
    Entity(
        "FirewallRule",
        "Firewall",
        positioned=True,
        fields=(
            _name(60),
            DESCRIPTION,
            FAMILY,
            STATUS,
            POSITION,
            Field("PolicyType", required=True, choices=("Network", "User", "HTTPBased")),
            Field(f"{_NETWORK}/Action", choices=("Accept", "Reject", "Drop")),
            Field(f"{_NETWORK}/LogTraffic", choices=TOGGLE),
            Field(f"{_NETWORK}/SkipLocalDestined", choices=TOGGLE),
            Field(f"{_WAF}/HTTPS", choices=TOGGLE),
            Field(f"{_WAF}/RedirectHTTP", choices=TOGGLE),
            _port(f"{_WAF}/ListenPort", required=False),
        ),
        references=(
            Reference(f"{_NETWORK}/SourceZones/Zone", ("Zone",), ANY),
            Reference(f"{_NETWORK}/DestinationZones/Zone", ("Zone",), ANY),
            Reference(f"{_NETWORK}/SourceNetworks/Network", HOSTS, ANY),
            Reference(f"{_NETWORK}/DestinationNetworks/Network", HOSTS, ANY),
            Reference(f"{_NETWORK}/Services/Service", SERVICES, ANY),
            Reference(f"{_NETWORK}/Schedule", ("Schedule",)),
            Reference(f"{_WAF}/HostedAddress", ("IPHost",)),
            _certificate(f"{_WAF}/Certificate"),
        ),
    ),
    Entity(
        "FirewallRuleGroup",
        "Firewall",
        fields=(
            _name(150),
            DESCRIPTION,
            Field("Policytype", choices=("User/network rule", "Network rule", "User rule", "WAF rule", "Any")),
        ),
        references=(
            Reference("SecurityPolicyList/SecurityPolicy", ("FirewallRule",), weak=True),
            Reference("SourceZones/Zone", ("Zone",), ANY),
            Reference("DestinationZones/Zone", ("Zone",), ANY),
        ),
    ),
    Entity(
        "LocalServiceACL",
        "System/OtherSystemConfiguration",
        key="RuleName",
        positioned=True,
        fields=(_name(60, key="RuleName"), DESCRIPTION, FAMILY, POSITION, Field("Action", choices=("accept", "drop"))),
        references=(
            Reference("Hosts/Host", HOSTS, ANY),
            Reference("Hosts/DstHost", HOSTS, ANY),
            Reference("SourceZone", ("Zone",), ANY),
        ),
    ),
    Entity(
        "AdminSettings",
        "System/OtherSystemConfiguration",
        singleton=True,
        fields=(
            _port("WebAdminSettings/HTTPSport"),
            _port("WebAdminSettings/UserPortalHTTPSPort"),
            _port("WebAdminSettings/VPNPortalHTTPSPort"),
            Field("WebAdminSettings/Certificate", required=True),
            Field("WebAdminSettings/PortalRedirectMode", choices=("ip", "fqdn", "custom")),
            Field("WebAdminSettings/PortalCustomHostname", longest=255),
        ),
        references=(_certificate("WebAdminSettings/Certificate"),),
    ),
    Entity("Certificate", "System/OtherCertificateConfiguration"),
    Entity("CertificateAuthority", "System/OtherCertificateConfiguration"),
    Entity(
        "SSLTunnelAccessSettings",
        "VPN/OtherVPNConfigurations",
        singleton=True,
        fields=(Field("Protocol", required=True, choices=("TCP", "UDP")), Field("SSLServerCertificate", required=True)),
        references=(_certificate("SSLServerCertificate"),),
    ),
    Entity(
        "EmailConfiguration",
        "AntiVirus",
        singleton=True,
        references=(
            _certificate("SMTPTLSConfiguration/TLSCertificate", "CertificateAuthority"),
            _certificate("POPSIMAPTLSConfiguration/TLSCertificate", "CertificateAuthority"),
        ),
    ),
    Entity(
        "SophosConnectClient",
        "VPN/OtherVPNConfigurations",
        singleton=True,
        fields=(
            Field("Name", required=True, pattern=r"[A-Za-z][A-Za-z0-9_]*"),
            Field("SophosConnectClientConfiguration", choices=TOGGLE),
            Field("AuthenticationType", required=True, choices=("PresharedKey", "DigitalCertificate")),
        ),
        references=(_certificate("LocalCertificate"), _certificate("RemoteCertificate", "CertificateAuthority")),
    ),
    Entity(
        "VPNIPSecConnection",
        "VPN/OtherVPNConfigurations",
        fields=(_name(50), DESCRIPTION),
        references=(_certificate("LocalCertificate"), _certificate("RemoteCertificate", "CertificateAuthority")),
    ),
    Entity(
        "L2TPConnection",
        "VPN/OtherVPNConfigurations",
        fields=(_name(50), DESCRIPTION),
        references=(_certificate("LocalCertificate"),),
    ),
    Entity(
        "AdvancedConfiguration",
        "Network",
        singleton=True,
        references=(_certificate("LoginPageCertificate/Certificate"),),
    ),
    Entity("SystemServices", "System/Services", singleton=True),
    Entity("HAConfigure", "System/HA", singleton=True),
)

ENTITIES: dict[str, Entity] = {entity.tag: entity for entity in _ENTITIES}
CERTIFICATE_ENTITIES = ("Certificate", "CertificateAuthority")


def text(element: ET.Element, path: str, default: str = "") -> str:
    return (element.findtext(path) or "").strip() or default


def named(element: ET.Element, path: str) -> list[str]:
    """The non-empty texts below a path."""
    return [value for found in element.findall(path) if (value := (found.text or "").strip())]


def validate(entity: Entity, element: ET.Element) -> None:
    """Raise 501, naming every field that breaks a rule."""
    bad = []
    for rule in entity.fields:
        values = named(element, rule.path)
        if (rule.required and not values) or not all(rule.allows(value) for value in values):
            bad.append(f"/{entity.tag}/{rule.path}")
    if bad:
        raise Refused.validation(*bad)
