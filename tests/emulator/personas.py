# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs from one firmware to the next. What is not here is the same in all of them (see README)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LATEST", "PERSONAS", "Persona"]


@dataclass(frozen=True)
class Persona:
    # The schema version that answers and archives carry.
    api_version: str
    # A VPN portal beside the user portal, and its port among the settings.
    vpn_portal: bool
    # Who may use the API is a list of IP host objects, not of addresses.
    source_hosts: bool
    # The answer to an update of a certificate that a WAF rule uses.
    update_in_use: int


PERSONAS = {
    "18.0": Persona("1800.1", vpn_portal=False, source_hosts=False, update_in_use=542),
    "19.5": Persona("1905.1", vpn_portal=False, source_hosts=False, update_in_use=500),
    "20.0": Persona("2000.1", vpn_portal=True, source_hosts=False, update_in_use=500),
    "21.0": Persona("2100.1", vpn_portal=True, source_hosts=False, update_in_use=500),
    "22.0": Persona("2200.1", vpn_portal=True, source_hosts=True, update_in_use=500),
}
LATEST = "22.0"
