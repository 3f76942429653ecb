# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something on a TLS port that takes any request and says what the test wants, down to the byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

from lab.tls import TlsFiles

Send = Callable[[bytes], None]
# Is called once for each request, and may send for as long as it likes.
Script = Callable[[Send], None]


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An ordinary answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def once(answer: bytes) -> Script:
    return lambda send: send(answer)


def endless(start: bytes, piece: bytes) -> Script:
    """Until the client goes away."""

    def script(send: Send) -> None:
        send(start)
        while True:
            send(piece)

    return script


def drops(start: bytes, pause: threading.Event, piece: bytes = b"x") -> Script:
    """A drop a hundred times a second, until the event or until the client goes away."""

    def script(send: Send) -> None:
        send(start)
        while not pause.wait(0.01):
            send(piece)

    return script


class Hostile:
    """A context manager. `requests` is what came, without headers; `most` how many were open at a time.

    After an answer the connection is closed.
    """

    def __init__(self, tls: TlsFiles, script: Script) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.most = 0
        self._open = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls.certificate, tls.key)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _address = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        # Clients go away: that is what is tested.
        with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as secure:
            reader = secure.makefile("rb")
            length, begun = 0, False
            while (line := reader.readline()).strip():
                begun = True
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not begun:
                return
            body = reader.read(length)
            with self._lock:
                self.requests.append(body)
                self._open += 1
                self.most = max(self.most, self._open)
            answered = contextlib.ExitStack()
            answered.callback(self._answered)

            def send(data: bytes) -> None:
                # Before, since whoever has the answer may send the next request at once.
                answered.close()
                secure.sendall(data)

            with answered:
                self.script(send)

    def _answered(self) -> None:
        with self._lock:
            self._open -= 1

    def __enter__(self) -> Hostile:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # close() alone does not wake accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
