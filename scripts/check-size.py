# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the files named, and which functions in them, are longer than they may be; fails where there are any."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE, FUNCTION, MAIN = 400, 50, 19


def too_long(path: Path) -> Iterator[str]:
    """path:line name has N lines."""
    text = path.read_text()
    lines = text.count("\n")
    if lines > FILE:
        yield f"{path}:1 the file has {lines} lines, of {FILE}"
    if path.suffix == ".py":
        yield from (f"{path}:{found}" for found in long_functions(ast.parse(text)))


def long_functions(tree: ast.Module) -> Iterator[str]:
    """line name has N lines. Decorators do not count."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            most = MAIN if node.name == "main" else FUNCTION
            if lines > most:
                yield f"{node.lineno} {node.name} has {lines} lines, of {most}"


def main() -> int:
    """Exit status 1 where there are any."""
    # Files deleted but not yet staged are still listed by git.
    paths = [path for path in map(Path, sys.argv[1:]) if path.exists()]
    found = [line for path in paths for line in too_long(path)]
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
