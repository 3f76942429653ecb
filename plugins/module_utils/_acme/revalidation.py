# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Make the CA forget what it validated before, so that a rehearsal shows whether it can do it now."""

from __future__ import annotations

import concurrent.futures
import contextlib
import typing as t

from .._clock import Deadline
from .._errors import CertfleetError
from . import authorizations
from .client import AcmeClient
from .order import CertificateRequest, Order

CONCURRENCY = 8
# Seconds for all of it.
PATIENCE = 60.0


def forget_validations(client: AcmeClient, requests: t.Sequence[CertificateRequest]) -> None:
    """Deactivate the valid authorizations that orders for these names would be given (RFC 8555 §7.5.2).

    Best effort: what stands in the way, the orders will tell.
    """
    deadline = Deadline(client.clock, PATIENCE)

    def forget(url: str) -> None:
        try:
            valid = authorizations.fetch(client, url, deadline).status == "valid"
        except CertfleetError:
            return
        if valid:
            authorizations.deactivate(client, url, deadline)

    with concurrent.futures.ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="acme") as pool:
        found = pool.map(lambda request: _authorizations(client, request, deadline), requests)
        list(pool.map(forget, {url for urls in found for url in urls}))


def _authorizations(client: AcmeClient, request: CertificateRequest, deadline: Deadline) -> list[str]:
    """URLs of what an order for these names stands on. Nothing but an order tells (RFC 8555 §7.4)."""
    order = Order(request)
    with contextlib.suppress(CertfleetError):
        order.document = client.post(client.endpoint("newOrder"), request.payload, deadline=deadline).json
    return order.authorization_urls


__all__ = ("forget_validations",)
