# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a visitor is shown: a TLS handshake that trusts the lab's CA and nothing else."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.ports import Connect


@dataclass(frozen=True)
class Shown:
    """The leaf certificate of one endpoint; `trusted` when chain and name convince a visitor."""

    certificate: x509.Certificate
    trusted: bool
    distrust: str = ""

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return ssl.DER_cert_to_PEM_cert(self.der)

    @property
    def names(self) -> list[str]:
        try:
            extension = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return []
        return extension.value.get_values_for_type(x509.DNSName)

    @property
    def days_left(self) -> int:
        return (self.certificate.not_valid_after_utc - datetime.now(timezone.utc)).days


def shake_hands(
    address: str,
    port: int,
    name: str,
    roots: str,
    timeout: float = 5.0,
    connect: Connect = socket.create_connection,
) -> Shown:
    """Connect as a browser does that knows `roots` (PEM). OSError when there is no handshake at all."""
    context = ssl.create_default_context(cadata=roots)
    # Python 3.13 is stricter than browsers.
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    visit = partial(connect, (address, port), timeout)
    try:
        return Shown(_leaf(context, name, visit), trusted=True)
    except ssl.SSLCertVerificationError as error:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return Shown(_leaf(context, name, visit), trusted=False, distrust=error.verify_message)


def _leaf(context: ssl.SSLContext, name: str, visit: Callable[[], socket.socket]) -> x509.Certificate:
    with visit() as plain, context.wrap_socket(plain, server_hostname=name) as secure:
        der = secure.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)
