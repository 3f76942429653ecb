# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""An end to exchanges that would have none."""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import os
import socket
import threading
import time
import typing as t


class Watch:
    """Cuts the connection when an exchange takes longer than `seconds` in all. A context manager, for one at a time.

    The socket's own timeout begins anew with each drop that comes. over: it was cut.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._seconds = seconds
        self._alarm: _Alarm | None = None

    def begin(self, connection: socket.socket) -> None:
        """The exchange on this connection begins: from now on the seconds count."""
        self._alarm = _alarms.set(self._seconds, functools.partial(self._cut, connection))

    def _cut(self, connection: socket.socket) -> None:
        self.over = True
        with contextlib.suppress(OSError):
            # SSLSocket's own shutdown() would take away what the reading thread reads with. TLS within that of a proxy
            # is no socket, but has one.
            socket.socket.shutdown(getattr(connection, "socket", connection), socket.SHUT_RDWR)

    def __enter__(self) -> None:
        self.over = False

    def __exit__(self, *_exception: object) -> None:
        if self._alarm is not None:
            self._alarm.action = None


class _Alarm:
    """action: None once it is not wanted any more."""

    def __init__(self, action: t.Callable[[], None]) -> None:
        self.action: t.Callable[[], None] | None = action


class _Alarms:
    """One thread for all alarms: to start one for each exchange takes half as long as the exchange (measured)."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A child process has none of its parent's exchanges, nor its threads."""
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, _Alarm]] = []
        self._number = itertools.count()
        self._rings = False

    def set(self, seconds: float, action: t.Callable[[], None]) -> _Alarm:
        alarm = _Alarm(action)
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._number), alarm))
            if not self._rings:
                threading.Thread(target=self._ring, name="watch", daemon=True).start()
                self._rings = True
            elif self._due[0][2] is alarm:
                self._changed.notify()
        return alarm

    def _ring(self) -> None:
        while True:
            action = self._next().action
            if action is not None:
                action()

    def _next(self) -> _Alarm:
        """Wait for the next one, wanted or not."""
        with self._changed:
            while not self._due or self._due[0][0] > time.monotonic():
                self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
            return heapq.heappop(self._due)[2]


_alarms = _Alarms()
os.register_at_fork(after_in_child=_alarms.forget)


__all__ = ("Watch",)
