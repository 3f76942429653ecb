# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that answer as they are told, whatever they are asked."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from lab.hostile import Hostile, Script
from lab.tls import TlsFiles, make_tls


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Of the servers below; good for fw.example.com, not for their address."""
    return make_tls(tmp_path_factory.mktemp("tls"), names=("fw.example.com",))


class Responder(http.server.BaseHTTPRequestHandler):
    """Tells who asks."""

    def do_GET(self) -> None:
        body = f"you are {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def responder() -> Iterator[int]:
    """Port of a web server in the firewalls' LAN."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Responder)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@dataclass
class Canned:
    """An HTTPS server that answers every request with the same body."""

    port: int
    bodies: list[bytes]
    requests: list[bytes] = field(default_factory=list)


@pytest.fixture
def serve(tls: TlsFiles) -> Iterator[Callable[..., Canned]]:
    """Start one with the bodies it answers with, one after the other; the last one stays."""
    servers = []

    def start(*bodies: bytes, spoil: bool = False) -> Canned:
        canned = Canned(0, list(bodies))

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                canned.requests.append(self.rfile.read(int(self.headers["Content-Length"])))
                if spoil:  # bytes that are no TLS record
                    with socket.socket(fileno=self.connection.detach()) as plain:
                        plain.sendall(b"no TLS at all " * 10)
                    return
                body = canned.bodies.pop(0) if len(canned.bodies) > 1 else canned.bodies[0]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        canned.port = server.server_address[1]
        return canned

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def hostile(tls: TlsFiles) -> Iterator[Callable[[Script], Hostile]]:
    """Start a server that follows the script."""
    with contextlib.ExitStack() as stack:
        yield lambda script: stack.enter_context(Hostile(tls, script))
