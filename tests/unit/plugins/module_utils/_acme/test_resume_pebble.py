# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that were killed, and what the next one makes of what they left, against a real CA (Pebble)."""

from __future__ import annotations

import collections
import contextlib
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError, AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import (
    CertificateRequest,
    FailedCertificate,
    IssuedCertificate,
    obtain,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._store import Store

from lab.pebble import AcmeCa
from lab.ports import free_port

HOST = "127.0.0.1"
KEY_PEM = account.new_account_key()
KEY = account.load_account_key(content=KEY_PEM)
PATHS = os.pathsep.join(sys.path)


@pytest.fixture(scope="module")
def ca() -> Iterator[AcmeCa]:
    port = free_port()
    _responder_process.start(HOST, port, account.thumbprint(KEY), 300)
    try:
        with AcmeCa(http_port=port, retry_after=None) as made:
            yield made
    finally:
        _responder_process.stop(HOST, port)


class Site:
    """One certificate's directory, and what it costs at the CA from here on."""

    def __init__(self, ca: AcmeCa, directory: Path, name: str) -> None:
        self.ca, self.directory = ca, directory
        self.request = CertificateRequest("web", (name,), "ec256")
        self.opened = 0
        self._issued, self._requests = ca.issued(), len(ca.requests())
        self.trust()

    def trust(self) -> None:
        self.ca.add_a(self.request.domains[0], HOST)

    @property
    def issued(self) -> int:
        return self.ca.issued() - self._issued

    @property
    def ordered(self) -> int:
        return collections.Counter(self.ca.requests()[self._requests :])["POST", "/order-plz"]

    def left(self) -> dict[str, Any]:
        left: dict[str, Any] = json.loads((self.directory / "web/unfinished.json").read_text())
        return left

    def change(self, **values: str) -> None:
        path = self.directory / "web/unfinished.json"
        path.write_text(json.dumps({**self.left(), **values}))

    def client(self, cls: type[AcmeClient] = AcmeClient, key: Any = KEY) -> AcmeClient:
        client = cls(self.ca.directory_url, key, ca_path=self.ca.ca_file)
        account.ensure_account(client, contact=[], terms_agreed=True)
        return client

    def status(self) -> str:
        return str(self.client().post(self.left()["order_uri"], None).json["status"])

    @contextlib.contextmanager
    def window(self) -> Iterator[None]:
        self.opened += 1
        yield

    def obtain(self, client: AcmeClient | None = None, **options: Any) -> IssuedCertificate | FailedCertificate:
        store = Store(str(self.directory))
        settings = {"window": self.window, "store": store, "timeout": 20.0, **options}
        return obtain(client or self.client(), [self.request], **settings).results[0]

    def run(self, kill: str | None) -> subprocess.CompletedProcess[str]:
        task = {
            "directory_url": self.ca.directory_url,
            "ca_path": self.ca.ca_file,
            "account_key": KEY_PEM.decode(),
            "output_dir": str(self.directory),
            "domains": self.request.domains,
            "kill": kill,
        }
        return subprocess.run(
            [sys.executable, "-m", "lab.order_process"],
            input=json.dumps(task),
            env={**os.environ, "PYTHONPATH": PATHS},
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def site(ca: AcmeCa, tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    number = "".join(character for character in request.node.name.lower() if character.isalnum())[-50:]
    return Site(ca, tmp_path / "state", f"{number}.example.com")


def stopping(where: str, *, after: bool) -> type[AcmeClient]:
    """A client whose run ends, without a chance to clear up, at the first request to such a URL."""

    class Stopping(AcmeClient):
        def post(self, url: str, *rest: Any, **options: Any) -> Any:
            if where not in url:
                return super().post(url, *rest, **options)
            if after:
                super().post(url, *rest, **options)
            raise KeyboardInterrupt

    return Stopping


def stop(site: Site, where: str, *, after: bool = False) -> None:
    with pytest.raises(KeyboardInterrupt):
        site.obtain(site.client(stopping(where, after=after)))


POINTS = [
    "before POST order-plz 1",
    "before write unfinished.json 2",
    "after write unfinished.json 2",
    "after POST authZ 1",
    "after POST chalZ 1",
    "after POST my-order 1",
    "before POST finalize-order 1",
    "after POST finalize-order 1",
    "before POST certZ 1",
    "after POST certZ 1",
    "after write privkey.pem 1",
    "after write order.json 1",
    "after write fullchain.pem 1",
    "after unlink unfinished.json 1",
]


@pytest.mark.parametrize("point", POINTS)
def test_f17_killed_at_every_step(site: Site, point: str) -> None:
    killed = site.run(point)
    assert killed.returncode == -9, killed.stderr
    path = site.directory / "web"
    left = site.left() if (path / "unfinished.json").exists() else None
    key = left["key"] if left else (path / "privkey.pem").read_text()
    again = site.run(None)
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert result["key"] == key == (path / "privkey.pem").read_text()
    assert site.issued == 1
    assert (path / "fullchain.pem").exists()
    # Between the CA's answer and the disk its URL is nowhere; an order that nobody goes on with costs nothing.
    assert site.ordered == (2 if point == "before write unfinished.json 2" else 1)
    if left and left["order_uri"]:
        assert result["order_uri"] == left["order_uri"]


def finished(site: Site, *, issued: int = 1, ordered: int = 1) -> IssuedCertificate:
    one = site.obtain()
    assert isinstance(one, IssuedCertificate), one.error
    assert (site.issued, site.ordered) == (issued, ordered)
    assert not (site.directory / "web/unfinished.json").exists()
    return one


def test_pending(site: Site) -> None:
    stop(site, "/authZ/")
    assert site.status() == "pending"
    left = site.left()
    one = finished(site)
    assert (one.order_uri, one.private_key_pem.decode()) == (left["order_uri"], left["key"])
    assert one.challenged
    assert site.opened == 1


def test_ready(site: Site) -> None:
    stop(site, "/finalize-order/")
    assert site.status() == "ready"
    left = site.left()
    one = finished(site)
    assert (one.order_uri, one.private_key_pem.decode()) == (left["order_uri"], left["key"])
    assert site.opened == 1, "not opened again"


def test_valid(site: Site) -> None:
    stop(site, "/certZ/")
    assert site.status() == "valid"
    left = site.left()
    one = finished(site)
    assert (one.order_uri, one.private_key_pem.decode()) == (left["order_uri"], left["key"])
    assert not one.challenged
    assert site.opened == 1, "not opened again"


def test_processing(site: Site) -> None:
    class Slow(AcmeClient):
        seen = 0

        def post(self, url: str, *rest: Any, **options: Any) -> Any:
            reply = super().post(url, *rest, **options)
            if "/my-order/" in url and Slow.seen < 2:
                Slow.seen += 1
                document = {**reply.json, "status": "processing"}
                return type(reply)(reply.url, reply.status, reply.headers, json.dumps(document).encode(), None)
            return reply

    stop(site, "/finalize-order/", after=True)
    one = site.obtain(site.client(Slow))
    assert isinstance(one, IssuedCertificate)
    assert (Slow.seen, site.issued, site.ordered, site.opened) == (2, 1, 1, 1)


def test_invalid_is_forgotten(site: Site) -> None:
    site.ca.clear(site.request.domains[0])
    assert isinstance(site.obtain(), FailedCertificate)
    assert site.status() == "invalid"
    site.trust()
    finished(site, ordered=2)


def test_given_up_is_forgotten(site: Site) -> None:
    """The firewall did not open, so the order was given up while it was pending."""

    @contextlib.contextmanager
    def closed() -> Iterator[None]:
        raise CertfleetError("the firewall refuses", stage="open")
        yield

    assert isinstance(site.obtain(window=closed), FailedCertificate)
    finished(site, ordered=2)


@pytest.mark.parametrize(
    "change",
    [
        lambda uri: {"order_uri": uri[:-5] + "00000"},
        lambda _uri: {"order_uri": "https://elsewhere.example.com/order/1"},
        lambda _uri: {"order_uri": "nonsense"},
        lambda uri: {"account_uri": uri},
    ],
    ids=["unknown", "another CA", "no URL", "another account"],
)
def test_unknown_is_forgotten(site: Site, change: Callable[[str], dict[str, str]]) -> None:
    stop(site, "/finalize-order/")
    site.change(**change(site.left()["order_uri"]))
    finished(site, ordered=2)


def test_the_order_of_another_account_is_forgotten(site: Site, ca: AcmeCa) -> None:
    """As the CA sees it: the file names the account of today, the order belongs to another one."""
    other = site.client(key=account.load_account_key(content=account.new_account_key()))
    payload = {"identifiers": [{"type": "dns", "value": name} for name in site.request.domains]}
    foreign = other.post(other.endpoint("newOrder"), payload).location
    stop(site, "/finalize-order/")
    site.change(order_uri=foreign)
    finished(site, ordered=3)


def test_what_was_issued_long_ago_is_ordered_anew(site: Site) -> None:
    class Later(Clock):
        def now(self) -> datetime.datetime:
            return super().now() + datetime.timedelta(days=70)

    stop(site, "/certZ/")
    old = site.left()
    one = site.obtain(clock=Later())
    assert isinstance(one, IssuedCertificate)
    assert one.order_uri != old["order_uri"]
    assert one.private_key_pem.decode() != old["key"]
    assert (site.issued, site.ordered) == (2, 2)


@pytest.mark.parametrize(
    "error",
    [
        AcmeNetworkError("no answer", url="https://ca.example.com"),
        AcmeError("the CA refused", status=503),
        AcmeError("the CA refused", status=429),
    ],
    ids=["no answer", "503", "429"],
)
def test_a_ca_that_cannot_tell_now_does_not_cost_an_order(site: Site, error: CertfleetError) -> None:
    class Ill(AcmeClient):
        def post(self, url: str, *rest: Any, **options: Any) -> Any:
            if "/my-order/" in url:
                raise error
            return super().post(url, *rest, **options)

    stop(site, "/certZ/")
    left = site.left()
    failure = site.obtain(site.client(Ill))
    assert isinstance(failure, FailedCertificate)
    assert failure.error is error
    assert site.left() == left
    finished(site)


def test_two_runs_at_once(site: Site) -> None:
    """The second process gets a clear error, and orders nothing."""
    store = Store(str(site.directory))
    with store.locked([site.request]):
        second = site.run(None)
    assert second.returncode == 1
    assert f"another run (process {os.getpid()}) is at work in {site.directory / 'web'}" in second.stderr
    assert site.ordered == 0
    assert site.run(None).returncode == 0
