# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import renewal
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.transport import Reply
from cryptography import x509
from cryptography.hazmat.primitives import hashes

UTC = datetime.timezone.utc
DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)
START = datetime.datetime(2026, 9, 1, tzinfo=UTC)
KEY = _x509.generate_private_key("ec256")


def facts(life: datetime.timedelta, fingerprint: str = "00") -> _x509.CertificateFacts:
    return _x509.CertificateFacts(fingerprint, 1, "", "", ("a.example.com",), START, START + life, "ec256", False)


def window(start: datetime.timedelta, end: datetime.timedelta, url: str = "") -> renewal.RenewalInfo:
    return renewal.RenewalInfo(START + start, START + end, url, None)


@pytest.mark.parametrize(
    ("life", "age", "due", "word"),
    [
        (90 * DAY, 59 * DAY, False, "more than a third"),
        (90 * DAY, 60 * DAY, True, "less than a third"),
        (90 * DAY, 87 * DAY, True, "emergency"),
        (90 * DAY, 91 * DAY, True, "expired"),
        (160 * HOUR, 79 * HOUR, False, "more than half"),
        (160 * HOUR, 80 * HOUR, True, "less than half"),
        (160 * HOUR, 153 * HOUR, True, "emergency"),
    ],
)
def test_without_a_window(life: datetime.timedelta, age: datetime.timedelta, due: bool, word: str) -> None:
    decision = renewal.decide(facts(life), now=START + age)
    assert (decision.due, word in decision.reason) == (due, True), decision


@pytest.mark.parametrize(
    ("age", "bounds", "due", "word"),
    [
        (30 * DAY, (60 * DAY, 62 * DAY), False, "is to come"),
        (59.8 * DAY, (60 * DAY, 62 * DAY), False, "is to come"),
        (59.8 * DAY, (60 * DAY, 60.1 * DAY), True, "next run would miss"),
        (61.9 * DAY, (60 * DAY, 62 * DAY), True, "inside"),
        (60 * DAY, (60 * DAY, 89 * DAY), False, "its own turn is later"),
        (63 * DAY, (60 * DAY, 62 * DAY), True, "has passed"),
        (30 * DAY, (1 * DAY, 2 * DAY), True, "asks for early renewal"),
        (87 * DAY, (88 * DAY, 89 * DAY), True, "emergency"),
        (91 * DAY, (92 * DAY, 93 * DAY), True, "expired"),
    ],
)
def test_with_a_window(age: datetime.timedelta, bounds: tuple[Any, Any], due: bool, word: str) -> None:
    decision = renewal.decide(facts(90 * DAY), now=START + age, window=window(*bounds))
    assert (decision.due, word in decision.reason) == (due, True), decision


def test_the_explanation_is_shown() -> None:
    decision = renewal.decide(
        facts(90 * DAY), now=START + 30 * DAY, window=window(DAY, 2 * DAY, "https://ca.example/incident")
    )
    assert "early renewal" in decision.reason
    assert "https://ca.example/incident" in decision.reason


def test_the_instant_is_stable_and_spread() -> None:
    ours = window(60 * DAY, 62 * DAY)
    instants = {
        renewal.decide(facts(90 * DAY, f"{n:02x}"), now=START + age * DAY, window=ours, seed="fleet").renew_at
        for n in range(100)
        for age in (1, 30)
    }
    assert len(instants) == 100
    assert all(ours.start <= instant < ours.end for instant in instants)
    middle = ours.start + DAY
    assert 30 < sum(instant < middle for instant in instants) < 70


def certificate(serial: int, key_identifier: bytes | None) -> x509.Certificate:
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), serial, START, START + 90 * DAY)
    if key_identifier is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(key_identifier, None, None), False)
    return builder.sign(KEY, hashes.SHA256())


def test_ari_id_of_the_rfc() -> None:
    """The example of RFC 9773 §4.1, whose serial needs a leading zero in DER."""
    key_identifier = bytes.fromhex("69885b6b87468641e1b37b847ba0ae2cde01c8d4")
    assert renewal.ari_id(certificate(0x87654321, key_identifier)) == "aYhba4dGhkHhs3uEe6CuLN4ByNQ.AIdlQyE"
    assert renewal.ari_id(certificate(0x01, key_identifier)) == "aYhba4dGhkHhs3uEe6CuLN4ByNQ.AQ"
    assert renewal.ari_id(certificate(1, None)) is None


class Source:
    def __init__(self, body: bytes, directory: dict[str, Any] | None = None) -> None:
        self.directory = {"renewalInfo": "https://ca.example/ari/"} if directory is None else directory
        self.body = body
        self.asked: list[str] = []

    def get(self, url: str) -> Reply:
        self.asked.append(url)
        if not self.body:
            raise AcmeNetworkError("the CA is away", url=url)
        return Reply(url, 200, {}, self.body, None)


CERT = certificate(5, b"\1" * 20)


def answer(start: str, end: str) -> bytes:
    return (
        f'{{"suggestedWindow": {{"start": "{start}", "end": "{end}"}}, "explanationURL": "https://x.example"}}'.encode()
    )


def test_fetch_window() -> None:
    source = Source(answer("2026-10-30T00:00:00.123456789Z", "2026-11-01T02:00:00+02:00"))
    info, _reason = renewal.fetch_window(source, CERT)
    assert info is not None
    assert info.end == datetime.datetime(2026, 11, 1, tzinfo=UTC)
    assert info.explanation_url == "https://x.example"
    assert source.asked == [f"https://ca.example/ari/{base64.urlsafe_b64encode(bytes([1] * 20)).decode()[:-1]}.BQ"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "away"),
        (b"rubbish", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"{}", "cannot be read"),
        (b'{"suggestedWindow": {"start": "soon", "end": "later"}}', "cannot be read"),
        (b'{"suggestedWindow": {}}', "cannot be read"),
        (b'{"suggestedWindow": 7}', "cannot be read"),
        (answer("2026-11-01T00:00:00Z", "2026-10-01T00:00:00Z"), "ends before"),
        (answer("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"), "ends before"),
    ],
)
def test_fetch_window_never_fails(body: bytes, reason: str) -> None:
    info, why = renewal.fetch_window(Source(body), CERT)
    assert info is None
    assert reason in why


def test_fetch_window_where_there_is_none() -> None:
    assert renewal.fetch_window(Source(b"", {}), CERT)[0] is None
    source = Source(b"")
    assert renewal.fetch_window(source, certificate(5, None))[0] is None
    assert source.asked == []
