# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the collection gets certificates, and how fast others do: `make bench`, see docs/bench.md."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests"))

from cases import CASES, Case  # noqa: E402  # what the path above is for
from choice import chosen  # noqa: E402
from lab import collection  # noqa: E402
from measure import RunFailed, Usage, measure  # noqa: E402
from place import COLLECTIONS, PEERS, Place  # noqa: E402
from table import Row, table  # noqa: E402
from tools import TOOLS, Tool  # noqa: E402

# A tool that fails twice in a case is not tried a third time.
MOST_FAILURES = 2


class Bench:
    """The rows of a benchmark, one after the other."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._ends = time.monotonic() + options.budget
        self._too_much: dict[str, list[Case]] = {}
        self.rows: list[Row] = []

    def row(self, case: Case, tool: Tool) -> Row:
        """Measure a tool in a case; what was not measured says why."""
        smaller = [each.name for each in self._too_much.get(tool.name, ()) if case.at_least(each)]
        if smaller:
            row = _row(case, tool, [], [], [f"not run: case {smaller[0]} took too long"])
        elif time.monotonic() > self._ends:
            row = _row(case, tool, [], [], [f"not run: {self._options.budget:g} s were over"])
        else:
            row = self._measure(case, tool)
        self.rows.append(row)
        return row

    def sorted(self) -> list[Row]:
        """By case, then by tool."""
        cases, tools = list(CASES), list(TOOLS)
        return sorted(self.rows, key=lambda row: (cases.index(row["case"]), tools.index(row["tool"])))

    def _measure(self, case: Case, tool: Tool) -> Row:
        """Run until there are enough, or the time for this row is over, or it is hopeless."""
        runs = min(self._options.runs, tool.most_runs)
        usages: list[Usage] = []
        requests: list[int] = []
        failures: list[str] = []
        while len(usages) < runs and len(failures) < MOST_FAILURES:
            if (
                tool.most_runs < self._options.runs
                and usages
                and sum(usage.wall_s for usage in usages) + usages[-1].wall_s > self._options.row_budget
            ):
                break
            try:
                usage, count = self._run(case, tool)
            except RunFailed as error:
                failures.append(f"failed: {error}")
                if error.timed_out:
                    self._too_much.setdefault(tool.name, []).append(case)
                    break
            except Exception as error:  # noqa: BLE001  # whatever it was, it belongs into the report
                failures.append(f"failed: {type(error).__name__}: {error}")
            else:
                usages.append(usage)
                requests.append(count)
        return _row(case, tool, usages, requests, failures)

    def _run(self, case: Case, tool: Tool) -> tuple[Usage, int]:
        """One run and how many requests it took, at a CA of its own: Pebble gets slower with what it remembers,
        and reuses an authorization now and then whatever it was told.
        """
        with Place(case, self._options.work) as place:
            tool.prepare(place)
            command, environment = tool.command(place)
            before = len(place.ca.requests())
            usage = measure(command, env=environment, log=place.work / "log.txt", timeout=self._options.timeout)
            place.check(tool.chains)
            return usage, len(place.ca.requests()) - before


def _row(case: Case, tool: Tool, usages: list[Usage], requests: list[int], failures: list[str]) -> Row:
    walls = [usage.wall_s for usage in usages]

    def median(values: Sequence[float], digits: int) -> float | None:
        return round(statistics.median(values), digits) if values else None

    return {
        "case": case.name,
        "tool": tool.name,
        "wall_s": median(walls, 3),
        "cpu_s": median([usage.cpu_s for usage in usages], 3),
        "rss_mb": median([usage.rss_mb for usage in usages], 1),
        "requests": round(statistics.median(requests)) if requests else None,
        "runs": len(usages),
        "min": round(min(walls), 3) if walls else None,
        "max": round(max(walls), 3) if walls else None,
        "failed": sum(text.startswith("failed") for text in failures),
        "note": "; ".join(failures),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--cases", type=chosen(list(CASES), "case"), default=list(CASES), metavar="A,B")
    parser.add_argument("--tools", type=chosen(list(TOOLS), "tool"), default=list(TOOLS), metavar="A,B")
    parser.add_argument("--runs", type=int, default=5, help="of each tool in each case, fewer of the slow (default: 5)")
    parser.add_argument("--timeout", type=float, default=40.0, help="seconds for one run (default: 40)")
    parser.add_argument("--row-budget", type=float, default=10.0, help="seconds after which no run is added (10)")
    parser.add_argument("--budget", type=float, default=780.0, help="seconds after which nothing is begun (780)")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build" / "bench-acme.json", help="the rows as JSON")
    parser.add_argument("--work", type=Path, default=CHECKOUT / "build" / "bench" / "run", help="emptied for each run")
    options = parser.parse_args(arguments)
    options.output, options.work = options.output.resolve(), options.work.resolve()
    return options


def _tell(row: Row) -> None:
    wall = "-" if row["wall_s"] is None else f"{row['wall_s']:.2f} s"
    print(f"  {row['case']:10} {row['tool']:16} {wall:>10} {row['note']}".rstrip(), file=sys.stderr, flush=True)


def _prepare(tools: Sequence[Tool]) -> None:
    """What the tools need. Ends the program where it is not there."""
    if any(tool.needs_peers for tool in tools) and not PEERS.exists():
        raise SystemExit("the tools to compare with are not there: run scripts/bench-peers.sh")
    if any(tool.needs_collection for tool in tools):
        collection.install(COLLECTIONS)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    tools = [TOOLS[name] for name in options.tools]
    _prepare(tools)
    bench = Bench(options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Those that take long last: should the time be over, the others are there.
        for slow in (False, True):
            for case in options.cases:
                for tool in tools:
                    if tool.needs_peers == slow:
                        _tell(bench.row(CASES[case], tool))
                        options.output.write_text(json.dumps(bench.sorted(), indent=2) + "\n")
    finally:
        print(table(bench.sorted()))
    return 1 if any(row["failed"] and "not done after" not in row["note"] for row in bench.rows) else 0


if __name__ == "__main__":
    # As by Ctrl-C: what is being measured is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
