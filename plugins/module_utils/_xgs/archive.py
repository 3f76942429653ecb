# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The archive that a Get of certificates answers with: files, then Entities.xml (measured). Keys are not read."""

from __future__ import annotations

import re
import tarfile
import typing as t

# A chain of ten RSA-4096 certificates has 25 kB.
MAX_FILE = 1024 * 1024
MAGIC = re.compile(b"ustar")
MAGIC_OFFSET = 257


def certificate_files(body: bytes) -> t.Iterator[tuple[str, bytes | None]]:
    """(path, content) of each file; None stands for the content of a private key.

    Each header is found by its magic and not by following the one before: an object's name outside ASCII damages its
    own header and shifts what comes after it (measured).
    """
    for magic in MAGIC.finditer(body):
        start = magic.start() - MAGIC_OFFSET
        end = start + tarfile.BLOCKSIZE
        if start < 0:
            continue
        try:
            header = tarfile.TarInfo.frombuf(body[start:end], "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            continue
        if header.isreg() and header.size <= MAX_FILE and not header.name.endswith("Entities.xml"):
            yield header.name, None if header.name.endswith(".key") else body[end : end + header.size]


__all__ = ("certificate_files",)
