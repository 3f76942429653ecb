# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Misbehaviour on request: faults that wait for a matching step."""

from __future__ import annotations

import asyncio
import fnmatch
from dataclasses import dataclass, field

from .config import ConfigError, build, one_of
from .envelope import Step

__all__ = ["KINDS", "Fault", "Faults"]

KINDS = (
    "refuse",
    "leave",
    "reset_before",
    "reset_after",
    "timeout",
    "status",
    "remark",
    "envelope",
    "auth",
    "html",
    "empty",
    "truncated",
    "wrong_entity",
    "lie",
    "slow",
    "stale_tls",
    "noise",
    "hold",
)


@dataclass
class Fault:
    kind: str
    # What it waits for; "*" is anything. Operation: get, set (any Set), add, update, remove.
    operation: str = "*"
    entity: str = "*"
    name: str = "*"
    # The first match that is hit, and how many from there on (0: all).
    nth: int = 1
    count: int = 1
    code: int = 500
    text: str = "Operation could not be performed on entity."
    seconds: float = 5.0
    # For `timeout` and `hold`: was the request carried out before the firewall fell silent?
    applied: bool = False
    seen: int = field(default=0)

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("operation", self.operation, ("*", "get", "set", "add", "update", "remove"))

    def hits(self, step: Step, name: str) -> bool:
        if not self._matches(step, name):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.count == 0 or self.seen < self.nth + self.count)

    def _matches(self, step: Step, name: str) -> bool:
        writes = ("set", "add", "update")
        operation = self.operation in ("*", step.operation) or (self.operation == "set" and step.operation in writes)
        return operation and fnmatch.fnmatchcase(step.entity, self.entity) and fnmatch.fnmatchcase(name, self.name)


class Faults:
    def __init__(self) -> None:
        self.waiting: list[Fault] = []
        # How many requests are held, and what they wait for.
        self.held = 0
        self._released = asyncio.Event()

    def add(self, documents: object) -> list[Fault]:
        if not isinstance(documents, list):
            raise ConfigError("faults: expected a list")
        added = [build(Fault, document, "fault") for document in documents]
        self.waiting += added
        return added

    def clear(self) -> None:
        """What is held goes on."""
        self.waiting.clear()
        self._released.set()
        self._released = asyncio.Event()

    async def hold(self) -> None:
        self.held += 1
        try:
            await self._released.wait()
        finally:
            self.held -= 1

    def take(self, step: Step, name: str) -> Fault | None:
        """The first fault that hits; every fault counts what it has seen."""
        hit = [fault for fault in self.waiting if fault.kind != "stale_tls" and fault.hits(step, name)]
        return hit[0] if hit else None

    def stale(self, entity: str) -> bool:
        """Do the listeners that follow this entity keep what they serve?"""
        return any(fault.kind == "stale_tls" and fnmatch.fnmatchcase(entity, fault.entity) for fault in self.waiting)
