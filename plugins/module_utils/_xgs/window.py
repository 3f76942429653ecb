# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The window: the firewall's port is open inside a `with`, and closed again however it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import signal
import threading
import types
import typing as t
import uuid

from .._clock import Deadline
from .._errors import CertfleetError, stage
from .api import Firewall
from .change import Change
from .dnat import Forward, Objects, plan_absent, plan_present, plan_swept, read_objects
from .lease import lease, read_time_zone


def new_run_id() -> str:
    """Tells the objects of one run from those of another."""
    return uuid.uuid4().hex[:8]


@dataclasses.dataclass
class Window:
    """Opens and closes a forward, once as a rule.

    opened_at, closed_at: of the last opening, aware, UTC. seconds: how long the port was open, all in all.
    """

    firewall: Firewall
    forward: Forward
    run: str = dataclasses.field(default_factory=new_run_id)
    # Seconds for which closing is tried anew while the firewall does not answer; then the lease has to do it.
    patience: float = 60.0
    opened_at: datetime.datetime | None = None
    closed_at: datetime.datetime | None = None
    seconds: float = 0.0

    def plan(self) -> Change:
        """What opening would write, after what other runs left behind."""
        return self._plan(read_objects(self.firewall))

    def _plan(self, objects: Objects) -> Change:
        now = self.firewall.clock.now()
        ends = lease(now, self.forward.lease, read_time_zone(self.firewall), self.run)
        return plan_present(objects, self.forward, ends, now)

    @contextlib.contextmanager
    def __call__(self) -> t.Iterator[None]:
        """Raises CertfleetError of stage "open" or "close"."""
        with stage("open"):
            change = self._plan(self._sweep())
        try:
            with stage("open"):
                for write in change.writes:
                    # Broken off, it may be carried out when _close() has looked already.
                    with _undisturbed():
                        self.firewall.send(write)
            self.opened_at, self.closed_at = self.firewall.clock.now(), None
            yield
        finally:
            with _undisturbed():
                self._close()
            if self.opened_at and self.closed_at:
                self.seconds += (self.closed_at - self.opened_at).total_seconds()

    def _sweep(self) -> Objects:
        """Clear away what runs that were killed left behind, once their lease is over; what is there then."""
        objects = read_objects(self.firewall)
        change = plan_swept(objects, self.firewall.clock.now())
        if not change.changed:
            return objects
        change.apply(self.firewall)
        return read_objects(self.firewall)

    def _close(self) -> None:
        failure = CertfleetError("there was no time to close")
        with stage("close"):
            for _try in Deadline(self.firewall.clock, self.patience).tries((2.0, 4.0, 8.0, 16.0, 30.0)):
                try:
                    for write in plan_absent(read_objects(self.firewall), self.forward.name).writes:
                        self.firewall.send(write)
                        # The NAT rule goes first; from then on nothing is forwarded.
                        self.closed_at = self.closed_at or self.firewall.clock.now()
                    break
                except CertfleetError as error:
                    failure = error
            else:
                failure.advise("Until the lease ends the port stays open; xgs_dnat_port with state=absent closes it.")
                raise failure


class Interrupted(BaseException):
    """A signal asked the process to end; raised once, so that `finally` can do its work."""


class _Guard(threading.local):
    """What a signal finds. Of the main thread, because that is where handlers run."""

    busy = False
    waiting: Interrupted | None = None


_guard = _Guard()


@contextlib.contextmanager
def _undisturbed() -> t.Iterator[None]:
    """A signal that comes meanwhile takes effect at the end of the block."""
    _guard.busy = True
    try:
        yield
    finally:
        _guard.busy = False
    waiting, _guard.waiting = _guard.waiting, None
    if waiting is not None:
        raise waiting


@contextlib.contextmanager
def orderly_end() -> t.Iterator[None]:
    """Turn the first SIGTERM or SIGINT into an exception and ignore the rest until the block is left.

    Without that no `finally` runs at SIGTERM, and a second signal, as Ansible sends it, breaks it off (measured).
    While the firewall is being written to, the exception waits for its answer; while the port is closed, for that.
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


__all__ = ("Interrupted", "Window", "new_run_id", "orderly_end")
