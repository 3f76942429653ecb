# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The lease of a temporary opening: a one-time Schedule after which the firewall rule no longer matches.

The firewall counts in its own time zone and in quarters of an hour (API document, Schedule), so a lease ends at the
first quarter after the time asked for.

Two things such a Schedule cannot express, because it knows local times and no time past 23:59 (API document): a lease
across midnight may not match in the day's last minute, and where the clocks are set back, one that ended in the hour
that comes twice matches again an hour later, if nobody has cleared it away by then.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import xml.etree.ElementTree as ET
import zoneinfo

from .api import Firewall
from .errors import XgsError
from .objects import element

QUARTER = datetime.timedelta(minutes=15)
FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_MARK = re.compile(
    r"certfleet: (?:owner=(?P<owner>\S+) )?run=(?P<run>\S+) (?:opened=(?P<opened>\S+) )?"
    r"expires=(?P<expires>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
)


@dataclasses.dataclass(frozen=True)
class Mark:
    """What the description of an object of ours says. opened, expires: aware, UTC."""

    owner: str
    run: str
    opened: datetime.datetime | None
    expires: datetime.datetime

    def __str__(self) -> str:
        return f"run {self.run} of {self.owner or 'somebody'}"


@dataclasses.dataclass(frozen=True)
class Lease:
    """start, end: aware, in the firewall's time zone, on quarters of an hour.

    owner: who opens, without blanks. run: tells two openings apart. opened: when this one began, aware.
    """

    start: datetime.datetime
    end: datetime.datetime
    run: str
    owner: str
    opened: datetime.datetime

    @property
    def until(self) -> str:
        """The end in UTC, ISO 8601."""
        return utc(self.end)

    @property
    def description(self) -> str:
        """Stands in each object that we make: whose it is, and from when on anybody may remove it."""
        return f"certfleet: owner={self.owner} run={self.run} opened={utc(self.opened)} expires={self.until}"

    def details(self) -> dict[str, str]:
        """The times of a Schedule. One that crosses midnight is bounded by its dates alone."""
        slot = ("00:00", "23:59")
        if self.start.date() == self.end.date():
            slot = (f"{self.start:%H:%M}", f"{self.end:%H:%M}")
        return {
            "StartDate": f"{self.start:%Y-%m-%d %H:%M:%S}",
            "EndDate": f"{self.end:%Y-%m-%d %H:%M:%S}",
            "Days": "All Days of week",
            "StartTime": slot[0],
            "StopTime": slot[1],
        }

    def schedule(self, prefix: str) -> ET.Element:
        """Named by its times, so that another lease of the same times uses it too."""
        times = self.details()
        return element(
            "Schedule",
            {
                "Name": f"{prefix}-{self.start:%m%d%H%M}-{self.end:%m%d%H%M}",
                "Description": self.description,
                "Type": "OneTime",
                "ScheduleDetails": {
                    **{tag: times[tag] for tag in ("StartDate", "EndDate")},
                    "ScheduleDetail": {tag: times[tag] for tag in ("Days", "StartTime", "StopTime")},
                },
            },
        )

    def equals(self, schedule: ET.Element) -> bool:
        """Whether an existing Schedule has the very same times; the firewall allows only one of them (503)."""
        return schedule.findtext("Type") == "OneTime" and all(
            schedule.findtext(f".//{tag}") == text for tag, text in self.details().items()
        )


def lease(now: datetime.datetime, seconds: float, zone: datetime.tzinfo, run: str, owner: str) -> Lease:
    """A lease from now on. now: aware. seconds: how long the opening is needed at the most. zone: the firewall's."""
    start = _floor(now).astimezone(zone)
    end = (_floor(now + datetime.timedelta(seconds=seconds)) + QUARTER).astimezone(zone)
    change = abs(_offset(start) - _offset(end))
    if change:
        # The clocks change meanwhile: an hour, mostly, comes twice, or not at all. Have it within the lease.
        start, end = start - change, end + change
    return Lease(start, end, run, owner, now)


def _offset(moment: datetime.datetime) -> datetime.timedelta:
    return moment.utcoffset() or datetime.timedelta(0)


def _floor(moment: datetime.datetime) -> datetime.datetime:
    # Every time zone in use today is a multiple of a quarter away from UTC.
    return moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)


def utc(moment: datetime.datetime) -> str:
    """An aware moment in UTC, ISO 8601."""
    return f"{moment.astimezone(datetime.timezone.utc):{FORMAT}}"


def mark_of(record: ET.Element) -> Mark | None:
    """What an object's description says of whose it is; None: it is not an object of ours."""
    match = _MARK.search(record.findtext("Description") or "")
    expires = _moment(match["expires"]) if match else None
    if not match or not expires:
        return None
    return Mark(match["owner"] or "", match["run"], _moment(match["opened"]), expires)


def _moment(text: str | None) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text or "", FORMAT).replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return None


def read_time_zone(firewall: Firewall) -> datetime.tzinfo:
    """The firewall's time zone (API document, Time). Raises XgsError when it is not known here."""
    name = next((record.findtext("TimeZone") or "" for record in firewall.get("Time")), "")
    try:
        return zoneinfo.ZoneInfo(name)
    # OSError: some versions of Python open a directory of the zones ("Europe") as if it were one of them.
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise XgsError(
            f"the firewall's time zone '{name}' is not known here",
            remedy="The lease is counted in it: install the package tzdata where this runs.",
        ) from error


__all__ = ("Lease", "Mark", "lease", "mark_of", "read_time_zone", "utc")
