# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The archive that a Get of certificates answers with: files, then Entities.xml (measured). Keys are not read."""

from __future__ import annotations

import contextlib
import re
import tarfile
import typing as t

# A chain of ten RSA-4096 certificates has 25 kB.
MAX_FILE = 1024 * 1024
MAGIC = re.compile(b"ustar")
MAGIC_OFFSET = 257
SIZE = re.compile(rb"[0-7]{1,11}")


def certificate_files(body: bytes) -> t.Iterator[tuple[str, bytes | None]]:
    """(path, content) of each file; None stands for the content of a private key.

    Each header is found by its magic and not by following the one before: a name outside ASCII is encoded twice, which
    pushes the rest of its header, and all that follows, aside (measured). So its path lacks some of its first bytes.
    """
    for magic in MAGIC.finditer(body):
        start = magic.start() - MAGIC_OFFSET
        end = start + tarfile.BLOCKSIZE
        if start < 0:
            continue
        name, size = _header(body[start:end])
        if size is not None and size <= MAX_FILE and not name.endswith("Entities.xml"):
            yield name, None if name.endswith(".key") else body[end : end + size]


def _header(block: bytes) -> tuple[str, int | None]:
    """Path and size of a regular file; no size for anything else."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return _damaged_header(block)
    return header.name, header.size if header.isreg() else None


def _damaged_header(block: bytes) -> tuple[str, int | None]:
    """As _header(), where the checksum is wrong, because the path was changed after it was made."""
    path, size, kind = block[:100].rstrip(b"\0"), block[124:136].strip(b" \0"), block[156:157]
    text = path.decode("utf-8", "replace")
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")
    # A file whose kind is not beyond doubt may be a key.
    regular = kind in tarfile.REGULAR_TYPES and SIZE.fullmatch(size) and text.endswith((".pem", ".key"))
    return text, int(size, 8) if regular else None


__all__ = ("certificate_files",)
