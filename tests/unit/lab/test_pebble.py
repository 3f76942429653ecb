# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's CA behaves as the other tests rely on: one real order, validated over real HTTP."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import socketserver
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import josepy
import pytest
import requests
from acme import client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab.pebble import AcmeCa
from lab.pebble_log import Validation
from lab.ports import free_port, is_open, wait_closed
from lab.processes import Daemon, DaemonError

NAME = "fw1.lab.example"


@pytest.fixture(scope="module")
def authority() -> Iterator[AcmeCa]:
    with AcmeCa(http_port=free_port(), profiles={"shortlived": 6 * 86400}) as running:
        yield running


class Client:
    """The acme library, used plainly."""

    def __init__(self, authority: AcmeCa) -> None:
        self.key = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        net = client.ClientNetwork(self.key, alg=josepy.ES256, verify_ssl=authority.ca_file, user_agent="lab-test")
        self.acme = client.ClientV2(client.ClientV2.get_directory(authority.directory_url, net), net)
        self.acme.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))

    def order(self, name: str, profile: str = "default") -> str:
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        order = self.acme.new_order(crypto_util.make_csr(pem, [name]), profile=profile)
        for authz in order.authorizations:
            for challenge in authz.body.challenges:
                if challenge.chall.typ == "http-01" and authz.body.status == messages.STATUS_PENDING:
                    self.acme.answer_challenge(challenge, challenge.response(self.key))
        deadline = datetime.now() + timedelta(seconds=10)
        return str(self.acme.poll_and_finalize(order, deadline).fullchain_pem)

    @contextlib.contextmanager
    def responder(self, port: int) -> Iterator[None]:
        thumbprint = josepy.b64encode(self.key.thumbprint()).decode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"{self.path.rsplit('/', 1)[-1]}.{thumbprint}".encode())

            def log_message(self, *args: object) -> None:
                pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True

        with Server(("127.0.0.1", port), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            yield
            server.shutdown()


def test_order_validation_and_renewal_info(authority: AcmeCa) -> None:
    authority.add_a(NAME, "127.0.0.1")
    acme = Client(authority)
    with acme.responder(authority.http_port):
        chain = acme.order(NAME)
    leaf = x509.load_pem_x509_certificate(chain.encode())

    assert authority.issued() == 1
    assert authority.serials() == [f"{leaf.serial_number:016x}"]
    assert authority.validations() == [Validation(NAME, "valid", fetches=3)]
    assert ("POST", "/order-plz") in authority.requests()
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=90, seconds=-1)
    root = x509.load_pem_x509_certificate(authority.root_pem().encode())
    intermediate = x509.load_pem_x509_certificates(chain.encode())[1]
    intermediate.verify_directly_issued_by(root)

    start = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=2)
    authority.set_renewal_info(chain, start, start + timedelta(days=1), "https://example.test/why")
    answer = requests.get(ari_url(authority, leaf), verify=authority.ca_file, timeout=5)
    assert answer.json() == {
        "suggestedWindow": {
            "start": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "end": (start + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "explanationURL": "https://example.test/why",
    }


def test_other_profile(authority: AcmeCa) -> None:
    authority.add_a("fw2.lab.example", "127.0.0.1")
    acme = Client(authority)
    with acme.responder(authority.http_port):
        leaf = x509.load_pem_x509_certificate(acme.order("fw2.lab.example", "shortlived").encode())
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=6, seconds=-1)


def test_unknown_and_unreachable_names_fail(authority: AcmeCa) -> None:
    before = authority.issued()
    for name in ("nowhere.lab.example", "cleared.lab.example"):
        authority.add_a("cleared.lab.example", "127.0.0.1")
        authority.clear("cleared.lab.example")
        with pytest.raises(errors.ValidationError):
            Client(authority).order(name)
        assert [v.outcome for v in authority.validations(name)] == ["invalid"]
    assert authority.issued() == before


def test_reused_authorization_needs_no_validation() -> None:
    with AcmeCa(http_port=free_port(), authz_reuse=100) as authority:
        authority.add_a(NAME, "127.0.0.1")
        acme = Client(authority)
        with acme.responder(authority.http_port):
            acme.order(NAME)
        assert acme.order(NAME)  # nobody listens any more
        assert authority.issued() == 2
        assert len(authority.validations()) == 1


def test_nothing_is_left_behind() -> None:
    with AcmeCa(http_port=free_port()) as authority:
        host, port = authority.directory_url.split("/")[2].split(":")
        directory = authority.log_path.parent
        assert is_open(host, int(port))
    wait_closed(host, int(port), timeout=2)
    assert not directory.exists()


def test_a_daemon_that_fails_says_why(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no config >&2; exit 3"]
    daemon = Daemon("broken", command, log=tmp_path / "log", answers=("127.0.0.1", 9))
    with pytest.raises(DaemonError, match=r"exit status 3(.|\n)*no config"):
        daemon.start()
    assert daemon.pid is None


def test_a_daemon_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    port = free_port()
    script = (
        "import signal, socket, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    )
    with Daemon("stubborn", ["python3", "-c", script], log=tmp_path / "log", answers=("127.0.0.1", port)) as daemon:
        pid = daemon.pid
        daemon.stop(grace=0.2)
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def ari_url(authority: AcmeCa, leaf: x509.Certificate) -> str:
    directory = requests.get(authority.directory_url, verify=authority.ca_file, timeout=5).json()
    key_id = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert key_id is not None
    serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
    parts = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (key_id, serial))
    return f"{directory['renewalInfo'].rstrip('/')}/{'.'.join(parts)}"
