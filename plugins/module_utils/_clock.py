# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Time as the library sees it, so that a test can replace it."""

import datetime
import time
import typing as t


def moment(seconds: float) -> datetime.datetime:
    """Seconds since 1970 as a time, aware, UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


class Clock:
    """The system's clock."""

    def now(self) -> datetime.datetime:
        """Wall-clock time, aware, UTC."""
        return datetime.datetime.now(datetime.timezone.utc)

    def monotonic(self) -> float:
        """Seconds that no change of the wall clock disturbs."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds; not at all where they are negative."""
        time.sleep(max(0.0, seconds))


# Two clocks that are no further apart agree.
TOLERANCE = datetime.timedelta(seconds=60)


class CorrectedClock(Clock):
    """Our clock until a server tells the time, then the server's where the two disagree. Pauses are not affected.

    whose: the server, as "the CA". governs: what goes by its clock, for the warning.
    """

    def __init__(self, own: Clock, whose: str, governs: str) -> None:
        self.own = own
        self._whose = whose
        self._governs = governs
        self._behind = datetime.timedelta(0)

    def told(self, time: datetime.datetime) -> None:
        """The server says that it is `time` now (aware)."""
        behind = time - self.own.now()
        self._behind = behind if abs(behind) > TOLERANCE else datetime.timedelta(0)

    @property
    def warnings(self) -> t.List[str]:
        """What the user has to know about the clock of this machine; mostly nothing."""
        if not self._behind:
            return []
        seconds, side = abs(self._behind).total_seconds(), "behind" if self._behind.days >= 0 else "ahead of"
        problem = f"the clock of this machine is {seconds:.0f} s {side} {self._whose}'s"
        return [f"{problem}; {self._governs} {self._whose}'s. Set the one that is wrong."]

    def now(self) -> datetime.datetime:
        """The server's time, aware, UTC; ours where it has told none, or the two agree."""
        return self.own.now() + self._behind

    def monotonic(self) -> float:
        """Seconds of our own clock."""
        return self.own.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds of our own clock."""
        self.own.sleep(seconds)


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
        """Whether no time is left."""
        return self.remaining == 0.0

    def tries(self, pauses: t.Iterable[float]) -> t.Iterator[None]:
        """Yield once, then again after each pause (seconds) as long as there is time left."""
        yield
        for pause in pauses:
            if self.over:
                return
            self.clock.sleep(min(pause, self.remaining))
            yield


__all__ = ("Clock", "CorrectedClock", "Deadline", "moment")
