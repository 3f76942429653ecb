# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA behind the fault proxy, and a server that answers as each test tells it to."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient

from lab import faults
from lab.pebble import AcmeCa
from lab.proxy import FaultProxy
from lab.tls import TlsFiles, make_tls
from unit.plugins.module_utils._acme.scripted import KEY, FakeClock, Make, Server


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[tuple[AcmeCa, FaultProxy]]:
    """A CA of the module's own: it checks the names rather than remembering them, and says no Retry-After."""
    with faults.running(retry_after=None) as made:
        yield made


@pytest.fixture
def bench(behind_proxy: tuple[AcmeCa, FaultProxy]) -> faults.Bench:
    """A client whose time leaps, and a proxy that behaves until told otherwise."""
    return faults.Bench(*behind_proxy)


@pytest.fixture
def own_name(request: pytest.FixtureRequest) -> str:
    """A domain name that no other test has, nor this one with other parameters.

    Pebble validates a name anew in 99 of 100 orders only, even when told to reuse nothing (it compares the wrong way):
    so whoever injects faults into validation, or counts it, must not use a name that was validated before.
    """
    return f"{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}.example.com"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls(tmp_path_factory.mktemp("tls"), ("127.0.0.1",))


@pytest.fixture
def server(tls: TlsFiles) -> Iterator[Server]:
    with Server(tls) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def make(server: Server, tls: TlsFiles) -> Make:
    def made(key: Any = KEY, **options: Any) -> AcmeClient:
        options = {"ca_path": str(tls.ca), "clock": FakeClock(), **options}
        client = AcmeClient(f"{server.url}/dir", key, **options)
        client.account_uri = f"{server.url}/account/1"
        return client

    return made
