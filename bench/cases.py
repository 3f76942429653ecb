# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be issued: how many certificates, of how many names, and how far away the CA is."""

from __future__ import annotations

from dataclasses import dataclass

DOMAIN = "bench.example"
# Seconds that `+rtt` adds to each round trip to the CA.
RTT = 0.1
# Requests (or certificates) in flight where a tool can have more than one: Pebble locks up from about 16 orders on.
CONCURRENCY = 8


@dataclass(frozen=True)
class Case:
    """`certificates` of `names` each."""

    name: str
    certificates: int
    names: int
    rtt: float = 0.0

    def domains(self) -> list[list[str]]:
        """The names of each certificate."""
        numbers = iter(range(1, self.certificates * self.names + 1))
        return [[f"n{next(numbers)}.{DOMAIN}" for _ in range(self.names)] for _ in range(self.certificates)]

    def at_least(self, other: Case) -> bool:
        """Whether this is no less work than the other, for whoever does one thing after the other."""
        return self.certificates * self.names >= other.certificates * other.names and (
            self.certificates >= other.certificates and self.rtt >= other.rtt
        )


_NEAR = (Case("1", 1, 1), Case("5", 1, 5), Case("25", 1, 25), Case("100", 1, 100), Case("100x1", 100, 1))
CASES = {
    case.name: case for near in _NEAR for case in (near, Case(f"{near.name}+rtt", near.certificates, near.names, RTT))
}
