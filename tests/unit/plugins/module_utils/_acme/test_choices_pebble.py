# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a certificate can be asked to be: for an IP address, with a chain of one's choice (F13), with the former key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import CertificateRequest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._store import Store
from cryptography import x509

from lab import faults
from lab import proxy as fault
from lab.faults import HOST, Bench
from lab.pebble import AcmeCa
from lab.proxy import FaultProxy


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[tuple[AcmeCa, FaultProxy]]:
    with faults.running(retry_after=None, alternate_roots=3, extra_env={"PEBBLE_CHAIN_LENGTH": "2"}) as made:
        yield made


def _root_of(chain_pem: bytes) -> str:
    return _x509.load_certificates(chain_pem)[-1].issuer.rfc4514_string().removeprefix("CN=")


# -- IP addresses (RFC 8738)


def test_an_ip_address_beside_a_name(bench: Bench) -> None:
    (one,) = bench.issue(CertificateRequest("ip", (*bench.names("ip.example.com"), HOST), "ec256"))
    assert one.facts.names == ("ip.example.com", HOST)
    leaf = _x509.load_certificates(one.chain_pem)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [HOST]
    assert names.get_values_for_type(x509.DNSName) == ["ip.example.com"]


# -- F13: chains


def _roots(bench: Bench) -> list[str]:
    """Every root that the CA's chains lead to, its first choice first."""
    roots = _x509.load_certificates(bench.ca.root_pem())
    found = [root.subject.rfc4514_string().removeprefix("CN=") for root in roots]
    assert len(set(found)) == 4
    return found


@pytest.mark.parametrize("number", range(4))
def test_f13_the_chain_to_a_root_of_ones_choice(bench: Bench, number: int) -> None:
    root = _roots(bench)[number]
    (one,) = bench.issue(bench.request(f"n{number}.f13.example.com", preferred_chain=root))
    assert _root_of(one.chain_pem) == root
    assert len(_x509.load_certificates(one.chain_pem)) == 3
    assert one.warnings == []
    # For the first, none is fetched in vain.
    assert (bench.proxy.count(fault.CERTIFICATE) == 1) is (number == 0)


def test_f13_by_key_identifier(bench: Bench) -> None:
    (one,) = bench.issue(bench.request("other.f13.example.com", preferred_chain=_roots(bench)[2]))
    last = _x509.load_certificates(one.chain_pem)[-1]
    key = last.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert key
    (two,) = bench.issue(bench.request("key.f13.example.com", preferred_chain=key.hex().upper()))
    assert _root_of(two.chain_pem) == _root_of(one.chain_pem)


def test_f13_a_chain_that_is_not_there(bench: Bench) -> None:
    """A certificate with the CA's own chain is worth more than none."""
    (one,) = bench.issue(bench.request("none.f13.example.com", preferred_chain="Some Root X1"))
    (warning,) = one.warnings
    assert "Some Root X1" in warning
    roots = _roots(bench)
    assert all(root.lower() in warning for root in roots)
    assert _root_of(one.chain_pem) == roots[0]


@pytest.mark.parametrize(
    "action", [fault.instead(200), fault.instead(200, b"<html>"), fault.instead(404)], ids=range(3)
)
def test_f13_broken_alternates(bench: Bench, action: fault.Action) -> None:
    bench.proxy.on(fault.CERTIFICATE, action, first=2, times=None)
    roots = _roots(bench)
    (one,) = bench.issue(bench.request("broken.f13.example.com", preferred_chain=roots[3]))
    assert roots[3] in one.warnings[0]
    assert _root_of(one.chain_pem) == roots[0]


# -- The former key


def test_the_key_is_kept_on_request(bench: Bench, tmp_path: Path) -> None:
    """And only then; a key of another kind is replaced."""

    def key(**options: object) -> bytes:
        (one,) = bench.issue(bench.request("kept.example.com", **options), store=Store(str(tmp_path)))
        assert _x509.key_matches(_x509.load_certificates(one.chain_pem)[0], _x509.load_private_key(one.private_key_pem))
        return one.private_key_pem

    first = key(reuse_key=True)
    assert key(reuse_key=True) == first
    second = key(reuse_key=False)
    assert second != first
    third = key(reuse_key=True, key_type="ec384")
    assert third != second
    assert key(reuse_key=True, key_type="ec384") == third
