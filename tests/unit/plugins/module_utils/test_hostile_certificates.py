# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and PEM that nobody should make, from a CA or a firewall: an error of ours, and soon."""

from __future__ import annotations

import base64
import contextlib
import datetime
from collections.abc import Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import renewal
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.issuance import Chain
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.chains import Authorities, missing_issuer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.proxy import forged

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = datetime.timedelta(days=1)
NAME = "a.example.com"
KEY = _x509.generate_private_key("ec256")
CSR = _x509.load_csr(_x509.make_csr(KEY, [NAME]))
LEAF = _x509.self_signed(KEY, [NAME], NOW, 90 * DAY).public_bytes(serialization.Encoding.PEM)
DER = [one.public_bytes(serialization.Encoding.DER) for one in _x509.load_certificates(forged(LEAF, links=2))]
MEGABYTE = 1024 * 1024


def pem(*certificates: bytes) -> bytes:
    blocks = (
        b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(c) for c in certificates
    )
    return b"".join(blocks)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """If it fails, then so that a terminal can show it."""
    failure = ""
    try:
        yield
    except CertfleetError as error:
        failure = str(error)
    assert failure.isprintable()


def judge(content: bytes, now: datetime.datetime) -> None:
    """All that is asked of a CA's chain before and after it is taken, and of a firewall's."""
    with told():
        chain = Chain(content, _x509.load_certificates(content))
        assert not chain.leads_to("nobody")
        assert chain.end.isprintable()
        missing_issuer(chain.certificates, Authorities(chain.certificates))
        _x509.check_issued(chain.certificates, CSR, [NAME], now)
        for facts in map(_x509.facts, chain.certificates):
            renewal.decide(facts, now=now)
            facts.told(now)


PLACES = st.tuples(
    st.integers(0, 2), st.integers(0, 2000), st.sampled_from(b"\x00\x01\x30\x31\x80\xff") | st.integers(0, 255)
)


@given(st.lists(PLACES, min_size=1, max_size=3), st.integers(0, 2))
@settings(max_examples=1000)
def test_damaged_certificates(damage: list[tuple[int, int, int]], lost: int) -> None:
    chain = [bytearray(one) for one in DER]
    for number, place, byte in damage:
        chain[number][place % len(chain[number])] = byte
    judge(pem(*map(bytes, chain[: len(chain) - lost])), datetime.datetime.now(UTC))


LAST = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
FIRST = datetime.datetime(1950, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("start", "end"), [(FIRST, LAST), (FIRST, FIRST + DAY), (LAST - DAY, LAST)])
@pytest.mark.parametrize("now", [FIRST, NOW, LAST])
def test_the_first_and_the_last_of_all_days(
    start: datetime.datetime, end: datetime.datetime, now: datetime.datetime
) -> None:
    name = x509.Name([])
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 5, start, end).add_extension(names, False)
    certificate = builder.sign(KEY, hashes.SHA256())
    judge(certificate.public_bytes(serialization.Encoding.PEM), now)
    with contextlib.nullcontext() if start <= now <= end else pytest.raises(CertfleetError, match="not now"):
        _x509.check_issued([certificate], CSR, [NAME], now)


@pytest.mark.parametrize(("links", "taken"), [(1, True), (9, True), (10, False), (999, False)])
def test_a_chain_without_end(links: int, taken: bool) -> None:
    """Each link would become an authority of the firewall."""
    chain = _x509.load_certificates(forged(LEAF, links=links))
    assert len(chain) == links + 1
    with contextlib.nullcontext() if taken else pytest.raises(CertfleetError, match=f"has {links + 1} certificates"):
        _x509.check_issued(chain, CSR, [NAME], datetime.datetime.now(UTC))


@pytest.mark.parametrize(
    "piece",
    [b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN A-----\n-----END B-----\n", b"-----BEGIN ", b"-----BEGIN A-----"],
)
def test_beginnings_without_end(piece: bytes) -> None:
    """A megabyte once took five minutes; the runner's own limit tells."""
    content = piece * (MEGABYTE // len(piece))
    assert _x509.split_pem(content) == []
    assert _x509.split_pem(content + b"\n" + LEAF) == [LEAF]
