# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short ways to write what tests put into the emulator's configuration and into inventories."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

# Of this process's own, so that tests can run side by side.
NET = os.getpid() % 250 + 1


def firewall(number: int, *rules: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """One emulated firewall, fwN, with these web server protection rules."""
    return {"name": f"fw{number}", "address": f"127.22.{NET}.{number}", "waf_rules": list(rules), **settings}


def waf_rule(name: str, *domains: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "domains": list(domains), "listen_port": 8443, "certificate": "ApplianceCertificate", **more}


def certificate(name: str, *domains: str, consumers: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """An entry of the inventory."""
    return {"name": name, "domains": list(domains), **({"consumers": list(consumers)} if consumers else {}), **more}


def certificates(*entries: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What a host of the inventory has of its own."""
    return {"xgs_letsencrypt_certificates": list(entries), **more}
