# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The archive that a Get of certificates answers with: files, then Entities.xml (measured). Keys are not read."""

from __future__ import annotations

import io
import posixpath
import tarfile
import typing as t

# A chain of ten RSA-4096 certificates has 25 kB.
MAX_FILE = 1024 * 1024


def certificate_files(body: bytes) -> t.Iterator[tuple[str, bytes | None]]:
    """(file name without folders, content) of each file; None stands for the content of a private key.

    An archive with a damaged header, as non-ASCII object names cause (measured), ends early: what came before counts.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            for member in archive:
                name = posixpath.basename(member.name)
                if not member.isfile() or member.size > MAX_FILE or name == "Entities.xml":
                    continue
                if name.endswith(".key"):
                    yield name, None
                else:
                    content = archive.extractfile(member)
                    yield name, content.read() if content else b""
    except tarfile.TarError:
        return


__all__ = ("certificate_files",)
