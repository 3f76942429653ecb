# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose certificate is trusted, and what is said where it is not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsConnectionError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport

from lab.hostile import Hostile, http, once
from lab.tls import TlsFiles
from unit.plugins.module_utils._xgs.firewalls import Impatient, Issued, authority, response, self_signed

NAME = "console.example.com"


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[[Issued], Hostile]]:
    """A firewall that shows this certificate."""
    started: list[Hostile] = []
    (tmp_path / "ca.pem").write_text(authority().root_pem)

    def start(issued: Issued) -> Hostile:
        files = TlsFiles(tmp_path / "ca.pem", tmp_path / f"{len(started)}.pem", tmp_path / f"{len(started)}.key")
        files.certificate.write_bytes(issued.chain_pem)
        files.key.write_bytes(issued.key_pem)
        started.append(Hostile(files, once(http(response()))).__enter__())
        return started[-1]

    yield start
    for server in started:
        server.__exit__(None, None, None)


@pytest.fixture
def ca_path(tmp_path: Path) -> str:
    return str(tmp_path / "ca.pem")


def ask(server: Hostile, **endpoint: object) -> None:
    transport = Transport(Endpoint("127.0.0.1", server.port, **{"timeout": 10.0, **endpoint}))
    assert Firewall(transport, "admin", "secret", Impatient()).get("Zone") == []


def in_pairs(fingerprint: str) -> str:
    return ":".join(fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()


def test_several_pins_survive_a_switch_of_the_certificate(show: Callable[[Issued], Hostile]) -> None:
    """Neither is vouched for, before or after."""
    old, new, third = (self_signed(NAME) for _ in range(3))
    pins = f" {in_pairs(old.fingerprint)}, {new.fingerprint} ,"
    for issued in (old, new):
        server = show(issued)
        ask(server, fingerprint=pins)
        assert len(server.requests) == 1
    server = show(third)
    with pytest.raises(XgsConnectionError, match=rf"nor is it pinned.*SHA-256, {third.fingerprint}") as caught:
        ask(server, fingerprint=pins)
    assert server.requests == []
    assert "a browser shows for the web admin console" in caught.value.remedy
    assert not caught.value.sent


def test_one_bad_pin_among_good_ones_is_a_mistake(show: Callable[[Issued], Hostile]) -> None:
    issued = self_signed(NAME)
    with pytest.raises(XgsConnectionError, match="'abc' is not the SHA-256 of a certificate"):
        ask(show(issued), fingerprint=f"{issued.fingerprint},abc")


# Of the certificate, how it is asked for, and what is said.
WANTING = {
    "expired": (lambda: authority().issue(NAME, days=1, age=10), {}, "has expired.*Renew it on the firewall"),
    "of the future": (lambda: authority().issue(NAME, age=-10), {}, "not yet valid.*clocks of this machine"),
    "of another name": (
        lambda: authority().issue("a.example.com", "b.example.com"),
        {},
        r"console\.example\.com.*tls_server_name to one of its names, a\.example\.com, b\.example\.com",
    ),
    "by its address": (
        lambda: authority().issue(NAME),
        {"server_name": None},
        r"127\.0\.0\.1.*tls_server_name to one of its names, console\.example\.com",
    ),
    "without names": (lambda: authority().issue("other.example.com", san=b"\x30\x00"), {}, "of which there are none"),
    "of nobody": (lambda: self_signed(NAME), {}, "self.signed.*Set xgs_ca_path"),
    "of a stranger": (lambda: authority("Stranger").issue(NAME), {}, "issuer certificate.*Set xgs_ca_path"),
}


@pytest.mark.parametrize("kind", WANTING)
def test_what_is_wanting_is_said(show: Callable[[Issued], Hostile], ca_path: str, kind: str) -> None:
    make, asked, text = WANTING[kind]
    issued = make()
    server = show(issued)
    with pytest.raises(XgsConnectionError, match=text) as caught:
        ask(server, **{"ca_path": ca_path, "server_name": NAME, **asked})
    assert f"127.0.0.1:{server.port} shows a TLS certificate that is not trusted" in str(caught.value)
    assert issued.fingerprint in caught.value.remedy, "the pin is a way out in any case"
    assert server.requests == []
    assert not caught.value.sent


@pytest.mark.parametrize("kind", WANTING)
def test_a_pin_vouches_for_it_all_the_same(show: Callable[[Issued], Hostile], kind: str) -> None:
    """An expired certificate is what we are there to replace."""
    issued = WANTING[kind][0]()
    server = show(issued)
    ask(server, fingerprint=issued.fingerprint)
    assert len(server.requests) == 1


def test_a_good_certificate(show: Callable[[Issued], Hostile], ca_path: str) -> None:
    server = show(authority().issue(NAME))
    ask(server, ca_path=ca_path, server_name=NAME)
    assert len(server.requests) == 1


def test_a_pin_added_later_is_none_of_the_settings(show: Callable[[Issued], Hostile]) -> None:
    """check_trust() tells whether the next run, which will not know it, gets through."""
    issued = self_signed(NAME)
    server = show(issued)
    transport = Transport(Endpoint("127.0.0.1", server.port, fingerprint="ab" * 32))
    transport.trust(issued.fingerprint)
    transport.post(b"<Request/>")
    with pytest.raises(XgsConnectionError, match="not trusted"):
        transport.check_trust()


def test_a_handshake_that_broke_off_is_no_mistrust(show: Callable[[Issued], Hostile]) -> None:
    """Seen on a busy machine: told to pin what is pinned already, a user knows no more than before. A read goes on."""
    issued = self_signed(NAME)
    server = show(issued)
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:

        def serve() -> None:
            broken, _client = listener.accept()
            broken.recv(65536)
            broken.close()
            while True:
                try:
                    client = stack.enter_context(listener.accept()[0])
                except OSError:
                    return
                behind = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                for here, there in ((client, behind), (behind, client)):
                    threading.Thread(target=hand_on, args=(here, there), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], fingerprint=issued.fingerprint, timeout=10.0)
        assert Firewall(Transport(endpoint), "admin", "secret", Impatient()).get("Zone") == []
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def hand_on(here: socket.socket, there: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)
