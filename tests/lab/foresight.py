# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`--check` before a run: it changes nothing anywhere, and announces what the run then does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.fleet import Fleet
from lab.playbook import PlaybookResult, Told

# Of what the emulator tells of a firewall; the rest counts what was read.
LASTING = ("port80_open", "open_intervals", "objects", "bindings", "certificates", "served")
# What a client may send that changes nothing: to look up its account (RFC 8555 section 7.3.1).
HARMLESS = {"/sign-me-up"}
FAILED = ("fatal", "failed", "unreachable")


def foresee(
    check: Callable[[], PlaybookResult], fleet: Fleet, files: Path, ignored: Container[str] = ()
) -> PlaybookResult:
    """What check() came to, which runs a playbook with --check.

    AssertionError when it left a trace on the firewalls, at the CA, on the responder's port, or in `files`, apart from
    what has an `ignored` name there. What it read is counted nowhere.
    """
    before = _traces(fleet, files, ignored)
    with fleet.ca.left_out(), _not_counted(fleet):
        result = check()
        after = _traces(fleet, files, ignored)
    left = {what: (before.get(what), now) for what, now in after.items() if now != before.get(what)}
    assert not left, f"check mode left traces: {left}\n{result.stdout}"
    return result


def compare(foreseen: PlaybookResult, run: PlaybookResult, unforeseen: Container[str] = ()) -> None:
    """AssertionError unless each host's tasks changed as check mode had said.

    From a host's first failure on the run goes another way than check mode could know. unforeseen: tasks that undo what
    an earlier task of the play does.
    """
    for host in run.recap.keys() | foreseen.recap.keys():
        until = _before_failure(run, host)
        ways = [_changes(result, host, until, unforeseen) for result in (foreseen, run)]
        assert ways[0] == ways[1], (
            f"{host} would change {dict(ways[0])}, and changed {dict(ways[1])}\n{foreseen.stdout}\n{run.stdout}"
        )
        failed = [[told for told in result.told if _fails(told, host)] for result in (foreseen, run)]
        assert failed[1] or not failed[0], f"{host} failed in check mode only\n{foreseen.stdout}\n{run.stdout}"


def _changes(result: PlaybookResult, host: str, tasks: Container[str], unforeseen: Container[str]) -> Counter[str]:
    return Counter(
        told.task
        for told in result.told
        if (told.host, told.status) == (host, "changed") and told.task in tasks and told.task not in unforeseen
    )


class _Every:
    def __contains__(self, _task: object) -> bool:
        return True


def _before_failure(run: PlaybookResult, host: str) -> Container[str]:
    """The tasks of the host that came to an end before its first failure; all there are, where none failed."""
    own = [told for told in run.told if told.host == host]
    first = next((number for number, told in enumerate(own) if _fails(told, host)), None)
    return _Every() if first is None else {told.task for told in own[:first]} - {own[first].task}


def _fails(told: Told, host: str) -> bool:
    return told.host == host and told.status in FAILED


def _traces(fleet: Fleet, files: Path, ignored: Container[str]) -> dict[str, Any]:
    """All that a run might change."""
    firewalls = {name: fleet.emulator.firewall(name) for name in fleet.addresses}
    log = fleet.ca.requests()
    return {
        "writes": fleet.writes(),
        **{name: {key: state[key] for key in LASTING} for name, state in firewalls.items()},
        # One that a killed run left may end meanwhile.
        **({"responder": "open"} if fleet.responder_open() else {}),
        "accounts": fleet.ca.accounts(),
        "issued": fleet.ca.issued(),
        "sent to the CA": Counter(path for method, path in log if method == "POST" and path not in HARMLESS),
        **{
            str(path): (path.lstat().st_mode, path.is_file() and path.lstat().st_mtime_ns)
            for path in files.rglob("*")
            if not any(part in ignored for part in path.relative_to(files).parts)
        },
    }


@contextmanager
def _not_counted(fleet: Fleet) -> Iterator[None]:
    """Whatever a test counts later, it is without what happens meanwhile."""
    before: dict[str, Mapping[str, Any]] = {name: fleet.emulator.firewall(name) for name in fleet.addresses}
    try:
        yield
    finally:
        for name, state in before.items():
            fleet.emulator.reset(name, to=state)
