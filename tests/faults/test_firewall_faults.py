# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault at every call of a renewal: what is served, open and left, and whether a re-run ends clean."""

from __future__ import annotations

import pytest

from lab.cells import cells, row_of, undisturbed
from lab.verdicts import break_and_mend, chosen

pytestmark = pytest.mark.any_firmware
# Each has its own fleet and CA. Few, as each waits for minutes; but a fleet has no more than 249 addresses.
PARTS = 4


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_fault_at_every_call(make_fleet, play, tmp_path, ledger, part):
    calls, requests = undisturbed(make_fleet, play, tmp_path / "undisturbed")
    # Neighbouring calls cost alike, so they are dealt out.
    mine = chosen(calls)[part::PARTS]
    words, problems = break_and_mend(make_fleet, play, tmp_path, cells(mine), requests)
    for (call, lasting), by_fault in words.items():
        ledger.note("firewall", **row_of(call, lasting, by_fault))
    assert not problems, "\n".join(problems)
