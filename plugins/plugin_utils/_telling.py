# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Progress on the user's screen while an action works."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import typing as t

from ..module_utils._progress import heard_by

# Seconds for what is left to be told; more than that it takes only where nobody reads any more.
PATIENCE = 5.0


@contextlib.contextmanager
def telling(firewall: str, show: t.Callable[[str], None]) -> t.Iterator[None]:
    """What is told in the block comes to show(), in this order, with time and firewall, from a thread of its own.

    A worker's lines go through a pipe to ansible-playbook, which may have been killed, or be stopped by a terminal that
    scrolls no further. No open port may wait for that.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def hand_on() -> None:
        for line in iter(lines.get, None):
            show(line)

    thread = threading.Thread(target=hand_on, name="progress", daemon=True)
    thread.start()
    try:
        with heard_by(lambda text: lines.put(f"{time.strftime('%H:%M:%S')} {firewall}: {text}")):
            yield
    finally:
        lines.put(None)
        thread.join(PATIENCE)


__all__ = ("telling",)
