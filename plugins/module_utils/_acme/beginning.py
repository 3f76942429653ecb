# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The beginning of an order: taken up where an earlier run left it, or new (RFC 8555 §7.4)."""

from __future__ import annotations

import dataclasses
import threading
import typing as t

from .._errors import CertfleetError
from .._x509 import generate_private_key, key_type, load_private_key, make_csr, private_key_pem
from . import authorizations
from .errors import AcmeError, clean
from .issuance import Issuance
from .order import CertificateRequest, Order, Progress
from .renewal import decide
from .session import Session
from .transport import Reply, origin


class Beginning:
    """The beginnings of one run. It stops to ask for orders once the CA has none left for the account."""

    def __init__(self, session: Session, issuance: Issuance) -> None:
        self._session = session
        self._issuance = issuance
        self._client = session.client
        self._limit: CertfleetError | None = None
        self._limiting = threading.Lock()

    def begin(self, order: Order) -> None:
        """Go on with the order of an earlier run, or start anew.

        AcmeError when the CA refuses or its order is for something else, see AcmeClient; CertfleetError when it has no
        such profile, or the store fails.
        """
        own = [left for left in self._session.unfinished(order) if left.account_uri == self._client.account_uri]
        left = own[0] if own else None
        if left is None or not left.order_uri:
            # Without a URL the order is lost, if there is one at all. The key is as good as new.
            self._create(order, left)
        elif not self._resume(order, left):
            self._create(order, None)

    # Taken up

    def _resume(self, order: Order, left: Progress) -> bool:
        """Read the order again. False when it leads nowhere; an error when the CA cannot tell now."""
        if origin(left.order_uri) != origin(self._client.directory_url):
            return False
        order.progress, order.uri = left, left.order_uri
        try:
            order.document = self._session.post(order.uri, None).json
            return order.fits and self._leads_on(order)
        except AcmeError as error:
            if not error.forgets_order:
                raise
            return False

    def _leads_on(self, order: Order) -> bool:
        if order.status == "pending":
            order.authorizations = [
                authorizations.fetch(self._client, url, self._session.deadline()) for url in order.authorization_urls
            ]
            return all(each.status in ("pending", "valid") for each in order.authorizations)
        if order.status == "valid":
            self._issuance.download(order)
            # Who was killed months ago left nothing worth having.
            return order.facts is not None and not decide(order.facts, now=self._session.clock.now()).due
        return order.status in ("ready", "processing")

    # New

    def _create(self, order: Order, left: Progress | None) -> None:
        request = order.request
        order.authorizations, order.facts = [], None
        if request.profile is not None:
            self._check_profile(request.profile)
        # RFC 9773 §5: only where the CA offers renewal information.
        replaces = request.replaces if "renewalInfo" in self._client.directory else None
        # First of all, so that a disk which takes nothing costs no order.
        self._session.remember(order, left or self._new_progress(request))
        reply = self._new_order(order, request.payload, replaces)
        order.uri, order.document = reply.location, reply.json
        self._session.remember(order, dataclasses.replace(order.progress, order_uri=order.uri))
        if not order.fits:
            raise AcmeError("the CA's order is for other names than those asked for", url=order.uri)
        if origin(order.uri) != origin(self._client.directory_url):
            raise AcmeError("the CA names an order outside its own server", url=order.uri)

    def _new_progress(self, request: CertificateRequest) -> Progress:
        former = self._session.key_in_use(request) if request.reuse_key else None
        key = load_private_key(former) if former else None
        if key is None or key_type(key.public_key()) != request.key_type:
            key = generate_private_key(request.key_type)
        return Progress(private_key_pem(key), make_csr(key, request.domains), self._client.account_uri or "")

    def _check_profile(self, profile: str) -> None:
        offered = self._client.directory.get("meta", {}).get("profiles") or {}
        if profile not in offered:
            listed = ", ".join(clean(name) for name in offered)
            raise CertfleetError(
                f"the CA does not offer the profile {profile!r}",
                remedy=f"It offers: {listed}." if listed else "It offers none: leave profile out.",
            )

    def _new_order(self, order: Order, payload: dict[str, t.Any], replaces: str | None) -> Reply:
        if replaces is None:
            return self._ask(order, payload)
        try:
            return self._ask(order, dict(payload, replaces=replaces))
        except AcmeError as error:
            # alreadyReplaced, above all; but CAs refuse a certificate that they do not know in many ways, even with 500
            # (Pebble, for one serial number in hundreds; measured).
            if not 400 <= error.status <= 500 or error.status == 429:
                raise
        return self._ask(order, payload)

    def _ask(self, order: Order, payload: dict[str, t.Any]) -> Reply:
        """POST newOrder, unless the CA has said that it takes no more of this account now."""
        with self._limiting:
            if self._limit is not None:
                raise self._limit.copy()
        try:
            return self._session.post(self._client.endpoint("newOrder"), payload)
        except AcmeError as error:
            if error.is_a("rateLimited") and not error.concerns(order.request.domains):
                with self._limiting:
                    self._limit = error.copy()
            raise


__all__ = ("Beginning",)
