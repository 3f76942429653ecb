# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three firewalls with differing needs, and what each of their ports shall serve in the end."""

from __future__ import annotations

from typing import Any, NamedTuple

# As the emulator takes them. Web server protection listens on a high port, so that no root is needed.
FIREWALLS: list[dict[str, Any]] = [
    {
        "name": "fw-helsinki",
        "address": "127.18.0.1",
        "timezone": "Europe/Helsinki",
        "waf_rules": [
            {
                "name": "OWA rule",
                "domains": ["owa.helsinki.example", "exchange.helsinki.example"],
                "listen_port": 8443,
                "certificate": "ApplianceCertificate",
                "group": "Published",
            }
        ],
    },
    {"name": "fw-berlin", "address": "127.18.0.2", "timezone": "Europe/Berlin"},
    {
        "name": "fw-boston",
        "address": "127.18.0.3",
        "timezone": "America/New_York",
        "waf_rules": [
            {
                "name": "Shop",
                "domains": ["shop.boston.example"],
                "listen_port": 8443,
                "certificate": "ApplianceCertificate",
            }
        ],
    },
]

NAMES = {
    "owa.helsinki.example": "fw-helsinki",
    "exchange.helsinki.example": "fw-helsinki",
    "fw.berlin.example": "fw-berlin",
    "fw.boston.example": "fw-boston",
    "shop.boston.example": "fw-boston",
}

# As a user writes them into host_vars.
HOSTS: dict[str, dict[str, Any]] = {
    "fw-helsinki": {
        "xgs_letsencrypt_certificates": [
            {
                "name": "OWA",
                "domains": ["owa.helsinki.example", "exchange.helsinki.example"],
                "consumers": ["waf:OWA rule"],
            }
        ]
    },
    "fw-berlin": {
        "xgs_tls_server_name": "fw.berlin.example",
        "xgs_letsencrypt_certificates": [
            {"name": "admin", "domains": ["fw.berlin.example"], "consumers": ["webadmin"]}
        ],
    },
    "fw-boston": {
        "xgs_tls_server_name": "fw.boston.example",
        "xgs_letsencrypt_certificates": [
            {"name": "admin", "domains": ["fw.boston.example"], "consumers": ["webadmin"]},
            {"name": "shop", "domains": ["shop.boston.example"], "consumers": ["waf:Shop"]},
        ],
    },
}


class Place(NamedTuple):
    """A port that a visitor of `name` reaches, and the certificate that it shall serve."""

    firewall: str
    certificate: str
    port: int
    name: str


PLACES = [
    Place("fw-helsinki", "OWA", 8443, "owa.helsinki.example"),
    Place("fw-helsinki", "OWA", 8443, "exchange.helsinki.example"),
    Place("fw-berlin", "admin", 4444, "fw.berlin.example"),
    Place("fw-boston", "admin", 4444, "fw.boston.example"),
    Place("fw-boston", "shop", 8443, "shop.boston.example"),
]
# The one that the CA wants back before the third run.
RECALLED = PLACES[-1]
