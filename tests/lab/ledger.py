# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests found out, kept as tables for the documentation; safe for tests that run side by side."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

NOTES = Path(__file__).resolve().parents[2] / "build" / "faults"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


class Ledger:
    """Rows by table, each a file of its own below `directory`."""

    def __init__(self, directory: Path = NOTES) -> None:
        self._directory = directory

    def note(self, table: str, **columns: str) -> None:
        """Add a row; the first column names and sorts it."""
        folder = self._directory / table
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(columns))

    def rows(self, table: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = [json.loads(row.read_text()) for row in (self._directory / table).glob("*.json")]
        return sorted(found, key=lambda row: list(row.values()))

    def tables(self) -> list[str]:
        return sorted(folder.name for folder in self._directory.glob("*") if folder.is_dir())


def markdown(rows: list[dict[str, str]]) -> str:
    """The rows as a Markdown table; all have the columns of the first."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name].replace("|", "\\|") for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_page(ledger: Ledger, page: Path = PAGE) -> None:
    """Put each table between its two marks in the page. SystemExit for a table that has none."""
    text = page.read_text()
    for table in ledger.tables():
        begin, end = f"<!-- table {table} -->\n", f"<!-- end {table} -->"
        before, found, rest = text.partition(begin)
        _old, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"{page.name} has no place for the table {table!r}: add {begin.strip()} and {end}")
        text = f"{before}{begin}{markdown(ledger.rows(table))}\n{end}{after}"
    page.write_text(text)


if __name__ == "__main__":
    write_page(Ledger())
