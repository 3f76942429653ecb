# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the client tries again, how often and when; and how it reads the time that the server names for that."""

from __future__ import annotations

import datetime
import email.utils
import os
import time
from collections.abc import Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _http_dates as http_dates
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import transport
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError, AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError

from unit.plugins.module_utils._acme.scripted import KEY, NOW, UTC, Answer, FakeClock, Make, Server, problem, slept


def test_server_errors_are_tried_again(server: Server, make: Make) -> None:
    server.queue = [(500, {}, b"<html>"), problem("serverInternal", 502)]
    client = make()
    assert client.get(f"{server.url}/x").status == 200
    assert [0.5 <= pause <= 3 for pause in slept(client)] == [True, True]


def test_busy_obeys_retry_after(server: Server, make: Make) -> None:
    server.queue = [problem("rateLimited", 503, **{"Retry-After": "7"})]
    client = make()
    client.get(f"{server.url}/x")
    assert slept(client) == [7]


def test_a_short_rate_limit_is_waited_for(server: Server, make: Make) -> None:
    server.queue = [problem("rateLimited", 429, **{"Retry-After": "10"})]
    client = make()
    client.get(f"{server.url}/x")
    assert slept(client) == [10]


@pytest.mark.parametrize(
    ("answer", "hours"),
    [
        (problem("rateLimited", 429, **{"Retry-After": "3600"}), 1),
        (problem("rateLimited", 429, **{"Retry-After": "Sat, 21 Nov 2026 14:00:00 GMT"}), 2),
        (problem("rateLimited", 429), None),
        (problem("paused", 429, **{"Retry-After": "1"}), 1 / 3600),
    ],
)
def test_other_rate_limits_are_told_at_once(server: Server, make: Make, answer: Answer, hours: float | None) -> None:
    server.queue = [answer]
    client = make()
    with pytest.raises(AcmeError) as caught:
        client.get(f"{server.url}/x")
    assert slept(client) == []
    expected = None if hours is None else NOW + datetime.timedelta(hours=hours)
    assert caught.value.retry_after == expected
    assert caught.value.status == 429


def test_lost_answers(server: Server, make: Make) -> None:
    server.queue = [None, None]
    assert make().get(f"{server.url}/x").status == 200
    server.queue = [None, None, None]
    with pytest.raises(AcmeNetworkError, match="no answer"):
        make().get(f"{server.url}/x")


@pytest.mark.parametrize("answer", [None, (500, {}, b""), (504, {}, b"<html>")])
def test_what_must_not_be_repeated_is_not(server: Server, make: Make, answer: Answer | None) -> None:
    client = make()
    server.queue = [answer]
    with pytest.raises(CertfleetError):
        client.post(client.endpoint("newAccount"), {}, repeatable=False)
    assert len([1 for method, _path, _body in server.seen if method == "POST"]) == 1
    server.queue = [problem("badNonce"), problem("rateLimited", 503)]
    assert client.post(client.endpoint("newAccount"), {}, repeatable=False).status == 200


def test_no_connection(make: Make, server: Server) -> None:
    client = make()
    url = client.directory_url
    server.shutdown()
    server.server_close()
    client = AcmeClient(url.replace("/dir", "/other"), KEY, clock=FakeClock())
    with pytest.raises(AcmeNetworkError, match="no connection"):
        client.get(client.directory_url)
    assert len(slept(client)) == transport.RETRIES[transport.Failure.CONNECT].tries - 1


def test_everything_ends_with_the_time_given(server: Server, make: Make) -> None:
    server.queue = [problem("rateLimited", 503, **{"Retry-After": "50"})] * 10
    client = make(timeout=120.0)
    with pytest.raises(AcmeError):
        client.get(f"{server.url}/x")
    assert slept(client) == [50, 50]


# -- Retry-After


@pytest.fixture(params=["UTC", "Europe/Helsinki", "America/New_York", "Asia/Kolkata"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("60", 60),
        ("99999999999999", 86400),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 14:01:00 +0200", 60),
        ("Sat, 21 Nov 2026 12:01:00 -0000", 60),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("Sat, 21 Nov 2030 11:00:00 GMT", 86400),
        ("Saturday, 21-Nov-26 12:01:00 GMT", 60),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: int | None) -> None:
    found = http_dates.parse_retry_after(value, NOW)
    assert found == (None if seconds is None else NOW + datetime.timedelta(seconds=seconds))
    assert found is None or found.tzinfo is UTC


def test_retry_after_is_meant_by_the_clock_of_the_server() -> None:
    """F28: however wrong ours is."""
    for hours in (-2, 2):
        date, later = (
            email.utils.format_datetime(NOW + datetime.timedelta(hours=hours, seconds=seconds), usegmt=True)
            for seconds in (0, 30)
        )
        assert http_dates.parse_retry_after(later, NOW, date) == NOW + datetime.timedelta(seconds=30)
    minute = "Sat, 21 Nov 2026 12:01:00 GMT"
    assert http_dates.parse_retry_after(minute, NOW, "soon") == NOW + datetime.timedelta(minutes=1)
