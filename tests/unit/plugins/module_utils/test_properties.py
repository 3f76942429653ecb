# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every name, version, instant and answer, not for examples only."""

from __future__ import annotations

import dataclasses
import datetime
import json
import string
from typing import Any

import idna
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _http_dates as http_dates
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import renewal
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.renewal import RenewalInfo, decide
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.transport import Reply
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._names import is_address, normalise_domains
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import certificates
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import assume, given, settings
from hypothesis import strategies as st

UTC = datetime.timezone.utc
START = datetime.datetime(2026, 9, 1, tzinfo=UTC)
HOUR = datetime.timedelta(hours=1)

# --- names -----------------------------------------------------------------------------------------------------------

# What may be part of a name, what looks like it, and what is neither.
LETTERS = st.sampled_from("abzAZ09-.äßéЖ漢字。\uff0eş中عא٣\uff13x\u200d\u00ad\u0301_*/: @%[]xn")
LABELS = st.sampled_from(["xn--", "xn--bcher-kva", "xn--a", "BÜCHER", "faß", "example", "com", "127", "0x7f", "ǆ", "ﬀ"])
NAMES = st.lists(LABELS | st.text(LETTERS, max_size=8), min_size=1, max_size=4).map(".".join) | st.text(max_size=30)


@given(NAMES)
@settings(max_examples=500)
def test_a_name_is_refused_or_survives_the_way_there_and_back(name: str) -> None:
    try:
        (found,) = normalise_domains([name])
    except CertfleetError:
        return
    assert found.isascii()
    assert found == found.lower()
    assert normalise_domains([found.upper() if not is_address(found) else found]) == (found,)
    if not is_address(found):
        assert max(map(len, found.split("."))) <= 63
        for label in found.split("."):
            assert label.strip(string.ascii_lowercase + string.digits + "-") == ""
            if label.startswith("xn--"):
                assert idna.alabel(idna.ulabel(label)).decode() == label


# --- versions --------------------------------------------------------------------------------------------------------

KEY = _x509.generate_private_key("ec256")
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
ORIGINS = st.text("0123456789abcdef", min_size=4, max_size=4) | st.just("")
# With ends that look like a version's.
OURS = st.builds(
    lambda head, tail: (head + tail)[:32],
    st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=16),
    st.sampled_from(["", "-20261121", "-20261121-", "-20261121-abcd0123", "-20261121-abcd012", "-00000000-00000000"]),
)
EXPIRIES = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(9999, 12, 31), timezones=st.just(UTC))


def certificate() -> x509.Certificate:
    name = x509.Name([])
    return x509.CertificateBuilder(name, name, KEY.public_key(), 5, START, START + HOUR).sign(KEY, hashes.SHA256())


CERTIFICATE = certificate()
FACTS = _x509.facts(CERTIFICATE)


def stored(name: str) -> certificates.StoredCertificate:
    return certificates.StoredCertificate(name, [CERTIFICATE], has_key=True)


def taken(name: str) -> bool:
    try:
        certificates.check_name(name)
    except CertfleetError:
        return False
    return True


@given(OURS, EXPIRIES, HEX, ORIGINS)
def test_a_version_is_of_its_name_and_fits(name: str, expiry: datetime.datetime, digest: str, origin: str) -> None:
    assume(taken(name))
    facts = dataclasses.replace(FACTS, not_after=expiry, fingerprint=digest)
    version = certificates.version_name(name, facts, origin)
    assert len(version) <= 50
    assert certificates.base_name(version) == name
    assert not taken(version), "nobody can ask for one by that name"


@given(OURS, OURS, ORIGINS)
@settings(max_examples=300)
def test_a_version_is_nobody_elses(name: str, other: str, origin: str) -> None:
    """Nor is the object of the bare name."""
    assume(taken(name) and taken(other) and name != other)
    there = [stored(certificates.version_name(other, FACTS, origin)), stored(other)]
    assert certificates.versions(name, there) == []
    assert len(certificates.versions(other, there)) == 2


@given(ORIGINS, OURS)
def test_an_origin_is_found_again_or_none_is(origin: str, name: str) -> None:
    assume(taken(name))
    found = stored(certificates.version_name(name, FACTS, origin)).origin
    assert found == (origin if origin and origin != FACTS.fingerprint[4:8] else None)


# --- what is due -----------------------------------------------------------------------------------------------------

SPANS = st.timedeltas(HOUR, 400 * 24 * HOUR)
INSTANTS = st.timedeltas(-400 * 24 * HOUR, 800 * 24 * HOUR).map(lambda span: START + span)


def _window(start: datetime.datetime, length: datetime.timedelta) -> RenewalInfo:
    return RenewalInfo(start, start + length, "", None)


@given(SPANS, st.none() | st.builds(_window, INSTANTS, SPANS), st.lists(INSTANTS, min_size=2, max_size=6), HEX, SPANS)
@settings(max_examples=500)
def test_once_due_it_stays_due(
    life: datetime.timedelta,
    window: RenewalInfo | None,
    nights: list[datetime.datetime],
    digest: str,
    period: datetime.timedelta,
) -> None:
    facts = dataclasses.replace(FACTS, not_before=START, not_after=START + life, fingerprint=digest)
    due = [decide(facts, now=night, window=window, period=period).due for night in sorted(nights)]
    assert due == sorted(due)
    assert decide(facts, now=facts.not_after, window=window, period=period).due


# --- what a CA tells -------------------------------------------------------------------------------------------------

TIMES = st.sampled_from(
    [
        *("2026-11-21T12:00:00Z", "2026-11-22T12:00:00.123+14:00", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z"),
        *("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "24:00", "", "2026-11-21", "2026-W47", "now", "²"),
    ]
)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5) | TIMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["start", "end", "x"]), inner),
    max_leaves=8,
)
WINDOWS = st.fixed_dictionaries({"start": TIMES | JSON, "end": TIMES | JSON})


class Source:
    """A CA with one answer."""

    def __init__(self, body: bytes) -> None:
        self.directory = {"renewalInfo": "https://ca.example/ari"}
        self.body = body

    def get(self, url: str) -> Reply:
        return Reply(url, 200, {}, self.body, None)


@given(st.fixed_dictionaries({"suggestedWindow": WINDOWS | JSON, "explanationURL": JSON}) | JSON, INSTANTS)
@settings(max_examples=500)
def test_renewal_information_is_a_window_or_a_reason(document: Any, now: datetime.datetime) -> None:
    window, why = renewal.fetch_window(Source(json.dumps(document).encode()), IDENTIFIED)  # type: ignore[arg-type]
    assert (window is None) == bool(why)
    assert window is None or window.start < window.end
    assert decide(FACTS, now=now, window=window).reason.isprintable()


IDENTIFIED = (
    x509.CertificateBuilder(x509.Name([]), x509.Name([]), KEY.public_key(), 5, START, START + HOUR)
    .add_extension(x509.AuthorityKeyIdentifier(b"\1" * 20, None, None), False)
    .sign(KEY, hashes.SHA256())
)

DATES = st.builds(
    "{} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Fri,", "", "Friday,", "xyz"]),
    st.integers(-1, 40),
    st.sampled_from(["Nov 2026", "Jan 0001", "Dec 9999", "Feb 2027", "Foo 2026", "Nov 99999", "Nov -1", "Nov 70"]),
    st.integers(-1, 30),
    st.integers(-1, 70),
    st.integers(-1, 70),
    st.sampled_from(["GMT", "+0000", "-2359", "+9999", "EST", "", "+99999999999", "GMT (", "\0"]),
)


@given(DATES | st.text(max_size=20) | st.integers().map(str), DATES | st.none(), INSTANTS)
@settings(max_examples=500)
def test_a_wait_is_none_or_within_a_day(value: str, date: str | None, now: datetime.datetime) -> None:
    found = http_dates.parse_retry_after(value, now, date)
    assert found is None or now <= found <= now + http_dates.MAX_RETRY_AFTER
    instant = http_dates.http_date(value)
    assert instant is None or instant.utcoffset() == datetime.timedelta(0)
