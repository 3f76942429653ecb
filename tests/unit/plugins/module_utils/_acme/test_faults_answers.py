# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders whose answers are well-formed and wrong.

F10 renewal information, F22 what a CA must not be trusted with, F23 orders that get stuck, F28 wrong clocks.
"""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import renewal
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError, AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError

from lab import proxy as fault
from lab.faults import Bench

Edit = Callable[[dict[str, Any]], Any]
UTC = datetime.timezone.utc
ELSEWHERE = "https://127.0.0.2:1/x"


def setting(**fields: Any) -> Edit:
    return lambda document: document.update(fields)


def challenge_setting(**fields: Any) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        for challenge in document["challenges"]:
            challenge.update(fields)

    return edit


# -- F22: what is not to be trusted


@pytest.mark.parametrize(
    "identifiers",
    [
        [{"type": "dns", "value": "other.f22.example.com"}],
        [{"type": "dns", "value": "asked.f22.example.com"}, {"type": "dns", "value": "other.f22.example.com"}],
        [{"type": "ip", "value": "asked.f22.example.com"}],
        [],
        None,
        ["asked.f22.example.com"],
    ],
    ids=range(6),
)
def test_f22_an_order_for_other_names(bench: Bench, identifiers: Any) -> None:
    """Refused before anything is answered, and before any port is opened."""
    bench.proxy.on(fault.NEW_ORDER, fault.change(setting(identifiers=identifiers)))
    error = bench.refused(bench.request("asked.f22.example.com"))
    assert "other names" in error.problem
    assert (bench.proxy.count(fault.CHALLENGE), bench.opened, bench.issued) == (0, 0, 0)


@pytest.mark.parametrize("identifier", [{"type": "dns", "value": "other.f22.example.com"}, {"type": "dns"}, None, 7])
def test_f22_an_authorization_for_another_name(bench: Bench, own_name: str, identifier: Any) -> None:
    """Nothing is answered for a name that was not asked for."""
    bench.proxy.on(fault.AUTHORIZATION, fault.change(setting(identifier=identifier)), times=None)
    error = bench.refused(bench.request(own_name))
    assert "authorization is for another name" in error.problem
    assert (bench.proxy.count(fault.CHALLENGE), bench.opened, bench.issued) == (0, 0, 0)


@pytest.mark.parametrize("url", [ELSEWHERE, "http://127.0.0.1/x", "file:///etc/passwd", "", "//127.0.0.2/x"])
@pytest.mark.parametrize(
    ("path", "edit"),
    [
        (fault.NEW_ORDER, lambda url: setting(authorizations=[url])),
        (fault.AUTHORIZATION, lambda url: challenge_setting(url=url)),
        (fault.ORDER, lambda url: setting(finalize=url)),
        (fault.ORDER + "|" + fault.FINALIZE, lambda url: setting(certificate=url)),
    ],
    ids=["authorization", "challenge", "finalize", "certificate"],
)
def test_f22_a_url_of_somebody_else(
    bench: Bench, own_name: str, path: str, edit: Callable[[str], Edit], url: str
) -> None:
    """Nothing that is signed with the account key goes anywhere but to its CA."""
    bench.proxy.on(path, fault.change(edit(url)), times=None)
    error = bench.refused(bench.request(own_name))
    assert isinstance(error, AcmeNetworkError)
    assert "outside its own server" in error.problem
    assert bench.store.kept == {}


def test_f22_an_order_that_is_somewhere_else(bench: Bench) -> None:
    bench.proxy.on(fault.NEW_ORDER, fault.headers(Location=ELSEWHERE))
    assert "outside its own server" in bench.refused(bench.request("moved.f22.example.com")).problem


@pytest.mark.parametrize("token", ["", "short", "../../etc/passwd" * 3, "<script>" * 4, "a" * 200, None, 7, ["x"]])
def test_f22_a_token_that_is_none(bench: Bench, token: Any) -> None:
    """The responder would have to echo it."""
    bench.proxy.on(fault.AUTHORIZATION, fault.change(challenge_setting(token=token)))
    error = bench.refused(bench.request("token.f22.example.com"))
    assert "no proper token" in error.problem
    assert bench.opened == 0


@pytest.mark.parametrize("challenges", [None, 7, [], "http-01", ["http-01"], [None], {"type": "http-01"}], ids=range(7))
@pytest.mark.parametrize("status", ["pending", "invalid"])
def test_f22_challenges_that_are_none(bench: Bench, challenges: Any, status: str) -> None:
    """One certificate fails with a message, not the run with a traceback."""
    bench.proxy.on(fault.AUTHORIZATION, fault.change(setting(challenges=challenges, status=status)), times=None)
    other = bench.request("fine.f22.example.com")
    bench.proxy.on(fault.ORDER, fault.change(setting(status="invalid")), times=None)
    error = bench.refused(bench.request("none.f22.example.com"))
    assert isinstance(error, AcmeError)
    assert "none.f22.example.com" in error.problem
    bench.proxy.reset()
    assert bench.issue(other)


@pytest.mark.parametrize("error", ["broken", 7, [], {"type": 7, "detail": ["x"]}, {"identifier": "x"}], ids=range(5))
def test_f22_a_reason_that_is_none(bench: Bench, own_name: str, error: Any) -> None:
    bench.proxy.on(fault.ORDER, fault.change(setting(status="invalid", error=error)), times=None)
    bench.proxy.on(fault.AUTHORIZATION, fault.change(challenge_setting(error=error)), first=2, times=None)
    assert isinstance(bench.refused(bench.request(own_name)), AcmeError)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda real: fault.forged(real, own_key=False), "private key"),
        (
            lambda real: fault.forged(real, names=("other.f22.example.com",)),
            r"lacks the name\(s\) chain.f22.example.com",
        ),
        (lambda real: fault.forged(real, days=(-90, -1)), "which is not now"),
        (lambda real: fault.forged(real, days=(2, 90)), "which is not now"),
        (lambda real: real[: real.index(b"-----END CERT") + 26] + fault.forged(real), "chain is broken"),
        (lambda real: b"", "certificate"),
        (lambda real: b"<html>", "certificate"),
        (lambda real: real.replace(b"MII", b"???", 1), "certificate"),
    ],
    ids=["key", "names", "expired", "future", "broken", "empty", "html", "rubbish"],
)
def test_f22_a_chain_that_must_not_reach_a_firewall(bench: Bench, make: Callable[[bytes], bytes], word: str) -> None:
    """The old certificate stays: nothing of this one is kept."""
    bench.proxy.on(fault.CERTIFICATE, fault.body(make), times=None)
    with pytest.raises(CertfleetError, match=word) as caught:
        bench.issue(bench.request("chain.f22.example.com"))
    assert (caught.value.stage, caught.value.certificate) == ("order", "chain.f22.example.com")
    assert bench.store.kept == {}


def test_f22_only_certificates_are_kept(bench: Bench) -> None:
    """RFC 8555 §11.4: whatever else the CA sends along does not reach a firewall."""
    key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    bench.proxy.on(fault.CERTIFICATE, fault.body(lambda real: real + key))
    bench.issue(bench.request("extra.f22.example.com"))
    assert b"PRIVATE" not in bench.store.kept["extra.f22.example.com"]


# -- F23: orders that get stuck


@pytest.mark.parametrize(
    ("path", "status"), [(fault.ORDER, "pending"), (fault.FINALIZE + "|" + fault.ORDER, "processing")]
)
def test_f23_an_order_that_gets_stuck(bench: Bench, path: str, status: str) -> None:
    """It ends with the time given, and says in which state the CA left it; the port is closed again."""
    first = 1 if status == "pending" else 2
    bench.proxy.on(path, fault.change(setting(status=status)), first=first, times=None)
    before = bench.clock.monotonic()
    error = bench.refused(bench.request(f"{status}.f23.example.com"), timeout=300.0)
    assert isinstance(error, AcmeError)
    assert f"left the order {status}" in error.problem
    assert error.remedy
    assert "/my-order/" in error.url
    assert 295 < bench.clock.monotonic() - before < 400
    # Patiently: some seventy polls in five minutes.
    assert bench.proxy.count(fault.ORDER) < 80


@pytest.mark.parametrize("status", ["expired", "deactivated", "revoked", "invalid", "nonsense"])
def test_f23_an_authorization_that_is_over(bench: Bench, status: str) -> None:
    """Any end but `valid` is a failure, told with the name and at the latest when the order's time is over."""
    bench.proxy.on(fault.AUTHORIZATION, fault.change(setting(status=status)), times=None)
    error = bench.refused(bench.request("over.f23.example.com"), timeout=30.0)
    assert isinstance(error, AcmeError)
    assert [sub["identifier"] for sub in error.subproblems] == ["over.f23.example.com"]
    assert status in error.problem
    assert (bench.opened, bench.issued) == (0, 0)


def test_f23_a_challenge_that_failed_but_stays_pending(bench: Bench) -> None:
    """So some CAs leave it for ever: the reason is told all the same."""
    bench.proxy.on(fault.ORDER, fault.change(setting(status="pending")), times=None)
    problem = {"type": fault.URN + "connection", "detail": "Timeout during connect (likely firewall problem)"}
    edit = challenge_setting(error=problem, status="pending")

    def pending(document: dict[str, Any]) -> None:
        document["status"] = "pending"
        edit(document)

    bench.proxy.on(fault.AUTHORIZATION, fault.change(pending), first=2, times=None)
    error = bench.refused(bench.request("stays.f23.example.com"), timeout=60.0)
    assert isinstance(error, AcmeError)
    assert error.is_a("connection")
    assert "firewall problem" in error.problem
    assert "WAN address" in error.remedy


@pytest.mark.parametrize("retry_after", ["2", "date"])
@pytest.mark.parametrize("zone", ["Europe/Helsinki", "America/New_York", "Asia/Kolkata"])
def test_f3_a_wait_told_as_a_date_is_the_same_everywhere(
    bench: Bench, own_name: str, monkeypatch: pytest.MonkeyPatch, zone: str, retry_after: str
) -> None:
    """Whatever the time zone of the control node."""
    monkeypatch.setitem(os.environ, "TZ", zone)
    time.tzset()
    try:
        value = fault.http_date(40) if retry_after == "date" else "40"
        pending = fault.change(setting(status="pending"))
        late = fault.headers(Retry_After=value, Date=None)

        def act(exchange: fault.Exchange) -> fault.Answer:
            real = late(exchange)
            return fault.Answer(200, real.headers, pending(fault.Exchange("", "", {}, b"", lambda: real)).body)

        bench.proxy.on(fault.ORDER, act)
        bench.issue(bench.request(own_name))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [38 <= pause <= 40 for pause in bench.clock.slept if pause > 5] == [True]


# -- F10: renewal information


def _ari(start: datetime.timedelta, end: datetime.timedelta, **more: Any) -> bytes:
    now = datetime.datetime.now(UTC)
    times = [f"{now + each:%Y-%m-%dT%H:%M:%SZ}" for each in (start, end)]
    return json.dumps({"suggestedWindow": {"start": times[0], "end": times[1]}, **more}).encode()


DAY = datetime.timedelta(days=1)
SECOND = datetime.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("content", "due", "word"),
    [
        (b"{", False, "more than a third"),
        (b'{"suggestedWindow": []}', False, "more than a third"),
        (b'{"suggestedWindow": {"start": 1, "end": null}}', False, "more than a third"),
        (b'{"suggestedWindow": {"start": "0001-01-01T00:00:00+14:00", "end": "x"}}', False, "more than a third"),
        (_ari(DAY, -DAY), False, "more than a third"),
        (_ari(-2 * DAY, -DAY, explanationURL="https://ca.example/why"), True, "https://ca.example/why"),
        (_ari(-2 * DAY, -DAY, explanationURL={"a": "\x1b[31m"}), True, "early renewal"),
        (_ari(3650 * DAY, 3651 * DAY), False, "is to come"),
        (b'{"suggestedWindow": {"start": "9999-12-30T00:00:00Z", "end": "9999-12-31T23:59:59Z"}}', False, "to come"),
        (_ari(-SECOND, 0 * SECOND), True, "renewal"),
        (_ari(3600 * SECOND, 3601 * SECOND), True, "would miss"),
    ],
    ids=range(11),
)
def test_f10_odd_renewal_information(bench: Bench, content: bytes, due: bool, word: str) -> None:
    """Unreadable: the lifetime decides. Readable: it does. Never: a run that fails."""
    (one,) = bench.issue(bench.request("odd.f10.example.com"))
    bench.proxy.on(fault.RENEWAL_INFO, fault.answer(200, content), method="GET", times=None)
    window, why = renewal.fetch_window(bench.client, _x509.load_certificates(one.chain_pem)[0])
    assert (window is None) == bool(why)
    decision = renewal.decide(one.facts, now=datetime.datetime.now(UTC), window=window)
    assert (decision.due, word in decision.reason) == (due, True), decision
    assert decision.reason.isprintable()


@pytest.mark.parametrize(
    "action",
    [fault.answer(404), fault.answer(500), fault.drop_before, fault.endless, fault.answer(301, Location="http://x/")],
    ids=range(5),
)
def test_f10_no_renewal_information(bench: Bench, action: fault.Action) -> None:
    """That service of the CA is down: the run goes on by the lifetime, and says why."""
    (one,) = bench.issue(bench.request("none.f10.example.com"))
    bench.proxy.on(fault.RENEWAL_INFO, action, method="GET", times=None)
    window, why = renewal.fetch_window(bench.client, _x509.load_certificates(one.chain_pem)[0])
    assert window is None
    assert why
    assert bench.proxy.count(fault.RENEWAL_INFO, "GET") <= 3


# -- F28: wrong clocks


@pytest.mark.parametrize("hours", [-2, 2])
def test_f28_a_wrong_clock_waits_right(bench: Bench, hours: int) -> None:
    """The CA is busy for five seconds by its own clock: so long is waited, not two hours and not at all."""

    def busy(exchange: fault.Exchange) -> fault.Answer:
        fields = {"Retry_After": fault.http_date(5), "Date": fault.http_date(0)}
        return fault.problem(503, "rateLimited", "Service busy", **fields)(exchange)

    bench.wrong_clock(hours * 3600.0)
    bench.proxy.on(fault.NEW_ORDER, busy)
    assert bench.client.post(bench.client.endpoint("newOrder"), _order(bench)).status == 201
    assert [4 <= pause <= 6 for pause in bench.clock.slept] == [True]


def _order(bench: Bench) -> dict[str, Any]:
    (name,) = bench.names("clock.f28.example.com")
    return {"identifiers": [{"type": "dns", "value": name}]}


@pytest.mark.parametrize("hours", [-50, -2, 2, 5000])
def test_f28_the_cas_clock_tells_whether_a_certificate_is_valid(bench: Bench, hours: int) -> None:
    """One that is not valid yet, or not any more, by our clock is taken all the same."""
    bench.wrong_clock(hours * 3600.0)
    (one,) = bench.issue(bench.request(f"valid{hours + 50}.f28.example.com"))
    now = datetime.datetime.now(UTC)
    assert one.facts.not_before <= now <= one.facts.not_after
    assert abs(bench.client.clock.now() - now) < datetime.timedelta(minutes=1) + sum(bench.clock.slept) * SECOND
    (warning,) = bench.client.clock.warnings
    assert f"s {'ahead of' if hours > 0 else 'behind'} the CA's" in warning
    assert abs(int(warning.split(" is ")[1].split()[0]) - abs(hours) * 3600) < 60


@pytest.mark.parametrize("fields", [{"Date": None}, {"Date": "noon"}, {"Age": "7200"}], ids=["none", "odd", "cached"])
@pytest.mark.parametrize("hours", [0, 200 * 24])
def test_f28_a_ca_that_does_not_tell_the_time(bench: Bench, fields: dict[str, str | None], hours: int) -> None:
    """Then ours counts, for better or worse."""
    bench.wrong_clock(hours * 3600.0)
    for method in ("GET", "HEAD", "POST"):
        bench.proxy.on("/", fault.headers(**fields), method=method, times=None)
    request = bench.request(f"no-date-{hours}-{next(iter(fields))}-{len(str(fields))}.f28.example.com".lower())
    if not hours:
        bench.issue(request)
    else:
        error = bench.refused(request)
        assert "which is not now" in error.problem
        assert "clock" in error.remedy
    assert bench.client.clock.warnings == []
