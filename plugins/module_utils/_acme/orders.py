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
import dataclasses
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
    load_csr,
    make_csr,
    private_key_pem,
    split_pem,
)
from . import authorizations
from .challenge import Challenge
from .client import AcmeClient
from .errors import AcmeError, AcmeNetworkError, clean
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
from .renewal import decide
from .transport import origin

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
        self._each(self._begin, [(order,) for order in orders])
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
        self._each(self._finalize, [(order,) for order in _alive(orders, "ready")])
        self._await(_alive(orders, "ready", "processing"), "ready", "processing")
        self._each(self._download, [(order,) for order in _alive(orders) if order.facts is None])
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

    # Before the window: what an earlier run left

    def _begin(self, order: Order) -> None:
        """Go on with the order of an earlier run, or start anew."""
        left = self._unfinished(order)
        if left is None or not left.order_uri:
            # Without a URL the order is lost, if there is one at all. The key is as good as new.
            self._create(order, left)
        elif not self._resume(order, left):
            self._create(order, None)

    def _unfinished(self, order: Order) -> Progress | None:
        with self._storing:
            found = [self._store.unfinished(request) for request in order.requests]
        own = [left for left in found if left is not None and left.account_uri == self._client.account_uri]
        return own[0] if own else None

    def _resume(self, order: Order, left: Progress) -> bool:
        """Read the order again. False when it leads nowhere; an error when the CA cannot tell now."""
        if origin(left.order_uri) != origin(self._client.directory_url):
            return False
        order.progress, order.uri = left, left.order_uri
        try:
            order.document = self._post(order.uri, None).json
            if not order.fits:
                return False
            if order.status == "pending":
                self._fetch_authorizations(order)
                return all(each.status in ("pending", "valid") for each in order.authorizations)
            if order.status == "valid":
                self._download(order)
                # Who was killed months ago left nothing worth having.
                return order.facts is not None and not decide(order.facts, now=self._clock.now()).due
        except AcmeError as error:
            if not error.forgets_order:
                raise
            return False
        return order.status in ("ready", "processing")

    # Before the window: new orders

    def _create(self, order: Order, left: Progress | None) -> None:
        request = order.request
        order.authorizations, order.facts = [], None
        payload: dict[str, t.Any] = {"identifiers": [{"type": "dns", "value": domain} for domain in request.domains]}
        if request.profile is not None:
            self._check_profile(request.profile)
            payload["profile"] = request.profile
        # RFC 9773 §5: only where the CA offers renewal information.
        replaces = request.replaces if "renewalInfo" in self._client.directory else None
        # First of all, so that a disk which takes nothing costs no order.
        self._remember(order, left or self._new_key(request))
        reply = self._new_order(payload, replaces)
        order.uri, order.document = reply.location, reply.json
        self._remember(order, dataclasses.replace(order.progress, order_uri=order.uri))
        if not order.fits:
            raise AcmeError("the CA's order is for other names than those asked for", url=order.uri)
        if origin(order.uri) != origin(self._client.directory_url):
            raise AcmeError("the CA names an order outside its own server", url=order.uri)

    def _new_key(self, request: CertificateRequest) -> Progress:
        key = generate_private_key(request.key_type)
        return Progress(private_key_pem(key), make_csr(key, request.domains), self._client.account_uri or "")

    def _remember(self, order: Order, progress: Progress) -> None:
        order.progress = progress
        with self._storing:
            for request in order.requests:
                self._store.remember(request, progress)

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

    def _read_authorizations(self, orders: t.Sequence[Order]) -> None:
        """Read all authorizations of the orders, in parallel and without regard to which order is whose."""
        for order in orders:
            order.authorizations = []
        self._each(self._read_authorization, [(order, url) for order in orders for url in order.authorization_urls])

    def _fetch_authorizations(self, order: Order) -> None:
        """As _read_authorizations() for one order; what fails is raised."""
        order.authorizations = []
        for url in order.authorization_urls:
            self._read_authorization(order, url)

    def _read_authorization(self, order: Order, url: str) -> None:
        order.authorizations.append(authorizations.fetch(self._client, url, self._deadline()))

    @staticmethod
    def _find_challenges(order: Order) -> None:
        """The challenges to answer. AcmeError where an authorization is over: the order can get nowhere any more."""
        if any(each.status not in ("pending", "valid") for each in order.authorizations):
            raise authorizations.failure(order.document, order.uri, order.authorizations)
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
        for order in orders:
            if order.trouble is not None:
                order.fail(order.trouble)

    def _poll(self, order: Order) -> None:
        order.trouble, retry_after = None, None
        try:
            reply = self._post(order.uri, None)
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

    def _finalize(self, order: Order) -> None:
        try:
            reply = self._post(order.url_of("finalize"), {"csr": josepy.encode_b64jose(order.progress.csr_der)})
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
        # The CSR stands for the key: to load an RSA key again costs 46 ms (measured).
        check_issued(chain, load_csr(order.progress.csr_der), order.request.domains, self._clock.now())
        # Nothing but certificates goes on to a firewall (RFC 8555 §11.4).
        order.chain_pem = b"".join(block for block in split_pem(chain_pem) if b"BEGIN CERTIFICATE" in block)
        with self._storing:
            for each in order.requests:
                self._store.issued(each, order.progress, order.chain_pem)
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
    "Progress",
    "Store",
    "Window",
    "obtain",
)
