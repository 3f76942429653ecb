# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looks at check mode notices what it is there to notice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.entries import firewall
from lab.fleet import Fleet
from lab.foresight import compare, foresee
from lab.playbook import PlaybookResult, parse_recap

RECAP = "\nPLAY RECAP ****\nfw1 : ok=1 changed=0\nfw2 : ok=1 changed=0\n"
RAN = """
TASK [Plan] ***
ok: [fw1]
TASK [certfleet.sophos_xgs.xgs_letsencrypt : Upload OWA] ***
--- before
+++ after
changed: [fw1]
changed: [fw2 -> localhost]
TASK [Bind OWA] ***
changed: [fw1]
skipping: [fw2]
"""


def result(stdout: str) -> PlaybookResult:
    return PlaybookResult(0, stdout + RECAP, "", parse_recap(stdout + RECAP))


def test_the_same_agrees() -> None:
    compare(result(RAN), result(RAN))
    assert [(told.host, told.status) for told in result(RAN).told if told.task == "Bind OWA"] == [
        ("fw1", "changed"),
        ("fw2", "skipping"),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("changed: [fw1]\nskipping", "ok: [fw1]\nskipping"),
        ("skipping: [fw2]", "changed: [fw2]"),
        ("Bind OWA", "Bind another"),
        ("changed: [fw2 -> localhost]", "changed: [fw2] => (item=a)\nchanged: [fw2] => (item=b)"),
    ],
)
def test_a_difference_is_noticed_either_way(old: str, new: str) -> None:
    assert old in RAN
    for foreseen, run in ((RAN, RAN.replace(old, new)), (RAN.replace(old, new), RAN)):
        with pytest.raises(AssertionError, match=r"fw\d would change"):
            compare(result(foreseen), result(run))


def test_what_undoes_an_earlier_task_is_named() -> None:
    closes = RAN + "TASK [Close] ***\nchanged: [fw1]\n"
    with pytest.raises(AssertionError, match="fw1 would change"):
        compare(result(RAN), result(closes))
    compare(result(RAN), result(closes), unforeseen=["Close"])


def test_only_what_comes_before_a_failure_is_compared_and_only_there() -> None:
    failed = RAN.replace("changed: [fw1]\nskipping", "fatal: [fw1]: FAILED!\nskipping")
    compare(result(RAN), result(failed))
    with pytest.raises(AssertionError, match="fw1 would change"):
        compare(result(RAN.replace("changed: [fw1]\nchanged", "ok: [fw1]\nchanged")), result(failed))
    with pytest.raises(AssertionError, match="fw2 would change"):
        compare(result(RAN.replace("skipping: [fw2]", "changed: [fw2]")), result(failed))


def test_a_failure_of_check_mode_alone() -> None:
    with pytest.raises(AssertionError, match="fw1 failed in check mode only"):
        compare(result(RAN + "TASK [More] ***\nfatal: [fw1]: FAILED!\n"), result(RAN))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet([firewall(1)], tmp_path / "fleet", {}) as made:
        yield made


def test_traces_are_noticed_and_reads_are_not_counted(fleet: Fleet, tmp_path: Path) -> None:
    before = (fleet.counters(), fleet.ca.requests())

    def reads() -> PlaybookResult:
        fleet.ca.check_health()
        return result(RAN)

    def writes() -> PlaybookResult:
        (tmp_path / "account.pem").touch()
        return result(RAN)

    with pytest.raises(AssertionError, match="'accounts': \\(0, 1\\)"):
        foresee(reads, fleet, tmp_path, ["ca"])
    with pytest.raises(AssertionError, match=r"account\.pem"):
        foresee(writes, fleet, tmp_path, ["ca"])
    assert foresee(lambda: result(RAN), fleet, tmp_path, ["ca"]).told
    assert (fleet.counters(), fleet.ca.requests()) == before
    assert ("POST", "/sign-me-up") not in fleet.ca.requests()
