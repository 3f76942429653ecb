# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""When to renew: the CA's renewal information (RFC 9773) first, else a fraction of the lifetime. No account needed."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import typing as t

from .._errors import CertfleetError
from .._libraries import josepy, x509
from .errors import clean

if t.TYPE_CHECKING:
    from .._clock import Clock
    from .._x509 import CertificateFacts
    from .transport import Reply

PERIOD = datetime.timedelta(hours=12)
SHORT_LIFE = datetime.timedelta(days=10)


class Source(t.Protocol):
    """Where renewal information comes from: a Transport, or an AcmeClient."""

    @property
    def clock(self) -> Clock:
        """Its time, as far as it has told it."""

    @property
    def directory(self) -> dict[str, t.Any]:
        """The CA's directory object (RFC 8555 §7.1.1)."""

    def get(self, url: str) -> Reply:
        """What it answers there."""


@dataclasses.dataclass(frozen=True)
class RenewalInfo:
    """The window in which the CA wants a certificate renewed; aware, UTC, end after start."""

    start: datetime.datetime
    end: datetime.datetime
    # Set where the CA has something to say about it. To be shown, never fetched.
    explanation_url: str
    # Do not ask again before.
    retry_after: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether to renew now, why (or why not), and from when on it is, or was, time (aware, UTC)."""

    due: bool
    reason: str
    renew_at: datetime.datetime


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def ari_id(cert: x509.Certificate) -> str | None:
    """The certificate's unique identifier (RFC 9773 §4.1); None without an authority key identifier."""
    try:
        issuer_key = cert.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError):
        return None
    if not issuer_key or cert.serial_number <= 0:
        return None
    # As DER writes it: a leading zero where the first bit is set.
    serial = cert.serial_number.to_bytes(cert.serial_number.bit_length() // 8 + 1, "big")
    return f"{_base64url(issuer_key)}.{_base64url(serial)}"


def fetch_window(source: Source, cert: x509.Certificate) -> tuple[RenewalInfo | None, str]:
    """The CA's renewal information for a certificate, or None and what went wrong: nothing, where there is none to be
    had. Never raises CertfleetError: without the CA's advice the lifetime decides."""
    identifier = ari_id(cert)
    if identifier is None:
        return None, ""
    try:
        base = source.directory.get("renewalInfo")
        if not isinstance(base, str):
            return None, ""
        return _window(source.get(f"{base.rstrip('/')}/{identifier}"))
    except CertfleetError as error:
        return None, error.problem


def _window(reply: Reply) -> tuple[RenewalInfo | None, str]:
    # Not with the other libraries: it takes 20 ms to load, and orders do without it.
    from acme import messages

    try:
        suggested = messages.RenewalInfo.from_json(reply.json).suggested_window
        start, end = (time.astimezone(datetime.timezone.utc) for time in (suggested.start, suggested.end))
    except (josepy.DeserializationError, AttributeError, TypeError, ValueError, OverflowError):
        return None, "the CA's renewal information cannot be read"
    if end <= start:
        return None, "the CA's renewal window ends before it starts"
    return RenewalInfo(start, end, clean(reply.json.get("explanationURL")), reply.retry_after), ""


def _instant(window: RenewalInfo, seed: str, certificate: str) -> datetime.datetime:
    """One instant in the window for one certificate: evenly spread, yet the same in every run without any memory."""
    digest = hashlib.sha256(f"{seed}\0{certificate}".encode()).digest()
    return window.start + (window.end - window.start) * (int.from_bytes(digest[:6], "big") / 2**48)


def _by_window(
    window: RenewalInfo, renew_at: datetime.datetime, life: CertificateFacts, now: datetime.datetime, period: t.Any
) -> Decision:
    """The CA's window: renewing inside it is free of rate limits, before it is not (Boulder)."""
    more = f" ({window.explanation_url})" if window.explanation_url else ""
    shown = f"{window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC{more}"
    if window.end <= now:
        early = life.not_after - window.end > (life.not_after - life.not_before) / 3 + period
        asked = "the CA asks for early renewal" if more or early else "the CA's renewal window has passed"
        return Decision(True, f"{asked}: {shown}", renew_at)
    if now < window.start:
        # Only if the next run came too late for the whole window.
        due = now + period > window.end
        reason = "the next run would miss the CA's renewal window" if due else "the CA's renewal window is to come"
        return Decision(due, f"{reason}: {shown}", renew_at)
    due = renew_at <= now + period
    reason = "inside the CA's renewal window" if due else "inside the CA's renewal window, its own turn is later"
    return Decision(due, f"{reason}: {shown}", renew_at)


def decide(
    certificate: CertificateFacts,
    *,
    now: datetime.datetime,
    window: RenewalInfo | None = None,
    period: datetime.timedelta = PERIOD,
    seed: str = "",
) -> Decision:
    """Whether a certificate is due: if it is about to expire, by the CA's window (RFC 9773 §4.2), else when a third of
    its lifetime is left, half of a short one (as certbot and lego have it).

    now: aware, by the CA's clock. window: from fetch_window().
    period: the time between two runs; seed: anything that differs between fleets, so that they do not renew at once.
    """
    life = certificate.not_after - certificate.not_before
    left = certificate.not_after - now
    if left <= datetime.timedelta(0):
        return Decision(True, f"expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC", certificate.not_after)
    if left < life / 20:
        return Decision(
            True, "emergency: less than a twentieth of its lifetime is left", certificate.not_after - life / 20
        )
    if window is not None:
        renew_at = _instant(window, seed, certificate.fingerprint)
        return _by_window(window, renew_at, certificate, now, period)
    share, word = (2, "half") if life < SHORT_LIFE else (3, "a third")
    renew_at = certificate.not_after - life / share
    comparison = "less" if now >= renew_at else "more"
    return Decision(now >= renew_at, f"{comparison} than {word} of its lifetime is left", renew_at)


__all__ = ("Decision", "RenewalInfo", "Source", "ari_id", "decide", "fetch_window")
