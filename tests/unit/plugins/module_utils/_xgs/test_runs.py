# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs on one firewall at once, and what a killed one leaves behind."""

from __future__ import annotations

import datetime
import itertools
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall, Write
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.dnat import plan_absent
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.objects import Objects
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.runs import playbook_run
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.window import Window

from unit.plugins.module_utils._xgs.firewalls import Box, Impatient
from unit.plugins.module_utils._xgs.forwards import (
    EXPIRED,
    GROUP,
    HOST,
    HOUR,
    NAME,
    absent,
    description,
    fetch,
    forward,
    ours,
    present,
    records,
    sweep,
)


def window(box: Box, responder: int, run: str, **more: object) -> Window:
    return Window(box.firewall(), forward(responder, **more), run)


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_the_last_of_two_runs_closes(box: Box, responder: int, first_leaves_first: bool) -> None:
    one, other = (window(box, responder, run) for run in ("one", "other"))
    one.open(one.plan())
    writes = box.writes
    other.open(other.plan())
    assert box.writes == writes + 1, "schedule, hosts, services and the NAT rule are shared"
    first, last = (one, other) if first_leaves_first else (other, one)
    first.close()
    assert fetch(box)
    last.close()
    assert not box.forwards
    assert ours(box) == {}
    intervals = box.state["open_intervals"]
    assert all(one["closed_monotonic"] == after["opened_monotonic"] for one, after in itertools.pairwise(intervals)), (
        "it was closed in between"
    )


def test_two_runs_with_different_leases(box: Box, responder: int) -> None:
    one, other = window(box, responder, "one"), window(box, responder, "other", lease=7200)
    one.open(one.plan())
    other.open(other.plan())
    one.close()
    assert [len(names) for names in ours(box).values()] == [1, 1, 1, 1, 1]
    assert fetch(box)
    other.close()
    assert ours(box) == {}


def test_both_close_at_once(box: Box, responder: int) -> None:
    """Each sees the other when it begins: one of them has to clear away all the same."""
    one, other = (window(box, responder, run) for run in ("one", "other"))
    one.open(one.plan())
    other.open(other.plan())
    meanwhile(one, "remove", "FirewallRule", other.close)
    one.close()
    assert ours(box) == {}


def meanwhile(window: Window, operation: str, entity: str, act: Callable[[], object]) -> None:
    """Right before the first such write of a window, something else happens."""
    firewall, waiting = window.firewall, [act]

    class Interrupted(Firewall):
        def send(self, write: Write) -> None:
            if waiting and (write.operation, write.entity.tag) == (operation, entity):
                waiting.pop()()
            super().send(write)

    firewall.__class__ = Interrupted


@pytest.mark.parametrize("entity", ["IPHost", "Services", "Schedule", "FirewallRule", "NATRule"])
def test_one_opens_while_the_other_does(box: Box, responder: int, entity: str) -> None:
    one, other = (window(box, responder, run) for run in ("one", "other"))
    meanwhile(one, "add", entity, lambda: other.open(other.plan()))
    one.open(one.plan())
    assert fetch(box)
    other.close()
    assert fetch(box)
    one.close()
    assert ours(box) == {}


@pytest.mark.parametrize("entity", ["FirewallRule", "NATRule", "Schedule", "Services", "IPHost"])
def test_one_opens_while_the_other_closes(box: Box, responder: int, entity: str) -> None:
    one, other = (window(box, responder, run) for run in ("one", "other"))
    one.open(one.plan())
    meanwhile(one, "remove", entity, lambda: other.open(other.plan()))
    one.close()
    assert fetch(box)
    other.close()
    assert ours(box) == {}


def test_one_closes_while_the_other_opens(box: Box, responder: int) -> None:
    one, other = (window(box, responder, run) for run in ("one", "other"))
    one.open(one.plan())
    meanwhile(other, "add", "FirewallRule", one.close)
    other.open(other.plan())
    assert fetch(box)
    other.close()
    assert ours(box) == {}


def test_a_run_that_was_killed_blocks_nobody(box: Box, responder: int) -> None:
    """The next run opens beside what is there, leaves it when it goes, and the firewall ends it in time."""
    present(box.firewall(), forward(responder), "killed")
    with window(box, responder, "next")():
        assert fetch(box)
    assert set(ours(box)["FirewallRule"]) == {f"{NAME}-killed"}
    box.settings(clock_offset=3600)
    sweep(box.firewall(clock=Impatient(HOUR)))
    assert ours(box) == {}


def test_what_a_killed_run_left_is_used_once_it_is_over(box: Box, responder: int) -> None:
    """And removed by that run."""
    present(box.firewall(), forward(responder), "killed")
    box.settings(clock_offset=3600)
    writes = box.writes
    late = Window(box.firewall(clock=Impatient(HOUR)), forward(responder), "late")
    with late():
        assert fetch(box)
        assert box.writes == writes + 4, "schedule and firewall rule: two of it, none of the killed one"
    assert ours(box) == {}


def test_another_target_is_a_conflict_while_the_run_lives(box: Box, responder: int) -> None:
    present(box.firewall(), forward(responder), "one")
    writes = box.writes
    with pytest.raises(XgsError, match=r"run one of .* forwards #Port2:80 .* until .*run_id one closes it"):
        present(box.firewall(), forward(responder, target="127.0.0.2"), "other")
    assert box.writes == writes
    assert fetch(box)


def test_another_target_is_none_once_it_is_dead(box: Box, responder: int) -> None:
    present(box.firewall(), forward(9, target="127.0.0.2"), "one")
    box.settings(clock_offset=3600)
    assert present(box.firewall(clock=Impatient(HOUR)), forward(responder), "other")
    assert fetch(box)
    absent(box.firewall(clock=Impatient(HOUR)), "other")
    assert ours(box) == {}


def test_absent_leaves_other_runs_alone_and_says_so(box: Box, responder: int) -> None:
    present(box.firewall(), forward(responder), "one")
    writes, firewall = box.writes, box.firewall()
    plan = plan_absent(Objects(firewall, like=NAME), NAME, "other", firewall.clock.now())
    assert plan.writes == ()
    (warning,) = plan.warnings
    assert "run one of" in warning
    assert not absent(firewall, "other")
    assert box.writes == writes
    assert absent(firewall, "*")
    assert ours(box) == {}


def test_absent_of_expired_objects(box: Box, responder: int) -> None:
    present(box.firewall(), forward(responder), "one")
    box.settings(clock_offset=3600)
    assert absent(box.firewall(), "other")
    assert ours(box) == {}


def test_a_name_that_begins_alike_is_another_forward(box: Box, responder: int) -> None:
    present(box.firewall(), forward(responder), "one")
    before = ours(box)
    firewall = box.firewall()
    other = plan_absent(Objects(firewall, like="certfleet"), "certfleet", "*", firewall.clock.now())
    assert other.writes == ()
    assert ours(box) == before


def test_every_object_says_whose_it_is_and_until_when(box: Box, responder: int) -> None:
    present(box.firewall(), forward(responder), "one")
    for entity, names in ours(box).items():
        assert len(names) == 1
        assert f"run=one opened={datetime.date.today().year}" in description(box, entity)
        assert "owner=" in description(box, entity)
        assert "expires=" in description(box, entity)


# --- runs on this machine, whose end can be seen ---------------------------------------------------------------------

KILLED = """
import os, signal, sys
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.forward import Forward
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.runs import playbook_run
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.runs import playbook_run
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.window import Window

kind, host, fingerprint, port = sys.argv[1:]
firewall = Firewall(Transport(Endpoint(host, fingerprint=fingerprint)), "admin", "secret")
window = Window(firewall, Forward("certfleet-http01", "127.0.0.1", int(port)))
if kind == "playbook" and os.fork():
    os.wait()
    os.kill(os.getpid(), signal.SIGKILL)
if kind == "playbook":
    window.run = playbook_run()
window.open(window.plan())
print("open", flush=True)
if kind == "window":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(box: Box, responder: int, kind: str) -> None:
    """A process that opened and is no more: a `window`, or a worker and the `playbook` that it belongs to."""
    command = [sys.executable, "-c", KILLED, kind, box.address, box.fingerprint, str(responder)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=60)
    assert (done.stdout, done.returncode) == ("open\n", -signal.SIGKILL), done.stderr
    assert box.forwards


def test_the_window_of_a_killed_process_is_cleared_away_at_once(box: Box, responder: int) -> None:
    killed(box, responder, "window")
    sweep(box.firewall())
    assert ours(box) == {}
    killed(box, responder, "window")
    with Window(box.firewall(), forward(responder))():
        assert fetch(box)
        assert [len(names) for names in ours(box).values()] == [1, 1, 1, 1, 1]
    assert ours(box) == {}


def test_a_killed_window_that_leads_elsewhere_is_no_conflict(box: Box, responder: int) -> None:
    killed(box, 9, "window")
    with Window(box.firewall(), forward(responder))():
        assert fetch(box)
    assert ours(box) == {}


def test_what_a_playbook_left_open_is_closed_by_the_next_absent_alone(box: Box, responder: int) -> None:
    """It may have been meant to be left open, so that no sweep takes it before its time."""
    killed(box, responder, "playbook")
    sweep(box.firewall())
    with Window(box.firewall(), forward(responder))():
        pass
    assert fetch(box)
    assert absent(box.firewall(), "other")
    assert ours(box) == {}


def test_a_playbook_at_work_is_not_closed_by_another_one(box: Box, responder: int) -> None:
    """Its tasks are children of the process that lives, as this one is of its own."""
    present(box.firewall(), forward(responder), playbook_run())
    assert not absent(box.firewall(), "other")
    assert fetch(box)
    assert absent(box.firewall(), playbook_run())


def test_a_run_of_another_machine_lives_until_its_lease_ends(box: Box, responder: int) -> None:
    elsewhere = Window(box.firewall(), forward(responder), "1x1x0000", owner="root@vm/00000000")
    elsewhere.open(elsewhere.plan())
    sweep(box.firewall())
    assert not absent(box.firewall(), "other")
    assert fetch(box)


# --- sweeping --------------------------------------------------------------------------------------------------------


def test_a_sweep_leaves_what_others_use(box: Box, responder: int) -> None:
    present(box.firewall(), forward(responder), "one")
    box.add(GROUP.format(f"{NAME}-127.0.0.1"))
    box.add(HOST.format("web", "", "192.0.2.8"))
    box.add(
        "<FirewallRule><Name>theirs</Name><Position>Bottom</Position><PolicyType>Network</PolicyType><NetworkPolicy>"
        f"<Action>Drop</Action><Services><Service>{NAME}-tcp-{responder}</Service></Services>"
        "</NetworkPolicy></FirewallRule>"
    )
    sweep(box.firewall(), HOUR)
    assert ours(box) == {"IPHost": [f"{NAME}-127.0.0.1"], "Services": [f"{NAME}-tcp-{responder}"]}
    writes = box.writes
    sweep(box.firewall(), HOUR)
    assert box.writes == writes, "it was known that they are in use"


@pytest.mark.parametrize(
    "theirs",
    ["certfleet-http01-127.0.0.2", "certfleet: expires=2020-01-01T00:00:00Z", "certfleet-http01-old"],
)
def test_a_sweep_knows_its_own(box: Box, theirs: str) -> None:
    box.add(HOST.format("certfleet-http01-127.0.0.2", theirs, "127.0.0.2"))
    box.add(HOST.format("anything", EXPIRED, "127.0.0.3"))
    sweep(box.firewall())
    assert "certfleet-http01-127.0.0.2" in box.names("IPHost")
    assert "anything" not in box.names("IPHost")


def test_a_sweep_beside_a_living_run_takes_nothing_that_it_uses(box: Box, responder: int) -> None:
    """Made by a run whose lease is over, used by one whose lease is not."""
    present(box.firewall(), forward(responder), "short")
    present(box.firewall(), forward(responder, lease=3 * 3600), "long")
    box.settings(clock_offset=3600)
    sweep(box.firewall(), HOUR)
    assert ours(box)["FirewallRule"] == [f"{NAME}-long"]
    assert fetch(box)
    sweep(box.firewall(), 5 * HOUR)
    assert ours(box) == {}


def test_a_half_made_forward_is_swept(box: Box, responder: int) -> None:
    for nth in itertools.count(1):
        box.faults({"kind": "status", "operation": "add", "nth": nth})
        try:
            present(box.firewall(), forward(responder))
        except XgsError:
            pass
        else:
            break
        finally:
            box.emulator.clear_faults(box.name)
        sweep(box.firewall(), HOUR)
        assert ours(box) == {}
    assert nth == 6
    assert records(box, "NATRule")
