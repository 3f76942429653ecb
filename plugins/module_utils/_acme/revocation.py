# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Revocation of a certificate, by its account or by its own key (RFC 8555 §7.6)."""

from __future__ import annotations

import typing as t

from .._errors import CertfleetError
from .._files import read_private
from .._libraries import josepy, serialization
from .._x509 import key_matches, load_certificates, load_private_key
from .client import AcmeClient
from .errors import AcmeError

if t.TYPE_CHECKING:
    from .._libraries import x509
    from .._x509 import PrivateKey

# RFC 5280 §5.3.1; the others are not for the holder of a certificate to give.
REASONS = {
    "unspecified": 0,
    "keyCompromise": 1,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
}


def load_leaf(path: str) -> x509.Certificate:
    """The first certificate in the file. CertfleetError when there is none."""
    try:
        with open(path, "rb") as file:
            chain = load_certificates(file.read())
    except OSError as error:
        raise CertfleetError(
            f"{path} cannot be read: {error.strerror}", remedy="Is it there, on the host that this runs on?"
        ) from error
    if not chain:
        raise CertfleetError(f"{path} holds no certificate", remedy="Name a PEM file with the certificate.")
    return chain[0]


def load_own_key(path: str, cert: x509.Certificate) -> PrivateKey:
    """The certificate's private key from a file of mode 0600. CertfleetError when it is another's."""
    key = load_private_key(read_private(path))
    if not key_matches(cert, key):
        raise CertfleetError(
            f"the key in {path} does not belong to the certificate",
            remedy="Name the certificate's own key, or use the account's key.",
        )
    return key


def revoke(client: AcmeClient, cert: x509.Certificate, reason: str | None = None, *, by_key: bool = False) -> bool:
    """Revoke the certificate; False when it was revoked before.

    by_key: the client's key is the certificate's. reason: one of REASONS. AcmeError when the CA refuses.
    """
    der = cert.public_bytes(serialization.Encoding.DER)
    payload: dict[str, t.Any] = {"certificate": josepy.encode_b64jose(der)}
    if reason is not None:
        payload["reason"] = REASONS[reason]
    try:
        # Not sent again blindly: a CA may take the second for a change of the reason.
        client.post(client.endpoint("revokeCert"), payload, repeatable=False, by_key=by_key)
    except AcmeError as error:
        if error.is_a("alreadyRevoked"):
            return False
        if error.is_a("unauthorized"):
            error.remedy = (
                "Use the key of the account that ordered the certificate, or the certificate's own with"
                " private_key_path, and check that acme_directory is the CA that issued it."
            )
        raise
    return True


__all__ = ("REASONS", "load_leaf", "load_own_key", "revoke")
