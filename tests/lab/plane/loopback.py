# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything on loopback addresses of this machine: no root, no routes, and a closed port refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plane.machine import LocalMachine
from lab.ports import free_port

__all__ = ["Loopback"]


class Loopback:
    """Port 80 of a firewall is a high port of its address."""

    def __init__(self) -> None:
        self.outside = self.control = LocalMachine()
        self.http_port = free_port()
        self.prefix: list[str] = []
        self._addresses: dict[str, str] = {}

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def firewall(self, config: Mapping[str, Any]) -> dict[str, Any]:
        self._addresses[config["name"]] = config["address"]
        return dict(config)

    def admin_address(self, name: str) -> str:
        return self._addresses[name]
