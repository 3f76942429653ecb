# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""An orderly end when a signal comes: what must not be left half done is finished before."""

from __future__ import annotations

import contextlib
import signal
import threading
import types
import typing as t


class Interrupted(BaseException):
    """A signal asked the process to end; raised once, so that `finally` can do its work."""


class _Guard(threading.local):
    """What a signal finds. Of the main thread, because that is where handlers run."""

    busy = False
    waiting: Interrupted | None = None


_guard = _Guard()


@contextlib.contextmanager
def undisturbed() -> t.Iterator[None]:
    """A signal that comes meanwhile raises Interrupted at the end of the block; of the outer one, where nested."""
    outer, _guard.busy = _guard.busy, True
    try:
        yield
    finally:
        _guard.busy = outer
    if outer:
        return
    waiting, _guard.waiting = _guard.waiting, None
    if waiting is not None:
        raise waiting


@contextlib.contextmanager
def orderly_end() -> t.Iterator[None]:
    """Turn the first SIGTERM or SIGINT into an exception and ignore the rest until the block is left.

    Without that no `finally` runs at SIGTERM, and a second signal, as Ansible sends it, breaks it off (measured).
    The exception waits for the end of what is undisturbed(): a write to the firewall, closing the port, a switch.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: types.FrameType | None) -> None:
        for other in previous:
            signal.signal(other, signal.SIG_IGN)
        interrupted = Interrupted(signal.Signals(number).name)
        if not _guard.busy:
            raise interrupted
        _guard.waiting = interrupted

    _guard.waiting = None
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


__all__ = ("Interrupted", "orderly_end", "undisturbed")
