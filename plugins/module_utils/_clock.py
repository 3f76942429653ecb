# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Time as the library sees it, so that a test can replace it."""

import datetime
import time
import typing as t


class Clock:
    """The system's clock."""

    def now(self) -> datetime.datetime:
        """Wall-clock time, aware, UTC."""
        return datetime.datetime.now(datetime.timezone.utc)

    def monotonic(self) -> float:
        """Seconds that no change of the wall clock disturbs."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class Deadline:
    """A point in time, `seconds` from its making, after which waiting ends."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self._end = clock.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - self.clock.monotonic())

    @property
    def over(self) -> bool:
        return self.remaining == 0.0

    def tries(self, pauses: t.Iterable[float]) -> t.Iterator[None]:
        """Yield once, then again after each pause (seconds) as long as there is time left."""
        yield
        for pause in pauses:
            if self.over:
                return
            self.clock.sleep(min(pause, self.remaining))
            yield


__all__ = ("Clock", "Deadline")
