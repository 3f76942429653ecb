# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that a firewall has already, without a CA to ask."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab.entries import certificate, certificates
from lab.fleet import Fleet


def made(*names: str, days: float = 90, age: float = 10) -> tuple[str, str]:
    """(certificate, key) in PEM, of nobody in particular, so that no CA has a say in it."""
    key, ca = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    start = datetime.now(timezone.utc) - timedelta(days=age)
    common = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (names[0], "Some CA")]
    leaf = (
        x509.CertificateBuilder()
        .subject_name(common[0])
        .issuer_name(common[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()), critical=False)
        .sign(ca, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return leaf.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


def have(fleet: Fleet, host: str, name: str, *domains: str, **lifetime: float) -> None:
    fleet.emulator.put_certificate(host, name, *made(*domains, **lifetime))


def wanted(name: str, *domains: str, **more: Any) -> dict[str, Any]:
    """What a host of the inventory asks for, so that what have() put there is right."""
    return certificates(certificate(name, *domains, key_type="ec256"), **more)
