# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Certificates and keys: read, make, compare and check them."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import re
import typing as t

from ._errors import CertfleetError
from ._libraries import InvalidSignature, UnsupportedAlgorithm, ec, hashes, rsa, serialization, x509
from ._names import is_address

if t.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    PrivateKey = t.Union[RSAPrivateKey, EllipticCurvePrivateKey]

KEY_TYPES = ("rsa2048", "rsa3072", "rsa4096", "ec256", "ec384")
# How far the clocks of the CA and of this machine may be apart.
CLOCK_SKEW = datetime.timedelta(hours=1)

# A leaf, some intermediates and perhaps a root: hardly anybody verifies longer ones.
MAX_CHAIN = 10

# No block reaches into the next one: else each beginning without an end would be looked for up to the end of the data.
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n(?:(?!-----BEGIN ).)*?-----END \1-----", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class CertificateFacts:
    """What is public and worth telling about a certificate.

    fingerprint: SHA-256, lower-case hex; names: SANs, DNS in lower case, then IP addresses; dates: aware, UTC;
    key_type: one of KEY_TYPES or a similar word.
    """

    fingerprint: str
    serial: int
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    key_type: str
    self_signed: bool

    def as_dict(self) -> dict[str, t.Any]:
        """The same as JSON takes it: ISO 8601 dates with Z, the serial in hex."""
        plain = dataclasses.asdict(self)
        plain.update(
            serial=f"{self.serial:x}",
            names=list(self.names),
            not_before=f"{self.not_before:%Y-%m-%dT%H:%M:%SZ}",
            not_after=f"{self.not_after:%Y-%m-%dT%H:%M:%SZ}",
        )
        return plain

    def told(self, now: datetime.datetime) -> dict[str, t.Any]:
        """as_dict(), with the days that are left. now: aware."""
        return {**self.as_dict(), "days_left": self.days_left(now)}

    def days_left(self, now: datetime.datetime) -> float:
        """Days until it expires, to a tenth; negative when it has. now: aware."""
        return round((self.not_after - now) / datetime.timedelta(days=1), 1)

    @property
    def lifetime_days(self) -> float:
        """Days from its beginning to its end, to a tenth."""
        return self.days_left(self.not_before)

    @property
    def staging(self) -> bool:
        """Whether nobody trusts it: Let's Encrypt's staging CA issued it, as its name tells (measured)."""
        return "(STAGING)" in self.issuer

    def staging_remarks(self, name: str) -> tuple[str, ...]:
        """What to tell, once, of a certificate of this name that is put in place or kept."""
        text = (
            f"{name} is of a staging CA, which nobody trusts; when your trials are over, take xgs_letsencrypt_staging"
            " out (without the role: another acme_directory), and the next run replaces it"
        )
        return (text,) if self.staging else ()

    def uncovered(self, domains: t.Iterable[str]) -> tuple[str, ...]:
        """The domains that it is not valid for."""
        return uncovered(self.names, domains)


def uncovered(names: t.Collection[str], domains: t.Iterable[str]) -> tuple[str, ...]:
    """The domains that a certificate for these names is not valid for. A wildcard covers one label (RFC 9525 §6.3)."""
    return tuple(
        domain
        for domain in (domain.lower() for domain in domains)
        if domain not in names and f"*.{domain.partition('.')[2]}" not in names
    )


def split_pem(data: bytes | str) -> list[bytes]:
    """Every PEM block in the data, whatever its kind, each ended by a newline."""
    raw = data.encode() if isinstance(data, str) else data
    return [match.group(0) + b"\n" for match in _PEM.finditer(raw)]


def load_certificates(pem: bytes | str) -> list[x509.Certificate]:
    """All certificates in PEM data, in order; other blocks are passed over. CertfleetError when one is unreadable."""
    blocks = [block for block in split_pem(pem) if block.startswith(b"-----BEGIN CERTIFICATE-----")]
    try:
        return [_named(x509.load_pem_x509_certificate(block)) for block in blocks]
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CertfleetError(f"a certificate cannot be read: {error}") from error


def _named(cert: x509.Certificate) -> x509.Certificate:
    """Itself. ValueError when it does not tell whose it is and who signed it, which is not looked at before."""
    for name in (cert.subject, cert.issuer):
        shown_name(name)
    return cert


def fingerprint(cert: x509.Certificate) -> str:
    """SHA-256 of the DER form, lower-case hex."""
    return cert.fingerprint(hashes.SHA256()).hex()


def key_type(public_key: t.Any) -> str:
    """One of KEY_TYPES, or a similar word."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"rsa{public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return f"ec{public_key.key_size}"
    return type(public_key).__name__.lower().replace("publickey", "").strip("_")


def pem(cert: x509.Certificate) -> bytes:
    """RFC 7468, ended by a newline."""
    return cert.public_bytes(serialization.Encoding.PEM)


def issued_by(cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name stands in the certificate and its key made the signature."""
    try:
        cert.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _names(cert: x509.Certificate) -> tuple[str, ...]:
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    dns = tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))
    return dns + tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))


def shown_name(name: x509.Name) -> str:
    """RFC 4514, fit for a terminal: whoever made the certificate wrote it."""
    return "".join(letter if letter.isprintable() else " " for letter in name.rfc4514_string())


def issuer_of(cert: x509.Certificate) -> tuple[str, ...]:
    """Who signed the certificate, in lower case: common name and key identifier (hex), as far as it says."""
    names = [str(name.value) for name in cert.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    try:
        key = cert.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        key = None
    return (*(name.lower() for name in names), *([key.hex()] if key else []))


def facts(cert: x509.Certificate) -> CertificateFacts:
    """The facts of a certificate. CertfleetError when its contents are broken."""
    try:
        return CertificateFacts(
            fingerprint=fingerprint(cert),
            serial=cert.serial_number,
            subject=shown_name(cert.subject),
            issuer=shown_name(cert.issuer),
            names=_names(cert),
            not_before=cert.not_valid_before_utc,
            not_after=cert.not_valid_after_utc,
            key_type=key_type(cert.public_key()),
            self_signed=issued_by(cert, cert),
        )
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise CertfleetError(f"a certificate cannot be understood: {error}") from error


def load_private_key(pem: bytes | str, passphrase: str | None = None) -> PrivateKey:
    """An RSA or EC key from PEM. CertfleetError (never with key material) when that fails."""
    data = pem.encode() if isinstance(pem, str) else pem
    try:
        key = serialization.load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except TypeError as error:
        problem = "needs a passphrase" if not passphrase else "is not encrypted, but a passphrase was given"
        raise CertfleetError(f"the private key {problem}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        remedy = "Check the passphrase." if passphrase else "Give an RSA or EC key in PEM."
        raise CertfleetError("the private key cannot be read", remedy=remedy) from error
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise CertfleetError("the private key is of an unsupported kind", remedy="Give an RSA or EC key.")
    return key


def generate_private_key(key_type: str) -> PrivateKey:
    """A new key of one of KEY_TYPES; CertfleetError for another."""
    if key_type not in KEY_TYPES:
        raise CertfleetError(f"unknown key type {key_type!r}", remedy=f"Use one of {', '.join(KEY_TYPES)}.")
    if key_type.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[3:]))
    return ec.generate_private_key(ec.SECP256R1() if key_type == "ec256" else ec.SECP384R1())


def private_key_pem(key: PrivateKey) -> bytes:
    """PKCS#8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _general_name(domain: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(domain)) if is_address(domain) else x509.DNSName(domain)


def make_csr(key: PrivateKey, domains: t.Iterable[str]) -> bytes:
    """A request (PKCS#10, RFC 2986) in DER with the domains as SANs (RFC 8555 §7.4) and an empty subject: CAs take the
    names from the SANs."""
    names = x509.SubjectAlternativeName([_general_name(domain) for domain in domains])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def self_signed(
    key: PrivateKey, domains: t.Sequence[str], now: datetime.datetime, lifetime: datetime.timedelta
) -> x509.Certificate:
    """A certificate for the domains that nobody vouches for, valid from a CLOCK_SKEW before now (aware)."""
    # A common name has 64 characters at the most (RFC 5280, appendix A.1).
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, domains[0][:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectAlternativeName([_general_name(domain) for domain in domains]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return builder.sign(key, hashes.SHA256())


def load_csr(der: bytes) -> x509.CertificateSigningRequest:
    """A request that make_csr() made."""
    return x509.load_der_x509_csr(der)


def _public_der(public_key: t.Any) -> bytes:
    return t.cast(
        bytes,
        public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def key_matches(cert: x509.Certificate, key: PrivateKey | x509.CertificateSigningRequest) -> bool:
    """Whether the certificate was made for this key, or for the key of this request."""
    try:
        found = _public_der(cert.public_key())
    except (ValueError, UnsupportedAlgorithm):
        # Ours can be read.
        return False
    return found == _public_der(key.public_key())


def check_issued(
    chain: t.Sequence[x509.Certificate],
    key: PrivateKey | x509.CertificateSigningRequest,
    domains: t.Iterable[str],
    now: datetime.datetime,
) -> None:
    """Refuse a chain (leaf first) that must not reach a firewall: CertfleetError says what is wrong with it.

    now: aware. The end of the chain is not compared with any trust store: which roots its users trust is not ours to
    know.
    """
    if not chain:
        raise CertfleetError("the CA delivered no certificate")
    leaf = chain[0]
    if not key_matches(leaf, key):
        raise CertfleetError("the certificate does not belong to the private key")
    missing = facts(leaf).uncovered(domains)
    if missing:
        raise CertfleetError(f"the certificate lacks the name(s) {', '.join(missing)}")
    # Differences: a date may be the last that there is.
    if max(leaf.not_valid_before_utc - now, now - leaf.not_valid_after_utc) > CLOCK_SKEW:
        raise CertfleetError(
            f"the certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} to "
            f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, which is not now",
            remedy="Check the clock of this machine.",
        )
    check_chain(chain)


def check_chain(chain: t.Sequence[x509.Certificate]) -> None:
    """CertfleetError for a chain (leaf first) that is too long, or in which one did not issue the one before it."""
    if len(chain) > MAX_CHAIN:
        raise CertfleetError(f"the chain has {len(chain)} certificates, more than {MAX_CHAIN}")
    for cert, issuer in zip(chain, chain[1:]):
        # Or CertfleetError: whoever looks at it later is not prepared for a damaged one.
        facts(issuer)
        if not issued_by(cert, issuer):
            raise CertfleetError(
                f"the chain is broken: {shown_name(issuer.subject)} did not issue "
                f"{shown_name(cert.subject) or 'the certificate'}"
            )


__all__ = (
    "CLOCK_SKEW",
    "KEY_TYPES",
    "MAX_CHAIN",
    "CertificateFacts",
    "check_chain",
    "check_issued",
    "facts",
    "fingerprint",
    "generate_private_key",
    "issued_by",
    "issuer_of",
    "key_matches",
    "key_type",
    "load_certificates",
    "load_csr",
    "load_private_key",
    "make_csr",
    "pem",
    "private_key_pem",
    "self_signed",
    "shown_name",
    "split_pem",
    "uncovered",
)
