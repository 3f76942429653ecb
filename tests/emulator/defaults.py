# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a firewall holds out of the box. Elements are shared by the whole fleet."""

from __future__ import annotations

import ipaddress
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from .config import FirewallConfig, WafRule
from .material import Material, self_signed
from .schedules import ALWAYS
from .store import SINGLETON, Store

__all__ = ["APPLIANCE", "SERVICES_OF_THE_DEVICE", "element", "fill", "host", "waf_rule"]

APPLIANCE = "ApplianceCertificate"
ZONES = ("LAN", "WAN", "DMZ", "VPN", "WiFi", "LOCAL")
AUTHORITIES = {
    "Default": "Internal",
    "SecurityAppliance_SSL_CA": "Internal",
    "Emulated_Root_A": "Built-in",
    "Emulated_Root_B": "Built-in",
}
SERVICES_OF_THE_DEVICE = (
    "AntiSpam",
    "AntiVirus",
    "Authentication",
    "DHCPServer",
    "DNSServer",
    "IPS",
    "WebProxy",
    "WAF",
    "DHCPv6Server",
    "RouterAdvertisementService",
)


def element(tag: str, content: Mapping[str, Any]) -> ET.Element:
    """A nested mapping as XML; a list repeats its element."""
    root = ET.Element(tag)
    for key, value in content.items():
        for entry in value if isinstance(value, list) else [value]:
            child = element(key, entry) if isinstance(entry, dict) else ET.Element(key)
            if not isinstance(entry, dict):
                child.text = str(entry)
            root.append(child)
    return root


def _service(name: str, port: int) -> ET.Element:
    detail = {"SourcePort": "1:65535", "DestinationPort": str(port), "Protocol": "TCP"}
    return element(
        "Services", {"Name": name, "Description": "", "Type": "TCPorUDP", "ServiceDetails": {"ServiceDetail": detail}}
    )


@lru_cache(maxsize=1)
def _shared() -> list[tuple[str, str, ET.Element, Material | None]]:
    found: list[tuple[str, str, ET.Element, Material | None]] = [
        ("Services", name, _service(name, port), None) for name, port in (("HTTP", 80), ("HTTPS", 443))
    ]
    found += [("Zone", zone, element("Zone", {"Name": zone, "Type": zone, "Description": ""}), None) for zone in ZONES]
    slot = {"Days": "All Days of week", "StartTime": "00:00", "StopTime": "23:59"}
    found.append(
        (
            "Schedule",
            ALWAYS,
            element(
                "Schedule",
                {"Name": ALWAYS, "Description": "", "Type": "Recurring", "ScheduleDetails": {"ScheduleDetail": slot}},
            ),
            None,
        )
    )
    for name, kind in AUTHORITIES.items():
        authority = element("CertificateAuthority", {"Name": name, "Format": "PEM", "Type": kind})
        material = Material(self_signed(name, authority=True).certificates)
        found.append(("CertificateAuthority", name, authority, material))
    return found


@cache
def _ssl_vpn(port: int) -> ET.Element:
    return element(
        "SSLTunnelAccessSettings",
        {
            "Protocol": "TCP",
            "SSLServerCertificate": APPLIANCE,
            "OverrideHostName": "",
            "Port": str(port),
            "IPLeaseRange": {"StartIP": "10.81.234.5", "EndIP": "10.81.234.55"},
            "SubnetMask": "255.255.255.0",
            "IPv6Lease": "2001:db8::1:0",
            "IPv6Prefix": "64",
            "LeaseMode": "IPv4",
            "DisconnectDeadPeerAfter": "180",
            "DisconnectIdlePeerAfter": "15",
            "EncryptionAlgorithm": "AES-128-CBC",
            "AuthenticationAlgorithm": "SHA256",
            "Keysize": "2048bit",
            "KeyLifetime": "28800",
            "CompressSSLVPNTraffic": "Enable",
            "DebugMode": "Disable",
        },
    )


@lru_cache(maxsize=1)
def _shared_singletons() -> list[ET.Element]:
    return [
        element(
            "EmailConfiguration",
            {
                "GeneralSettings": {"EmailSignature": "", "EmailBannerMode": "Off"},
                "SMTPSSettings": {
                    "DontScanEmailsGreaterThan": "1024",
                    "ActionForOversizeEmails": "Accept",
                    "BypassSpamCheck": "Disable",
                    "VerifySendersIPReputation": "Disable",
                    "SMTPSDosSettings": "Disable",
                },
                "POPIMAPSettings": {
                    "DontScanEmailsGreaterThan": "1024",
                    "RecipientHeaders": {"Header": ["Delivered-To", "Received", "X-RCPT-TO"]},
                },
                "SMTPTLSConfiguration": {"TLSCertificate": APPLIANCE, "AllowInvalidCertificate": "Enable"},
                "POPSIMAPTLSConfiguration": {
                    "TLSCertificate": "SecurityAppliance_SSL_CA",
                    "AllowInvalidCertificate": "Enable",
                },
            },
        ),
        element(
            "AdvancedConfiguration",
            {
                "LoginPageCertificate": {"Certificate": APPLIANCE},
                "GeneralVoucherOptions": {"DeleteOption": "Enable", "DeleteExpiredVouchersAfter": "30"},
                "WalledGarden": {"AllowedNetworks": ""},
            },
        ),
        element("SystemServices", {name: {"Status": "Running"} for name in SERVICES_OF_THE_DEVICE}),
    ]


def _admin_settings(config: FirewallConfig) -> ET.Element:
    vpn_portal = {"VPNPortalHTTPSPort": str(config.vpn_portal_port)} if config.persona.vpn_portal else {}
    return element(
        "AdminSettings",
        {
            "HostnameSettings": {"HostName": config.name, "HostNameDesc": ""},
            "WebAdminSettings": {
                "HTTPSport": str(config.admin_port),
                "UserPortalHTTPSPort": str(config.user_portal_port),
                **vpn_portal,
                "Certificate": APPLIANCE,
                "PortalRedirectMode": "ip",
                "PortalCustomHostname": "",
            },
            "LoginSecurity": {"LogoutSession": "10", "BlockLogin": "Disable"},
            "LoginDisclaimer": "Disable",
        },
    )


def host(name: str, address: str, kind: str = "IP") -> ET.Element:
    """`address` is an address or, for a host of the kind Network, a network."""
    network = ipaddress.ip_network(address)
    mask = str(network.prefixlen if network.version == 6 else network.netmask)
    return element(
        "IPHost",
        {
            "Name": name,
            "IPFamily": f"IPv{network.version}",
            "HostType": kind,
            "IPAddress": str(network.network_address),
            **({"Subnet": mask} if kind == "Network" else {}),
        },
    )


def fill(store: Store, config: FirewallConfig) -> None:
    for tag, name, built_in, material in _shared():
        store.put_built_in(tag, name, built_in, material)
    for singleton in _shared_singletons():
        store.put(singleton.tag, SINGLETON, singleton)
    for port, address in {"#Port1": config.lan_address, "#Port2": config.address, **config.wan_hosts}.items():
        store.put_built_in("IPHost", port, host(port, address, "System Host"))
    store.put_built_in(
        "Certificate",
        APPLIANCE,
        element(
            "Certificate",
            {
                "Action": "GenerateSelfSignedCertificate",
                "Name": APPLIANCE,
                "CertificateFormat": "pem",
            },
        ),
        self_signed(f"Appliance_Certificate_{config.name}"),
    )
    store.put("SSLTunnelAccessSettings", SINGLETON, _ssl_vpn(config.ssl_vpn_port or 8443))
    store.put("AdminSettings", SINGLETON, _admin_settings(config))
    store.put("Time", SINGLETON, element("Time", {"TimeZone": config.timezone, "PredefinedNTPServer": "Enable"}))


def waf_rule(rule: WafRule) -> ET.Element:
    return element(
        "FirewallRule",
        {
            "Name": rule.name,
            "Description": "",
            "IPFamily": "IPv4",
            "Status": "Enable",
            "Position": "Bottom",
            "PolicyType": "HTTPBased",
            "HTTPBasedPolicy": {
                "HostedAddress": "#Port2",
                "HTTPS": "Enable" if rule.https else "Disable",
                "RedirectHTTP": "Enable" if rule.redirect_http else "Disable",
                "ListenPort": str(rule.listen_port),
                "Domains": {"Domain": list(rule.domains)},
                "SourceNetworks": {"Network": "Any"},
                "AccessPaths": {
                    "AccessPath": {
                        "path": "/",
                        "backend": f"{rule.name} server",
                        "stickysession_status": "0",
                        "hot_standby": "0",
                        "websocket_passthrough": "0",
                    }
                },
                "ProtocolSecurity": "None",
                "CompressionSupport": "Disable",
                "RewriteHTML": "Disable",
                "RewriteCookies": "Enable",
                "PassHostHeader": "Disable",
                "IntrusionPrevention": "None",
                "TrafficShapingPolicy": "None",
                "Certificate": rule.certificate,
            },
        },
    )
