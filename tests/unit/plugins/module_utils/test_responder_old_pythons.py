# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The responder starts on managed hosts, whose Python may be 3.6. Such a Python is seldom at hand to try it out."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder

PLUGINS = Path(_responder.__file__).resolve().parents[1]
MODULE = PLUGINS / "modules" / "acme_http01_responder.py"
MODULES_SINCE = {"dataclasses", "contextvars", "graphlib", "zoneinfo", "tomllib", "annotations"}
NAMES_SINCE = {
    "Annotated", "Final", "Literal", "OrderedDict", "ParamSpec", "Protocol", "Self", "TypedDict", "NoReturn",
    "as_file", "cache", "cached_property", "capture_output", "create_server", "fromisoformat", "is_relative_to",
    "missing_ok", "monotonic_ns", "nullcontext", "readlink", "removeprefix", "removesuffix", "singledispatchmethod",
    "time_ns", "to_thread", "breakpoint", "aiter", "anext", "pairwise", "batched", "dirs_exist_ok",
}  # fmt: skip


def imported(path: Path) -> set[Path]:
    """The file and what it imports of the collection, directly or not, when it is loaded."""
    found, left = set(), [path]
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += _neighbours(file)
    return found


def _neighbours(file: Path) -> Iterator[Path]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for each in (base.with_suffix(".py"), *(base / f"{name.name}.py" for name in node.names)):
                if each.exists():
                    yield each


def newer(source: str) -> list[str]:
    """What Python 3.6 would not run, as far as one can tell without it."""
    try:
        nodes = list(ast.walk(ast.parse(source, feature_version=(3, 6))))
    except SyntaxError as error:
        return [str(error)]
    # Python 3.13 takes these for older ones, too.
    grouped = re.findall(r"^ *with \(.+ as .*$", source, re.MULTILINE)
    return grouped + [ast.unparse(node) for node in nodes if _is_newer(node)]


def _is_newer(node: ast.AST) -> bool:
    if isinstance(node, ast.alias):
        return node.name.split(".")[0] in MODULES_SINCE | NAMES_SINCE
    if isinstance(node, (ast.AnnAssign, ast.arg)) and node.annotation is not None:
        return _is_new_annotation(node.annotation)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
        return _is_new_annotation(node.returns)
    name = getattr(node, "attr", None) or (node.arg if isinstance(node, ast.keyword) else getattr(node, "id", None))
    return name in NAMES_SINCE


def _is_new_annotation(annotation: ast.expr) -> bool:
    """`list[str]` is of 3.9, `A | B` of 3.10; generic classes of modules other than typing are of 3.9, too."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.BinOp):
            return True
        if isinstance(node, ast.Subscript) and not ast.unparse(node.value).startswith("t."):
            return True
    return False


def test_finds_what_is_imported() -> None:
    names = {path.name for path in imported(MODULE)}
    assert {MODULE.name, "_responder.py", "_responder_process.py", "_runner.py", "_files.py", "_errors.py"} <= names
    assert "_libraries.py" not in names


@pytest.mark.parametrize("path", sorted(imported(MODULE)), ids=lambda path: path.name)
def test_python_3_6_can_run_it(path: Path) -> None:
    assert newer(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations",
        "import dataclasses",
        "from typing import Protocol",
        "if (n := 1): pass",
        "def f(a, /): pass",
        "def f() -> list[str]: pass",
        "def f(a: int | None): pass",
        "x: collections.OrderedDict[str, int] = {}",
        "subprocess.run([], capture_output=True)",
        "'ab'.removeprefix('a')",
        "with contextlib.nullcontext(): pass",
        "match a:\n    case 1: pass",
        "with (a as b, c as d): pass",
    ],
)
def test_would_notice(source: str) -> None:
    assert newer(source)


def test_the_oldest_python_at_hand_runs_the_program() -> None:
    found = (shutil.which(f"python3.{minor}") for minor in range(6, 11))
    python = next((path for path in found if path and not subprocess.run([path, "-c", ""]).returncode), None)
    if python is None:
        pytest.skip("no Python older than 3.11 here")
    source = Path(_responder.__file__).read_bytes()
    subprocess.run([python, "-", "--help"], input=source, check=True, capture_output=True)
