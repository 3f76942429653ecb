# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders at real CAs of other makes than Pebble: acme2certifier (F25), and Caddy, which is smallstep's (F24).

What they have in common with Pebble is RFC 8555; each leaves out, adds and spells things in its own way.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account, renewal
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.binding import (
    ExternalAccountBinding,
    decode_mac_key,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import (
    CertificateRequest,
    FailedCertificate,
    IssuedCertificate,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import obtain
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError

from lab.faults import KEY, LeapClock
from lab.island import Island
from lab.nowhere import Nowhere
from lab.second_ca import SecondCa, acme2certifier, caddy

MAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12WzWNDZM6eQGHWpSRTPal5eA"
# Where nothing listens on the island.
NOBODY = "127.0.0.9"
# What acme2certifier does before it issues.
SLOW = """
import time

class Hooks:
    def __init__(self, logger):
        pass

    def pre_hook(self, *_arguments):
        time.sleep(0.5)

    def success_hook(self, *_arguments):
        pass

    post_hook = success_hook
"""


@pytest.fixture(scope="module")
def port_80(island: Island) -> Iterator[Island]:
    """The island with the account's responder."""
    with island.responder(account.thumbprint(KEY)):
        yield island


@pytest.fixture(scope="module")
def other(
    acme2certifier_installed: None, port_80: Island, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecondCa]:
    """acme2certifier, which takes up to 25 names."""
    settings = {"Order": {"identifier_limit": 25}}
    with acme2certifier(tmp_path_factory.mktemp("other"), island=port_80, settings=settings) as ca:
        yield ca


@pytest.fixture(scope="module")
def smallstep(caddy_installed: None, port_80: Island, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondCa]:
    with caddy(tmp_path_factory.mktemp("caddy"), port_80) as ca:
        yield ca


def client_of(ca: SecondCa, clock: Clock | None = None, **options: Any) -> AcmeClient:
    client = AcmeClient(ca.directory_url, KEY, ca_path=ca.ca_file, clock=clock or LeapClock())
    account.ensure_account(client, contact=["a@example.com"], terms_agreed=True, **options)
    return client


def wanted(*names: str, **options: Any) -> CertificateRequest:
    return CertificateRequest("web", names, **{"key_type": "ec256", **options})


def order(client: AcmeClient, *requests: CertificateRequest, **options: Any) -> list[IssuedCertificate]:
    settings = {"window": nullcontext, "store": Nowhere(), "timeout": 60.0, **options}
    found = []
    for one in obtain(client, requests, **settings).results:
        if isinstance(one, FailedCertificate):
            raise one.error
        found.append(one)
    return found


def refused(client: AcmeClient, request: CertificateRequest) -> CertfleetError:
    with pytest.raises(CertfleetError) as caught:
        order(client, request)
    return caught.value


# -- acme2certifier


def test_f25_a_ca_of_another_make(other: SecondCa) -> None:
    """Several at once, of all kinds of key; what its directory holds besides does not matter."""
    client = client_of(other)
    strange = [name for name, value in client.directory.items() if "random-entries" in str(value)]
    assert strange
    kinds = ("ec256", "ec384", "rsa2048")
    requests = [wanted(f"{kind}.f25.example.com", f"www.{kind}.f25.example.com", key_type=kind) for kind in kinds]
    issued = order(client, *requests)
    assert [one.facts.key_type for one in issued] == list(kinds)
    for one in issued:
        assert sorted(one.facts.names) == sorted(one.request.domains)
        assert _x509.key_matches(_x509.load_certificates(one.chain_pem)[0], _x509.load_private_key(one.private_key_pem))


def test_f25_too_many_names(other: SecondCa) -> None:
    """One more than it takes: said as its policy, not as a mistake of the name's; as many as it takes come."""
    client = client_of(other)
    names = [f"n{number}.many.f25.example.com" for number in range(26)]
    error = refused(client, wanted(*names))
    assert isinstance(error, AcmeError)
    assert error.is_a("rejectedIdentifier")
    assert error.remedy
    (one,) = order(client, wanted(*names[:25]))
    assert len(one.facts.names) == 25


def test_f25_a_ca_that_issues_later(acme2certifier_installed: None, port_80: Island, tmp_path: Path) -> None:
    """The order is `processing` after it was finalised, and the CA says in how many seconds to ask again.

    Its async_mode does that, but wants Django; with no time to wait for its own issuing thread it does the same.
    """
    (tmp_path / "slow.py").write_text(SLOW)
    settings: dict[str, dict[str, object]] = {
        "Certificate": {"enrollment_timeout": 0},
        "Order": {"retry_after_timeout": 1},
        "Hooks": {"hooks_file": tmp_path / "slow.py"},
    }
    with acme2certifier(tmp_path, island=port_80, settings=settings) as ca:
        client = client_of(ca, clock=Clock())
        statuses: list[tuple[str, bool]] = []
        post = client.post

        def recording(url: str, *rest: Any, **more: Any) -> Any:
            reply = post(url, *rest, **more)
            if "/order/" in url:
                statuses.append((reply.json["status"], reply.retry_after is not None))
            return reply

        client.post = recording  # type: ignore[method-assign]
        assert order(client, wanted("later.f25.example.com"))
    seen = list(dict.fromkeys(statuses))
    assert seen[-3:] == [("ready", False), ("processing", True), ("valid", False)]


def test_f25_renewal_information(other: SecondCa) -> None:
    """Its window is one, the time to ask again a day; `replaces` is taken."""
    client = client_of(other)
    (first,) = order(client, wanted("ari.f25.example.com"))
    certificate = _x509.load_certificates(first.chain_pem)[0]
    window, why = renewal.fetch_window(client, certificate)
    assert window is not None, why
    assert first.facts.not_before < window.start < window.end <= first.facts.not_after
    assert window.retry_after is not None
    now = datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(hours=23) < window.retry_after - now < datetime.timedelta(hours=25)
    assert not renewal.decide(first.facts, now=now, window=window).due
    assert renewal.decide(first.facts, now=window.end, window=window).due
    assert order(client, wanted("ari.f25.example.com", replaces=renewal.ari_id(certificate)))


def test_f25_a_validation_that_fails(other: SecondCa, port_80: Island) -> None:
    """The name is told, and another certificate of the same run comes."""
    port_80.add_a("closed.f25.example.com", NOBODY)
    client = client_of(other)
    requests = [wanted("closed.f25.example.com"), wanted("open.f25.example.com")]
    bad, good = obtain(client, requests, window=nullcontext, store=Nowhere(), timeout=60.0).results
    assert isinstance(good, IssuedCertificate)
    assert isinstance(bad, FailedCertificate)
    assert isinstance(bad.error, AcmeError)
    assert [sub["identifier"] for sub in bad.error.subproblems] == ["closed.f25.example.com"]


def test_f14_an_order_of_a_bound_account(acme2certifier_installed: None, port_80: Island, tmp_path: Path) -> None:
    with acme2certifier(tmp_path, island=port_80, mac_keys={"customer-1": MAC}) as ca:
        with pytest.raises(CertfleetError, match="external account binding"):
            client_of(ca)
        client = client_of(ca, binding=ExternalAccountBinding("customer-1", decode_mac_key(MAC)))
        assert order(client, wanted("bound.f14.example.com"))


# -- Caddy


def test_f24_smallstep_issues(smallstep: SecondCa) -> None:
    """Without renewal information, profiles, `meta` and Retry-After."""
    client = client_of(smallstep)
    assert "renewalInfo" not in client.directory
    requests = [wanted(f"{name}.f24.example.com", f"www.{name}.f24.example.com") for name in "abc"]
    for one in order(client, *requests):
        assert sorted(one.facts.names) == sorted(one.request.domains)
        assert renewal.fetch_window(client, _x509.load_certificates(one.chain_pem)[0]) == (None, "")


def test_f24_a_challenge_that_fails_and_stays_pending(smallstep: SecondCa, port_80: Island) -> None:
    """smallstep never calls it invalid. It ends in time all the same, with the reason, and can be had afterwards."""
    name = "closed.f24.example.com"
    port_80.add_a(name, NOBODY)
    client = client_of(smallstep)
    began = client.clock.monotonic()
    error = refused(client, wanted(name))
    assert client.clock.monotonic() - began <= 90
    assert isinstance(error, AcmeError)
    assert error.is_a("connection")
    assert [sub["identifier"] for sub in error.subproblems] == [name]
    assert "TCP 80" in error.remedy
    port_80.add_a(name, "127.0.0.1")
    assert order(client, wanted(name))
