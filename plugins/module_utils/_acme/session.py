# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What the steps of an order share: the CA, the store, and how long a step may take."""

from __future__ import annotations

import typing as t

from .._clock import Clock, Deadline
from .client import AcmeClient

if t.TYPE_CHECKING:
    from .order import CertificateRequest, Order, Progress, Store
    from .transport import Reply


class Session:
    """One run of the engine; safe for threads. timeout: seconds for a step. What the store raises passes on."""

    def __init__(self, client: AcmeClient, store: Store, timeout: float, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self._timeout = timeout
        self._store = store

    def deadline(self) -> Deadline:
        """For a step that begins now."""
        return Deadline(self.clock, self._timeout)

    def post(self, url: str, payload: dict[str, t.Any] | None, **options: t.Any) -> Reply:
        """As AcmeClient.post(), within the time of a step."""
        return self.client.post(url, payload, deadline=self.deadline(), **options)

    def unfinished(self, order: Order) -> list[Progress]:
        """What earlier runs left of the order."""
        found = [self._store.unfinished(request) for request in order.requests]
        return [left for left in found if left is not None]

    def key_in_use(self, request: CertificateRequest) -> bytes | None:
        """The key (PEM) of the request's certificate so far."""
        return self._store.key_in_use(request)

    def remember(self, order: Order, progress: Progress) -> None:
        """Set the order's progress, and store it."""
        order.progress = progress
        for request in order.requests:
            self._store.remember(request, progress)

    def issued(self, order: Order) -> None:
        """Store what came of the order."""
        for request in order.requests:
            self._store.issued(request, order.progress, order.chain_pem)


__all__ = ("Session",)
