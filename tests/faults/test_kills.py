# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A renewal that is killed, wherever it is: what is open, served and left, and what the next run makes of it."""

from __future__ import annotations

import random
import time

import pytest

from lab.ending import ALONE, GONE, INT, KILL, TERM
from lab.kills import scene
from lab.stages import STAGES

pytestmark = [pytest.mark.any_firmware, pytest.mark.timeout(1200)]

SIGNALS = (GONE, KILL, TERM, INT, ALONE)
# By signal: when the request arrives, when it is carried out, or both. What the first two leave differs most.
PHASES = {GONE: (False, True), KILL: (True,), TERM: (True,), INT: (False,)}
LABELS = list(STAGES)
AT_ONCE = 3
SEED = 5


def instants(stage):
    return {False: STAGES[stage], True: STAGES[stage].carried_out}


def told(*seen):
    """What came of the two phases of a stage, once where it is the same."""
    return "; then ".join(dict.fromkeys(map(str, seen)))


@pytest.mark.parametrize("first", range(0, len(LABELS), AT_ONCE))
def test_at_every_stage_boundary(make_fleet, collection_path, tmp_path, ledger, first):
    """Each on a firewall of its own; the janitor for some, then one re-run for all."""
    labels = LABELS[first : first + AT_ONCE]
    cases = [(label, by, done) for label in labels for by in PHASES for done in PHASES[by]]
    with scene(make_fleet, collection_path, tmp_path, len(cases)) as world:
        of = dict(zip(cases, world.sites, strict=True))
        seen = {
            (label, by, done): world.end_at(firewall, instants(label)[done], by)
            for (label, by, done), firewall in of.items()
        }
        # Nobody can finish what has no process any more.
        assert all(each.grouped for (_label, by, _done), each in seen.items() if by is not GONE)
        world.sweep([firewall for (_label, by, done), firewall in of.items() if by is GONE and done])
        world.rerun(list(world.sites))
        assert world.fleet.ca.issued() == len(cases), "one for each, in all"
    for label in labels:
        ended = {by.label: told(*(seen[label, by, done] for done in PHASES[by])) for by in PHASES}
        ledger.note("kill", instant=f"{LABELS.index(label) + 1:02} {label}", **ended, issued="1")


@pytest.mark.parametrize("state", [True, False])
def test_at_random_instants(make_fleet, collection_path, tmp_path, ledger, state):
    """25 each, of certificates of this CA: one that is lost is replaced once more."""
    chance = random.Random(SEED + state)
    with scene(make_fleet, collection_path, tmp_path, 25, state) as world:
        begun = time.monotonic()
        world.end_after("fw1", 60, GONE)
        whole = time.monotonic() - begun
        # Not the first: what the CA has said of its new certificate would be remembered with the state.
        world.rerun(list(world.sites)[1:])
        world.age()
        before = world.fleet.ca.issued()
        seen = [world.end_after(firewall, whole * chance.random(), chance.choice(SIGNALS)) for firewall in world.sites]
        issued = world.fleet.ca.issued() - before
        lost = 0 if state else issued - len([one for one in seen if one.uploaded])
        world.rerun(list(world.sites))
        assert world.fleet.ca.issued() - before == len(seen) + lost
    ledger.note(
        "died",
        died=f"ansible-playbook, {len(seen)} times by any of the signals",
        when="at random" if state else "at random, without a state directory",
        meanwhile="shut, or leased; a valid certificate",
        issued="1" if state else "1; 2 where it was not uploaded yet",
    )


@pytest.mark.parametrize("label", ["finalize", "download", "upload: add Certificate"])
def test_without_a_state_directory(make_fleet, collection_path, tmp_path, ledger, label):
    """What README says is lost, and no more."""
    with scene(make_fleet, collection_path, tmp_path, 1, state=False) as world:
        seen = world.end_at("fw1", STAGES[label].carried_out, GONE)
        world.rerun(["fw1"])
        issued = world.fleet.ca.issued()
        assert issued == (1 if seen.uploaded else 2)
    ledger.note(
        "died",
        died="ansible-playbook, all killed",
        when=f"{label}, without a state directory",
        meanwhile=str(seen),
        issued=str(issued),
    )


@pytest.mark.parametrize("label", ["open: add NATRule", "challenge", "finalize"])
def test_the_responder_dies(make_fleet, collection_path, tmp_path, ledger, label):
    with scene(make_fleet, collection_path, tmp_path, 1) as world:
        with world.visited(["fw1"]), world.watched("fw1") as look:
            world.during("fw1", STAGES[label], lambda run: run.kill_responder())
            seen = look()
        assert seen.port == "shut"
        assert seen.left == ()
        world.rerun(["fw1"])
        assert world.fleet.ca.issued() == 1
    ledger.note("died", died="the responder", when=label, meanwhile=str(seen), issued="1")


POWER_CUTS = [
    STAGES["open: add FirewallRule"].carried_out,
    STAGES["open: add NATRule"].carried_out,
    STAGES["challenge"],
    STAGES["close: remove NATRule"],
    STAGES["close: remove NATRule"].carried_out,
    STAGES["upload: add Certificate"].carried_out,
    STAGES["bind: update FirewallRule"],
    STAGES["bind: update FirewallRule"].carried_out,
    STAGES["bind: update FirewallRuleGroup"],
    STAGES["prune: remove Certificate"].carried_out,
]


@pytest.mark.parametrize("instant", POWER_CUTS, ids=str)
def test_the_firewall_loses_its_power_and_comes_back(make_fleet, collection_path, tmp_path, ledger, instant):
    with scene(make_fleet, collection_path, tmp_path, 1, keep=str(tmp_path)) as world:

        def cut(_run):
            world.fleet.emulator.cut_power()
            world.fleet.emulator.start()

        with world.watched("fw1") as look:
            world.during("fw1", instant, cut)
            seen = look()
        world.rerun(["fw1"])
        assert world.fleet.ca.issued() == 1
    ledger.note("died", died="the firewall, back at once", when=str(instant), meanwhile=str(seen), issued="1")


def test_the_firewall_comes_back_when_nobody_waits_any_more(make_fleet, collection_path, tmp_path, ledger):
    """The worst: it comes back open, with nobody there."""
    instant = STAGES["open: add NATRule"].carried_out
    with scene(make_fleet, collection_path, tmp_path, 1, keep=str(tmp_path)) as world:
        emulator = world.fleet.emulator
        with world.watched("fw1") as look:
            world.during("fw1", instant, lambda run: emulator.cut_power())
            emulator.start()
            seen = look()
        assert seen.port == "leased"
        world.sweep(["fw1"])
        world.rerun(["fw1"])
        assert world.fleet.ca.issued() == 1
    ledger.note("died", died="the firewall, back after the run", when=str(instant), meanwhile=str(seen), issued="1")
