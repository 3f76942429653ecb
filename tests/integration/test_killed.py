# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some of the instants at which tests/faults kills a renewal: those at which most is at stake."""

from __future__ import annotations

import pytest

from lab.ending import GONE, TERM
from lab.kills import scene
from lab.stages import STAGES

# The whole takes 25 s where nothing else runs.
pytestmark = [pytest.mark.any_firmware, pytest.mark.timeout(600)]

OPEN = STAGES["open: add NATRule"].carried_out
CASES = [
    (OPEN, GONE),
    (STAGES["poll"], GONE),
    (OPEN, TERM),
    (STAGES["close: remove NATRule"], TERM),
    (STAGES["finalize"].carried_out, GONE),
    (STAGES["upload: add Certificate"].carried_out, GONE),
    (STAGES["bind: update FirewallRule"].carried_out, TERM),
    (STAGES["prune: remove Certificate"], GONE),
]


def test_killed_runs_leave_nothing_open_and_lose_nothing(make_fleet, collection_path, tmp_path):
    with scene(make_fleet, collection_path, tmp_path, len(CASES)) as world:
        seen = [world.end_at(name, *case) for name, case in zip(world.sites, CASES, strict=True)]
        assert [each.port for each in seen] == ["leased", "leased", *["shut"] * 6]
        assert [each.served for each in seen] == [*["previous"] * 6, "new", "new"]
        assert all(each.grouped for each in seen)
        world.sweep(["fw1"])
        world.rerun(list(world.sites))
        assert world.fleet.ca.issued() == len(CASES)


def test_a_firewall_that_loses_its_power_while_it_is_open(make_fleet, collection_path, tmp_path):
    with scene(make_fleet, collection_path, tmp_path, 1, keep=str(tmp_path)) as world:

        def cut(_run):
            world.fleet.emulator.cut_power()
            world.fleet.emulator.start()

        with world.watched("fw1") as look:
            world.during("fw1", OPEN, cut)
            assert look().port == "shut"
        world.rerun(["fw1"])
        assert world.fleet.ca.issued() == 1
