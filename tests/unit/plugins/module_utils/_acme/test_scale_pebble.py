# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many certificates at once at a real CA: what they cost in requests (F30), and with every second nonce rejected.

How long they take is for the benchmark (make bench).
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import (
    CertificateRequest,
    FailedCertificate,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import obtain

from lab.faults import KEY, UntestedCa
from lab.nowhere import Nowhere
from lab.pebble import AcmeCa
from lab.ports import free_port

HOST = "127.0.0.1"
CONCURRENCY = 8


@contextlib.contextmanager
def running(nonce_reject: int = 0) -> Iterator[tuple[AcmeCa, AcmeClient]]:
    """A CA that says no Retry-After, its responder, and a client with an account."""
    port = free_port()
    _responder_process.start(HOST, port, account.thumbprint(KEY), 300)
    kind = UntestedCa if nonce_reject else AcmeCa
    try:
        with kind(http_port=port, retry_after=None, nonce_reject=nonce_reject) as ca:
            client = AcmeClient(ca.directory_url, KEY, ca_path=ca.ca_file)
            account.ensure_account(client, terms_agreed=True)
            yield ca, client
    finally:
        _responder_process.stop(HOST, port)


@pytest.fixture(scope="module")
def pebble() -> Iterator[tuple[AcmeCa, AcmeClient]]:
    with running() as made:
        yield made


def obtain_all(ca: AcmeCa, client: AcmeClient, certificates: int, names: int, zone: str) -> list[str]:
    """What went wrong."""
    requests = []
    for number in range(certificates):
        domains = tuple(f"n{name}.c{number}.{zone}.example.com" for name in range(names))
        for domain in domains:
            ca.add_a(domain, HOST)
        requests.append(CertificateRequest(f"c{number}", domains, "ec256"))
    done = obtain(
        client, requests, window=contextlib.nullcontext, store=Nowhere(), concurrency=CONCURRENCY, timeout=100.0
    )
    return [str(one.error) for one in done.results if isinstance(one, FailedCertificate)]


def polls_in(seconds: float) -> int:
    """How often an order may be asked for in that time, without a Retry-After: ever more seldom."""
    pause, polls = 0.1, 1
    while seconds > 0:
        seconds, pause, polls = seconds - pause, min(pause * 1.5, 5.0), polls + 1
    return polls


@pytest.mark.parametrize(("certificates", "names"), [(100, 1), (4, 25), (1, 100)])
def test_f30_requests(pebble: tuple[AcmeCa, AcmeClient], certificates: int, names: int) -> None:
    """2N + 5 for each certificate of N names: all exact but the polls, of which a slow CA may see more than two."""
    ca, client = pebble
    before, began = len(ca.requests()), time.monotonic()
    assert obtain_all(ca, client, certificates, names, f"f30x{names}") == []
    took = time.monotonic() - began
    counted = collections.Counter(ca.requests()[before:])
    polls = counted.pop(("POST", "/my-order/"))
    nonces = counted.pop(("HEAD", "/nonce-plz"), 0)
    assert counted == {
        ("POST", "/order-plz"): certificates,
        ("POST", "/authZ/"): certificates * names,
        ("POST", "/chalZ/"): certificates * names,
        ("POST", "/finalize-order/"): certificates,
        ("POST", "/certZ/"): certificates,
    }
    # One while it validates and one while it issues at least.
    assert 2 * certificates <= polls <= 2 * certificates * polls_in(took)
    assert nonces <= CONCURRENCY


def test_every_second_nonce_rejected_in_300_orders() -> None:
    """No failure, for each rejection brings the next nonce along."""
    with running(nonce_reject=50) as (ca, client):
        assert obtain_all(ca, client, 300, 1, "nonce") == []
        assert ca.issued() == 300
        assert len(ca.requests()) > 300 * 7 * 1.5, "it did reject"
