# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nights of a fleet: how many firewalls there are, and on how many of them something is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DOMAIN = "fleet.example"
CASES = ("quiet", "one_percent", "first")
SIZES = (1, 10, 100, 1000)
# Seconds, as administrators report them of real firewalls: what a write takes, and one of a web server protection rule.
QUICKEST, SLOWEST = {"write": 5.0, "waf": 15.0}, {"write": 8.0, "waf": 20.0}
# How many different firewalls there are between the two.
PACES = 10


@dataclass(frozen=True)
class Night:
    """`per_firewall` certificates each; the first `due` firewalls have to renew (or get) the first of them.

    `new`: nothing is there yet. `pace`: how long a write takes, by the time that real firewalls take. `forks`: of
    ansible-playbook, for all tools.
    """

    case: str
    firewalls: int
    per_firewall: int
    due: int
    new: bool = False
    pace: float = 1.0
    forks: int = 100

    def hosts(self) -> dict[str, list[str]]:
        """The names that each firewall has a certificate for, one each."""
        return {
            f"fw{number}": [f"n{each}.fw{number}.{DOMAIN}" for each in range(self.per_firewall)]
            for number in range(self.firewalls)
        }

    def due_hosts(self) -> list[str]:
        return [f"fw{number}" for number in range(self.due)]

    def configurations(self) -> list[dict[str, Any]]:
        """For the emulator: web server protection on those where something is due, and the pace of real firewalls."""
        due = set(self.due_hosts())
        hosts = enumerate(self.hosts().items())
        return [_firewall(number, name, names[0], name in due, self.pace) for number, (name, names) in hosts]


def _firewall(number: int, name: str, domain: str, due: bool, pace: float) -> dict[str, Any]:
    # The first is the slowest: alone it is what the others are to be compared with.
    share = number % PACES / (PACES - 1)
    latency = {key: pace * (SLOWEST[key] - share * (SLOWEST[key] - QUICKEST[key])) for key in SLOWEST}
    rule = {"name": "Site", "domains": [domain], "listen_port": 8443, "certificate": "ApplianceCertificate"}
    return {
        "name": name,
        "address": f"127.40.{number // 250}.{number % 250 + 1}",
        "latency": latency,
        "waf_rules": [rule] if due else [],
    }


def nights(sizes: Sequence[int], pace: float) -> list[Night]:
    """Each case at each size that makes sense."""
    return [
        *(Night("quiet", size, 2, 0, pace=pace) for size in sizes),
        *(Night("one_percent", size, 2, size // 100, pace=pace) for size in sizes if size >= 100),
        *(Night("first", size, 1, size, new=True, pace=pace) for size in sizes),
    ]


def entries(names: Sequence[str], due: bool) -> list[Mapping[str, Any]]:
    """The certificates of a firewall, as a user of the collection lists them."""
    wanted = [{"name": f"c{number}", "domains": [name], "key_type": "ec256"} for number, name in enumerate(names)]
    if due:
        wanted[0]["consumers"] = ["waf:Site"]
    return wanted
