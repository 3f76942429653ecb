# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""README and guides as their readers use them: commands to type, blocks to copy."""

from __future__ import annotations

import functools
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
# What is indented after an empty line, as far as it is.
_INDENTED = re.compile(r"(?<=\n\n)((?: {4,}\S.*\n)+)")
_PROGRAMS = "ansible|ansible-[a-z]+|cat|cd|curl|export|git|make|mkdir|openssl|pip|python3|ssh-keyscan"
_COMMAND = re.compile(rf"^(?:(?:{_PROGRAMS}) .+)$", re.MULTILINE)
_REMARK = re.compile(r" +# .*$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@functools.cache
def blocks(page: str) -> list[str]:
    """All that is set apart from the prose of a page: fenced or indented. Without its indentation."""
    text = text_of(ROOT / page)
    found = [block for _kind, block in FENCED.findall(text)]
    return [textwrap.dedent(block) for block in (*found, *_INDENTED.findall(FENCED.sub("", text)))]


def block(page: str, part: str) -> str:
    """The one block of the page that has this part."""
    (found,) = (each for each in blocks(page) if part in each)
    return found


@functools.cache
def commands(page: str) -> set[str]:
    """What the page tells to type in a shell, without remarks; of its prose what names something of ours or a vault."""
    typed = {each for block in blocks(page) for each in _COMMAND.findall(_REMARK.sub("", block))}
    prose = "\n".join(code.strip("`") for code in CODE.findall(FENCED.sub("", text_of(ROOT / page))))
    return typed | {code for code in _COMMAND.findall(prose) if re.search(r"certfleet\.\w+\.\w|ansible-vault", code)}
