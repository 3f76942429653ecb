# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What does this endpoint serve? A TLS handshake, as a visitor makes it, without asking anything."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import socket
import ssl

from ._verification import verifying_context


@dataclasses.dataclass(frozen=True)
class Served:
    """The answer of one endpoint: the certificate it showed, or the reason why there was none.

    port: TCP. certificate: DER. chain: all that it sent, DER, leaf first.
    """

    address: str
    port: int
    server_name: str | None
    certificate: bytes | None = dataclasses.field(default=None, repr=False)
    problem: str = ""
    chain: tuple[bytes, ...] = dataclasses.field(default=(), repr=False)

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the leaf certificate, lower-case hexadecimal."""
        return hashlib.sha256(self.certificate).hexdigest() if self.certificate else None

    def __str__(self) -> str:
        name = f" for {self.server_name}" if self.server_name else ""
        return f"{self.address}:{self.port}{name}"


def _chain(secure: ssl.SSLSocket) -> tuple[bytes, ...]:
    """What the server sent. Public from Python 3.13 on; before, it is where the public one gets it from."""
    public = getattr(secure, "get_unverified_chain", None)
    if public is not None:
        return tuple(public())
    return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in secure._sslobj.get_unverified_chain() or ())  # type: ignore[attr-defined]


def probe(address: str, port: int, server_name: str | None = None, timeout: float = 5.0) -> Served:
    """Shake hands once. timeout: seconds. Trust is not the question here, so nothing is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=timeout) as plain,
            context.wrap_socket(plain, server_hostname=server_name) as secure,
        ):
            return Served(address, port, server_name, secure.getpeercert(binary_form=True), chain=_chain(secure))
    except (OSError, ValueError) as error:
        return Served(address, port, server_name, problem=str(error) or type(error).__name__)


def distrust(
    address: str, port: int, server_name: str | None = None, ca_path: str | None = None, timeout: float = 5.0
) -> str:
    """Why a visitor would not trust the endpoint; empty where he would.

    ca_path: PEM file, in place of the system's CAs. timeout: seconds.
    """
    try:
        with (
            socket.create_connection((address, port), timeout=timeout) as plain,
            _context(ca_path).wrap_socket(plain, server_hostname=server_name or address),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__


@functools.lru_cache(maxsize=None)
def _context(ca_path: str | None) -> ssl.SSLContext:
    return verifying_context(ca_path)


__all__ = ("Served", "distrust", "probe")
