# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transport and the client against a small HTTPS server that answers as each test tells it to."""

from __future__ import annotations

import base64
import datetime
import email.utils
import hashlib
import hmac
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _http_dates as http_dates
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
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from cryptography.hazmat.primitives.asymmetric import ec

from lab.tls import TlsFiles, make_tls

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=UTC)
Answer = tuple[int, dict[str, str], bytes]


class FakeClock(Clock):
    """Stands still but for sleeping."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime.datetime:
        return NOW + datetime.timedelta(seconds=sum(self.slept))

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Server(ThreadingHTTPServer):
    """Gives the queued answers, then {} for ever. None in the queue: closes the connection without an answer."""

    daemon_threads = True

    def __init__(self, tls: TlsFiles) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_port}"
        self.queue: list[Answer | None] = []
        self.seen: list[tuple[str, str, dict[str, Any]]] = []
        self.nonces = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/dir":
            names = ("newNonce", "newAccount", "newOrder")
            self.send(
                200, {"Replay-Nonce": ""}, json.dumps({name: f"{self.server.url}/{name}" for name in names}).encode()
            )
            return
        self.server.seen.append((self.command, self.path, json.loads(body) if body else {}))
        given = self.server.queue.pop(0) if self.server.queue and self.command != "HEAD" else (200, {}, b"{}")
        if given is None:
            self.close_connection = True
            return
        self.send(*given)

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.server.nonces += 1
        # Without a Date: the time of these tests stands still.
        self.send_response_only(status)
        for name, value in {"Replay-Nonce": f"nonce{self.server.nonces:03d}", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = answer

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls(tmp_path_factory.mktemp("tls"), ("127.0.0.1",))


@pytest.fixture
def server(tls: TlsFiles) -> Iterator[Server]:
    with Server(tls) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


def slept(client: AcmeClient) -> list[float]:
    assert isinstance(client.clock.own, FakeClock)
    return client.clock.own.slept


KEY = _x509.generate_private_key("ec256")
Make = Callable[..., AcmeClient]


@pytest.fixture
def make(server: Server, tls: TlsFiles) -> Make:
    def made(key: Any = KEY, **options: Any) -> AcmeClient:
        options = {"ca_path": str(tls.ca), "clock": FakeClock(), **options}
        client = AcmeClient(f"{server.url}/dir", key, **options)
        client.account_uri = f"{server.url}/account/1"
        return client

    return made


def problem(name: str, status: int = 400, **headers: str) -> Answer:
    document = {"type": PREFIX + name, "detail": f"a\x1b[31m {name}\nproblem"}
    return status, {"Content-Type": "application/problem+json", **headers}, json.dumps(document).encode()


# -- nonces and signatures


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


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


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


# -- retries


def test_server_errors_are_tried_again(server: Server, make: Make) -> None:
    server.queue = [(500, {}, b"<html>"), problem("serverInternal", 502)]
    client = make()
    assert client.get(f"{server.url}/x").status == 200
    assert [0.5 <= pause <= 3 for pause in slept(client)] == [True, True]


def test_busy_obeys_retry_after(server: Server, make: Make) -> None:
    server.queue = [problem("rateLimited", 503, **{"Retry-After": "7"})]
    client = make()
    client.get(f"{server.url}/x")
    assert slept(client) == [7]


def test_a_short_rate_limit_is_waited_for(server: Server, make: Make) -> None:
    server.queue = [problem("rateLimited", 429, **{"Retry-After": "10"})]
    client = make()
    client.get(f"{server.url}/x")
    assert slept(client) == [10]


@pytest.mark.parametrize(
    ("answer", "hours"),
    [
        (problem("rateLimited", 429, **{"Retry-After": "3600"}), 1),
        (problem("rateLimited", 429, **{"Retry-After": "Sat, 21 Nov 2026 14:00:00 GMT"}), 2),
        (problem("rateLimited", 429), None),
        (problem("paused", 429, **{"Retry-After": "1"}), 1 / 3600),
    ],
)
def test_other_rate_limits_are_told_at_once(server: Server, make: Make, answer: Answer, hours: float | None) -> None:
    server.queue = [answer]
    client = make()
    with pytest.raises(AcmeError) as caught:
        client.get(f"{server.url}/x")
    assert slept(client) == []
    expected = None if hours is None else NOW + datetime.timedelta(hours=hours)
    assert caught.value.retry_after == expected
    assert caught.value.status == 429


def test_lost_answers(server: Server, make: Make) -> None:
    server.queue = [None, None]
    assert make().get(f"{server.url}/x").status == 200
    server.queue = [None, None, None]
    with pytest.raises(AcmeNetworkError, match="no answer"):
        make().get(f"{server.url}/x")


@pytest.mark.parametrize("answer", [None, (500, {}, b""), (504, {}, b"<html>")])
def test_what_must_not_be_repeated_is_not(server: Server, make: Make, answer: Answer | None) -> None:
    client = make()
    server.queue = [answer]
    with pytest.raises(CertfleetError):
        client.post(client.endpoint("newAccount"), {}, repeatable=False)
    assert len([1 for method, _path, _body in server.seen if method == "POST"]) == 1
    server.queue = [problem("badNonce"), problem("rateLimited", 503)]
    assert client.post(client.endpoint("newAccount"), {}, repeatable=False).status == 200


def test_no_connection(make: Make, server: Server) -> None:
    client = make()
    url = client.directory_url
    server.shutdown()
    server.server_close()
    client = AcmeClient(url.replace("/dir", "/other"), KEY, clock=FakeClock())
    with pytest.raises(AcmeNetworkError, match="no connection"):
        client.get(client.directory_url)
    assert len(slept(client)) == transport.RETRIES[transport.Failure.CONNECT].tries - 1


def test_everything_ends_with_the_time_given(server: Server, make: Make) -> None:
    server.queue = [problem("rateLimited", 503, **{"Retry-After": "50"})] * 10
    client = make(timeout=120.0)
    with pytest.raises(AcmeError):
        client.get(f"{server.url}/x")
    assert slept(client) == [50, 50]


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


# -- Retry-After


@pytest.fixture(params=["UTC", "Europe/Helsinki", "America/New_York", "Asia/Kolkata"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("60", 60),
        ("99999999999999", 86400),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 14:01:00 +0200", 60),
        ("Sat, 21 Nov 2026 12:01:00 -0000", 60),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("Sat, 21 Nov 2030 11:00:00 GMT", 86400),
        ("Saturday, 21-Nov-26 12:01:00 GMT", 60),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: int | None) -> None:
    found = http_dates.parse_retry_after(value, NOW)
    assert found == (None if seconds is None else NOW + datetime.timedelta(seconds=seconds))
    assert found is None or found.tzinfo is UTC


def test_retry_after_is_meant_by_the_clock_of_the_server() -> None:
    """F28: however wrong ours is."""
    for hours in (-2, 2):
        date, later = (
            email.utils.format_datetime(NOW + datetime.timedelta(hours=hours, seconds=seconds), usegmt=True)
            for seconds in (0, 30)
        )
        assert http_dates.parse_retry_after(later, NOW, date) == NOW + datetime.timedelta(seconds=30)
    minute = "Sat, 21 Nov 2026 12:01:00 GMT"
    assert http_dates.parse_retry_after(minute, NOW, "soon") == NOW + datetime.timedelta(minutes=1)


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
