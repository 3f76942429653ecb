# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders through a proxy that answers late, wrongly or not at all.

The numbers are those of the collection's list of injected faults: F18 rate limits, F19 answers that are none,
F20 answers that get lost, F21 refusals that only a person can lift.
"""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError, AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import FailedCertificate
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.transport import MAX_BODY

from lab import proxy as fault
from lab.faults import KEY, Bench, LeapClock
from lab.proxy import FaultProxy
from lab.tls import TlsFiles, make_tls

LIMIT = "too many certificates already issued"


def waited(bench: Bench, at_least: float = 1.9) -> list[float]:
    """The long waits: what a server asked for, none of the pauses between polls."""
    return [round(pause) for pause in bench.clock.slept if pause >= at_least]


def test_nothing_wrong(bench: Bench) -> None:
    """Through a proxy that behaves, an order takes what it takes without one."""
    bench.issue(bench.request("fine.f18.example.com"))
    posts = [one.path for one in bench.proxy.seen if one.method == "POST" and fault.ORDER not in one.path]
    assert [path.split("/")[1] for path in posts] == ["order-plz", "authZ", "chalZ", "finalize-order", "certZ"]
    assert {one.status for one in bench.proxy.seen} <= {200, 201, 204}
    assert bench.issued == 1


# -- F18: 429


@pytest.mark.parametrize("seconds", [2, 8])
def test_f18_a_short_limit_is_waited_for(bench: Bench, seconds: int) -> None:
    """In seconds, or as a date: the certificate comes in this run, a little later."""
    retry_after = "2" if seconds == 2 else fault.http_date(9)
    bench.proxy.on(fault.NEW_ORDER, fault.problem(429, "rateLimited", LIMIT, Retry_After=retry_after))
    bench.issue(bench.request(f"short{seconds}.f18.example.com"))
    assert [seconds <= pause <= seconds + 1 for pause in waited(bench)] == [True]
    assert bench.proxy.statuses(fault.NEW_ORDER) == [429, 201]


@pytest.mark.parametrize(
    ("retry_after", "hours"),
    [("3600", 1), (None, None), ("-5", None), ("99999999999999999999", 24)],
    ids=["hour", "absent", "negative", "huge"],
)
def test_f18_a_long_limit_fails_at_once_and_says_when(bench: Bench, retry_after: str | None, hours: int | None) -> None:
    """The user is told when to come back; no time is lost, and no port was opened."""
    fields = {} if retry_after is None else {"Retry_After": retry_after}
    bench.proxy.on(fault.NEW_ORDER, fault.problem(429, "rateLimited", LIMIT, **fields))
    error = bench.refused(bench.request("long.f18.example.com"))
    assert isinstance(error, AcmeError)
    assert error.is_a("rateLimited")
    assert LIMIT in error.problem
    assert "limit" in error.remedy
    assert (bench.proxy.count(fault.NEW_ORDER), waited(bench), bench.opened) == (1, [], 0)
    if hours is None:
        assert error.retry_after is None
    else:
        assert error.retry_after is not None
        assert error.retry_after.tzinfo is datetime.timezone.utc
        left = error.retry_after - datetime.datetime.now(datetime.timezone.utc)
        assert datetime.timedelta(hours=hours, minutes=-1) < left <= datetime.timedelta(hours=hours)
        assert error.details["retry_at"].endswith("Z")
    json.dumps(error.details)


def test_f18_a_limit_on_one_certificate_leaves_the_others_alone(bench: Bench) -> None:
    """Of three, two are renewed tonight."""

    def limit_one(exchange: fault.Exchange) -> fault.Answer:
        real = exchange.forward()
        if "limited" not in json.dumps(json.loads(real.body)["identifiers"]):
            return real
        # One that names nobody would be the account's, and keep back what is not asked for yet.
        return fault.problem(429, "rateLimited", f'{LIMIT} for "limited.f18.example.com"', Retry_After="86400")(
            exchange
        )

    bench.proxy.on(fault.NEW_ORDER, limit_one, times=None)
    requests = [bench.request(f"{name}.f18.example.com") for name in ("one", "limited", "two")]
    results = bench.obtain(*requests).results
    assert [isinstance(one, FailedCertificate) for one in results] == [False, True, False]
    assert bench.issued == 2


# -- F19: answers that are none


def test_f19_a_busy_ca_is_asked_again(bench: Bench) -> None:
    """503 three times, twice with a time: nobody notices."""
    bench.proxy.on(fault.NEW_ORDER, fault.problem(503, "rateLimited", "Service busy", Retry_After="4"), times=2)
    bench.proxy.on(fault.NEW_ORDER, fault.answer(503), first=3)
    bench.issue(bench.request("busy.f19.example.com"))
    assert bench.proxy.statuses(fault.NEW_ORDER) == [503, 503, 503, 201]
    assert [round(pause) for pause in bench.clock.slept[:2]] == [4, 4]


def test_f19_a_broken_ca_is_not_asked_for_ever(bench: Bench) -> None:
    """500 with Retry-After 60: the order fails within the run's own time, and says whose fault it is."""
    bench.proxy.on(fault.NEW_ORDER, fault.problem(500, "serverInternal", "boom", Retry_After="60"), times=None)
    error = bench.refused(bench.request("broken.f19.example.com"))
    assert isinstance(error, AcmeError)
    assert (error.is_a("serverInternal"), "run again later" in error.remedy) == (True, True)
    assert bench.proxy.count(fault.NEW_ORDER) <= 3
    assert sum(bench.clock.slept) <= 125


def test_f19_the_page_of_a_gateway_is_not_shown(bench: Bench) -> None:
    """502 with a page of HTML: one more try. When it stays, the message holds nothing of the page."""
    page = fault.answer(502, b"<html><script>secret</script></html>", Content_Type="text/html")
    bench.proxy.on(fault.NEW_ORDER, page)
    bench.issue(bench.request("gateway.f19.example.com"))
    bench.proxy.on(fault.NEW_ORDER, page, times=None)
    error = bench.refused(bench.request("gateway.f19.example.com"))
    assert "502" in error.problem
    assert "secret" not in f"{error.problem}{error.remedy}{error.details}"


@pytest.mark.parametrize(
    "content", [b"", b'{"status": "pend', b"null", b"[]", b"[" * 900_000, b"\xff\xfe", b"1" * 5000], ids=range(7)
)
@pytest.mark.parametrize("path", [fault.NEW_ORDER, fault.AUTHORIZATION, fault.ORDER])
def test_f19_an_answer_that_is_no_json(bench: Bench, own_name: str, path: str, content: bytes) -> None:
    """Empty, cut short, or rubbish: one certificate fails with a message, not the run with a traceback."""
    bench.proxy.on(path, fault.body(lambda _real: content), times=None)
    error = bench.refused(bench.request(own_name))
    assert isinstance(error, AcmeNetworkError)
    assert "not a JSON object" in error.problem
    assert bench.issued == 0


@pytest.mark.parametrize("content", [b"[" * 900_000, b'{"type": ["x"], "detail": {"a": 1}, "subproblems": {"a": 1}}'])
def test_f19_a_refusal_that_is_rubbish(bench: Bench, content: bytes) -> None:
    bench.proxy.on(fault.NEW_ORDER, fault.answer(403, content))
    error = bench.refused(bench.request("rubbish.f19.example.com"))
    assert isinstance(error, AcmeError)
    assert error.status == 403


@pytest.mark.parametrize("path", [fault.NEW_ORDER, fault.ORDER, fault.CERTIFICATE])
def test_f19_an_answer_that_ends_too_early_is_asked_for_again(bench: Bench, own_name: str, path: str) -> None:
    bench.proxy.on(path, fault.cut(lambda real: len(real) // 2))
    bench.issue(bench.request(own_name))
    assert bench.issued == 1


def test_f19_a_chain_that_ends_too_early_does_not_reach_a_firewall(bench: Bench) -> None:
    """Cut right after the leaf it still looks like a chain. A firewall with it fails at most clients."""
    end = b"-----END CERTIFICATE-----\n"
    bench.proxy.on(fault.CERTIFICATE, fault.cut(lambda real: real.index(end) + len(end)))
    bench.issue(bench.request("chain.f19.example.com"))
    assert bench.store.kept["chain.f19.example.com"].count(end) == 2
    assert bench.proxy.count(fault.CERTIFICATE) == 2


def test_f19_an_endless_answer_is_left(bench: Bench) -> None:
    bench.proxy.on(fault.NEW_ORDER, fault.endless, times=None)
    error = bench.refused(bench.request("endless.f19.example.com"))
    assert "longer than" in error.problem
    assert bench.proxy.sent < 20 * MAX_BODY


def test_f19_an_answer_in_drops_ends_with_the_time_given(bench: Bench) -> None:
    """A byte now and then keeps every single wait short: the time for the whole request must end it."""
    bench.proxy.on(fault.DIRECTORY, fault.trickle(0.1), method="GET", times=None)
    client = bench.make_client(timeout=2.0, request_timeout=0.3)
    began = time.monotonic()
    with pytest.raises(AcmeNetworkError, match="no answer"):
        client.get(bench.proxy.directory_url)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("to", ["http://{}/order-plz", "https://{}/order-plz", "https://[", "//"])
@pytest.mark.parametrize("status", [301, 307])
def test_f19_redirects_are_not_followed(bench: Bench, status: int, to: str) -> None:
    """What is signed is for one URL only, and plain http is for nobody."""
    where = to.format(bench.proxy.url.partition("//")[2])
    bench.proxy.on(fault.NEW_ORDER, fault.answer(status, Location=where), times=None)
    error = bench.refused(bench.request("redirect.f19.example.com"))
    assert str(status) in error.problem
    assert bench.proxy.count(fault.NEW_ORDER) == 1


@pytest.mark.parametrize("location", [None, "https://["], ids=["none", "rubbish"])
def test_f19_an_order_without_a_url(bench: Bench, location: str | None) -> None:
    bench.proxy.on(fault.NEW_ORDER, fault.headers(Location=location))
    error = bench.refused(bench.request("nowhere.f19.example.com"))
    assert isinstance(error, AcmeNetworkError)
    assert "Location" in error.problem


@pytest.mark.parametrize(("days", "word"), [((-1, 30), "self-signed|unable to get"), ((-30, -1), "expired")])
def test_f19_a_ca_that_cannot_prove_itself(bench: Bench, tmp_path: Path, days: tuple[float, float], word: str) -> None:
    """Unknown issuer, expired certificate: final, and nothing was sent."""
    tls = make_tls(tmp_path / "own", ("127.0.0.1",))
    trusted = str(make_tls(tmp_path / "other").ca)
    if word == "expired":
        chain = fault.forged(tls.certificate.read_bytes(), names=("localhost",), days=days)
        (tmp_path / "old.pem").write_bytes(chain)
        tls, trusted = TlsFiles(tls.ca, tmp_path / "old.pem", tls.key), str(tmp_path / "old.pem")
    with FaultProxy(bench.proxy.upstream, bench.proxy.upstream_ca, tmp_path / "proxy", tls=tls) as bad:
        url = bad.directory_url.replace("127.0.0.1", "localhost") if word == "expired" else bad.directory_url
        client = AcmeClient(url, KEY, ca_path=trusted, clock=LeapClock())
        with pytest.raises(AcmeNetworkError, match=word) as caught:
            client.endpoint("newOrder")
        assert "ca_path" in caught.value.remedy
        assert bad.seen == []


# -- F20: lost answers


@pytest.mark.parametrize(
    "path", [fault.NEW_ORDER, fault.AUTHORIZATION, fault.CHALLENGE, fault.ORDER, fault.FINALIZE, fault.CERTIFICATE]
)
@pytest.mark.parametrize(
    "action", [fault.drop_before, fault.drop_after, fault.instead(504), fault.instead(500)], ids=range(4)
)
def test_f20_a_lost_answer_costs_nothing(bench: Bench, own_name: str, path: str, action: fault.Action) -> None:
    """Whether the CA saw the request or not: one certificate, issued once, in this run."""
    bench.proxy.on(path, action)
    (one,) = bench.issue(bench.request(own_name))
    assert bench.issued == 1
    assert bench.store.remembered == [own_name]
    assert one.facts.uncovered((own_name,)) == ()
    assert bench.proxy.count(fault.NEW_ORDER) == (2 if path == fault.NEW_ORDER else 1)
    assert bench.proxy.count(fault.FINALIZE) == (2 if path == fault.FINALIZE else 1)


def test_f20_a_ca_that_never_answers_is_given_up(bench: Bench) -> None:
    bench.proxy.on(fault.FINALIZE, fault.drop_before, times=None)
    error = bench.refused(bench.request("gone.f20.example.com"))
    assert isinstance(error, AcmeNetworkError)
    assert "no answer" in error.problem
    assert bench.proxy.count(fault.FINALIZE) == 3


# -- F21: a person has to act


@pytest.mark.parametrize(
    ("status", "typ", "remedy"),
    [
        (429, "paused", "follow the link"),
        (403, "userActionRequired", "terms_agreed"),
        (409, "conflict", ""),
        (400, "accountDoesNotExist", "acme_account"),
        (403, "unauthorized", ""),
        (400, "invalidProfile", "profiles"),
        (400, "externalAccountRequired", "external account binding"),
    ],
)
def test_f21_is_told_with_its_link_and_not_repeated(bench: Bench, status: int, typ: str, remedy: str) -> None:
    link = "see https://ca.example/unpause?jwt=abc"
    bench.proxy.on(fault.NEW_ORDER, fault.problem(status, typ, link, Retry_After="1"), times=None)
    error = bench.refused(bench.request("person.f21.example.com"))
    assert isinstance(error, AcmeError)
    assert (error.is_a(typ), error.status, error.stage) == (True, status, "order")
    assert link in error.problem
    assert remedy in error.remedy
    assert error.certificate == "person.f21.example.com"
    assert (bench.proxy.count(fault.NEW_ORDER), bench.opened) == (1, 0)


@pytest.mark.parametrize(("status", "typ"), [(409, "conflict"), (400, "malformed")])
def test_f21_a_challenge_that_the_ca_has_taken_already(bench: Bench, own_name: str, status: int, typ: str) -> None:
    """So CAs answer a repetition. The order tells how it ends."""

    def act(exchange: fault.Exchange) -> fault.Answer:
        exchange.forward()
        return fault.problem(status, typ)(exchange)

    bench.proxy.on(fault.CHALLENGE, act)
    bench.issue(bench.request(own_name))
    assert bench.proxy.count(fault.CHALLENGE) == 1


@pytest.mark.parametrize("path", [fault.CHALLENGE, fault.FINALIZE])
def test_f21_late_refusals_are_typed_too(bench: Bench, own_name: str, path: str) -> None:
    bench.proxy.on(path, fault.problem(403, "userActionRequired"), times=None)
    error = bench.refused(bench.request(own_name))
    assert isinstance(error, AcmeError)
    assert error.is_a("userActionRequired")
    assert bench.proxy.count(path) == 1
