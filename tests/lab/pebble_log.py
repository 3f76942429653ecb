# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Pebble's log says happened. Written for Pebble 2.8 to 2.10; pure functions on its text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_REQUEST = re.compile(r"\b(GET|HEAD|POST|PUT|DELETE) (\S+) -> calling handler")
_ISSUED = re.compile(r"Issued certificate serial (\w+) for order")
_ACCOUNT = re.compile(r"There are now \d+ accounts in memory")
_TASK = re.compile(r'Pulled a task from the Tasks queue: .*Identifier\{Type:"(?:dns|ip)", Value:"([^"]+)"\}')
_FETCH = re.compile(r"Attempting to validate w/ HTTP: http://(\[[^]]+\]|[^:/]+)")
_OUTCOME = re.compile(r"authz \S+ set (VALID|INVALID) by completed challenge")


@dataclass
class Validation:
    """One challenge that the CA was asked to validate.

    `outcome` is `valid`, `invalid`, `pending` (not finished), or `unclear`: Pebble logs an outcome
    without the name, so when several validations ran at once and did not all end alike, nothing
    tells which is which. `fetches` counts the HTTP requests that were started (three a challenge).
    """

    name: str
    outcome: str = "pending"
    fetches: int = 0


def requests(log: str) -> list[tuple[str, str]]:
    """(method, path) of each request. Pebble logs the endpoint (`/authZ/`), not the object's id."""
    return _REQUEST.findall(log)


def issued(log: str) -> list[str]:
    """Serial numbers (hex) of the certificates issued, in order."""
    return _ISSUED.findall(log)


def accounts(log: str) -> int:
    """How many accounts were registered."""
    return len(_ACCOUNT.findall(log))


def validations(log: str) -> list[Validation]:
    """Every validation in the order in which the CA took it up."""
    reader = _Reader()
    for line in log.splitlines():
        reader.read(line)
    return reader.seen


@dataclass
class _Reader:
    seen: list[Validation] = field(default_factory=list)
    in_flight: list[Validation] = field(default_factory=list)  # since nothing ran for the last time
    outcomes: list[str] = field(default_factory=list)  # of those, names not known

    def read(self, line: str) -> None:
        if task := _TASK.search(line):
            self.in_flight.append(Validation(task[1]))
            self.seen.append(self.in_flight[-1])
        elif fetch := _FETCH.search(line):
            self._count_fetch(fetch[1].strip("[]"))
        elif outcome := _OUTCOME.search(line):
            self.outcomes.append(outcome[1].lower())
            if len(self.outcomes) == len(self.in_flight):
                self._settle()

    def _count_fetch(self, name: str) -> None:
        for validation in reversed(self.in_flight):
            if validation.name == name:
                validation.fetches += 1
                return

    def _settle(self) -> None:
        outcome = self.outcomes[0] if len(set(self.outcomes)) == 1 else "unclear"
        for validation in self.in_flight:
            validation.outcome = outcome
        self.in_flight, self.outcomes = [], []
