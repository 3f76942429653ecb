# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the responder answers, as its peers see it: the real process on loopback."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process as process

from lab.ports import free_port
from unit.plugins.module_utils.knocking import HOST, PRINT, TOKEN, request, talk


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    process.start(HOST, port, PRINT, 120)
    yield port
    process.stop(HOST, port)


def test_serves_the_key_authorization(port: int) -> None:
    status, headers, body = request(port, f"/.well-known/acme-challenge/{TOKEN}")
    assert (status, body) == (200, f"{TOKEN}.{PRINT}".encode())
    assert headers == {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(body)),
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
    }
    status, head, body = request(port, f"/.well-known/acme-challenge/{TOKEN}", "HEAD")
    assert (status, head, body) == (200, headers, b"")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "short",
        f"../{TOKEN}",
        f"{TOKEN}/",
        f"{TOKEN}/x",
        f"%2e%2e{TOKEN}",
        f"..%2f{TOKEN}",
        f"{TOKEN}%2fx",
        f"/{TOKEN}",
        f"{TOKEN}%00",
        f"{TOKEN}?x",
        f"{TOKEN}.",
        f"<script>{TOKEN}",
        "a" * 84,
        "a" * 129,
        "a" * 1900,
        "~ready/",
        "~ready?x",
        "~Ready",
    ],
)
def test_f9_serves_nothing_else_there(port: int, token: str) -> None:
    status, headers, _body = request(port, f"/.well-known/acme-challenge/{token}")
    assert status == 404
    assert "Location" not in headers


@pytest.mark.parametrize("length", [22, 43, 83])
def test_f9_no_body_reaches_what_a_ca_cuts_off(port: int, length: int) -> None:
    status, _headers, body = request(port, f"/.well-known/acme-challenge/{'a' * length}")
    assert status == 200
    assert len(body) < 128


def test_says_that_it_is_ready(port: int) -> None:
    status, headers, body = request(port, "/.well-known/acme-challenge/~ready")
    assert (status, headers["Content-Type"], body) == (200, "text/plain", b"ready")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /.well-known/acme-challenge/~ready HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"?\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
    ],
)
def test_does_not_say_what_it_is(port: int, data: bytes) -> None:
    said = talk(port, data).lower()
    assert said.startswith(b"http/1.1 ")
    assert not any(word in said for word in (b"server:", b"python", b"certfleet", b"powered"))


@pytest.mark.parametrize(
    ("target", "host", "location"),
    [
        ("/", "fw.example.com", "https://fw.example.com/"),
        ("/a/b?c=d", "FW.example.com:80", "https://FW.example.com/a/b?c=d"),
        ("//evil.example/", "fw.example.com", "https://fw.example.com//evil.example/"),
        (f"/x/../.well-known/acme-challenge/{TOKEN}", "fw", f"https://fw/x/../.well-known/acme-challenge/{TOKEN}"),
    ],
)
def test_the_rest_goes_to_https(port: int, target: str, host: str, location: str) -> None:
    status, headers, _body = request(port, target, "GET", f"Host: {host}")
    assert (status, headers["Location"]) == (301, location)


@pytest.mark.parametrize(
    "headers",
    [
        ("X: y",),
        ("Host: a.example", "Host: b.example"),
        ("Host: a.example/@b",),
        ("Host: -a",),
        ("Host: a b",),
        ("Host: " + "a" * 300,),
        ("Host: ",),
        ("Host: [::1]",),
    ],
)
def test_but_not_for_an_odd_host(port: int, headers: tuple[str, ...]) -> None:
    assert request(port, "/", "GET", *headers)[0] == 404


def test_or_nowhere_if_so_told() -> None:
    port = free_port()
    process.start(HOST, port, PRINT, 30, redirect=False)
    try:
        status, headers, _body = request(port, "/")
        assert status == 404
        assert "Location" not in headers
        assert request(port, f"/.well-known/acme-challenge/{TOKEN}")[0] == 200
    finally:
        assert process.stop(HOST, port)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\nxxx", 405),
        (b"OPTIONS /.well-known/acme-challenge/x HTTP/1.1\r\n\r\n", 405),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/0.9\r\n\r\n", 400),
        (b"GET /.well-known/acme-challenge/" + TOKEN.encode() + b"\x00 HTTP/1.1\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET http://fw.example.com/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /" + b"a" * 3000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000, 431),
    ],
)
def test_f9_refuses(port: int, data: bytes, status: int) -> None:
    assert talk(port, data).startswith(b"HTTP/1.1 %d " % status)


def test_f8_fifty_idle_connections_hold_nobody_up(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(50):
            idle = stack.enter_context(socket.create_connection((HOST, port)))
            idle.sendall(b"GET /.well-" if number % 2 else b"")
        began = time.monotonic()
        assert request(port, f"/.well-known/acme-challenge/{TOKEN}")[0] == 200
        assert time.monotonic() - began < 1.0


def test_more_connections_than_allowed_hold_nobody_up_either(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for _number in range(_responder.MAX_CONNECTIONS + 20):
            stack.enter_context(socket.create_connection((HOST, port)))
        assert request(port, f"/.well-known/acme-challenge/{TOKEN}")[0] == 200


def test_two_hundred_at_once(port: int) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(request(port, f"/.well-known/acme-challenge/{TOKEN}")[0]))
        for _ in range(200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 200


def test_an_idle_connection_ends(port: int) -> None:
    began = time.monotonic()
    assert talk(port, b"GET / HT") == b""
    assert 4 < time.monotonic() - began < 6.5


def test_f8_half_open_and_half_sent_requests_hold_nobody_up(port: int) -> None:
    """And what a scanner does: hang up at once, hang up in the middle, close one half, send a byte at a time."""
    with contextlib.ExitStack() as stack:
        for number in range(60):
            peer = stack.enter_context(socket.create_connection((HOST, port)))
            if number % 4 == 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.sendall(b"GET /")
                peer.close()
            elif number % 4 == 1:
                peer.shutdown(socket.SHUT_WR)
            elif number % 4 == 2:
                peer.sendall(b"G")
        began = time.monotonic()
        slow = stack.enter_context(socket.create_connection((HOST, port), timeout=5))
        for byte in f"GET {_responder.PREFIX}{TOKEN} HTTP/1.1\r\nHost: a\r\n\r\n".encode():
            slow.sendall(bytes([byte]))
        assert slow.recv(64).startswith(b"HTTP/1.1 200 ")
        assert request(port, f"/.well-known/acme-challenge/{TOKEN}")[0] == 200
        assert time.monotonic() - began < 1.0
