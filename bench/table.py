# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results as a table for people."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

Row = dict[str, Any]
HEAD = ("case", "tool", "wall s", "least-most", "x ours", "CPU s", "x ours", "RSS MB", "requests", "runs", "")


def ratio_to_ours(row: Row, rows: Sequence[Row], key: str, same: Sequence[str] = ("case",)) -> str:
    """How many times as much as `ours` in the `same` case, "" where that is not known."""
    ours = [each[key] for each in rows if each["tool"] == "ours" and all(each[one] == row[one] for one in same)]
    return f"{row[key] / ours[0]:.2f}" if ours and ours[0] and row[key] is not None else ""


def _cells(row: Row, rows: Sequence[Row]) -> list[str]:
    if row["wall_s"] is None:
        return [row["case"], row["tool"], "-", "", "", "", "", "", "", "0", row["note"]]
    return [
        row["case"],
        row["tool"],
        f"{row['wall_s']:.2f}",
        f"{row['min']:.2f}-{row['max']:.2f}",
        ratio_to_ours(row, rows, "wall_s"),
        f"{row['cpu_s']:.2f}",
        ratio_to_ours(row, rows, "cpu_s"),
        f"{row['rss_mb']:.0f}",
        str(row["requests"]),
        str(row["runs"]),
        row["note"],
    ]


def table(rows: Sequence[Row]) -> str:
    """Lines of equal columns."""
    return columns([HEAD, *(_cells(row, rows) for row in rows)], left=(0, 1, 10))


def columns(lines: Sequence[Sequence[str]], left: Container[int]) -> str:
    """The same with equal columns, which are aligned to the right but for those in `left`."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = []
    for line in lines:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)
