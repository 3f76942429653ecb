# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Host objects of the firewall."""

from __future__ import annotations

from .api import Firewall


def host_address(firewall: Firewall, name: str) -> str | None:
    """The address behind a host object such as #Port2 (one read); None where there is none, or no single one."""
    for host in firewall.get("IPHost", name):
        return host.findtext("IPAddress") or None
    return None


__all__ = ("host_address",)
