# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port opened by iptables on a real firewall of the kernel's, and seen from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_dnat_port

from lab.console import Box
from lab.processes import wait_until

WAN, CONTROL, LAN = "198.18.1.1", "198.19.1.200", "198.19.1.1"
HERE = {"target": "127.0.0.1", "wan_host": WAN}
INSIDE = {"target": CONTROL, "wan_host": WAN}
OUTSIDE = "198.18.0.1"
OLD_TOOL = "-t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination :8000"


@pytest.fixture(scope="module")
def box(shell_box: Box) -> Iterator[Box]:
    """Somebody answers on the firewall and inside."""
    with (
        shell_box.answering(shell_box.itself, 8080, "the firewall"),
        shell_box.answering(shell_box.itself, 8000, "the old tool"),
        shell_box.answering(shell_box.plane.control, 8080, "inside"),
    ):
        yield shell_box


@pytest.fixture(autouse=True)
def nothing_left(box: Box) -> Iterator[None]:
    before = box.rules()
    yield
    task(box, state="absent", run_id="*")
    assert box.rules() == before


def task(box: Box, check: bool = False, **options: Any) -> Outcome:
    given = {"method": "iptables", "ssh": box.ssh, "run_id": "run1", **options}
    checked = ArgumentSpecValidator(xgs_dnat_port.ARGUMENTS.spec).validate(given)
    assert checked.error_messages == []
    return xgs_dnat_port.run(checked.validated_parameters, check)


def added(box: Box, before: list[str]) -> list[str]:
    return [rule for rule in box.rules() if rule not in before]


def test_to_the_firewall_itself(box: Box) -> None:
    before = box.rules()
    assert box.seen() == "silent"
    opened = task(box, **HERE)
    assert opened.changed
    assert opened.facts["forward"] == f"{WAN}:80 to 127.0.0.1:8080"
    assert opened.facts["made"] == ["INPUT certfleet-http01-run1", "PREROUTING certfleet-http01-run1"]
    assert box.seen() == f"the firewall {OUTSIDE}"
    assert box.seen(8080) == "silent", "the responder's own port was opened besides"
    assert len(added(box, before)) == 2
    closed = task(box, state="absent")
    assert (closed.changed, closed.facts["writes"]) == (True, 2)
    assert box.seen() == "silent"
    assert box.rules() == before


@pytest.mark.parametrize("masquerade", [True, False])
def test_to_a_host_inside(box: Box, masquerade: bool) -> None:
    before = box.rules()
    task(box, **INSIDE, masquerade=masquerade)
    assert box.seen() == f"inside {LAN if masquerade else OUTSIDE}"
    assert len(added(box, before)) == (3 if masquerade else 2)
    task(box, state="absent")
    assert (box.seen(), box.rules()) == ("silent", before)


def test_to_an_address_of_the_firewall(box: Box) -> None:
    task(box, target=LAN, wan_host=WAN)
    assert box.seen() == f"the firewall {OUTSIDE}"


@pytest.mark.parametrize("target", ["127.0.0.1", CONTROL])
def test_of_an_interface(box: Box, target: str) -> None:
    task(box, target=target, wan_host="#wan")
    assert box.seen().startswith("the firewall" if target == "127.0.0.1" else "inside")


def test_only_the_address_that_was_asked_for(box: Box) -> None:
    subprocess.run(box.itself.command(["ip", "addr", "add", "198.18.1.9/16", "dev", "wan"]), check=True)
    try:
        task(box, **HERE)
        assert (box.seen()[:12], box.seen(address="198.18.1.9")) == ("the firewall", "silent")
    finally:
        subprocess.run(box.itself.command(["ip", "addr", "del", "198.18.1.9/16", "dev", "wan"]), check=True)


def test_again_changes_nothing(box: Box) -> None:
    first = task(box, **HERE)
    before = box.rules()
    again = task(box, **HERE)
    assert (again.changed, again.before, again.after) == (False, {}, {})
    assert again.facts["until"] == first.facts["until"]
    assert box.rules() == before
    longer = task(box, **HERE, lease=86400)
    assert (longer.changed, longer.facts["until"] > first.facts["until"]) == (True, True)
    assert len(box.rules()) == len(before)
    elsewhere = task(box, **INSIDE)
    assert elsewhere.changed
    assert box.seen().startswith("inside")
    assert task(box, state="absent").changed
    assert not task(box, state="absent").changed
    assert not task(box, state="swept").changed


@pytest.mark.parametrize("state", ["present", "absent"])
def test_check_mode_tells_what_the_run_does(box: Box, state: str) -> None:
    if state == "absent":
        task(box, **HERE)
    before = box.rules()
    told = task(box, check=True, **HERE, state=state)
    assert box.rules() == before
    done = task(box, **HERE, state=state)
    assert box.rules() != before
    assert timeless(told) == timeless(done)
    assert done.changed


def timeless(outcome: Outcome) -> tuple[Any, ...]:
    """The times apart, which a run knows only when it opens."""
    after = {label: re.sub(r"(opened|expires)=\d+", "", text) for label, text in outcome.after.items()}
    facts = {key: value for key, value in outcome.facts.items() if key not in ("opened_at", "until")}
    return outcome.changed, outcome.before, after, facts


def test_the_rule_of_somebody_else_does_not_win_and_stays(box: Box) -> None:
    """The old tool appends its own, for all addresses."""
    box.iptables(OLD_TOOL)
    try:
        before = box.rules()
        task(box, **INSIDE)
        assert box.seen().startswith("inside")
        task(box, state="absent", run_id="*")
        assert box.rules() == before
    finally:
        box.iptables(OLD_TOOL.replace("-A", "-D"))


def test_two_runs(box: Box) -> None:
    before = box.rules()
    task(box, **HERE)
    task(box, **HERE, run_id="run2")
    closed = task(box, state="absent")
    assert [text for text in closed.warnings if "stays forwarded by run run2" in text]
    assert box.seen().startswith("the firewall")
    with pytest.raises(CertfleetError, match=r"run run2 of .* forwards 198.18.1.1:80 to 127.0.0.1:8080 until"):
        task(box, **INSIDE)
    task(box, state="absent", run_id="run2")
    assert (box.seen(), box.rules()) == ("silent", before)


def test_rules_that_somebody_moved_and_a_stranger_with_a_like_comment(box: Box) -> None:
    before = box.rules()
    task(box, **HERE)
    box.iptables("-t nat -I PREROUTING 1 -p tcp --dport 81 -m comment --comment certfleet,mine -j ACCEPT")
    box.iptables("-I INPUT 1 -p tcp --dport 81 -j ACCEPT")
    task(box, state="absent", run_id="*")
    assert len(added(box, before)) == 2
    box.iptables("-t nat -D PREROUTING -p tcp --dport 81 -m comment --comment certfleet,mine -j ACCEPT")
    box.iptables("-D INPUT -p tcp --dport 81 -j ACCEPT")


KILLED = """
import json, os, signal, sys
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_dnat_port
params = ArgumentSpecValidator(xgs_dnat_port.ARGUMENTS.spec).validate(json.loads(sys.stdin.read())).validated_parameters
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell import iptables
opened = iptables.Iptables.open
def die(self, mark, made, lease):
    # Shorter than one may ask for: nobody wants to wait a minute for the rest.
    opened(self, mark, made, 8)
    os.kill(os.getpid(), signal.SIGKILL)
iptables.Iptables.open = die
xgs_dnat_port.run(params, False)
"""


@pytest.mark.timeout(240)
def test_the_firewall_closes_by_itself_when_the_run_was_killed(box: Box) -> None:
    before = box.rules()
    given = {"method": "iptables", "ssh": box.ssh, "run_id": "run1", "lease": 60, **HERE}
    root = Path(__file__).resolve().parents[4]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED],
        input=json.dumps(given),
        text=True,
        env={**os.environ, "PYTHONPATH": f"{root}/build/src"},
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL
    assert box.seen().startswith("the firewall")
    assert box.watchdogs() >= 1
    wait_until(lambda: box.rules() == before, 180, lambda: str(added(box, before)))
    assert box.seen() == "silent"


def test_nothing_stays_of_a_closed_port_nor_of_one_that_somebody_broke(box: Box) -> None:
    """The watchdogs end early, and take away what is left of an opening whose forwarding rule is gone."""
    before = box.rules()
    task(box, **HERE)
    task(box, **HERE, run_id="run2")
    assert box.watchdogs() >= 2
    (rule,) = [rule for rule in added(box, before) if "PREROUTING" in rule and "run=run2" in rule]
    task(box, state="absent")
    box.iptables("-t nat " + rule.replace("-A", "-D").replace('"', ""))
    wait_until(lambda: (box.rules(), box.console.processes()) == (before, []), 60, lambda: str(box.console.processes()))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"wan_host": [WAN, "wan"]}, "one wan_host"),
        ({"wan_host": "203.0.113.9"}, f"no address 203.0.113.9.*{WAN}"),
        ({"wan_host": "#Port2"}, "no interface Port2.*vpn"),
        ({"wan_host": "#Port2:0"}, "knows nothing"),
        ({"wan_host": "2001:db8::1"}, "knows nothing"),
        ({"target6": "2001:db8::2"}, "only IPv4"),
        ({"zone": "DMZ"}, "zones mean nothing"),
        ({"name": "a name; reboot"}, "does not do for iptables"),
        ({"target_port": 80}, "led to itself"),
        ({"lease": 10}, "out of range"),
        ({"target": None}, "no responder address"),
    ],
)
def test_what_it_cannot_do(box: Box, options: dict[str, Any], text: str) -> None:
    before = box.rules()
    with pytest.raises(CertfleetError, match=text) as caught:
        task(box, **{**HERE, **options})
    assert caught.value.remedy
    assert box.rules() == before


@pytest.mark.parametrize(
    ("words", "says", "text"),
    [
        ("-I PREROUTING", "No chain/target/match by that name.", r"refused the rules: No chain/target/match"),
        ("-S", "Permission denied (you must be root).", r"iptables -w -t nat -S.*Permission denied"),
    ],
)
def test_an_iptables_that_will_not(box: Box, words: str, says: str, text: str) -> None:
    """A kernel without what the last rule takes, or a firmware that lets nobody. What was made is taken back."""
    before = box.rules()
    broken = box.console.home / "bin"
    broken.mkdir(exist_ok=True)
    (broken / "iptables").write_text(
        f'#!/bin/sh\ncase "$*" in *"{words}"*) echo "{says}"; exit 1 ;; esac\nPATH=${{PATH#*:}} exec iptables "$@"\n'
    )
    (broken / "iptables").chmod(0o755)
    login_shell = box.console.home / "console"
    plain = login_shell.read_text()
    login_shell.write_text(plain.replace("export CONSOLE_PATH=", f"export CONSOLE_PATH={broken}:"))
    try:
        with pytest.raises(CertfleetError, match=text + r".*This way needs iptables with the matches comment"):
            task(box, **HERE)
        assert box.rules() == before
    finally:
        login_shell.write_text(plain)
