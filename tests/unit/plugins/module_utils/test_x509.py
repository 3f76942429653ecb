# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(
    key: Any, signer: Any, domains: tuple[str, ...] = ("a.example.com",), subject: str = "leaf", issuer: str = "CA"
) -> x509.Certificate:
    builder = x509.CertificateBuilder(name(issuer), name(subject), key.public_key(), 4711, NOW - DAY, NOW + 89 * DAY)
    if domains:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(d) for d in domains]), False)
    return builder.sign(signer, hashes.SHA256())


CA_KEY = _x509.generate_private_key("ec256")
KEY = _x509.generate_private_key("ec256")
CA = make(CA_KEY, CA_KEY, (), "CA")
LEAF = make(KEY, CA_KEY)


def test_facts() -> None:
    facts = _x509.facts(LEAF)
    assert facts.names == ("a.example.com",)
    assert (facts.subject, facts.issuer, facts.serial, facts.key_type) == ("CN=leaf", "CN=CA", 4711, "ec256")
    assert not facts.self_signed
    assert _x509.facts(CA).self_signed
    assert facts.fingerprint == LEAF.fingerprint(hashes.SHA256()).hex()
    plain = json.loads(json.dumps(facts.as_dict()))
    assert (plain["serial"], plain["not_after"]) == ("1267", "2027-02-18T12:00:00Z")


def test_covers_returns_what_is_not_covered() -> None:
    facts = _x509.facts(make(KEY, CA_KEY, ("A.example.com", "*.example.org")))
    assert facts.uncovered(["a.example.com", "B.example.org"]) == ()
    assert facts.uncovered(["example.org", "a.b.example.org", "x.example.com"]) == (
        "example.org",
        "a.b.example.org",
        "x.example.com",
    )


@pytest.mark.parametrize("key_type", _x509.KEY_TYPES)
def test_keys_and_requests(key_type: str) -> None:
    key = _x509.generate_private_key(key_type)
    again = _x509.load_private_key(_x509.private_key_pem(key))
    csr = x509.load_der_x509_csr(_x509.make_csr(again, ("a.example.com", "b.example.com")))
    assert csr.is_signature_valid
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.com", "b.example.com"]
    cert = make(key, CA_KEY)
    assert _x509.facts(cert).key_type == key_type
    assert _x509.key_matches(cert, again)
    assert not _x509.key_matches(LEAF, key)


def test_unknown_key_type() -> None:
    with pytest.raises(CertfleetError, match="rsa2048"):
        _x509.generate_private_key("rsa1024")


def test_load_private_key_with_passphrase() -> None:
    pem = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    assert _x509.key_matches(LEAF, _x509.load_private_key(pem, "secret"))
    for passphrase in (None, "wrong"):
        with pytest.raises(CertfleetError, match="passphrase"):
            _x509.load_private_key(pem, passphrase)
    with pytest.raises(CertfleetError, match="not encrypted"):
        _x509.load_private_key(_x509.private_key_pem(KEY), "secret")


def test_load_private_key_refuses_the_rest() -> None:
    odd = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for data in (b"", b"rubbish", odd):
        with pytest.raises(CertfleetError) as caught:
            _x509.load_private_key(data)
        assert "PRIVATE" not in str(caught.value)


def test_split_pem_takes_noise_and_other_blocks() -> None:
    pem = LEAF.public_bytes(serialization.Encoding.PEM)
    mixed = b"Subject: x\r\n" + pem.replace(b"\n", b"\r\n") + _x509.private_key_pem(KEY) + b"\n" + pem
    assert len(_x509.split_pem(mixed)) == 3
    assert _x509.load_certificates(mixed.decode()) == [LEAF, LEAF]
    assert _x509.load_certificates("nothing") == []
    with pytest.raises(CertfleetError, match="cannot be read"):
        _x509.load_certificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")


def test_check_issued() -> None:
    _x509.check_issued([LEAF, CA], KEY, ["a.example.com"], NOW)
    _x509.check_issued([LEAF], KEY, ["a.example.com"], NOW - DAY - datetime.timedelta(minutes=59))
    other = _x509.generate_private_key("ec256")
    impostor = make(other, other, (), "CA")
    for chain, key, names, now, problem in (
        ([], KEY, ["a.example.com"], NOW, "no certificate"),
        ([LEAF, CA], other, ["a.example.com"], NOW, "private key"),
        ([LEAF, CA], KEY, ["a.example.com", "b.example.com"], NOW, "b.example.com"),
        ([LEAF, CA], KEY, ["a.example.com"], NOW - 2 * DAY, "not now"),
        ([LEAF, CA], KEY, ["a.example.com"], NOW + 90 * DAY, "not now"),
        ([LEAF, impostor], KEY, ["a.example.com"], NOW, "chain is broken"),
        ([LEAF, LEAF], KEY, ["a.example.com"], NOW, "chain is broken"),
    ):
        with pytest.raises(CertfleetError, match=problem):
            _x509.check_issued(chain, key, names, now)
