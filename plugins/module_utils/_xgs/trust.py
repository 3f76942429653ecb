# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Whose certificate is trusted: that of a pinned fingerprint, or one that an authority vouches for."""

from __future__ import annotations

import functools
import re
import ssl

from .._errors import CertfleetError
from .._libraries import x509
from .._tls_probe import Served
from .._verification import verifying_context
from .._x509 import facts
from .errors import XgsConnectionError

# OpenSSL's X509_V_ERR_...
NOT_YET_VALID, EXPIRED, OTHER_NAME, OTHER_ADDRESS = 9, 10, 62, 64

_COMPARE = (
    "or, after comparing it with what a browser shows for the web admin console from a network that you trust, set"
    " xgs_fingerprint (option fingerprint) to its SHA-256, {}."
)
_REMEDIES = {
    NOT_YET_VALID: "Set the clocks of this machine and of the firewall;",
    EXPIRED: "Renew it on the firewall;",
    OTHER_NAME: "Set xgs_tls_server_name to one of its names, {};",
    OTHER_ADDRESS: "Set xgs_tls_server_name to one of its names, {};",
}
_PORT = "Give the port of the web admin console (4444 unless it was changed)."


class Mistrust(Exception):
    """The handshake failed, so the request was not sent; there may be another way to trust the certificate."""

    def __init__(self, error: Exception) -> None:
        super().__init__(getattr(error, "verify_message", "") or str(error))
        self.code: int = getattr(error, "verify_code", 0)


def digests(fingerprint: str | None) -> set[str]:
    """The SHA-256 of certificates, written in any case, with or without colons, separated by commas.

    Raises XgsConnectionError for anything else: MD5 and SHA-1 vouch for nothing any more.
    """
    found = {one.strip().replace(":", "").lower(): one for one in (fingerprint or "").split(",") if one.strip()}
    for digest, one in found.items():
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise XgsConnectionError(
                f"'{one.strip()}' is not the SHA-256 of a certificate",
                remedy="Set xgs_fingerprint (option fingerprint) to its 64 hexadecimal digits; several are separated by"
                " commas.",
                sent=False,
            )
    return set(found)


def refused(endpoint: object, mistrust: Mistrust, pinned: bool, shown: Served) -> XgsConnectionError:
    """What to tell a user whose firewall is not trusted. pinned: whether any pin is set; shown: what it shows."""
    if shown.certificate is None:
        problem = f"{endpoint} does not speak TLS: {shown.problem or mistrust}"
        return XgsConnectionError(problem, remedy=_PORT, sent=False)
    remedy = _REMEDIES.get(mistrust.code, "Set xgs_ca_path to the authority that issued it;").format(_names(shown))
    return XgsConnectionError(
        f"{endpoint} shows a TLS certificate that is not trusted: {mistrust}{'; nor is it pinned' if pinned else ''}",
        remedy=f"{remedy} {_COMPARE.format(shown.fingerprint)}",
        sent=False,
    )


def _names(shown: Served) -> str:
    try:
        names = facts(x509.load_der_x509_certificate(shown.certificate or b"")).names
    except (CertfleetError, ValueError, x509.InvalidVersion):
        names = ()
    return ", ".join(names[:10]) or "of which there are none"


@functools.lru_cache(maxsize=None)
def trusting_context(ca_path: str | None) -> ssl.SSLContext:
    """By the authorities in a file of PEM, or the system's. XgsConnectionError when it cannot be read."""
    # Loading the CA bundle costs 40 ms of CPU (measured): once per process and CA file.
    try:
        return verifying_context(ca_path)
    except (OSError, ssl.SSLError) as error:
        raise XgsConnectionError(
            f"the CA file {ca_path} cannot be read: {error}", remedy="Set ca_path to a file of PEM.", sent=False
        ) from error


@functools.lru_cache(maxsize=None)
def unverifying_context() -> ssl.SSLContext:
    """For whoever looks at the fingerprint himself, or was told not to look."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


__all__ = ("Mistrust", "digests", "refused", "trusting_context", "unverifying_context")
