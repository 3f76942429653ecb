# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The order engine: many certificates at once, and the port open only while the CA validates (RFC 8555 §7.4).

For N names whose authorizations are pending an order takes 2N + 5 requests: the order, N authorizations,
N challenges, and at least one poll, finalize, poll, download. It takes 4 when the CA still trusts all its names.

Key, CSR and order URL are in the store before the request that depends on them. So a run that was killed, at
whatever point, is taken up by the next one: same order, same key, no second certificate.
"""

from __future__ import annotations

import concurrent.futures
import typing as t

from .._clock import Clock, Deadline
from .._errors import CertfleetError
from .._progress import some, tell
from . import authorizations
from .beginning import Beginning
from .challenge import Challenge
from .client import AcmeClient
from .errors import AcmeError, AcmeNetworkError
from .issuance import Issuance
from .order import (
    FIRST_PAUSE,
    CertificateRequest,
    FailedCertificate,
    IssuedCertificate,
    ObtainResult,
    Order,
    Progress,
    Store,
)
from .session import Session

# Seconds for giving up what is left of failed orders.
CLEANUP = 20.0


Window = t.Callable[[], t.ContextManager[t.Any]]


def _alive(orders: t.Iterable[Order], *states: str) -> list[Order]:
    """The orders that did not fail and are in one of the states, or in any."""
    return [order for order in orders if order.error is None and (not states or order.status in states)]


def _named(orders: t.Iterable[Order]) -> str:
    return some(request.name for order in orders for request in order.requests)


class _Engine:
    """The phases of a run. Each does one thing for all orders in parallel; an order that fails drops out."""

    def __init__(self, session: Session, pool: concurrent.futures.Executor) -> None:
        self._session = session
        self._client = session.client
        self._clock = session.clock
        self._pool = pool
        self._issuance = Issuance(session)
        self._beginning = Beginning(session, self._issuance)
        self.close_error: CertfleetError | None = None

    def run(self, orders: t.Sequence[Order], window: Window) -> None:
        tell("order", _named(orders))
        self._each(self._beginning.begin, [(order,) for order in orders])
        self._read_authorizations([order for order in _alive(orders, "pending") if not order.authorizations])
        self._each(self._find_challenges, [(order,) for order in _alive(orders, "pending")])
        pending = _alive(orders, "pending")
        challenged = [order for order in pending if order.challenges]
        if challenged:
            self._validate(challenged, window)
        # The CA has nothing to ask of these any more: they only have to become ready.
        self._await([order for order in pending if not order.challenges], "pending")
        # Further than ready are only those that an earlier run finalised.
        self._explain([order for order in _alive(orders) if order.status not in ("ready", "processing", "valid")])
        ready = _alive(orders, "ready")
        if ready:
            tell("issue", _named(ready))
        self._each(self._issuance.finalize, [(order,) for order in ready])
        self._await(_alive(orders, "ready", "processing"), "ready", "processing")
        self._each(self._issuance.download, [(order,) for order in _alive(orders) if order.facts is None])
        self._give_up(orders)

    def _each(self, step: t.Callable[..., None], items: t.Iterable[tuple[t.Any, ...]]) -> None:
        """step(order, …) for all items in parallel; an order that fails is left out from then on."""

        def guarded(item: tuple[t.Any, ...]) -> None:
            order: Order = item[0]
            try:
                if order.error is None:
                    step(*item)
            except CertfleetError as error:
                order.fail(error)

        list(self._pool.map(guarded, items))

    # Before the window

    def _read_authorizations(self, orders: t.Sequence[Order]) -> None:
        """Read all authorizations of the orders, in parallel and without regard to which order is whose."""
        for order in orders:
            order.authorizations = []
        self._each(self._read_authorization, [(order, url) for order in orders for url in order.authorization_urls])

    def _read_authorization(self, order: Order, url: str) -> None:
        order.authorizations.append(authorizations.fetch(self._client, url, self._session.deadline()))

    @staticmethod
    def _find_challenges(order: Order) -> None:
        """The challenges to answer. AcmeError where an authorization is over: the order can get nowhere any more."""
        if any(each.status not in ("pending", "valid") for each in order.authorizations):
            raise authorizations.failure(order.document, order.uri, order.authorizations)
        for authorization in order.authorizations:
            if authorization.name not in order.request.domains:
                raise AcmeError("the CA's authorization is for another name than those asked for", url=order.uri)
            if authorization.status == "pending":
                order.challenges.append(authorization.http01())

    # Inside the window

    def _validate(self, orders: t.Sequence[Order], window: Window) -> None:
        """Answer the challenges and wait for the CA, inside the window. No order's failure gets out of it."""
        opened = validated = False
        try:
            with window():
                opened = True
                tell("validate", some(dict.fromkeys(name for order in orders for name in order.request.domains)))
                self._each(self._answer, [(order, challenge) for order in orders for challenge in order.challenges])
                self._await(_alive(orders, "pending"), "pending")
                validated = True
        except CertfleetError as error:
            if not opened:
                for order in orders:
                    # One error for all of them: it is about the window.
                    order.error = order.error or error
            elif validated:
                self.close_error = self.close_error or error
            else:
                # Interrupted, and then it did not close either.
                raise

    def _answer(self, order: Order, challenge: Challenge) -> None:
        order.challenged = True
        try:
            self._session.post(challenge.url, {})
        except AcmeError as error:
            # Answered before, by a repetition or another order of the same name: the order tells how it ends.
            if error.status not in (400, 409):
                raise

    def _await(self, orders: t.Sequence[Order], *states: str) -> None:
        """Poll the orders until none is in one of these states, or the time is over."""
        deadline = self._session.deadline()
        for order in orders:
            order.schedule(FIRST_PAUSE, self._clock)
        while orders and not deadline.over:
            pause = min(order.poll_at for order in orders) - self._clock.monotonic()
            self._clock.sleep(min(pause, deadline.remaining))
            due = [order for order in orders if order.poll_at <= self._clock.monotonic() or deadline.over]
            self._each(self._poll, [(order,) for order in due])
            orders = _alive(orders, *states)
        for order in orders:
            if order.trouble is not None:
                order.fail(order.trouble)

    def _poll(self, order: Order) -> None:
        order.trouble, retry_after = None, None
        try:
            reply = self._session.post(order.uri, None)
            order.document, retry_after = reply.json, reply.retry_after
        except (AcmeError, AcmeNetworkError) as error:
            if isinstance(error, AcmeError) and error.ends_order:
                raise
            order.trouble, retry_after = error, getattr(error, "retry_after", None)
        order.schedule(order.pause, self._clock, retry_after)

    # After the window

    def _explain(self, orders: t.Sequence[Order]) -> None:
        """Fail the orders that did not become ready, with the reasons of the CA."""
        self._read_authorizations(orders)
        for order in _alive(orders):
            order.fail(authorizations.failure(order.document, order.uri, order.authorizations))

    def _give_up(self, orders: t.Sequence[Order]) -> None:
        """Deactivate what failed orders left pending, unless another order stands on it."""
        used = {each.url for order in orders if order.error is None for each in order.authorizations}
        left = {
            each.url
            for order in orders
            if order.error is not None
            for each in order.authorizations
            if each.status == "pending"
        }
        deadline = Deadline(self._clock, CLEANUP)
        list(self._pool.map(lambda url: authorizations.deactivate(self._client, url, deadline), left - used))


def _waves(requests: t.Sequence[CertificateRequest]) -> list[list[Order]]:
    """The orders for the requests. Equal requests share one.

    Those for the same names that differ otherwise come one after the other, because a CA may hand out the same order
    for the same names as long as it is not finished (Boulder does).
    """
    waves: list[list[Order]] = []
    by_names: dict[t.Any, dict[t.Any, Order]] = {}
    for request in requests:
        same_names = by_names.setdefault((frozenset(request.domains), request.profile), {})
        kind = (request.key_type, request.reuse_key, request.preferred_chain)
        if kind in same_names:
            same_names[kind].requests.append(request)
            continue
        if len(same_names) == len(waves):
            waves.append([])
        order = same_names[kind] = Order(request)
        waves[len(same_names) - 1].append(order)
    return waves


def obtain(
    client: AcmeClient,
    requests: t.Sequence[CertificateRequest],
    *,
    window: Window,
    store: Store,
    concurrency: int = 8,
    timeout: float = 300.0,
    clock: Clock | None = None,
) -> ObtainResult:
    """Obtain all certificates. What fails, fails alone.

    window: entered once, and only if the CA has to connect to port 80; left as soon as it has. Should it refuse to
    open, the certificates that need it fail with its error; should it fail to close, see ObtainResult.
    concurrency: requests in flight; timeout: seconds that an order may take to be validated, and again to be issued.
    An exception such as KeyboardInterrupt leaves the window and passes on.
    """
    waves = _waves(requests)
    pool = concurrent.futures.ThreadPoolExecutor(concurrency, thread_name_prefix="acme")
    engine = _Engine(Session(client, store, timeout, clock or client.clock), pool)
    try:
        for orders in waves:
            engine.run(orders, window)
    finally:
        # An interrupted run must not wait for requests under way.
        pool.shutdown(wait=False, cancel_futures=True)
    found = {id(result.request): result for orders in waves for order in orders for result in order.results()}
    results = [found[id(request)] for request in requests]
    return ObtainResult(results, engine.close_error, client.clock.warnings)


__all__ = (
    "CertificateRequest",
    "FailedCertificate",
    "IssuedCertificate",
    "ObtainResult",
    "Progress",
    "Store",
    "Window",
    "obtain",
)
