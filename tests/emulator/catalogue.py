# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every entity of the API that is modelled. Mandatory fields and choices are those of the vendor's help."""

from __future__ import annotations

from .schema import Entity, Field, Reference

__all__ = ["CERTIFICATE_ENTITIES", "ENTITIES", "HOSTS"]

TOGGLE = ("Enable", "Disable")
NO_COMMA = r"[^,]+"
LETTER_FIRST = r"[A-Za-z][A-Za-z0-9_]*"

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


def _needed(path: str) -> Field:
    return Field(path, required=True)


def _certificate(path: str, *more: str) -> Reference:
    return Reference(path, ("Certificate", *more))


_NETWORK = "NetworkPolicy"
_WAF = "HTTPBasedPolicy"
_VPN = "VPN/OtherVPNConfigurations"
_BLOCK = "Configuration"

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
            Field("Section", choices=("Central_TOP", "Local", "Central_Bottom")),
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
            # Mandatory where there is a VPN portal, see checks.
            _port("WebAdminSettings/VPNPortalHTTPSPort", required=False),
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
        _VPN,
        singleton=True,
        fields=(
            Field("Protocol", required=True, choices=("TCP", "UDP")),
            _needed("SSLServerCertificate"),
            _needed("IPLeaseRange/StartIP"),
            _needed("SubnetMask"),
            Field("IPv6Lease", present=True),
            Field("IPv6Prefix", present=True),
            Field("LeaseMode", required=True, choices=("IPv4", "IPv4 and IPv6")),
        ),
        references=(_certificate("SSLServerCertificate"),),
    ),
    Entity(
        "EmailConfiguration",
        "EmailProtection",
        singleton=True,
        fields=(
            _needed("SMTPSSettings/DontScanEmailsGreaterThan"),
            Field("SMTPSSettings/ActionForOversizeEmails", required=True, choices=("Accept", "Reject", "Drop")),
            _needed("SMTPSSettings/VerifySendersIPReputation"),
            _needed("POPIMAPSettings/DontScanEmailsGreaterThan"),
            _needed("POPIMAPSettings/RecipientHeaders/Header"),
            _needed("SMTPTLSConfiguration/TLSCertificate"),
            _needed("POPSIMAPTLSConfiguration/TLSCertificate"),
        ),
        references=(
            _certificate("SMTPTLSConfiguration/TLSCertificate", "CertificateAuthority"),
            _certificate("POPSIMAPTLSConfiguration/TLSCertificate", "CertificateAuthority"),
        ),
    ),
    Entity(
        "SophosConnectClient",
        _VPN,
        singleton=True,
        fields=(
            Field("Name", required=True, pattern=LETTER_FIRST),
            Field("SophosConnectClientConfiguration", choices=TOGGLE),
            Field("AuthenticationType", required=True, choices=("PresharedKey", "DigitalCertificate")),
            *map(_needed, ("AliasInterface", "PolicyID", "LocalIDType", "LocalID", "RemoteIDType", "RemoteID")),
            _needed("AssignIP/StartIP"),
            _needed("AssignIP/EndIP"),
        ),
        references=(_certificate("LocalCertificate"), _certificate("RemoteCertificate", "CertificateAuthority")),
    ),
    Entity(
        "VPNIPSecConnection",
        _VPN,
        key=f"{_BLOCK}/Name",
        block=_BLOCK,
        shares_names_with="L2TPConnection",
        fields=(
            _name(100, LETTER_FIRST, f"{_BLOCK}/Name"),
            Field(f"{_BLOCK}/Description", longest=255),
            Field(
                f"{_BLOCK}/ConnectionType",
                required=True,
                choices=("RemoteAccess", "SiteToSite", "HostToHost", "TunnelInterface"),
            ),
            Field(f"{_BLOCK}/AuthenticationType", choices=("PresharedKey", "DigitalCertificate", "RSAKey")),
            *(_needed(f"{_BLOCK}/{tag}") for tag in ("Policy", "AliasLocalWANPort", "RemoteHost")),
        ),
        references=(
            _certificate(f"{_BLOCK}/LocalCertificate"),
            Reference(f"{_BLOCK}/RemoteCertificate", ("Certificate", "CertificateAuthority"), ("ExternalCertificate",)),
        ),
    ),
    Entity(
        "L2TPConnection",
        _VPN,
        key=f"{_BLOCK}/Name",
        block=_BLOCK,
        shares_names_with="VPNIPSecConnection",
        fields=(
            _name(50, LETTER_FIRST, f"{_BLOCK}/Name"),
            Field(f"{_BLOCK}/Description", longest=255),
            Field(f"{_BLOCK}/ActionOnVPNRestart", required=True, choices=("Disable", "RespondOnly")),
            Field(f"{_BLOCK}/AuthenticationType", required=True, choices=("PresharedKey", "DigitalCertificate")),
            *(
                _needed(f"{_BLOCK}/{tag}")
                for tag in ("Policy", "AliasLocalWANPort", "RemoteHost", "LocalPort", "RemotePort")
            ),
        ),
        references=(_certificate(f"{_BLOCK}/LocalCertificate"),),
    ),
    Entity(
        "AdvancedConfiguration",
        "Network",
        singleton=True,
        references=(_certificate("LoginPageCertificate/Certificate"),),
    ),
    Entity("SystemServices", "System/Services", singleton=True),
    Entity("HAConfigure", "System/HA", singleton=True),
    Entity("User", "Identity/Authentication", key="Username", filters=("Name",)),
    Entity("AdministrationProfile", "System/Profile"),
)

ENTITIES: dict[str, Entity] = {entity.tag: entity for entity in _ENTITIES}
CERTIFICATE_ENTITIES = ("Certificate", "CertificateAuthority")
