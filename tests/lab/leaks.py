# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a secret has turned up: in texts, in files, in lists of arguments while something runs, in any spelling."""

from __future__ import annotations

import base64
import contextlib
import json
import stat
import threading
import urllib.parse
import xml.sax.saxutils
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# Seconds between two looks at the processes.
SAMPLING = 0.02
# A line of a key in PEM that is shorter may stand anywhere.
LONG_ENOUGH = 16


def spellings(secret: str) -> set[str]:
    """As it stands, and as it travels."""
    data, xml = secret.encode(), xml_escaped(secret)
    return {
        secret,
        xml,
        ascii(secret)[1:-1],
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        data.hex(),
        *_quoted(secret),
        *_quoted(xml),
        *_base64(data),
    }


def xml_escaped(secret: str) -> str:
    return xml.sax.saxutils.escape(secret)


def _quoted(text: str) -> Iterator[str]:
    yield urllib.parse.quote(text)
    yield urllib.parse.quote_plus(text)
    yield urllib.parse.quote(text, safe="")


def _base64(data: bytes) -> Iterator[str]:
    """At each of the three places where it may begin in something longer, without what depends on its neighbours."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        inner = encoded[(0, 2, 3)[shift] : len(encoded) - (1 if (shift + len(data)) % 3 else 0)]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


class Secrets:
    """What must not be found. `Secrets({"password": "…", "account key": PEM})`

    Of a key in PEM each line of its body counts.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._needles: dict[bytes, str] = {}
        for label, secret in secrets.items():
            self.add(label, secret)

    def add(self, label: str, secret: str) -> None:
        for part in _parts(secret):
            self._needles.update((spelling.encode(), label) for spelling in spellings(part))

    def within(self, data: bytes | str) -> set[str]:
        """Labels of what is in there."""
        searched = data.encode() if isinstance(data, str) else data
        return {label for needle, label in self._needles.items() if needle in searched}

    def below(self, *directories: Path) -> dict[Path, set[str]]:
        """The files left that hold any."""
        files = [path for directory in directories for path in directory.rglob("*") if path.is_file()]
        found = {path: self.within(path.read_bytes()) for path in files if not path.is_symlink()}
        return {path: labels for path, labels in found.items() if labels}


def _parts(secret: str) -> Iterable[str]:
    if "-----BEGIN" not in secret:
        return [secret]
    return [line for line in secret.splitlines() if "-----" not in line and len(line) >= LONG_ENOUGH]


@contextlib.contextmanager
def arguments_of_all() -> Iterator[set[bytes]]:
    """Fills the set with the lists of arguments of all processes while the block lasts."""
    found: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLING):
            found.update(_all_arguments())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _all_arguments() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


def open_to_others(*paths: Path) -> list[Path]:
    """Those that group or others may read or enter."""
    return [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
