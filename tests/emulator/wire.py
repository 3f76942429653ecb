# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP in: where in a request the XML and the uploaded files are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs

__all__ = ["Incoming", "read"]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True)
class Incoming:
    """`xml` is None when the request carries no form at all (a raw body)."""

    xml: str | None
    files: dict[str, bytes] = field(default_factory=dict)


def read(content_type: str, query: str, body: bytes) -> Incoming:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return _multipart(content_type, body)
    if kind == FORM and body:
        return Incoming(_field(body.decode("utf-8", "replace")) or "")
    return Incoming(_field(query))


def _field(encoded: str) -> str | None:
    values = parse_qs(encoded, keep_blank_values=True).get("reqxml")
    return values[0] if values else None


def _multipart(content_type: str, body: bytes) -> Incoming:
    boundary = re.search(r'boundary="?([^";]+)"?', content_type, re.IGNORECASE)
    if boundary is None:
        return Incoming("")
    xml, files = "", {}
    marker = b"\r\n--" + boundary.group(1).encode()
    for part in (b"\r\n" + body).split(marker)[1:-1]:
        head, _, payload = part.partition(b"\r\n\r\n")
        name = _parameter("name", head)
        filename = _parameter("filename", head)
        if name == "reqxml":
            xml = payload.decode("utf-8", "replace")
        elif filename is not None:
            files[filename] = payload
    return Incoming(xml, files)


def _parameter(name: str, head: bytes) -> str | None:
    found = re.search(rb";\s*" + name.encode() + rb'=(?:"([^"]*)"|([^;\s]+))', head, re.IGNORECASE)
    if found is None:
        return None
    value = found.group(1) if found.group(1) is not None else found.group(2)
    return value.decode("utf-8", "replace")
