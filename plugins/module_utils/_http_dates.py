# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The times that HTTP headers tell."""

from __future__ import annotations

import datetime
import email.utils

MAX_RETRY_AFTER = datetime.timedelta(days=1)


def parse_retry_after(value: str | None, now: datetime.datetime, date: str | None = None) -> datetime.datetime | None:
    """The instant that Retry-After means: seconds or an HTTP date (RFC 9110 §10.2.3), within one day from now.

    date: the server's own time, where it says it: a date is meant by that, however wrong our clock is.
    """
    if not value:
        return None
    if value.strip().isdecimal():
        # More digits mean more than a day, which is cut below.
        wait = datetime.timedelta(seconds=int(value.strip()[:9]))
    else:
        instant = http_date(value)
        if instant is None:
            return None
        wait = instant - (http_date(date) or now)
    return now + min(max(wait, datetime.timedelta(0)), MAX_RETRY_AFTER)


def http_date(value: str | None) -> datetime.datetime | None:
    """The instant (RFC 9110 §5.6.7), aware, UTC; None where the header is not there or no date."""
    try:
        instant = email.utils.parsedate_to_datetime(value or "")
        # A date without a zone is GMT; the local zone has no say in this.
        return instant.replace(tzinfo=instant.tzinfo or datetime.timezone.utc).astimezone(datetime.timezone.utc)
    except (ValueError, TypeError, OverflowError):
        return None


__all__ = ("MAX_RETRY_AFTER", "http_date", "parse_retry_after")
