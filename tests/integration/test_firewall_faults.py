# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some cells of the table of firewall faults; all of them are in tests/faults."""

from __future__ import annotations

import pytest

from lab.cells import Cell, undisturbed
from lab.verdicts import break_and_mend

ONCE, LASTING = "once", "until healed"
# What becomes of it.
CELLS = {
    ("read Certificate", "534", LASTING): "plan",
    ("add NATRule", "reset, done", ONCE): "retried",
    ("add NATRule", "500", ONCE): "open",
    ("remove NATRule", "cut off", ONCE): "retried",
    # The certificate is in the state directory: so the run after it opens nothing, and has to close all the same.
    ("remove NATRule", "password", LASTING): "upload, open",
    ("add Certificate", "reset, done", ONCE): "retried",
    ("add Certificate", "lie", ONCE): "upload",
    ("add Certificate", "refused", LASTING): "upload",
    ("update FirewallRule", "reset, done", ONCE): "retried",
    ("update FirewallRule", "500", ONCE): "bind, mixed",
    ("update FirewallRule", "refused", LASTING): "bind",
    ("update AdminSettings", "empty", ONCE): "retried",
    ("remove Certificate", "password", ONCE): "prune, new",
}


@pytest.mark.any_firmware
@pytest.mark.timeout(300)
def test_a_fault_of_the_firewall_at_some_calls(make_fleet, play, tmp_path):
    calls, requests = undisturbed(make_fleet, play, tmp_path / "undisturbed")
    by_name = {call.what: call for call in reversed(calls)}
    cells = [Cell(number, by_name[what], *how) for number, (what, *how) in enumerate(CELLS, start=1)]
    words, problems = break_and_mend(make_fleet, play, tmp_path, cells, requests)
    assert not problems, "\n".join(problems)
    assert {
        (cell.call.what, cell.fault, cell.lasting): words[cell.call, cell.lasting][cell.fault] for cell in cells
    } == CELLS
