# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The archive that a Get of certificates answers with: files, then Entities.xml (measured). Keys are not read.

Nothing is unpacked: paths only tell which file belongs to which object.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import tarfile
import typing as t

# A chain of ten RSA-4096 certificates has 25 kB.
MAX_FILE = 1024 * 1024
# The firewall's own authorities are some hundreds. What might be a header counts as well: to look costs 20 µs.
MAX_FILES = 10_000
MAGIC = re.compile(b"ustar")
MAGIC_OFFSET = 257
SIZE = re.compile(rb"[0-7]{1,11}")


def certificate_files(body: bytes) -> t.Iterator[tuple[str, bytes | None]]:
    """(path, content) of each whole file; None stands for the content of a private key.

    Each header is found by its magic and not by following the one before: a name outside ASCII is encoded twice, which
    pushes the rest of its header, and all that follows, aside (measured). So its path lacks some of its first bytes.
    What lies within a file is no header, so that all contents together are no larger than the body.
    """
    position = 0
    for magic in itertools.islice(MAGIC.finditer(body), MAX_FILES):
        start = magic.start() - MAGIC_OFFSET
        content = start + tarfile.BLOCKSIZE
        header = _header(body[start:content]) if start >= position else None
        if header is None or content + header.size > len(body):
            continue
        position = content + header.size
        if not header.path.endswith("Entities.xml"):
            yield header.path, None if header.path.lower().endswith(".key") else body[content:position]


class _Header(t.NamedTuple):
    """Of an ordinary file: neither link, nor device, nor sparse. size: bytes."""

    path: str
    size: int


def _header(block: bytes) -> _Header | None:
    """What the block says, where it is such a header."""
    try:
        whole = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        header = _Header(whole.name, whole.size) if whole.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else None
    except tarfile.HeaderError:
        header = _damaged_header(block)
    return header if header and 0 <= header.size <= MAX_FILE else None


def _damaged_header(block: bytes) -> _Header | None:
    """As _header(), where the checksum is wrong, because the path was changed after it was made."""
    path, size, kind = block[:100].rstrip(b"\0"), block[124:136].strip(b" \0"), block[156:157]
    text = path.decode("utf-8", "replace")
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")
    # A file whose kind is not beyond doubt may be a key.
    ordinary = kind in (tarfile.REGTYPE, tarfile.AREGTYPE) and SIZE.fullmatch(size) and text.endswith((".pem", ".key"))
    return _Header(text, int(size, 8)) if ordinary else None


__all__ = ("certificate_files",)
