# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""An end to exchanges that would have none."""

from __future__ import annotations

import contextlib
import socket
import threading


class Watch:
    """Cuts the connection when an exchange takes longer than `seconds` in all. A context manager, for one at a time.

    The socket's own timeout begins anew with each drop that comes. over: it was cut.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._seconds = seconds
        self._timer: threading.Timer | None = None

    def begin(self, connection: socket.socket) -> None:
        self._timer = threading.Timer(self._seconds, self._cut, (connection,))
        self._timer.daemon = True
        self._timer.start()

    def _cut(self, connection: socket.socket) -> None:
        self.over = True
        with contextlib.suppress(OSError):
            # SSLSocket's own shutdown() would take away what the reading thread reads with. TLS within that of a proxy
            # is no socket, but has one.
            socket.socket.shutdown(getattr(connection, "socket", connection), socket.SHUT_RDWR)

    def __enter__(self) -> None:
        self.over = False

    def __exit__(self, *_exception: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


__all__ = ("Watch",)
