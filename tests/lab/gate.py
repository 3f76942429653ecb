# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A responder that keeps the CA waiting, so that something can happen while it validates."""

from __future__ import annotations

import http.server
import threading
from types import TracebackType

# Seconds; Pebble waits for ten.
PATIENCE = 8.0


class Gate:
    """A context manager. `arrived`: the CA has asked; `released`: it may have its answer."""

    def __init__(self, thumbprint: str) -> None:
        self.arrived, self.released = threading.Event(), threading.Event()
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate.arrived.set()
                gate.released.wait(PATIENCE)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"{self.path.rpartition('/')[2]}.{thumbprint}".encode())

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self._server.server_port

    def __enter__(self) -> Gate:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
