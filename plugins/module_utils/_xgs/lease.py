# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The lease of a temporary opening: a one-time Schedule after which the firewall rule no longer matches.

The firewall counts in its own time zone and in quarters of an hour (API document, Schedule), so a lease ends at the
first quarter after the time asked for.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import xml.etree.ElementTree as ET
import zoneinfo

from .api import Firewall
from .errors import XgsError

QUARTER = datetime.timedelta(minutes=15)
HOUR = datetime.timedelta(hours=1)
_MARK = re.compile(r"certfleet: run=(?P<run>\S+) expires=(?P<expires>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")


@dataclasses.dataclass(frozen=True)
class Lease:
    """start, end: aware, in the firewall's time zone, on quarters of an hour. run: who opened it."""

    start: datetime.datetime
    end: datetime.datetime
    run: str

    @property
    def until(self) -> str:
        """The end in UTC, ISO 8601."""
        return f"{self.end.astimezone(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def description(self) -> str:
        """Stands in each object that we make: whose it is, and from when on anybody may remove it."""
        return f"certfleet: run={self.run} expires={self.until}"

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

    def schedule(self, name: str) -> ET.Element:
        schedule = ET.Element("Schedule")
        for tag, text in {"Name": name, "Description": self.description, "Type": "OneTime"}.items():
            ET.SubElement(schedule, tag).text = text
        times = self.details()
        outer = ET.SubElement(schedule, "ScheduleDetails")
        for tag in ("StartDate", "EndDate"):
            ET.SubElement(outer, tag).text = times[tag]
        inner = ET.SubElement(outer, "ScheduleDetail")
        for tag in ("Days", "StartTime", "StopTime"):
            ET.SubElement(inner, tag).text = times[tag]
        return schedule

    def equals(self, schedule: ET.Element) -> bool:
        """Whether an existing Schedule has the very same times; the firewall allows only one of them (503)."""
        return schedule.findtext("Type") == "OneTime" and all(
            (element := schedule.find(f".//{tag}")) is not None and element.text == text
            for tag, text in self.details().items()
        )


def lease(now: datetime.datetime, seconds: float, zone: datetime.tzinfo, run: str) -> Lease:
    """now: aware. seconds: how long the opening is needed at the most."""
    start = _floor(now).astimezone(zone)
    end = (_floor(now + datetime.timedelta(seconds=seconds)) + QUARTER).astimezone(zone)
    if start.utcoffset() != end.utcoffset():
        # The clocks change meanwhile: an hour comes twice, or not at all. Have it within the lease.
        start, end = start - HOUR, end + HOUR
    return Lease(start, end, run)


def _floor(moment: datetime.datetime) -> datetime.datetime:
    # Every time zone in use today is a multiple of a quarter away from UTC.
    return moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)


def mark_of(element: ET.Element) -> datetime.datetime | None:
    """When the lease in an object's description ends (aware, UTC); None: it is not an object of ours."""
    match = _MARK.search(element.findtext("Description") or "")
    if not match:
        return None
    try:
        expires = datetime.datetime.strptime(match["expires"], "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return expires.replace(tzinfo=datetime.timezone.utc)


def read_time_zone(firewall: Firewall) -> datetime.tzinfo:
    """The firewall's time zone (entity Time)."""
    name = next((record.findtext("TimeZone") or "" for record in firewall.get("Time")), "")
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise XgsError(
            f"the firewall's time zone '{name}' is not known here",
            remedy="The lease is counted in it: install the package tzdata where this runs.",
        ) from error


__all__ = ("Lease", "lease", "mark_of", "read_time_zone")
