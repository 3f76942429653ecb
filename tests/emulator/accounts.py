# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Administrators and their profiles as a Get shows them.

The switches are those that were seen on a live appliance of SFOS 22 (reported). The sample in the vendor's help lacks
some of them (e-mail, wireless) and has others that were not seen.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import lru_cache
from typing import Any

from .config import Account
from .defaults import element
from .store import Store

__all__ = ["fill"]

EVERYTHING = "Administrator"
PLAIN = (
    *("Dashboard", "Wizard", "Objects", "Network", "Firewall", "IPS", "WebFilter", "CloudApplicationDashboard"),
    *("ZeroDayProtection", "ApplicationFilter", "IM", "QoS", "EmailProtection", "TrafficDiscovery"),
)
GROUPS = {
    "System": (
        *("Profile", "Password", "CentralManagement", "Backup", "Restore", "Firmware", "Licensing", "Services"),
        *("Updates", "RebootShutdown", "HA", "DownloadCertificates", "OtherCertificateConfiguration", "Diagnostics"),
        "OtherSystemConfiguration",
    ),
    "WirelessProtection": (
        *("WirelessProtectionOverview", "WirelessProtectionSettings", "WirelessProtectionNetworkNetwork"),
        *("WirelessProtectionAccessPoint", "WirelessProtectionMesh"),
    ),
    "Identity": (
        *("Authentication", "Groups", "GuestUsersManagement", "OtherGuestUserSettings", "Policy"),
        *("TestExternalServerConnectivity", "ManageLiveUser"),
    ),
    "VPN": ("ConnectTunnel", "OtherVPNConfigurations"),
    "WAF": ("Alerts", "OtherWAFConfiguration"),
    "LogsReports": (
        *("Configuration", "LogViewer", "ReportsAccess", "Four-EyeAuthenticationSettings", "De-Anonymization"),
    ),
}


def fill(store: Store, accounts: list[Account]) -> None:
    """The API shows them, and does not let them be changed here."""
    for account in accounts:
        name = EVERYTHING if account.profile is None else f"{account.username} profile"
        levels = {"default": "Read-Write"} if account.profile is None else account.profile
        store.put_built_in("User", account.username, _user(account.username, name))
        store.put_built_in("AdministrationProfile", name, _profile(name, tuple(sorted(levels.items()))))


@lru_cache(maxsize=1000)
def _user(username: str, profile: str) -> ET.Element:
    return element(
        "User",
        {
            "Username": username,
            "Name": f"Account {username}",
            "PasswordHash": "$2a$10$emulated.hash.of.the.password",
            "UserType": "Administrator",
            "Profile": profile,
            "Group": "Open Group",
            "Status": "Active",
        },
    )


@lru_cache(maxsize=1000)
def _profile(name: str, pairs: tuple[tuple[str, str], ...]) -> ET.Element:
    levels = dict(pairs)
    default = levels.get("default", "None")
    content: dict[str, Any] = {"Name": name}
    content.update({switch: levels.get(switch, default) for switch in PLAIN})
    for group, switches in GROUPS.items():
        content[group] = {switch: levels.get(f"{group}/{switch}", default) for switch in switches}
    return element("AdministrationProfile", content)
