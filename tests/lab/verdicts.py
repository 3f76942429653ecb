# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each cell of the table of firewall faults: a word for the table, and which promises were broken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.cells import FOR_GOOD, SENTENCE, Call, Cell, Play, Seen, Town
from lab.fleet import Fleet

# Read as their neighbours in the same step are, one of which is in the table.
ALIKE = (
    "IPHost",
    "Services",
    "NATRule",
    "SSLTunnelAccessSettings",
    "EmailConfiguration",
    "AdvancedConfiguration",
    "SophosConnectClient",
    "VPNIPSecConnection",
)
# Longer than the role's lease, and a quarter of an hour more because schedules count in quarters.
LEASE_OVER = 3600
SILENT = ("silent", "silent, done")
# An account is locked after five in a minute (vendor's default).
MOST_LOGIN_FAILURES = 4
# No request can do both: a firewall that fails between them leaves the rule out of its group. The report says so.
GROUP, TOLD = "FirewallRuleGroup Published", "rule group 'Published'"

Words = dict[tuple[Call, str], dict[str, str]]


def chosen(calls: Sequence[Call]) -> list[Call]:
    """Every write, the reads next to one, and the first read of each kind."""
    found: list[Call] = []
    for call in calls:
        around = calls[max(call.number - 2, 0) : call.number + 1]
        first = call.entity not in ALIKE and call.entity not in {one.entity for one in calls[: call.number - 1]}
        if first or any(one.operation != "get" for one in around):
            found.append(call)
    return found


def break_and_mend(
    make_fleet: Callable[..., Fleet], play: Play, directory: Path, cells: Sequence[Cell], requests: int
) -> tuple[Words, list[str]]:
    """Renew with the faults and, when they are healed, once more. requests: of an undisturbed renewal.

    Gives the words by call and how long the fault lasts, then by fault; and every broken promise.
    """
    town = Town(make_fleet, play, directory, [cell.number for cell in cells])
    before = town.look()
    for cell in cells:
        town.patience(cell.host, 4 if cell.fault in SILENT else 60)
        town.fleet.emulator.reset(cell.host)
        town.fleet.emulator.add_faults(cell.host, *cell.documents())
    rows, then = town.renew(), town.look()
    words: Words = defaultdict(dict)
    problems: list[str] = []
    for cell in cells:
        row, seen = rows[cell.host], then[cell.host]
        words[cell.call, cell.lasting][cell.fault] = _word(row, seen, before[cell.host], requests)
        # Then what it shows is not what it has, and nobody can know that from its answers.
        blind = (cell.fault, cell.lasting) == ("lie", FOR_GOOD)
        problems += [f"{cell}: {text}" for text in _broken(row, seen, before[cell.host], blind=blind)]
        if seen.port80 == "open" and town.later(cell.host, LEASE_OVER) == "open":
            problems.append(f"{cell}: port 80 is open when the lease is over")
        town.fleet.emulator.clear_faults(cell.host)
    told = [f"{cell}: {rows[cell.host]['status']} {rows[cell.host]['error']}\n" for cell in cells]
    (directory / "told.txt").write_text("".join(told))
    return words, [*problems, *_unmended(town, cells, before, rows, then)]


def _word(row: Mapping[str, Any], seen: Seen, before: Seen, requests: int) -> str:
    if row["status"] == "renewed":
        notes = ["retried" if seen.requests > requests else "renewed"]
    else:
        serves = set(seen.serves.values())
        notes = [str(row["stage"]), *(["new"] if serves == {"new"} else ["mixed"] if len(serves) > 1 else [])]
    if seen.foreign.get(GROUP) != before.foreign.get(GROUP):
        notes.append("group")
    if seen.port80 == "open":
        notes.append("open")
    elif seen.ours:
        notes.append("left")
    return ", ".join(notes)


def _broken(row: Mapping[str, Any], seen: Seen, before: Seen, *, blind: bool) -> Iterator[str]:
    """Promises that do not hold after the run with the fault."""
    if row["status"] == "failed":
        told = SENTENCE.fullmatch(row["error"])
        if not told or (told["firewall"], told["stage"]) != (row["firewall"], row["stage"]):
            yield f"says {row['error']!r}"
        if seen.port80 == "open" and "Until the lease ends" not in row["error"] and not blind:
            yield f"port 80 is open, which {row['error']!r} does not say"
    elif row["status"] != "renewed" or set(seen.serves.values()) != {"new"}:
        yield f"{row['status']}, but serves {seen.serves}"
    if seen.login_failures > MOST_LOGIN_FAILURES:
        yield f"{seen.login_failures} tries with a wrong password"
    yield from _always(seen, before, excused=TOLD in (row["error"] or ""))


def _always(seen: Seen, before: Seen, *, excused: bool) -> Iterator[str]:
    if not set(seen.serves.values()) <= {"new", "old"}:
        yield f"serves {seen.serves}"
    for one in {**before.foreign, **seen.foreign}:
        was, now = before.foreign.get(one), seen.foreign.get(one)
        if was != now and not (excused and one == GROUP):
            yield f"{one}: {was} became {now}"


def _unmended(
    town: Town,
    cells: Sequence[Cell],
    before: Mapping[str, Seen],
    first: Mapping[str, Mapping[str, Any]],
    broken: Mapping[str, Seen],
) -> Iterator[str]:
    """Promises that do not hold after a plain run without faults; first, broken: what the run before told and left.

    What it renewed is not due again, so objects that it left are the janitor's, and an old version the next renewal's.
    """
    rows, then = town.renew(), town.look()
    littered = [host for host, seen in then.items() if seen.ours and set(broken[host].serves.values()) == {"new"}]
    if littered:
        town.sweep(littered)
        then |= town.look()
    for cell in cells:
        row, seen, told = rows[cell.host], then[cell.host], first[cell.host]
        done = set(broken[cell.host].serves.values()) == {"new"}
        texts = [*_always(seen, before[cell.host], excused=TOLD in (told["error"] or ""))]
        if row["status"] not in ("renewed", "repointed", "pruned", "unchanged"):
            texts.append(f"{row['status']}: {row['error']}")
        if set(seen.serves.values()) != {"new"}:
            texts.append(f"serves {seen.serves}")
        if seen.port80 == "open" or seen.ours or seen.versions > 1 + done:
            texts.append(f"port 80 is {seen.port80}, left are {seen.ours}, there are {seen.versions} versions")
        yield from (f"{cell}: after the re-run: {text}" for text in texts)
    issued = town.fleet.ca.issued()
    if issued != len(cells):
        yield f"{issued} certificates were issued for {len(cells)}"
