# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What is asked of the order engine, what it returns, and an order (RFC 8555 §7.1.3) on its way between the two."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._clock import Clock
from .._errors import CertfleetError
from .._names import MAX_NAMES, is_address
from .._x509 import CertificateFacts
from .authorizations import Authorization
from .challenge import Challenge
from .errors import AcmeError, clean

# Seconds: one early look, then patience: the second pause before a poll, its growth, its end; and what is believed of a
# Retry-After.
FIRST_PAUSE, SECOND_PAUSE, GROWTH, LONGEST_PAUSE = 0.02, 0.3, 1.6, 5.0
SHORTEST_WAIT, LONGEST_WAIT = 0.2, 60.0


@dataclasses.dataclass(frozen=True)
class CertificateRequest:
    """A wanted certificate.

    domains: from normalise_domains(), DNS names and IP addresses; replaces: an ari_id(); reuse_key: keep the key that
    the store knows; preferred_chain: common name or key identifier (hex) of the root that the chain should lead to.
    """

    name: str
    domains: tuple[str, ...]
    key_type: str = "rsa2048"
    replaces: str | None = None
    profile: str | None = None
    reuse_key: bool = False
    preferred_chain: str | None = None

    @property
    def payload(self) -> dict[str, t.Any]:
        """What newOrder is asked for (RFC 8555 §7.4; profiles: draft-aaron-acme-profiles)."""
        payload: dict[str, t.Any] = {"identifiers": [identifier(domain) for domain in self.domains]}
        if self.profile is not None:
            payload["profile"] = self.profile
        return payload


@dataclasses.dataclass
class IssuedCertificate:
    """A certificate with its key.

    challenged: the CA connected to port 80 for it; warnings: what is not quite as it was asked for.
    """

    request: CertificateRequest
    private_key_pem: bytes = dataclasses.field(repr=False)
    chain_pem: bytes
    facts: CertificateFacts
    order_uri: str
    challenged: bool
    warnings: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class FailedCertificate:
    """A certificate that was not obtained, and why."""

    request: CertificateRequest
    error: CertfleetError


@dataclasses.dataclass
class ObtainResult:
    """One result for each request, in their order.

    close_error: why the window did not close, if it did not; warnings: what concerns no certificate in particular.
    """

    results: list[IssuedCertificate | FailedCertificate]
    close_error: CertfleetError | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Progress:
    """What it takes to go on with an order in another process.

    order_uri: empty until the CA has told it; account_uri: whose order it is.
    """

    key_pem: bytes = dataclasses.field(repr=False)
    csr_der: bytes
    account_uri: str
    order_uri: str = ""


class Store(t.Protocol):
    """Keeps what must survive a crash. Several threads call it, each for a certificate of its own.

    A CertfleetError fails that certificate.
    """

    def unfinished(self, request: CertificateRequest) -> Progress | None:
        """What remember() was told last for just such a request, unless it has been issued since."""

    def key_in_use(self, request: CertificateRequest) -> bytes | None:
        """The key (PEM) that was issued() last for a request of that name, None where it is not there any more."""

    def remember(self, request: CertificateRequest, progress: Progress) -> None:
        """Called before the CA is asked for an order, and again as soon as its URL is known."""

    def issued(self, request: CertificateRequest, progress: Progress, chain_pem: bytes) -> None:
        """Called at once after the download."""


def identifier(domain: str) -> dict[str, str]:
    """A name of a certificate as the CA takes it (RFC 8555 §7.1.4, RFC 8738 §3)."""
    return {"type": "ip" if is_address(domain) else "dns", "value": domain}


class Order:
    """One order at the CA, for all the requests that it serves."""

    def __init__(self, request: CertificateRequest) -> None:
        self.requests = [request]
        self.uri = ""
        self.document: dict[str, t.Any] = {}
        self.authorizations: list[Authorization] = []
        self.challenges: list[Challenge] = []
        self.challenged = False
        self.progress = Progress(b"", b"", "")
        self.chain_pem = b""
        self.facts: CertificateFacts | None = None
        self.warnings: list[str] = []
        self.error: CertfleetError | None = None
        # Why the last poll told nothing.
        self.trouble: CertfleetError | None = None
        self.pause = FIRST_PAUSE
        self.poll_at = 0.0

    @property
    def request(self) -> CertificateRequest:
        """The first of them. The others ask for the same, under another name or to replace another certificate."""
        return self.requests[0]

    @property
    def status(self) -> str:
        """One of RFC 8555 §7.1.6, as the CA says it; "" before there is an order."""
        return clean(self.document.get("status"))

    @property
    def fits(self) -> bool:
        """Whether the CA's order is for the names asked for, and for no others."""
        listed = [item for item in self._list("identifiers") if isinstance(item, dict)]
        named = {(str(item.get("type")), str(item.get("value")).lower()) for item in listed}
        return named == {tuple(identifier(domain).values()) for domain in self.request.domains}

    @property
    def authorization_urls(self) -> list[str]:
        """No more than a certificate may have names: each is a request."""
        return [str(url) for url in self._list("authorizations")[:MAX_NAMES]]

    def _list(self, what: str) -> list[t.Any]:
        """A list of the CA's; empty where it is none."""
        listed = self.document.get(what)
        return listed if isinstance(listed, list) else []

    def schedule(self, pause: float, clock: Clock, retry_after: datetime.datetime | None = None) -> None:
        """Set the time of the next poll: what the server says, else the pause, which grows (seconds)."""
        self.pause = min(max(pause * GROWTH, SECOND_PAUSE), LONGEST_PAUSE)
        if retry_after is not None:
            pause = min(max((retry_after - clock.now()).total_seconds(), SHORTEST_WAIT), LONGEST_WAIT)
        self.poll_at = clock.monotonic() + pause

    def url_of(self, what: str) -> str:
        """The order's `finalize` or `certificate` URL. AcmeError when the CA names none."""
        url = self.document.get(what)
        if not isinstance(url, str):
            raise AcmeError(f"the CA's order names no {what} URL", url=self.uri)
        return url

    def fail(self, error: CertfleetError) -> None:
        """Record why it gets no further, for all its requests."""
        error.locate(stage="order", certificate=", ".join(request.name for request in self.requests))
        self.error = error

    def results(self) -> t.Iterator[IssuedCertificate | FailedCertificate]:
        """One for each of its requests, in their order."""
        for request in self.requests:
            if self.error is not None or self.facts is None:
                yield FailedCertificate(request, self.error or CertfleetError("the order was not finished"))
            else:
                key_pem, found = self.progress.key_pem, (self.facts, self.uri, self.challenged, self.warnings)
                yield IssuedCertificate(request, key_pem, self.chain_pem, *found)


__all__ = (
    "CertificateRequest",
    "FailedCertificate",
    "IssuedCertificate",
    "ObtainResult",
    "Order",
    "Progress",
    "Store",
    "identifier",
)
