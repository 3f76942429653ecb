# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything an order needs, with the fault proxy in between: CA, responder, account, and time that leaps."""

from __future__ import annotations

import contextlib
import datetime
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import (
    CertificateRequest,
    FailedCertificate,
    IssuedCertificate,
    ObtainResult,
    Progress,
    obtain,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError

from lab.nowhere import Nowhere
from lab.pebble import AcmeCa
from lab.ports import free_port
from lab.proxy import FaultProxy

HOST = "127.0.0.1"
KEY = account.load_account_key(content=account.new_account_key())


class LeapClock(Clock):
    """Leaps over what is slept, but for a moment in which the CA gets its work done. `skew`: seconds it is wrong."""

    def __init__(self, skew: float = 0.0) -> None:
        self.slept: list[float] = []
        self.skew = skew

    def now(self) -> datetime.datetime:
        return super().now() + datetime.timedelta(seconds=self.skew + sum(self.slept))

    def monotonic(self) -> float:
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(max(seconds, 0.0), 0.02))
        self.slept.append(max(seconds, 0.0))


class Store(Nowhere):
    """What was kept, by name."""

    def __init__(self) -> None:
        self.remembered: list[str] = []
        self.kept: dict[str, bytes] = {}

    def remember(self, request: CertificateRequest, progress: Progress) -> None:
        if progress.order_uri:
            self.remembered.append(request.name)

    def issued(self, request: CertificateRequest, progress: Progress, chain_pem: bytes) -> None:
        self.kept[request.name] = chain_pem


class UntestedCa(AcmeCa):
    """A CA that rejects nonces too often for the health check's own client."""

    def check_health(self, timeout: float = 10.0) -> None:
        """Not here."""


class Bench:
    """One client through the proxy; `direct` without it."""

    def __init__(self, ca: AcmeCa, proxy: FaultProxy) -> None:
        self.ca = ca
        self.proxy = proxy
        self.store = Store()
        self.clock = LeapClock()
        self.opened = 0
        self.client = self.make_client()
        account.ensure_account(self.client, terms_agreed=True)
        proxy.reset()
        self._issued = ca.issued()

    def make_client(self, **options: Any) -> AcmeClient:
        options = {"ca_path": self.proxy.ca_file, "clock": self.clock, **options}
        return AcmeClient(self.proxy.directory_url, KEY, **options)

    def wrong_clock(self, seconds: float) -> None:
        """A client on a machine whose clock is so far ahead."""
        uri, self.clock = self.client.account_uri, LeapClock(skew=seconds)
        self.client = self.make_client()
        self.client.account_uri = uri

    @contextlib.contextmanager
    def window(self) -> Iterator[None]:
        self.opened += 1
        yield

    def names(self, *names: str) -> tuple[str, ...]:
        for name in names:
            self.ca.add_a(name, HOST)
        return names

    def request(self, name: str, **options: Any) -> CertificateRequest:
        """A certificate for one name that leads to the responder."""
        return CertificateRequest(name, self.names(name), **{"key_type": "ec256", **options})

    def obtain(self, *requests: CertificateRequest, **options: Any) -> ObtainResult:
        return obtain(self.client, requests, **{"window": self.window, "store": self.store, **options})

    def issue(self, *requests: CertificateRequest, **options: Any) -> list[IssuedCertificate]:
        """All of them, or the error of the first that failed."""
        found: list[IssuedCertificate] = []
        for one in self.obtain(*requests, **options).results:
            if isinstance(one, FailedCertificate):
                raise one.error
            found.append(one)
        return found

    def refused(self, request: CertificateRequest, **options: Any) -> CertfleetError:
        """The error of a certificate that must fail."""
        (one,) = self.obtain(request, **options).results
        assert isinstance(one, FailedCertificate), "it was issued"
        return one.error

    @property
    def issued(self) -> int:
        """Certificates that the CA issued since the beginning."""
        return self.ca.issued() - self._issued


@contextlib.contextmanager
def running(**options: Any) -> Iterator[tuple[AcmeCa, FaultProxy]]:
    """CA, responder and proxy. The options are the CA's."""
    port = free_port()
    _responder_process.start(HOST, port, account.thumbprint(KEY), 300)
    kind = UntestedCa if options.get("nonce_reject") else AcmeCa
    try:
        with (
            kind(http_port=port, **options) as ca,
            tempfile.TemporaryDirectory(prefix="fault-proxy-") as directory,
            FaultProxy(ca.directory_url.rpartition("/")[0], ca.ca_file, Path(directory)) as proxy,
        ):
            yield ca, proxy
    finally:
        _responder_process.stop(HOST, port)
