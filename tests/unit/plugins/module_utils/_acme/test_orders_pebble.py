# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order engine against a real CA (Pebble) and the real responder process, which stands for port 80."""

from __future__ import annotations

import collections
import contextlib
import datetime
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process, _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account, renewal
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import (
    CertificateRequest,
    FailedCertificate,
    IssuedCertificate,
    ObtainResult,
    Progress,
    obtain,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError

from lab.nowhere import Nowhere
from lab.pebble import DAY, AcmeCa
from lab.ports import free_port

HOST = "127.0.0.1"
KEY = account.load_account_key(content=account.new_account_key())


class Ca(AcmeCa):
    def check_health(self, timeout: float = 10.0) -> None:
        """Not when every second nonce is rejected: the acme library gives up too early."""
        if self._env["PEBBLE_WFE_NONCEREJECT"] == "0":
            super().check_health(timeout)


class Store(Nowhere):
    """Writes down in which order it is called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def remember(self, request: CertificateRequest, progress: Progress) -> None:
        assert b"PRIVATE" in progress.key_pem
        assert progress.csr_der
        assert progress.account_uri
        self.calls.append(("order" if progress.order_uri else "key", request.name))

    def issued(self, request: CertificateRequest, progress: Progress, chain_pem: bytes) -> None:
        assert _x509.key_matches(_x509.load_certificates(chain_pem)[0], _x509.load_private_key(progress.key_pem))
        self.calls.append(("issued", request.name))


class Window:
    """Counts, and fails where it is told to."""

    def __init__(
        self, ca: AcmeCa, *, opening: BaseException | None = None, closing: BaseException | None = None
    ) -> None:
        self.ca, self.opening, self.closing = ca, opening, closing
        self.entered = self.left = 0
        self.issued_inside = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        if self.opening:
            raise self.opening
        self.entered += 1
        try:
            yield
        finally:
            self.left += 1
            self.issued_inside = self.ca.issued()
            if self.closing:
                raise self.closing


class Bench:
    """A CA, a responder at its HTTP port, an account."""

    def __init__(self, ca: AcmeCa) -> None:
        self.ca = ca
        self.client = AcmeClient(ca.directory_url, KEY, ca_path=ca.ca_file)
        account.ensure_account(self.client, contact=[], terms_agreed=True)
        self.store = Store()
        self.window = Window(ca)

    def names(self, *names: str) -> tuple[str, ...]:
        for name in names:
            self.ca.add_a(name, HOST)
        return names

    def obtain(self, *requests: CertificateRequest, **options: Any) -> ObtainResult:
        return obtain(self.client, requests, **{"window": self.window, "store": self.store, "timeout": 20.0, **options})


@contextlib.contextmanager
def bench(**options: Any) -> Iterator[Bench]:
    port = free_port()
    _responder_process.start(HOST, port, account.thumbprint(KEY), 120)
    try:
        with Ca(http_port=port, **options) as ca:
            yield Bench(ca)
    finally:
        _responder_process.stop(HOST, port)


@pytest.fixture(scope="module")
def shared() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture
def pebble(shared: Bench) -> Bench:
    return Bench(shared.ca)


def issued(result: ObtainResult) -> list[IssuedCertificate]:
    assert result.close_error is None
    return [one for one in result.results if isinstance(one, IssuedCertificate)]


def failed(result: ObtainResult) -> list[FailedCertificate]:
    return [one for one in result.results if isinstance(one, FailedCertificate)]


@pytest.mark.parametrize("count", [1, 5])
def test_one_certificate(pebble: Bench, count: int) -> None:
    names = pebble.names(*(f"n{number}.one{count}.example.com" for number in range(count)))
    before, certificates = len(pebble.ca.requests()), pebble.ca.issued()
    (one,) = issued(pebble.obtain(CertificateRequest("web", names)))
    assert one.facts.uncovered(names) == ()
    assert one.facts.key_type == "rsa2048"
    assert one.challenged
    assert pebble.store.calls == [("key", "web"), ("order", "web"), ("issued", "web")]
    # The window was closed before anything was issued.
    assert (pebble.window.entered, pebble.window.left, pebble.window.issued_inside) == (1, 1, certificates)
    counted = collections.Counter(path for method, path in pebble.ca.requests()[before:] if method == "POST")
    polls = counted.pop("/my-order/")
    assert counted == {"/order-plz": 1, "/authZ/": count, "/chalZ/": count, "/finalize-order/": 1, "/certZ/": 1}
    # 2N + 5, but for polls that came too early.
    assert 2 <= polls <= 6


def test_one_of_three_fails_alone(pebble: Bench) -> None:
    good = [CertificateRequest(f"c{n}", pebble.names(f"c{n}.three.example.com"), "ec256") for n in range(2)]
    bad = CertificateRequest("bad", (*pebble.names("fine.three.example.com"), "lost.three.example.com"))
    result = pebble.obtain(good[0], bad, good[1])
    assert [one.request.name for one in result.results] == ["c0", "bad", "c1"]
    assert len(issued(result)) == 2
    (failure,) = failed(result)
    assert isinstance(failure.error, AcmeError)
    assert failure.error.stage == "order"
    assert failure.error.certificate == "bad"
    assert [sub["identifier"] for sub in failure.error.subproblems] == ["lost.three.example.com"]
    assert "WAN address" in failure.error.remedy
    assert pebble.window.entered == pebble.window.left == 1


def test_the_same_names_twice_are_ordered_once(pebble: Bench) -> None:
    names = pebble.names("a.twice.example.com", "b.twice.example.com")
    before = pebble.ca.issued()
    one, two = issued(pebble.obtain(CertificateRequest("one", names), CertificateRequest("two", names[::-1])))
    assert (one.request.name, two.request.name) == ("one", "two")
    assert one.chain_pem == two.chain_pem
    assert pebble.ca.issued() == before + 1
    assert ("issued", "two") in pebble.store.calls


def test_the_same_names_with_two_kinds_of_key(pebble: Bench) -> None:
    names = pebble.names("keys.example.com")
    one, two = issued(
        pebble.obtain(CertificateRequest("rsa", names), CertificateRequest("ec", names, key_type="ec256"))
    )
    assert (one.facts.key_type, two.facts.key_type) == ("rsa2048", "ec256")


def test_a_window_that_does_not_open(pebble: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    post = pebble.client.post

    def recording(url: str, *rest: Any, **more: Any) -> Any:
        asked.append(url)
        return post(url, *rest, **more)

    monkeypatch.setattr(pebble.client, "post", recording)
    pebble.window.opening = CertfleetError("the firewall refuses", stage="open")
    names = pebble.names("open.example.com")
    (failure,) = failed(pebble.obtain(CertificateRequest("web", names)))
    assert failure.error is pebble.window.opening
    assert pebble.store.calls == [("key", "web"), ("order", "web")]
    # Nothing is left pending at the CA.
    assert "/authZ/" in asked[-1]
    assert post(asked[-1], None).json["status"] == "deactivated"


def test_a_window_that_does_not_close(pebble: Bench) -> None:
    pebble.window.closing = CertfleetError("the firewall went away", stage="close")
    names = pebble.names("close.example.com")
    result = pebble.obtain(CertificateRequest("web", names))
    assert result.close_error is pebble.window.closing
    assert isinstance(result.results[0], IssuedCertificate)


def test_an_interrupt_leaves_the_window_at_once(pebble: Bench, request: pytest.FixtureRequest) -> None:
    """As SIGINT does it: in the main thread, while the CA still waits for an answer."""
    # A shell's background job, as CI may be, starts with SIGINT ignored.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, inherited))
    with socket.create_server(("127.0.0.77", pebble.ca.http_port)):
        pebble.ca.add_a("interrupt.example.com", "127.0.0.77")
        threading.Timer(0.8, signal.raise_signal, (signal.SIGINT,)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            pebble.obtain(CertificateRequest("web", ("interrupt.example.com",)))
    assert time.monotonic() - began < 3
    assert pebble.window.entered == pebble.window.left == 1
    assert pebble.store.calls == [("key", "web"), ("order", "web")]


def test_a_store_that_fails_stops_before_ordering(pebble: Bench) -> None:
    class Full(Store):
        def remember(self, *_arguments: Any) -> None:
            raise CertfleetError("no space left")

    before = len(pebble.ca.requests())
    (failure,) = failed(pebble.obtain(CertificateRequest("web", pebble.names("full.example.com")), store=Full()))
    assert "no space" in failure.error.problem
    assert ("POST", "/order-plz") not in pebble.ca.requests()[before:]


def test_replaces_and_renewal_information(pebble: Bench) -> None:
    names = pebble.names("ari.example.com")
    (first,) = issued(pebble.obtain(CertificateRequest("web", names)))
    certificate = _x509.load_certificates(first.chain_pem)[0]
    replaces = renewal.ari_id(certificate)
    info, reason = renewal.fetch_window(pebble.client, certificate)
    assert info is not None, reason
    assert info.retry_after is not None
    now = datetime.datetime.now(datetime.timezone.utc)
    assert not renewal.decide(first.facts, now=now, window=info).due
    pebble.ca.set_renewal_info(
        first.chain_pem.decode(),
        now - datetime.timedelta(days=2),
        now - datetime.timedelta(days=1),
        "https://ca.example/incident",
    )
    decision = renewal.decide(first.facts, now=now, window=renewal.fetch_window(pebble.client, certificate)[0])
    assert decision.due
    assert "https://ca.example/incident" in decision.reason
    # The second time the CA refuses, because that certificate has been replaced: it is ordered all the same.
    for _again in range(2):
        assert issued(pebble.obtain(CertificateRequest("web", names, replaces=replaces)))


def test_a_profile_that_the_ca_does_not_offer(pebble: Bench) -> None:
    before = len(pebble.ca.requests())
    (failure,) = failed(pebble.obtain(CertificateRequest("web", ("p.example.com",), profile="gold")))
    assert failure.error.remedy == "It offers: default."
    assert pebble.store.calls == []
    assert ("POST", "/order-plz") not in pebble.ca.requests()[before:]


def test_a_profile() -> None:
    with bench(profiles={"shortlived": 6 * DAY}) as pebble:
        names = pebble.names("profile.example.com")
        (one,) = issued(pebble.obtain(CertificateRequest("web", names, profile="shortlived")))
    assert one.facts.not_after - one.facts.not_before < datetime.timedelta(days=7)


def test_accounts(pebble: Bench, tmp_path: Path) -> None:
    path = tmp_path / "acme" / "account.pem"
    key, created = account.ensure_account_key(str(path))
    assert created
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    again, created = account.ensure_account_key(str(path))
    assert not created
    assert account.thumbprint(again) == account.thumbprint(key)
    client = AcmeClient(pebble.ca.directory_url, key, ca_path=pebble.ca.ca_file)
    with pytest.raises(AcmeError) as caught:
        account.ensure_account(client, only_existing=True)
    assert caught.value.is_a("accountDoesNotExist")
    with pytest.raises(CertfleetError, match="terms"):
        account.ensure_account(client, contact=["a@example.com"])
    new = account.ensure_account(client, contact=["a@example.com"], terms_agreed=True)
    assert (new.created, new.changed, new.contact) == (True, True, ("mailto:a@example.com",))
    for contact in (["a@example.com"], []):
        same = account.ensure_account(client, contact=contact, terms_agreed=True)
        assert (same.uri, same.created, same.changed) == (new.uri, False, False)
    other = account.ensure_account(client, contact=["b@example.com"])
    assert (other.changed, other.contact) == (True, ("mailto:b@example.com",))


def test_nothing_is_opened_when_the_ca_still_trusts_the_names() -> None:
    with bench(authz_reuse=100) as pebble:
        names = pebble.names("a.ready.example.com", "b.ready.example.com")
        assert issued(pebble.obtain(CertificateRequest("web", names)))
        before, pebble.window.entered = len(pebble.ca.requests()), 0
        (one,) = issued(pebble.obtain(CertificateRequest("web", names)))
        assert not one.challenged
        assert pebble.window.entered == 0
        counted = collections.Counter(path for method, path in pebble.ca.requests()[before:] if method == "POST")
        polls = counted.pop("/my-order/")
        assert counted == {"/order-plz": 1, "/finalize-order/": 1, "/certZ/": 1}
        assert 1 <= polls <= 4


def test_half_of_all_nonces_rejected() -> None:
    with bench(nonce_reject=50) as pebble:
        requests = [CertificateRequest(f"c{n}", pebble.names(f"n{n}.nonce.example.com"), "ec256") for n in range(10)]
        assert len(issued(pebble.obtain(*requests))) == 10
