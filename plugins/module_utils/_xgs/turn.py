# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""One request at a time to a firewall, from all threads and processes of this user on this machine.

No source says what two requests side by side do to each other, and those who tried take turns (public tools). A turn
is one request, not a run: what has to hold between requests, a sweep or a Get sees to.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import tempfile
import typing as t

from .._clock import Clock, Deadline
from .._files import Occupied, hold_lock, make_private_directory
from .errors import XgsConnectionError
from .transport import Endpoint


@contextlib.contextmanager
def turn(endpoint: Endpoint, clock: Clock) -> t.Iterator[None]:
    """Wait until nobody else of ours talks to this firewall, then keep the others waiting.

    Raises XgsConnectionError when that takes longer than two requests may, CertfleetError where no lock can be made.
    """
    seconds = 2 * endpoint.timeout
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(_lock_file(endpoint), Deadline(clock, seconds)))
        except Occupied as error:
            raise XgsConnectionError(
                f"other requests from this machine have kept {endpoint} busy for {seconds:g} s"
                f" (process {error.details['holder'] or 'unknown'})",
                remedy="Let the jobs for one firewall run one after the other, or raise the option timeout.",
                sent=False,
            ) from error
        yield


def _lock_file(endpoint: Endpoint) -> str:
    # Not $XDG_RUNTIME_DIR: a job of cron has none, and must not miss the one of somebody logged in.
    directory = os.path.join(tempfile.gettempdir(), f"certfleet-{os.geteuid()}")
    _make_sure_of(directory)
    # A digest, since a name may be longer than a file's.
    name = hashlib.sha256(f"{endpoint.host.lower()} {endpoint.port}".encode()).hexdigest()
    return os.path.join(directory, f"{name[:32]}.lock")


@functools.lru_cache(maxsize=None)
def _make_sure_of(directory: str) -> None:
    """Once: what is private stays so, since nobody else can put something in its place."""
    make_private_directory(directory)


__all__ = ("turn",)
