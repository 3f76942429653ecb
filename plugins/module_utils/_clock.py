# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Time as the library sees it, so that a test can replace it."""

from __future__ import annotations

import dataclasses
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


@dataclasses.dataclass
class Deadline:
    """A point in time, `seconds` from its making, after which waiting ends."""

    clock: Clock
    seconds: float

    def __post_init__(self) -> None:
        self._end = self.clock.monotonic() + self.seconds

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
