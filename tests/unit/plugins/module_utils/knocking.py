# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the responder share: whom it answers for, and requests to it byte by byte."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"
# A hyphen first: it must not be taken for an option.
PRINT = "-" + "t" * 42
TOKEN = "abcdefghijklmnopqrstuvwxyz_-0123456789"


def talk(port: int, data: bytes, host: str = HOST) -> bytes:
    """All that comes back for some bytes."""
    with socket.create_connection((host, port), timeout=7) as peer:
        peer.sendall(data)
        received = b""
        while chunk := peer.recv(4096):
            received += chunk
    return received


def request(port: int, target: str, method: str = "GET", *headers: str) -> tuple[int, dict[str, str], bytes]:
    lines = [f"{method} {target} HTTP/1.1", *(headers or ("Host: fw.example.com",)), "", ""]
    head, _empty, body = talk(port, "\r\n".join(lines).encode("latin-1")).partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body
