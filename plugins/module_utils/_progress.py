# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What a run is at, told while it works.

Nobody listens to a module on another host, nor to a task for many hosts: what these tell is lost.
"""

from __future__ import annotations

import contextlib
import contextvars
import typing as t

Listener = t.Callable[[str], t.Any]
# Of so many names a line has the first.
NAMED = 3

_listener: contextvars.ContextVar[Listener | None] = contextvars.ContextVar("listener", default=None)


@contextlib.contextmanager
def heard_by(listener: Listener) -> t.Iterator[None]:
    """The listener gets each line that is told in the block. It must not block: a port may be open meanwhile."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(stage: str, what: str) -> None:
    """What begins now, without secrets. stage: by the names that errors have, and validate, issue within an order."""
    listener = _listener.get()
    if listener is not None:
        listener(f"{stage}: {what}")


def some(names: t.Iterable[str]) -> str:
    """The first few, and how many more there are."""
    listed = list(names)
    more = len(listed) - NAMED
    return ", ".join(listed[:NAMED]) + (f" and {more} more" if more > 0 else "")


__all__ = ("heard_by", "some", "tell")
