# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One firewall's state: configuration, settings, journal."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .config import FirewallConfig, Settings
from .personas import Persona
from .rules import Network
from .schema import text
from .store import Store

__all__ = ["Device", "Journal", "utc"]

LONGEST_LOG = 10_000


def utc(moment: float | None = None) -> str:
    return datetime.fromtimestamp(time.time() if moment is None else moment, timezone.utc).isoformat()


class Journal:
    """Who asked for what. Passwords and keys never get here."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.counters: Counter[str] = Counter(requests=0, reads=0, writes=0, auth_failures=0)
        self.entries: deque[dict[str, Any]] = deque(maxlen=LONGEST_LOG)

    def back_to(self, counters: Mapping[str, int], entries: Sequence[dict[str, Any]]) -> None:
        """As it was at an earlier moment."""
        self.reset()
        self.counters.update(counters)
        self.entries.extend(entries)

    def note(self, source: str, operation: str, entity: str, name: str, status: str) -> None:
        if operation == "get":
            self.counters["reads"] += 1
        elif operation != "login":
            self.counters["writes"] += 1
        self.entries.append(
            {"time": utc(), "source": source, "operation": operation, "entity": entity, "name": name, "status": status}
        )


@dataclass
class Device:
    config: FirewallConfig
    settings: Settings
    store: Store = field(default_factory=Store)
    journal: Journal = field(default_factory=Journal)

    @property
    def timezone(self) -> str:
        stored = self.store.get("Time")
        return text(stored, "TimeZone", self.config.timezone) if stored is not None else self.config.timezone

    @property
    def persona(self) -> Persona:
        return self.config.persona

    @property
    def wan_addresses(self) -> list[str]:
        return [self.config.address, *self.config.wan_hosts.values()]

    @property
    def clock(self) -> float:
        """The firewall's own, in seconds since the epoch."""
        return time.time() + self.settings.clock_offset

    def network(self, address: str = "") -> Network:
        """As seen by who connects to this WAN address (the first one)."""
        return Network(address or self.config.address, self.config.zones, self.timezone, self.clock)
