# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a night costs the control node, and how long each firewall is open: `make bench-fleet`, see docs/bench.md."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests"))

from choice import chosen  # noqa: E402  # what the path above is for
from fleet_tools import TOOLS  # noqa: E402
from lab import collection  # noqa: E402
from measure import RunFailed, Usage, measure  # noqa: E402
from nights import CASES, SIZES, Night, nights  # noqa: E402
from place import COLLECTIONS, PEERS  # noqa: E402
from table import Row, columns, ratio_to_ours  # noqa: E402
from town import Town  # noqa: E402

HEAD = (
    *("case", "tool", "firewalls", "due", "wall s", "x ours", "CPU s", "x ours", "ms CPU each", "RSS MB"),
    *("reads", "writes", "open s", "most", "runs", ""),
)
SAME = ("case", "firewalls")


class Bench:
    """The rows, one after the other; a tool that took too long for a night is not asked for a larger one."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._ends = time.monotonic() + options.budget
        self._took: dict[tuple[str, str], tuple[Night, float]] = {}
        self.rows: list[Row] = []

    def row(self, night: Night, tool: str) -> Row:
        left = min(self._options.timeout, self._ends - time.monotonic())
        smaller, took = self._took.get((night.case, tool), (night, 0.0))
        # What does not go on at the same time goes on one after the other.
        if took * max(1, TOOLS[tool].work(night) / max(TOOLS[tool].work(smaller), night.forks)) > left:
            told = f"not run: {smaller.firewalls} firewalls took {took:.0f} s, and {left:.0f} s are left"
            row = _row(night, tool, [], told)
        else:
            row = self._measure(night, tool, left)
        self.rows.append(row)
        return row

    def _measure(self, night: Night, tool: str, left: float) -> Row:
        runs: list[dict[str, Any]] = []
        note = ""
        ends = time.monotonic() + self._options.row_budget
        try:
            while len(runs) < self._options.runs and (not runs or time.monotonic() < ends):
                runs.append(self._run(night, tool, left))
            self._took[night.case, tool] = (night, runs[-1]["wall_s"])
        except RunFailed as error:
            note = str(error) if error.timed_out else f"failed: {error}"
            self._took[night.case, tool] = (night, left)
        except Exception as error:  # noqa: BLE001  # whatever it was, it belongs into the report
            note = f"failed: {type(error).__name__}: {error}"
        return _row(night, tool, runs, note)

    def _run(self, night: Night, tool: str, timeout: float) -> dict[str, Any]:
        with Town(night, self._options.work) as town:
            command, environment = TOOLS[tool].command(town)
            usage: Usage = measure(command, env=environment, log=town.work / "log.txt", timeout=timeout)
            town.check()
            opened = town.open_seconds()
            return {
                "wall_s": usage.wall_s,
                "cpu_s": usage.cpu_s,
                "rss_mb": usage.rss_mb,
                **town.used(),
                "open_s_median": statistics.median(opened) if opened else None,
                "open_s_max": max(opened) if opened else None,
            }


def _row(night: Night, tool: str, runs: Sequence[dict[str, Any]], note: str) -> Row:
    def median(key: str, digits: int) -> float | None:
        values = [run[key] for run in runs if run[key] is not None]
        return round(statistics.median(values), digits) if values else None

    return {
        "case": night.case,
        "tool": tool,
        "firewalls": night.firewalls,
        "due": night.due,
        "wall_s": median("wall_s", 2),
        "cpu_s": median("cpu_s", 2),
        "rss_mb": median("rss_mb", 0),
        "reads": median("reads", 0),
        "writes": median("writes", 0),
        "open_s_median": median("open_s_median", 2),
        "open_s_max": median("open_s_max", 2),
        "runs": len(runs),
        "note": note,
    }


def _cells(row: Row, rows: Sequence[Row]) -> list[str]:
    start = [row["case"], row["tool"], str(row["firewalls"]), str(row["due"])]
    if not row["runs"]:
        return [*start, "-", *[""] * 9, "0", row["note"]]
    return [
        *start,
        f"{row['wall_s']:.1f}",
        ratio_to_ours(row, rows, "wall_s", SAME),
        f"{row['cpu_s']:.1f}",
        ratio_to_ours(row, rows, "cpu_s", SAME),
        f"{1000 * row['cpu_s'] / row['firewalls']:.0f}",
        f"{row['rss_mb']:.0f}",
        f"{row['reads']:.0f}",
        f"{row['writes']:.0f}",
        "" if row["open_s_median"] is None else f"{row['open_s_median']:.1f}",
        "" if row["open_s_max"] is None else f"{row['open_s_max']:.1f}",
        str(row["runs"]),
        row["note"],
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(each) for each in text.split(",")]

    parser = argparse.ArgumentParser(prog="bench/fleet.py", description=__doc__)
    parser.add_argument("--cases", type=chosen(CASES, "case"), default=list(CASES), metavar="A,B")
    parser.add_argument("--tools", type=chosen(list(TOOLS), "tool"), default=list(TOOLS), metavar="A,B")
    parser.add_argument("--firewalls", type=numbers, default=list(SIZES), metavar="N,N")
    parser.add_argument("--pace", type=float, default=1.0, help="of the time that real firewalls take to write (1)")
    parser.add_argument("--runs", type=int, default=3, help="of each tool in each night (default: 3)")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one run (default: 600)")
    parser.add_argument("--row-budget", type=float, default=60.0, help="seconds after which no run is added (60)")
    parser.add_argument("--budget", type=float, default=2400.0, help="seconds after which nothing is begun (2400)")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build/bench-fleet.json", help="the rows as JSON")
    parser.add_argument(
        "--work", type=Path, default=CHECKOUT / "build" / "bench" / "fleet", help="emptied for each run"
    )
    options = parser.parse_args(arguments)
    options.output, options.work = options.output.resolve(), options.work.resolve()
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if "modules" in options.tools and not PEERS.exists():
        raise SystemExit("the tools to compare with are not there: run scripts/bench-peers.sh")
    collection.install(COLLECTIONS)
    bench = Bench(options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        for night in nights(options.firewalls, options.pace):
            for tool in options.tools if night.case in options.cases else ():
                row = bench.row(night, tool)
                print("  ".join(filter(None, _cells(row, bench.rows))), file=sys.stderr, flush=True)
                options.output.write_text(json.dumps(bench.rows, indent=2) + "\n")
    finally:
        print(columns([HEAD, *(_cells(row, bench.rows) for row in bench.rows)], left=(0, 1, len(HEAD) - 1)))
    return 1 if any(row["note"].startswith("failed: ") for row in bench.rows) else 0


if __name__ == "__main__":
    # As by Ctrl-C: what is being measured is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
