# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits (F26, F18) and what a person has to do: told with a time and an address, and not hammered at."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import FailedCertificate
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import failure_result

from lab import proxy as fault
from lab.faults import Bench

ACCOUNT = (
    "too many new orders (300) from this account in the last 3h0m0s, retry after 2026-12-01 00:00:00 UTC: see"
    " https://letsencrypt.org/docs/rate-limits/#new-orders-per-account"
)
EXACT = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"
DOMAIN = 'too many certificates (50) already issued for "{domain}" in the last 168h0m0s'


def _limit(detail: str, retry_after: str = "3600") -> fault.Action:
    return fault.problem(429, "rateLimited", detail, Retry_After=retry_after)


def _errors(bench: Bench, names: list[str], **options: int) -> list[AcmeError]:
    result = bench.obtain(*(bench.request(name) for name in names), **options)
    errors = [one.error for one in result.results if isinstance(one, FailedCertificate)]
    assert all(isinstance(error, AcmeError) for error in errors)
    return [error for error in errors if isinstance(error, AcmeError)]


def test_f26_the_account_has_no_orders_left(bench: Bench) -> None:
    """Five of twelve are issued, the others say when to come again; nobody asks on after the first refusal."""
    bench.proxy.on(fault.NEW_ORDER, _limit(ACCOUNT), first=6, times=None)
    names = [f"n{number}.account.f26.example.com" for number in range(12)]
    errors = _errors(bench, names, concurrency=2)
    assert (bench.issued, len(errors)) == (5, 7)
    assert bench.proxy.count(fault.NEW_ORDER) <= 5 + 2
    now = datetime.datetime.now(datetime.timezone.utc)
    for error in errors:
        assert error.retry_after is not None
        assert 3500 < (error.retry_after - now).total_seconds() < 3700
        assert failure_result(error)["retry_at"] == f"{error.retry_after:%Y-%m-%dT%H:%M:%SZ}"
    assert len({error.certificate for error in errors}) == 7, "each names its own certificate"
    # The next run completes.
    bench.proxy.reset()
    bench.issue(*(bench.request(error.certificate or "") for error in errors))
    assert bench.issued == 12


@pytest.mark.parametrize("kind", ["exact", "domain", "parent"])
def test_f26_a_limit_of_one_certificate_is_its_own(bench: Bench, kind: str) -> None:
    names = [f"n{number}.{kind}{number}.example.com" for number in range(4)]
    detail = {
        "exact": EXACT,
        "domain": DOMAIN.format(domain=names[0]),
        "parent": DOMAIN.format(domain=names[0].partition(".")[2]),
    }[kind]
    bench.proxy.on(fault.NEW_ORDER, _limit(detail), first=1)
    (error,) = _errors(bench, names, concurrency=1)
    assert error.certificate == names[0]
    assert bench.issued == 3


def test_f21_a_paused_name_tells_where_to_resume(bench: Bench) -> None:
    detail = 'Your account is temporarily prevented from requesting "x". See https://ca.example/unpause?jwt=a.b-c.'
    bench.proxy.on(
        fault.NEW_ORDER, fault.problem(429, "paused", detail, Link='<https://ca.example/docs>;rel="help"'), times=None
    )
    error = bench.refused(bench.request("paused.f21.example.com"))
    result = failure_result(error)
    assert result["unpause_url"] == "https://ca.example/unpause?jwt=a.b-c"
    assert result["acme"]["help_url"] == "https://ca.example/docs"
    assert bench.proxy.count(fault.NEW_ORDER) == 1
