# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the client share: a server that answers as it is told to, and a clock that stands still."""

from __future__ import annotations

import datetime
import json
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import PREFIX
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock

from lab.tls import TlsFiles

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = _x509.generate_private_key("ec256")
Make = Callable[..., AcmeClient]
Answer = tuple[int, dict[str, str], bytes]


class FakeClock(Clock):
    """Stands still but for sleeping."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime.datetime:
        return NOW + datetime.timedelta(seconds=sum(self.slept))

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Server(ThreadingHTTPServer):
    """Gives the queued answers, then {} for ever. None in the queue: closes the connection without an answer."""

    daemon_threads = True

    def __init__(self, tls: TlsFiles) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_port}"
        self.queue: list[Answer | None] = []
        self.seen: list[tuple[str, str, dict[str, Any]]] = []
        self.nonces = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/dir":
            names = ("newNonce", "newAccount", "newOrder")
            self.send(
                200, {"Replay-Nonce": ""}, json.dumps({name: f"{self.server.url}/{name}" for name in names}).encode()
            )
            return
        self.server.seen.append((self.command, self.path, json.loads(body) if body else {}))
        given = self.server.queue.pop(0) if self.server.queue and self.command != "HEAD" else (200, {}, b"{}")
        if given is None:
            self.close_connection = True
            return
        self.send(*given)

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.server.nonces += 1
        # Without a Date: the time of these tests stands still.
        self.send_response_only(status)
        for name, value in {"Replay-Nonce": f"nonce{self.server.nonces:03d}", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = answer

    def log_message(self, *_arguments: Any) -> None:
        pass


def slept(client: AcmeClient) -> list[float]:
    assert isinstance(client.clock.own, FakeClock)
    return client.clock.own.slept


def problem(name: str, status: int = 400, **headers: str) -> Answer:
    document = {"type": PREFIX + name, "detail": f"a\x1b[31m {name}\nproblem"}
    return status, {"Content-Type": "application/problem+json", **headers}, json.dumps(document).encode()
