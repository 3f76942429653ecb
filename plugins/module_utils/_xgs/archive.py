# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The archive that a Get of certificates answers with: files, then Entities.xml (measured). Keys are not read.

Nothing is unpacked: paths only tell which file belongs to which object.
"""

from __future__ import annotations

import re
import tarfile
import typing as t

# A chain of ten RSA-4096 certificates has 25 kB.
MAX_FILE = 1024 * 1024
# The firewall's own authorities are some hundreds.
MAX_FILES = 10_000
MAGIC = re.compile(b"ustar")
MAGIC_OFFSET = 257


def certificate_files(body: bytes) -> t.Iterator[tuple[str, bytes | None]]:
    """(path, content) of each whole file; None stands for the content of a private key.

    Each header is found by its magic and not by following the one before: an object's name outside ASCII damages its
    own header and shifts what comes after it (measured). What lies within a file is no header, so that all contents
    together are no larger than the body.
    """
    position = count = 0
    for magic in MAGIC.finditer(body):
        start = magic.start() - MAGIC_OFFSET
        content = start + tarfile.BLOCKSIZE
        header = _header(body[start:content]) if start >= position else None
        if header is None or content + header.size > len(body):
            continue
        position = content + header.size
        count += 1
        if count > MAX_FILES:
            return
        if not header.name.endswith("Entities.xml"):
            yield header.name, None if header.name.lower().endswith(".key") else body[content:position]


def _header(block: bytes) -> tarfile.TarInfo | None:
    """What the block says, where it is the header of an ordinary file: neither link, nor device, nor sparse."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    ordinary = header.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
    return header if ordinary and 0 <= header.size <= MAX_FILE else None


__all__ = ("certificate_files",)
