# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Wait until endpoints show a certificate: servers take a moment to reload."""

from __future__ import annotations

import itertools
import typing as t

from ._clock import Clock, Deadline
from ._tls_probe import Served, probe

# Seconds between two looks.
PAUSES = (0.2, 0.5, 1.0)
LATER = 2.0


def tries(clock: Clock, seconds: float) -> t.Iterator[None]:
    """Yield once, then again until so many seconds are over: soon at first (PAUSES), then every LATER seconds."""
    return Deadline(clock, seconds).tries(itertools.chain(PAUSES, itertools.repeat(LATER)))


def wait_for(endpoints: t.Sequence[Served], fingerprint: str | None, clock: Clock, seconds: float) -> list[Served]:
    """Shake hands until every endpoint serves the certificate or the seconds are over; what each serves in the end.

    endpoints: as they were seen before. fingerprint: SHA-256, lower-case hex.
    """
    now = list(endpoints)
    for _try in tries(clock, seconds):
        now = [probe(served.address, served.port, served.server_name) for served in now]
        if all(served.fingerprint == fingerprint for served in now):
            break
    return now


def shown(served: Served) -> str:
    """An endpoint and what it serves, for a message."""
    what = f"serves {served.fingerprint[:16]}…" if served.fingerprint else f"fails: {served.problem}"
    return f"{served} {what}"


__all__ = ("shown", "tries", "wait_for")
