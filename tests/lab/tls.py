# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away CA and a server certificate, for the HTTPS side of lab servers."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# In days from now.
SOUND = (-0.1, 365.0)


@dataclass(frozen=True)
class TlsFiles:
    """Where the three PEM files lie."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Issuer:
    """A CA's certificate and key, which lie in ca.pem and ca.key of its directory."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_issuer(directory: Path, common_name: str = "lab") -> Issuer:
    """Make a CA that others are to issue with."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{common_name} CA")
    builder = _builder(name, name, key.public_key()).add_extension(x509.BasicConstraints(True, 0), True)
    builder = builder.add_extension(_usage(sign_certificates=True), True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    issuer = Issuer(builder.sign(key, hashes.SHA256()), key)
    (directory / "ca.pem").write_bytes(issuer.certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(directory / "ca.key", key)
    return issuer


def make_tls(directory: Path, names: Sequence[str] = ("localhost",), common_name: str = "lab") -> TlsFiles:
    """Make a CA and a certificate for `names` (DNS names and IP addresses) it signed."""
    return issue(make_issuer(directory, common_name), directory, names, common_name)


def issue(
    issuer: Issuer, directory: Path, names: Sequence[str], common_name: str = "lab", days: tuple[float, float] = SOUND
) -> TlsFiles:
    """A certificate of this CA, valid `days` from now."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _builder(_name(common_name), issuer.certificate.subject, key.public_key(), days).add_extension(
        x509.SubjectAlternativeName([_general_name(name) for name in names]), False
    )
    leaf = leaf.add_extension(x509.BasicConstraints(False, None), True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    leaf = leaf.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)
    files = TlsFiles(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    files.ca.write_bytes(issuer.certificate.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(leaf.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    _write_key(files.key, key)
    return files


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: tuple[float, float] = SOUND
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days[0]))
        .not_valid_after(now + datetime.timedelta(days[1]))
    )


def _usage(sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
