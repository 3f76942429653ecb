# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an endpoint serves, and what is told when it serves nothing."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._tls_probe import probe
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lab.ports import free_port
from lab.tls import TlsFiles, make_tls


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsFiles]:
    folder = tmp_path_factory.mktemp("probe")
    return {name: make_tls(folder / name, names=(name,)) for name in ("a.example.com", "b.example.com")}


@pytest.fixture
def port(names: dict[str, TlsFiles]) -> Iterator[int]:
    """A server with a certificate for each name: without a name the first."""
    contexts = {}
    for name, files in names.items():
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(files.certificate, files.key)
    front = contexts["a.example.com"]

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        if name and name not in contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = contexts[name or "a.example.com"]
        return None

    front.sni_callback = choose  # type: ignore[assignment]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    with suppress(OSError), front.wrap_socket(plain, server_side=True) as secure:
                        secure.recv(1)

        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def fingerprint(file: Path) -> str:
    return x509.load_pem_x509_certificate(file.read_bytes()).fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize("server_name", ["a.example.com", "b.example.com", None])
def test_the_certificate_of_a_name(port: int, names: dict[str, TlsFiles], server_name: str | None) -> None:
    served = probe("127.0.0.1", port, server_name)
    assert served.fingerprint == fingerprint(names[server_name or "a.example.com"].certificate)
    assert served.problem == ""


def test_how_it_is_written(port: int) -> None:
    assert str(probe("127.0.0.1", port)) == f"127.0.0.1:{port}"
    assert str(probe("127.0.0.1", port, "b.example.com")) == f"127.0.0.1:{port} for b.example.com"


@pytest.mark.parametrize("server_name", ["c.example.com", "", ".", "a" * 300, "ä.example.com"])
def test_a_name_that_is_not_served(port: int, server_name: str) -> None:
    served = probe("127.0.0.1", port, server_name)
    assert served.fingerprint is None
    assert served.problem


def test_nobody_there() -> None:
    served = probe("127.0.0.1", free_port())
    assert (served.fingerprint, served.certificate) == (None, None)
    assert "refused" in served.problem


def test_no_tls_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        served = probe("127.0.0.1", silent.getsockname()[1], timeout=0.2)
    assert "timed out" in served.problem
