# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificate material: reading what was uploaded, and serving it."""

from __future__ import annotations

import dataclasses
import datetime
import os
import ssl
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.x509.oid import NameOID

from .envelope import Refused

__all__ = ["Material", "read_certificates", "read_key", "read_pkcs12", "self_signed"]

CORRUPT = "Certificate file may be corrupted."
BAD_KEY = "Certificate could not be uploaded due to invalid private key or passphrase. Choose a proper key."
LIFETIME = datetime.timedelta(days=3650)


@dataclass(frozen=True)
class Material:
    """PEM as stored. `damaged` stands for a key that the device stored but cannot use."""

    certificates: tuple[bytes, ...]
    key: bytes = b""
    damaged: bool = False
    uploaded_names: tuple[str, str] = ("", "")

    def __getstate__(self) -> dict[str, object]:
        """What is kept over a restart: not what is worked out from it."""
        return {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}

    @cached_property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificates[0])

    @cached_property
    def elliptic(self) -> bool:
        return isinstance(self.leaf.public_key(), ec.EllipticCurvePublicKey)

    @cached_property
    def fingerprint(self) -> str:
        return self.leaf.fingerprint(hashes.SHA256()).hex()

    @cached_property
    def context(self) -> ssl.SSLContext | None:
        return self._server_context(self.certificates)

    @cached_property
    def leaf_context(self) -> ssl.SSLContext | None:
        return self._server_context(self.certificates[:1])

    def _server_context(self, certificates: tuple[bytes, ...]) -> ssl.SSLContext | None:
        """None when nothing can be served with this key."""
        if not self.key or self.damaged:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module loads from a path only; an anonymous file keeps keys off the disk.
        handle = os.memfd_create("certificate")
        try:
            os.write(handle, b"".join(certificates) + self.key)
            context.load_cert_chain(f"/proc/self/fd/{handle}")
        except ssl.SSLError:
            return None
        finally:
            os.close(handle)
        return context


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: object) -> bytes:
    """PKCS#1 (or SEC 1): the appliance re-encodes what it stores."""
    pem: bytes = key.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return pem


def _match(certificates: tuple[bytes, ...], key: object) -> None:
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    leaf = x509.load_pem_x509_certificate(certificates[0])
    if leaf.public_key().public_bytes(*spki) != key.public_key().public_bytes(*spki):  # type: ignore[attr-defined]
        raise Refused(510, BAD_KEY)


def read_certificates(data: bytes, kind: str) -> tuple[bytes, ...]:
    """Every certificate of the file, in its order, as PEM."""
    try:
        if kind in ("pkcs7", "p7b"):
            load = pkcs7.load_pem_pkcs7_certificates if b"-----BEGIN" in data else pkcs7.load_der_pkcs7_certificates
            found = load(data)
        elif kind == "der" or (kind == "cer" and b"-----BEGIN" not in data):
            found = [x509.load_der_x509_certificate(data)]
        else:
            found = x509.load_pem_x509_certificates(data)
    except ValueError:
        found = []
    if not found:
        raise Refused(541, CORRUPT)
    return tuple(_pem(certificate) for certificate in found)


def read_key(data: bytes, password: str, certificates: tuple[bytes, ...]) -> bytes:
    try:
        key = serialization.load_pem_private_key(data, password.encode() if b"ENCRYPTED" in data else None)
    except (TypeError, ValueError):
        raise Refused(510, BAD_KEY) from None
    _match(certificates, key)
    return _key_pem(key)


def read_pkcs12(data: bytes, password: str) -> tuple[tuple[bytes, ...], bytes]:
    try:
        bundle = pkcs12.load_pkcs12(data, password.encode() or None)
    except ValueError:
        raise Refused(510, BAD_KEY) from None
    if bundle.cert is None or bundle.key is None:
        raise Refused(541, CORRUPT)
    chain = [bundle.cert.certificate, *(entry.certificate for entry in bundle.additional_certs)]
    certificates = tuple(_pem(certificate) for certificate in chain)
    _match(certificates, bundle.key)
    return certificates, _key_pem(bundle.key)


def self_signed(common_name: str, authority: bool = False) -> Material:
    # EC because a fleet of 1000 needs 1000 of them at start.
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    start = datetime.datetime(2026, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFETIME)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Material((_pem(certificate),), _key_pem(key))
