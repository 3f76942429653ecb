# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one line for a monitoring system."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.plugin_utils._check import check_verdict, renewal_summary
from hypothesis import given
from hypothesis import strategies as st

from lab.reports import planned

# As the monitoring plugins' guidelines write performance data: 'label'=value[UOM];warn;crit
LINE = re.compile(r"(OK|WARNING|CRITICAL) - [^|\n]+ \| (\w+=[-\d.U]+(;[\d.]+:)*( |$))+$")


def plan(*certificates: dict[str, Any]) -> dict[str, Any]:
    return {"certificates": list(certificates), "due": False}


def verdict(**plans: dict[str, Any]) -> dict[str, Any]:
    told = check_verdict(plans, 20, 15)
    assert LINE.match(told["line"]), told["line"]
    assert told["line"].startswith(told["state"])
    return told


@pytest.mark.parametrize(
    ("days_left", "lifetime", "state"),
    [
        (20.0, 90.0, "OK"),
        (19.9, 90.0, "WARNING"),
        (15.0, 90.0, "WARNING"),
        (14.9, 90.0, "CRITICAL"),
        (-1.0, 90.0, "CRITICAL"),
        (1.5, 6.0, "OK"),
        (1.4, 6.0, "WARNING"),
        (0.9, 6.0, "CRITICAL"),
        (19.0, 398.0, "WARNING"),
    ],
)
def test_by_days(days_left: float, lifetime: float, state: str) -> None:
    told = verdict(fw1=plan(planned("OWA", "a.example.com", days_left, lifetime_days=lifetime)))
    assert told["state"] == state
    assert told["code"] == ("OK", "WARNING", "CRITICAL").index(state)
    assert f"days_left_min={days_left:g};20:;15:" in told["line"]
    assert "fw1 OWA expire" in told["line"]


def test_without_time_left() -> None:
    assert "fw1 OWA is missing" in verdict(fw1=plan(planned("OWA", "a.example.com", None)))["line"]
    assert "days_left_min=U" in verdict(fw1=plan(planned("OWA", "a.example.com", None)))["line"]
    self_signed = verdict(fw1=plan(planned("OWA", "a.example.com", 80.0, self_signed=True)))
    assert (self_signed["state"], self_signed["critical"]) == ("CRITICAL", 1)
    staging = verdict(fw1=plan(planned("OWA", "a.example.com", 80.0, staging=True)))
    assert staging["line"].startswith("CRITICAL - 1 critical, 0 warning: fw1 OWA is of a staging CA |")


def test_a_firewall_that_says_nothing() -> None:
    told = verdict(
        fw1=plan(planned("OWA", "a.example.com", 18.0)),
        fw2={"failed": True, "msg": f"fw2: plan: no | connection\n{'x' * 500}"},
        fw3={},
    )
    assert told["line"].startswith("CRITICAL - 2 critical, 1 warning: fw2: plan: no / connection xxx")
    assert "fw3: no plan; fw1 OWA expires in 18 days" in told["line"]
    assert (told["firewalls"], told["certificates"]) == (3, 1)


def test_of_many_only_the_worst_are_named() -> None:
    plans = {f"fw{n}": plan(planned("OWA", f"{n}.example.com", 19 - n / 100)) for n in range(100)}
    line = verdict(**plans)["line"]
    assert line.startswith("WARNING - 0 critical, 100 warning: fw99 OWA expires in 18.01 days; fw98 OWA")
    assert "; and 95 more | " in line
    assert len(line) < 400


@given(st.lists(st.floats(-400, 400, allow_nan=False), min_size=1), st.floats(0, 60), st.floats(0, 60))
def test_the_code_is_the_worst_of_all(days: list[float], warning: float, critical: float) -> None:
    entries = [planned(f"c{n}", "a.example.com", left) for n, left in enumerate(days)]
    told = check_verdict({"fw1": plan(*entries)}, warning, critical)
    alone = [check_verdict({"fw1": plan(entry)}, warning, critical)["code"] for entry in entries]
    assert told["code"] == max(alone)
    assert (told["critical"], told["warning"]) == (alone.count(2), alone.count(1))
    assert told["days_left_min"] == min(days)


def test_a_summary_counts_and_names_the_alarms() -> None:
    quiet = {"firewall": "fw1", "certificate": "OWA", "status": "unchanged", "alarm": False, "error": None}
    late = {**quiet, "status": "failed", "error": "fw1: OWA: order: later"}
    lost = {**quiet, "firewall": "fw2", "certificate": None, "status": "failed", "alarm": True}
    rows = [quiet, quiet, late, *({**lost, "error": f"fw2: plan:\n{number} {'x' * 999}"} for number in range(7))]
    told = renewal_summary(rows)
    assert (told["firewalls"], told["certificates"], told["alarms"]) == (2, 3, 7)
    assert told["statuses"] == {"failed": 8, "unchanged": 2}
    assert told["line"].startswith(
        "3 certificates on 2 firewalls: 8 failed, 2 unchanged. Somebody has to look: fw2: plan: 0 x"
    )
    assert told["line"].endswith("…; and 2 more")
    assert "\n" not in told["line"]
    assert len(told["line"]) < 1000
    assert renewal_summary([])["line"] == "0 certificates on 0 firewalls"
