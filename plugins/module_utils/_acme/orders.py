# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The order engine: many certificates at once, and the port open only while the CA validates (RFC 8555 §7.4).

For N names whose authorizations are pending an order takes 2N + 5 requests: the order, N authorizations,
N challenges, and at least one poll, finalize, poll, download. It takes 4 when the CA still trusts all its names.
"""

from __future__ import annotations

import concurrent.futures
import threading
import typing as t

from .._clock import Clock, Deadline
from .._errors import CertfleetError
from .._libraries import josepy
from .._x509 import (
    check_issued,
    facts,
    generate_private_key,
    load_certificates,
    load_private_key,
    make_csr,
    private_key_pem,
    split_pem,
)
from . import authorizations
from .challenge import Challenge
from .client import AcmeClient
from .errors import AcmeError, clean
from .order import (
    FIRST_PAUSE,
    CertificateRequest,
    FailedCertificate,
    IssuedCertificate,
    ObtainResult,
    Order,
    Store,
)

# Seconds for giving up what is left of failed orders.
CLEANUP = 20.0


Window = t.Callable[[], t.ContextManager[t.Any]]


def _alive(orders: t.Iterable[Order], *states: str) -> list[Order]:
    """The orders that did not fail and are in one of the states, or in any."""
    return [order for order in orders if order.error is None and (not states or order.status in states)]


class _Engine:
    """The phases of a run. Each does one thing for all orders in parallel; an order that fails drops out."""

    def __init__(
        self, client: AcmeClient, store: Store, pool: concurrent.futures.Executor, timeout: float, clock: Clock
    ) -> None:
        self._client = client
        self._store = store
        self._pool = pool
        self._timeout = timeout
        self._clock = clock
        self._storing = threading.Lock()
        self.close_error: CertfleetError | None = None

    def run(self, orders: t.Sequence[Order], window: Window) -> None:
        self._each(self._create, [(order,) for order in orders])
        self._read_authorizations(_alive(orders, "pending"))
        self._each(self._find_challenges, [(order,) for order in _alive(orders, "pending")])
        pending = _alive(orders, "pending")
        challenged = [order for order in pending if order.challenges]
        if challenged:
            self._validate(challenged, window)
        # The CA has nothing to ask of these any more: they only have to become ready.
        self._await([order for order in pending if not order.challenges], "pending")
        self._explain([order for order in _alive(orders) if order.status != "ready"])
        ready = _alive(orders)
        self._each(self._finalize, [(order,) for order in ready])
        self._await(_alive(ready, "ready", "processing"), "ready", "processing")
        self._each(self._download, [(order,) for order in _alive(ready)])
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

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, self._timeout)

    def _post(self, url: str, payload: dict[str, t.Any] | None, **options: t.Any) -> t.Any:
        return self._client.post(url, payload, deadline=self._deadline(), **options)

    # Before the window

    def _create(self, order: Order) -> None:
        request = order.request
        payload: dict[str, t.Any] = {"identifiers": [{"type": "dns", "value": domain} for domain in request.domains]}
        if request.profile is not None:
            self._check_profile(request.profile)
            payload["profile"] = request.profile
        # RFC 9773 §5: only where the CA offers renewal information.
        replaces = request.replaces if "renewalInfo" in self._client.directory else None
        reply = self._new_order(payload, replaces)
        order.uri, order.document = reply.location, reply.json
        self._check_identifiers(order)

    def _check_profile(self, profile: str) -> None:
        offered = self._client.directory.get("meta", {}).get("profiles") or {}
        if profile not in offered:
            listed = ", ".join(clean(name) for name in offered)
            raise CertfleetError(
                f"the CA does not offer the profile {profile!r}",
                remedy=f"It offers: {listed}." if listed else "It offers none: leave profile out.",
            )

    def _new_order(self, payload: dict[str, t.Any], replaces: str | None) -> t.Any:
        url = self._client.endpoint("newOrder")
        if replaces is None:
            return self._post(url, payload)
        try:
            return self._post(url, dict(payload, replaces=replaces))
        except AcmeError as error:
            # alreadyReplaced, above all; but CAs refuse a certificate that they do not know in many ways.
            if not 400 <= error.status < 500 or error.status == 429:
                raise
        return self._post(url, payload)

    @staticmethod
    def _check_identifiers(order: Order) -> None:
        listed = order.document.get("identifiers") or ()
        named = {(item.get("type"), str(item.get("value")).lower()) for item in listed if isinstance(item, dict)}
        if named != {("dns", domain) for domain in order.request.domains}:
            raise AcmeError("the CA's order is for other names than those asked for", url=order.uri)

    def _read_authorizations(self, orders: t.Sequence[Order]) -> None:
        """Read all authorizations of the orders, in parallel and without regard to which order is whose."""
        for order in orders:
            order.authorizations = []
        urls = [(order, str(url)) for order in orders for url in order.document.get("authorizations") or ()]
        self._each(self._read_authorization, urls)

    def _read_authorization(self, order: Order, url: str) -> None:
        order.authorizations.append(authorizations.fetch(self._client, url, self._deadline()))

    @staticmethod
    def _find_challenges(order: Order) -> None:
        """The challenges to answer. Authorizations that are neither pending nor valid show in the order itself."""
        for authorization in order.authorizations:
            if authorization.status == "pending":
                order.challenges.append(authorization.http01())

    # Inside the window

    def _validate(self, orders: t.Sequence[Order], window: Window) -> None:
        """Answer the challenges and wait for the CA, inside the window. No order's failure gets out of it."""
        opened = validated = False
        try:
            with window():
                opened = True
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
            self._post(challenge.url, {})
        except AcmeError as error:
            # Answered before, by a repetition or another order of the same name: the order tells how it ends.
            if error.status not in (400, 409):
                raise

    def _await(self, orders: t.Sequence[Order], *states: str) -> None:
        """Poll the orders until none is in one of these states, or the time is over."""
        deadline = self._deadline()
        for order in orders:
            order.schedule(FIRST_PAUSE, self._clock)
        while orders and not deadline.over:
            pause = min(order.poll_at for order in orders) - self._clock.monotonic()
            self._clock.sleep(min(pause, deadline.remaining))
            due = [order for order in orders if order.poll_at <= self._clock.monotonic() or deadline.over]
            self._each(self._poll, [(order,) for order in due])
            orders = _alive(orders, *states)

    def _poll(self, order: Order) -> None:
        reply = self._post(order.uri, None)
        order.document = reply.json
        order.schedule(order.pause, self._clock, reply.retry_after)

    # After the window

    def _explain(self, orders: t.Sequence[Order]) -> None:
        """Fail the orders that did not become ready, with the reasons of the CA."""
        self._read_authorizations(orders)
        for order in _alive(orders):
            order.fail(authorizations.failure(order.document, order.uri, order.authorizations))

    def _finalize(self, order: Order) -> None:
        request = order.request
        key = generate_private_key(request.key_type)
        order.key_pem, csr = private_key_pem(key), make_csr(key, request.domains)
        with self._storing:
            for each in order.requests:
                self._store.remember(each, order.key_pem, csr, order.uri)
        try:
            reply = self._post(order.url_of("finalize"), {"csr": josepy.encode_b64jose(csr)})
        except AcmeError as error:
            # So the CA answers a repetition, when the first answer was lost.
            if not error.is_a("orderNotReady"):
                raise
            return
        order.document = reply.json

    def _download(self, order: Order) -> None:
        if order.status != "valid":
            raise authorizations.failure(order.document, order.uri, ())
        accept = "application/pem-certificate-chain"
        chain_pem = self._post(order.url_of("certificate"), None, accept=accept).body
        chain = load_certificates(chain_pem)
        check_issued(chain, load_private_key(order.key_pem), order.request.domains, self._clock.now())
        # Nothing but certificates goes on to a firewall (RFC 8555 §11.4).
        order.chain_pem = b"".join(block for block in split_pem(chain_pem) if b"BEGIN CERTIFICATE" in block)
        with self._storing:
            for each in order.requests:
                self._store.issued(each, order.key_pem, order.chain_pem)
        order.facts = facts(chain[0])

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

    Those that differ in the key alone come one after the other, because a CA may hand out the same order for the
    same names as long as it is not finished (Boulder does).
    """
    waves: list[list[Order]] = []
    by_names: dict[t.Any, dict[str, Order]] = {}
    for request in requests:
        same_names = by_names.setdefault((frozenset(request.domains), request.profile), {})
        if request.key_type in same_names:
            same_names[request.key_type].requests.append(request)
            continue
        if len(same_names) == len(waves):
            waves.append([])
        order = same_names[request.key_type] = Order(request)
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
    engine = _Engine(client, store, pool, timeout, clock or client.clock)
    try:
        for orders in waves:
            engine.run(orders, window)
    finally:
        # An interrupted run must not wait for requests under way.
        pool.shutdown(wait=False, cancel_futures=True)
    found = {id(result.request): result for orders in waves for order in orders for result in order.results()}
    return ObtainResult([found[id(request)] for request in requests], engine.close_error)


__all__ = (
    "CertificateRequest",
    "FailedCertificate",
    "IssuedCertificate",
    "ObtainResult",
    "Store",
    "Window",
    "obtain",
)
