# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease, judged by the emulated firewall's own rules for schedules."""

from __future__ import annotations

import datetime
import itertools
import xml.etree.ElementTree as ET
import zoneinfo
from collections.abc import Callable

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.lease import (
    QUARTER,
    Lease,
    lease,
    mark_of,
    read_time_zone,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import schedules
from unit.plugins.module_utils._xgs.firewalls import Box, response

UTC = datetime.timezone.utc
SECOND = datetime.timedelta(seconds=1)
HOUR = datetime.timedelta(hours=1)
# With quarters of an hour, across the date line, with summer time in either half of the year.
# Troll changes by two hours, Lord Howe by half of one, Casablanca for a month.
CHANGING = ("Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Antarctica/Troll", "Africa/Casablanca")
ZONES = (*CHANGING, "UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Chatham", "America/Santiago")


def made(now: datetime.datetime, seconds: float, zone: str) -> Lease:
    return lease(now, seconds, zoneinfo.ZoneInfo(zone), "run1", "me@here")


def active(made_: Lease, zone: str, moment: datetime.datetime) -> bool:
    return schedules.active(made_.schedule("s"), zone, moment.timestamp())


def in_the_last_minute_of_a_day(moment: datetime.datetime, zone: str) -> bool:
    """A slot ends at 23:59 at the latest: nothing can be done about that minute."""
    return moment.astimezone(zoneinfo.ZoneInfo(zone)).strftime("%H:%M") == "23:59"


moments = st.datetimes(datetime.datetime(2026, 1, 1), datetime.datetime(2028, 12, 31), timezones=st.just(UTC))


@given(moments, st.integers(60, 86400), st.sampled_from(ZONES))
def test_a_lease_covers_what_was_asked_for(now: datetime.datetime, seconds: int, zone: str) -> None:
    made_ = made(now, seconds, zone)
    schedules.check(made_.schedule("s"), [])
    last = now + seconds * SECOND
    assert made_.start <= now < last < made_.end
    for moment in (now, now + (last - now) / 2, last):
        assert active(made_, zone, moment) or in_the_last_minute_of_a_day(moment, zone)


@given(moments, st.integers(60, 86400), st.sampled_from(("UTC", "Asia/Kathmandu")))
def test_a_lease_is_over_in_time(now: datetime.datetime, seconds: int, zone: str) -> None:
    made_ = made(now, seconds, zone)
    assert made_.end <= now + seconds * SECOND + QUARTER
    for moment in (made_.end, made_.end + datetime.timedelta(hours=5), made_.end + datetime.timedelta(days=1)):
        assert not active(made_, zone, moment)


def transitions(zone: str) -> list[datetime.datetime]:
    """The hours in which the clocks change, 2026 to 2028."""
    place = zoneinfo.ZoneInfo(zone)
    hours = [datetime.datetime(2026, 1, 1, tzinfo=UTC) + hour * HOUR for hour in range(3 * 8760)]
    return [
        b for a, b in itertools.pairwise(hours) if a.astimezone(place).utcoffset() != b.astimezone(place).utcoffset()
    ]


CHANGES = [(zone, moment) for zone in CHANGING for moment in transitions(zone)]


@given(st.sampled_from(CHANGES), st.integers(-26 * 60, 60), st.integers(1, 1440))
@settings(max_examples=500)
def test_the_clocks_change_around_a_lease(change: tuple[str, datetime.datetime], minutes: int, length: int) -> None:
    """It covers what was asked for, ends in time, and an hour that comes twice is all that it may match again."""
    zone, moment = change
    now = moment + minutes * 60 * SECOND
    made_ = made(now, length * 60, zone)
    last = now + length * 60 * SECOND
    for asked in (now, now + (last - now) / 2, last):
        assert active(made_, zone, asked) or in_the_last_minute_of_a_day(asked, zone)
    offsets = [(moment + hours * HOUR).astimezone(zoneinfo.ZoneInfo(zone)).utcoffset() for hours in (-1, 1)]
    by = abs(offsets[0] - offsets[1])
    end = made_.end.astimezone(UTC)
    assert last < end <= last + QUARTER + by
    for later in (end + by, end + by + HOUR, end + 24 * HOUR):
        assert not active(made_, zone, later)


@given(moments, st.integers(60, 86400), st.sampled_from(ZONES))
def test_the_mark_tells_when_it_is_over(now: datetime.datetime, seconds: int, zone: str) -> None:
    made_ = made(now, seconds, zone)
    schedule = made_.schedule("s")
    # By the instant: Python calls no time in a repeated hour equal to one of another zone.
    assert mark_of(schedule).expires.timestamp() == made_.end.timestamp()
    assert made_.equals(schedule)
    assert not made(now + datetime.timedelta(days=2), seconds, zone).equals(schedule)


@pytest.mark.parametrize(
    ("now", "seconds", "zone", "times"),
    [
        # On one day the slot is bounded as well, across midnight the dates alone bound it.
        ("2026-06-01T10:07:30", 900, "UTC", ("2026-06-01 10:00:00", "2026-06-01 10:30:00", "10:00", "10:30")),
        (
            "2026-06-01T10:07:30",
            900,
            "Asia/Kathmandu",
            ("2026-06-01 15:45:00", "2026-06-01 16:15:00", "15:45", "16:15"),
        ),
        ("2026-06-01T23:50:00", 900, "UTC", ("2026-06-01 23:45:00", "2026-06-02 00:15:00", "00:00", "23:59")),
        ("2026-06-01T23:40:00", 300, "UTC", ("2026-06-01 23:30:00", "2026-06-02 00:00:00", "00:00", "23:59")),
        ("2026-06-01T21:50:00", 900, "Europe/Berlin", ("2026-06-01 23:45:00", "2026-06-02 00:15:00", "00:00", "23:59")),
    ],
)
def test_times(now: str, seconds: int, zone: str, times: tuple[str, ...]) -> None:
    schedule = made(datetime.datetime.fromisoformat(now).replace(tzinfo=UTC), seconds, zone).schedule("s")
    tags = ("StartDate", "EndDate", "StartTime", "StopTime")
    assert tuple(schedule.findtext(f".//{tag}") for tag in tags) == times


@pytest.mark.parametrize("minute", range(0, 180, 11))
@pytest.mark.parametrize("change", ["2026-03-29T00:00", "2026-10-25T00:00"])
def test_the_clocks_of_berlin_change(change: str, minute: int) -> None:
    now = datetime.datetime.fromisoformat(change).replace(tzinfo=UTC) + datetime.timedelta(minutes=minute)
    made_ = made(now, 900, "Europe/Berlin")
    schedules.check(made_.schedule("s"), [])
    for moment in (now, now + 450 * SECOND, now + 900 * SECOND):
        assert active(made_, "Europe/Berlin", moment)


def test_another_schedule_is_not_equal() -> None:
    made_ = made(datetime.datetime(2026, 6, 1, 10, tzinfo=UTC), 900, "UTC")
    recurring, later = made_.schedule("s"), made_.schedule("s")
    recurring.find("Type").text = "Recurring"
    later.find(".//StopTime").text = "11:00"
    assert not made_.equals(recurring)
    assert not made_.equals(later)
    assert not made_.equals(ET.XML("<Schedule><Name>s</Name><Type>OneTime</Type></Schedule>"))


@pytest.mark.parametrize(
    ("description", "ends"),
    [
        ("certfleet: run=ab12 expires=2026-06-01T10:30:00Z", datetime.datetime(2026, 6, 1, 10, 30, tzinfo=UTC)),
        ("mine! certfleet: run=x expires=2026-06-01T10:30:00Z.", datetime.datetime(2026, 6, 1, 10, 30, tzinfo=UTC)),
        ("certfleet: run= expires=2026-06-01T10:30:00Z", None),
        ("certfleet: run=x expires=2026-06-01", None),
        ("certfleet: run=x expires=2026-13-41T10:30:00Z", None),
        ("by certfleet", None),
        ("", None),
        (None, None),
    ],
)
def test_marks(description: str | None, ends: datetime.datetime | None) -> None:
    element = ET.Element("IPHost")
    if description is not None:
        ET.SubElement(element, "Description").text = description
    mark = mark_of(element)
    assert (mark and mark.expires) == ends


def test_a_mark_tells_whose_it_is_and_since_when() -> None:
    now = datetime.datetime(2026, 6, 1, 10, 7, 30, tzinfo=UTC)
    mark = mark_of(made(now, 900, "Europe/Berlin").schedule("s"))
    assert (mark.owner, mark.run, mark.opened) == ("me@here", "run1", now)


def test_the_zone_is_the_firewalls(box: Box) -> None:
    assert str(read_time_zone(box.firewall())) == "Europe/Berlin"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "Europe"])
def test_an_unknown_zone(serve: Callable, zone: str) -> None:
    body = response(f"<Time><TimeZone>{zone}</TimeZone><Other/></Time>".encode())
    transport = Transport(Endpoint("127.0.0.1", serve(body).port, validate_certs=False))
    with pytest.raises(XgsError, match=r"is not known here.*tzdata"):
        read_time_zone(Firewall(transport, "admin", "secret"))
