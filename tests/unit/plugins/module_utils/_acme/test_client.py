# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transport and the client against a small HTTPS server that answers as each test tells it to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import client as client_module
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import transport
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import ensure_account, thumbprint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.binding import ExternalAccountBinding
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient, NoncePool
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import (
    PREFIX,
    REMEDIES,
    AcmeError,
    AcmeNetworkError,
    clean,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from cryptography.hazmat.primitives.asymmetric import ec

from unit.plugins.module_utils._acme.scripted import KEY, FakeClock, Make, Server, problem, slept

# -- nonces and signatures


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_signs_with_the_account_and_reuses_nonces(server: Server, make: Make) -> None:
    client = make()
    for _again in range(3):
        client.post(f"{server.url}/order/1", None)
    assert [method for method, _path, _body in server.seen] == ["HEAD", "POST", "POST", "POST"]
    protected = [json.loads(_decode(body["protected"])) for _m, _p, body in server.seen[1:]]
    assert len({header["nonce"] for header in protected}) == 3
    assert protected[0]["kid"] == client.account_uri
    assert "jwk" not in protected[0]
    assert protected[0]["url"] == f"{server.url}/order/1"
    assert server.seen[1][2]["payload"] == ""


@pytest.mark.parametrize(("kind", "alg"), [("rsa2048", "RS256"), ("ec256", "ES256"), ("ec384", "ES384")])
def test_algorithm_follows_the_key(server: Server, make: Make, kind: str, alg: str) -> None:
    client = make(_x509.generate_private_key(kind))
    client.post(client.endpoint("newAccount"), {})
    header = json.loads(_decode(server.seen[-1][2]["protected"]))
    assert (header["alg"], "kid" in header, "jwk" in header) == (alg, False, True)


def test_bad_nonce_is_tried_again_with_the_nonce_of_the_refusal(server: Server, make: Make) -> None:
    server.queue = [problem("badNonce")] * 15
    client = make()
    assert client.post(f"{server.url}/order/1", {}).status == 200
    assert [method for method, _path, _body in server.seen] == ["HEAD"] + ["POST"] * 16
    assert sum(slept(client)) < 60


def test_bad_nonce_does_not_go_on_for_ever(server: Server, make: Make) -> None:
    server.queue = [problem("badNonce")] * 100
    with pytest.raises(AcmeError) as caught:
        make().post(f"{server.url}/order/1", {})
    assert caught.value.is_a("badNonce")
    assert len(server.seen) == 1 + transport.RETRIES[transport.Failure.NONCE].tries


def test_nonce_pool_is_lifo_bounded_and_forgets_the_old() -> None:
    clock = FakeClock()
    pool = NoncePool(clock)
    for number in range(100):
        pool.add({"Replay-Nonce": f"n{number:03d}"})
    assert [pool.take() for _ in range(64)] == [f"n{number:03d}" for number in range(99, 35, -1)]
    for invalid in ("", "n", "n\u00e4ne"):
        pool.add({"Replay-Nonce": invalid})
    pool.add({})
    assert pool.take() is None
    pool.add({"Replay-Nonce": "aged"})
    clock.sleep(client_module.MAX_NONCE_AGE)
    assert pool.take() is None


def test_an_unknown_account_is_said(make: Make) -> None:
    client = make()
    client.account_uri = None
    with pytest.raises(CertfleetError) as caught:
        client.post(client.endpoint("newOrder"), {})
    assert caught.value.stage == "account"


def test_thumbprint_is_that_of_the_rfc() -> None:
    """Against an independent computation, over many keys: coordinates with leading zeros are the trap."""
    for _ in range(300):
        key = _x509.generate_private_key("ec256")
        numbers = key.public_key().public_numbers()
        assert isinstance(numbers, ec.EllipticCurvePublicNumbers)
        x, y = (base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode() for n in (numbers.x, numbers.y))
        text = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
        expected = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        assert thumbprint(key) == expected


# -- refusals


def test_a_refusal_is_told_whole_and_clean(server: Server, make: Make) -> None:
    document = {
        "type": PREFIX + "rejectedIdentifier",
        "detail": "no\x00\x1b good " + "x" * 5000,
        "subproblems": [
            {"type": PREFIX + "caa", "detail": "denied", "identifier": {"type": "dns", "value": "a.example.com"}}
        ],
    }
    server.queue = [(403, {}, json.dumps(document).encode())]
    with pytest.raises(AcmeError) as caught:
        make().post(f"{server.url}/newOrder", {})
    error = caught.value
    assert error.typ == PREFIX + "rejectedIdentifier"
    assert len(error.detail) == 1024
    assert error.detail.isprintable()
    assert error.subproblems == [{"identifier": "a.example.com", "type": PREFIX + "caa", "detail": "denied"}]
    assert "a.example.com" in error.remedy
    assert json.loads(json.dumps(error.details))["acme"]["status"] == 403


@pytest.mark.parametrize("body", [b"", b"<html>secret</html>", b"[]", b'{"type": 7, "subproblems": "x"}', b'"x"'])
def test_odd_refusals(server: Server, make: Make, body: bytes) -> None:
    server.queue = [(403, {}, body)]
    with pytest.raises(AcmeError) as caught:
        make().get(f"{server.url}/x")
    assert "403" in caught.value.problem
    assert "secret" not in str(caught.value)


def test_every_remedy_can_be_told() -> None:
    for typ in REMEDIES:
        assert "{" not in AcmeError("x", typ=PREFIX + typ).remedy


def test_clean() -> None:
    assert clean("a\r\n\tb\u202e c\x9b") == "a b c"
    assert clean(None) == ""


# -- bounds


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1:{port}/x", "https://127.0.0.1/x", "https://localhost:{port}/x", "//x"]
)
def test_keeps_to_its_server(server: Server, make: Make, to: str) -> None:
    with pytest.raises(AcmeNetworkError, match="outside"):
        make().get(to.format(port=server.server_port))
    assert server.seen == []


def test_follows_no_redirect(server: Server, make: Make) -> None:
    server.queue = [(302, {"Location": f"{server.url}/y"}, b"")]
    with pytest.raises(AcmeNetworkError, match="302"):
        make().get(f"{server.url}/x")
    assert len(server.seen) == 1


def test_reads_no_endless_body(server: Server, make: Make) -> None:
    server.queue = [(200, {}, b"x" * (transport.MAX_BODY + 1))]
    with pytest.raises(AcmeNetworkError, match="longer than"):
        make().get(f"{server.url}/x")


@pytest.mark.parametrize("url", ["http://ca.example/dir", "ca.example", "", "https://", "https://u@ca.example/"])
def test_https_only(url: str) -> None:
    with pytest.raises(AcmeNetworkError, match="https"):
        AcmeClient(url, KEY)


def test_verifies_the_server(server: Server) -> None:
    with pytest.raises(AcmeNetworkError, match="TLS") as caught:
        AcmeClient(f"{server.url}/dir?1", KEY).get(f"{server.url}/x")
    assert "ca_path" in caught.value.remedy
    assert AcmeClient(f"{server.url}/dir?1", KEY, validate_certs=False).get(f"{server.url}/x").status == 200


def test_a_bad_ca_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(AcmeNetworkError, match=r"ca\.pem"):
        AcmeClient("https://ca.example/dir", KEY, ca_path=str(tmp_path / "ca.pem"))


def test_not_an_acme_directory(server: Server, make: Make) -> None:
    with pytest.raises(AcmeNetworkError, match="has no renewalInfo"):
        make().endpoint("renewalInfo")


# -- registration


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_binding_is_a_mac_over_the_account_key(server: Server, make: Make, alg: str) -> None:
    """RFC 8555 §7.3.4, at a server whose directory has no meta."""
    server.queue = [(201, {"Location": "/account/2"}, b"{}")]
    client, secret = make(), bytes(range(64))
    registered = ensure_account(client, binding=ExternalAccountBinding("customer-1", secret, alg))
    assert (registered.created, registered.uri, registered.terms_of_service) == (True, f"{server.url}/account/2", "")

    body = server.seen[-1][2]
    outer, payload = (json.loads(_decode(body[part])) for part in ("protected", "payload"))
    inner = payload["externalAccountBinding"]
    assert json.loads(_decode(inner["protected"])) == {"alg": alg, "kid": "customer-1", "url": outer["url"]}
    assert json.loads(_decode(inner["payload"])) == outer["jwk"] == client.public_jwk
    mac = hmac.digest(secret, f"{inner['protected']}.{inner['payload']}".encode(), f"sha{alg[2:]}")
    assert _decode(inner["signature"]) == mac


def test_a_lookup_sends_no_binding(server: Server, make: Make) -> None:
    server.queue = [(200, {"Location": "/account/2"}, b"{}")]
    ensure_account(make(), only_existing=True, binding=ExternalAccountBinding("customer-1", b"secret"))
    assert json.loads(_decode(server.seen[-1][2]["payload"])) == {"onlyReturnExisting": True}
