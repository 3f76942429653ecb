# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The responder in a thread of this process: it answers inside a `with`, and cannot outlive the process."""

from __future__ import annotations

import collections
import contextlib
import errno
import socket
import threading
import typing as t

from . import _responder
from ._errors import CertfleetError
from ._responder_process import answers, endpoint, reachable

# Seconds between two tries to take over the address from whoever has it.
TAKE_OVER = 0.05
# How many different visits are told apart; whoever scans the port must not fill the memory.
MAX_HITS = 500
KNOCK_TIMEOUT = 1.0


class Hit(t.NamedTuple):
    """Who asked for a challenge's answer: the name asked for, the start of the token, the peer's address."""

    name: str
    token: str
    source: str


class Listener:
    """Answers for one ACME account on one address, for as long as its block lasts.

    Where a responder of the same account has the address it is left to that one, and taken over when that one ends.
    """

    def __init__(self, address: str) -> None:
        """Nothing is bound yet. CertfleetError when this is not ADDRESS:PORT."""
        try:
            self.address, self.port = _responder.split_endpoint(address)
        except ValueError as error:
            raise CertfleetError(
                f"nothing can listen on {address!r}",
                remedy="Write an IP address and a port, such as 0.0.0.0:8080 or [::]:8080.",
                stage="responder",
            ) from error
        self.joined = False
        self._hits: collections.Counter[Hit] = collections.Counter()
        self._over = threading.Event()

    @contextlib.contextmanager
    def __call__(self, thumbprint: str) -> t.Iterator[None]:
        """CertfleetError (stage "responder") when the address cannot be had."""
        listener = self._bind(thumbprint)
        # A daemon: should the process have to end in a hurry, nothing waits for it.
        thread = threading.Thread(target=self._serve, args=(listener, thumbprint), name="responder", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            # It looks whether it is over when somebody calls.
            with contextlib.suppress(OSError):
                socket.create_connection((reachable(self.address), self.port), KNOCK_TIMEOUT).close()
            thread.join()

    def _bind(self, thumbprint: str) -> socket.socket | None:
        try:
            return _responder.listen(self.address, self.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and answers(self.address, self.port, thumbprint):
                self.joined = True
                return None
            raise CertfleetError(
                f"cannot listen on {endpoint(self.address, self.port)}: {error.strerror or error}",
                remedy="Choose another address or port, or stop what uses it.",
                stage="responder",
            ) from error

    def _serve(self, listener: socket.socket | None, thumbprint: str) -> None:
        while listener is None and not self._over.wait(TAKE_OVER):
            with contextlib.suppress(OSError):
                listener = _responder.listen(self.address, self.port)
        if listener is not None:
            _responder.Responder(listener, thumbprint, lambda: not self._over.is_set(), self._count).serve()

    def _count(self, visit: _responder.Visit) -> None:
        hit = Hit(visit.host, visit.answer.token, visit.peer)
        if hit.token and (hit in self._hits or len(self._hits) < MAX_HITS):
            self._hits[hit] += 1

    def report(self) -> dict[str, t.Any]:
        """For the task's result, once the block is left."""
        return {
            "listen": endpoint(self.address, self.port),
            "joined": self.joined,
            "requests": sum(self._hits.values()),
            "sources": sorted({hit.source for hit in self._hits}),
            "hits": [{**hit._asdict(), "requests": count} for hit, count in sorted(self._hits.items())],
        }


__all__ = ("Listener",)
