# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Schedules: which are allowed, and whether one is active at a moment in the firewall's own time zone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from .envelope import Refused
from .schema import named, text

__all__ = ["ALWAYS", "active", "check"]

ALWAYS = "All The Time"
WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAYS = {
    **{day: (day,) for day in WEEK},
    "Week Days": WEEK[:5],
    "Weekdays Including Saturday": WEEK[:6],
    "All Days of week": WEEK,
}
TIMES = {f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 15, 30, 45)} | {"23:59"}
DATE = "%Y-%m-%d %H:%M:%S"
SLOT = "ScheduleDetails/ScheduleDetail"


def _kind(schedule: ET.Element) -> str:
    return text(schedule, "Type", "Recurring")


def _date(schedule: ET.Element, tag: str) -> datetime | None:
    try:
        return datetime.strptime(text(schedule, f"ScheduleDetails/{tag}"), DATE)
    except ValueError:
        return None


def _identity(schedule: ET.Element) -> tuple[object, ...]:
    """What makes two schedules the same one, whatever their names."""
    slots = {(*named(slot, "Days"), text(slot, "StartTime"), text(slot, "StopTime")) for slot in schedule.findall(SLOT)}
    dates = (_date(schedule, "StartDate"), _date(schedule, "EndDate")) if _kind(schedule) == "OneTime" else ()
    return _kind(schedule), dates, frozenset(slots)


def _bad_dates(schedule: ET.Element) -> Iterator[str]:
    start, end = _date(schedule, "StartDate"), _date(schedule, "EndDate")
    if start is None:
        yield "ScheduleDetails/StartDate"
    if end is None or (start is not None and end <= start):
        yield "ScheduleDetails/EndDate"


def _bad_slot(slot: ET.Element) -> Iterator[str]:
    days, begin, stop = named(slot, "Days"), text(slot, "StartTime"), text(slot, "StopTime")
    if not days or not all(day in DAYS for day in days):
        yield f"{SLOT}/Days"
    if begin not in TIMES:
        yield f"{SLOT}/StartTime"
    if stop not in TIMES or stop <= begin:
        yield f"{SLOT}/StopTime"


def check(schedule: ET.Element, others: Iterable[ET.Element]) -> None:
    slots = schedule.findall(SLOT)
    bad = [] if slots else [SLOT]
    if _kind(schedule) not in ("Recurring", "OneTime"):
        bad.append("Type")
    if _kind(schedule) == "OneTime":
        bad += _bad_dates(schedule)
    for slot in slots:
        bad += _bad_slot(slot)
    if bad:
        raise Refused.validation(*(f"/Schedule/{path}" for path in bad))
    if any(_identity(other) == _identity(schedule) for other in others):
        raise Refused(
            503,
            "Schedule with the same start and stop time already exists, choose different set of start and stop time.",
        )


def active(schedule: ET.Element, zone: str, clock: float) -> bool:
    """`clock` is the firewall's clock in seconds since the epoch."""
    if text(schedule, "Name") == ALWAYS:
        return True
    now = datetime.fromtimestamp(clock, timezone.utc).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if _kind(schedule) == "OneTime":
        start, end = _date(schedule, "StartDate"), _date(schedule, "EndDate")
        if start is None or end is None or not start <= now < end:
            return False
    day, time = WEEK[now.weekday()], now.strftime("%H:%M")
    return any(
        any(day in DAYS.get(name, ()) for name in named(slot, "Days"))
        and text(slot, "StartTime") <= time < text(slot, "StopTime")
        for slot in schedule.findall(SLOT)
    )
