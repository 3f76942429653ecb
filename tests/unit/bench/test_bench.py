# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark runs and reports. How fast anything is, no test says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[3] / "bench"
RUN, FLEET = BENCH / "run.py", BENCH / "fleet.py"
NUMBERS = ("wall_s", "cpu_s", "rss_mb", "min", "max")


def test_measures_one_certificate(tmp_path: Path) -> None:
    output = tmp_path / "rows.json"
    options = ["--cases", "1", "--tools", "ours,floor", "--runs", "1", "--work", str(tmp_path / "work")]
    done = subprocess.run(
        [sys.executable, str(RUN), *options, "--output", str(output)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(output.read_text())
    assert [(row["case"], row["tool"], row["runs"], row["failed"]) for row in rows] == [
        ("1", "ours", 1, 0),
        ("1", "floor", 1, 0),
    ]
    for row in rows:
        assert all(row[key] > 0 for key in NUMBERS)
        # Order, authorization, challenge, poll, finalize, poll, certificate; the directory and a nonce before.
        assert row["requests"] >= 8
    assert {"ours", "floor"} <= set(done.stdout.split())


def test_refuses_what_it_does_not_know() -> None:
    done = subprocess.run([sys.executable, str(RUN), "--cases", "7"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no case 7" in done.stderr


def test_measures_nights_of_a_fleet(tmp_path: Path) -> None:
    output = tmp_path / "rows.json"
    options = ["--tools", "ours", "--cases", "quiet,first", "--firewalls", "1,2", "--pace", "0.01", "--runs", "1"]
    done = subprocess.run(
        [sys.executable, str(FLEET), *options, "--work", str(tmp_path / "work"), "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(output.read_text())
    assert [(row["case"], row["firewalls"], row["due"]) for row in rows] == [
        ("quiet", 1, 0),
        ("quiet", 2, 0),
        ("first", 1, 1),
        ("first", 2, 2),
    ]
    for row in rows:
        assert all(row[key] > 0 for key in ("wall_s", "cpu_s", "rss_mb"))
        assert (row["writes"] > 0) is (row["open_s_median"] is not None) is (row["due"] > 0)
    assert [row["reads"] for row in rows[:2]] == [1, 2]
