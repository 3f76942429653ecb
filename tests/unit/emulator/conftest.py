# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet for the whole run; each test gets a firewall that no other test has touched."""

from __future__ import annotations

import contextlib
import datetime
import io
import itertools
import os
import socket
import ssl
import tarfile
import threading
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from emulator.client import Emulator
from emulator.personas import PERSONAS
from unit.emulator.forwarding import HOST, SERVICE

FLEET = 250
# An address range per process, so that several runs on one machine do not meet.
NET = f"127.77.{os.getpid() % 250}"
VERSIONS_NET = f"127.78.{os.getpid() % 250}"
OWN_NET = f"127.79.{os.getpid() % 250}"
OF_EACH_VERSION = 12
LOGIN = "<Login><Username>{}</Username><Password>{}</Password></Login>"


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, as PEM."""

    cert: bytes
    key: bytes
    private: Any

    @property
    def fingerprint(self) -> str:
        return x509.load_pem_x509_certificate(self.cert).fingerprint(hashes.SHA256()).hex()


class Box:
    """One emulated firewall, seen from outside."""

    def __init__(self, emulator: Emulator, name: str, address: str) -> None:
        self.emulator = emulator
        self.name = name
        self.address = address
        self.url = f"https://{address}:4444/webconsole/APIController"

    def post(
        self,
        body: str,
        files: dict[str, bytes] | None = None,
        username: str = "admin",
        password: str = "secret",
        **options: Any,
    ) -> requests.Response:
        xml = f"<Request>{LOGIN.format(username, password)}{body}</Request>"
        parts = [("file", (name, content)) for name, content in (files or {}).items()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return requests.post(
                self.url,
                data={"reqxml": xml},
                files=parts or None,
                verify=False,
                timeout=options.pop("timeout", 10),
                **options,
            )

    def ask(self, body: str, files: dict[str, bytes] | None = None, **options: Any) -> ET.Element:
        return ET.fromstring(self.post(body, files, **options).content)

    def code(self, body: str, files: dict[str, bytes] | None = None, **options: Any) -> str:
        """The code of the only coded status in the answer."""
        statuses = self.ask(body, files, **options).iter("Status")
        found = [status.get("code", "") for status in statuses if status.get("code")]
        assert len(found) == 1, found
        return found[0]

    def add(self, body: str, files: dict[str, bytes] | None = None) -> str:
        return self.code(f'<Set operation="add">{body}</Set>', files)

    def update(self, body: str, files: dict[str, bytes] | None = None) -> str:
        return self.code(f'<Set operation="update">{body}</Set>', files)

    def remove(self, entity: str, name: str) -> str:
        return self.code(f"<Remove><{entity}><Name>{name}</Name></{entity}></Remove>")

    def get(self, entity: str, name: str | None = None) -> list[ET.Element]:
        where = f'<Filter><key name="Name" criteria="=">{name}</key></Filter>' if name else ""
        answer = self.ask(f"<Get><{entity}>{where}</{entity}></Get>")
        return [
            found for found in answer.findall(entity) if found.find("Status") is None or found.find("Name") is not None
        ]

    def archive(self, entity: str, where: str = "") -> list[tuple[str, bytes]]:
        reply = self.post(f"<Get><{entity}>{where}</{entity}></Get>")
        assert reply.headers["Content-Type"] == "application/octet-stream"
        with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
            return [(entry.name, tar.extractfile(entry).read()) for entry in tar]

    def upload(self, pair: Pair, name: str, operation: str = "add", cert: bytes | None = None) -> str:
        body = (
            f"<Certificate><Action>UploadCertificate</Action><Name>{name}</Name>"
            "<CertificateFormat>pem</CertificateFormat><CertificateFile>c.pem</CertificateFile>"
            "<PrivateKeyFile>c.key</PrivateKeyFile></Certificate>"
        )
        return self.code(f'<Set operation="{operation}">{body}</Set>', {"c.pem": cert or pair.cert, "c.key": pair.key})

    @property
    def state(self) -> dict[str, Any]:
        return self.emulator.firewall(self.name)

    def settings(self, **values: Any) -> None:
        self.emulator.settings(self.name, **values)

    def faults(self, *faults: dict[str, Any]) -> None:
        self.emulator.add_faults(self.name, *faults)

    def served(self, port: int, server_name: str | None = None) -> str:
        """SHA-256 of the certificate that a handshake shows."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection((self.address, port), 5) as plain,
            context.wrap_socket(plain, server_hostname=server_name) as secure,
        ):
            der = secure.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(der).fingerprint(hashes.SHA256()).hex()

    def fetch(self, path: str = "/", timeout: float = 3, **headers: str) -> requests.Response:
        """From the internet: what does WAN port 80 answer?"""
        url = f"http://{self.address}:5080{path}"
        return requests.get(url, timeout=timeout, headers=headers, allow_redirects=False)

    @property
    def port_80_listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address, 5080)) == 0


@pytest.fixture(scope="session")
def fleet() -> Iterator[dict[str, Iterator[Box]]]:
    """Firmware -> firewalls; "" is the default."""
    firewalls = [{"name": f"fw{number}", "address": f"{NET}.{number}"} for number in range(1, FLEET + 1)]
    numbers = itertools.count(1)
    firewalls += [
        {"name": f"{version}-{number}", "address": f"{VERSIONS_NET}.{next(numbers)}", "firmware": version}
        for version in PERSONAS
        for number in range(OF_EACH_VERSION)
    ]
    profile = {"default": "Read-Only", "System/DownloadCertificates": "None"}
    rules_only = {"default": "Read-Write", "WAF/OtherWAFConfiguration": "Read-Only"}
    accounts = [
        {"username": "reader", "password": "x", "profile": profile},
        {"username": "no-waf", "password": "x", "profile": rules_only},
    ]
    with Emulator({"webadmin_delay": 0.3, "accounts": accounts, "firewalls": firewalls}) as emulator:
        boxes: dict[str, list[Box]] = {}
        for firewall in firewalls:
            found = boxes.setdefault(firewall.get("firmware", ""), [])
            found.append(Box(emulator, firewall["name"], firewall["address"]))
        yield {version: iter(found) for version, found in boxes.items()}


@pytest.fixture
def box(fleet: dict[str, Iterator[Box]]) -> Box:
    return next(fleet[""])


@pytest.fixture
def of_version(fleet: dict[str, Iterator[Box]]) -> Callable[[str], Box]:
    return lambda version: next(fleet[version])


OWN_NUMBERS = itertools.count(1)


@pytest.fixture
def configured() -> Iterator[Callable[..., Box]]:
    """A firewall with a configuration of its own."""
    with contextlib.ExitStack() as stack:

        def start(**config: Any) -> Box:
            address = f"{OWN_NET}.{next(OWN_NUMBERS)}"
            firewall = {"name": "own", "address": address, "webadmin_delay": 0.1, **config}
            return Box(stack.enter_context(Emulator({"firewalls": [firewall]})), "own", address)

        yield start


@pytest.fixture(scope="session")
def issue() -> Callable[..., Pair]:
    serial = itertools.count(1)

    def make(*names: str, kind: str = "ec", authority: bool = False) -> Pair:
        key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        start = datetime.datetime(2026, 1, 1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(next(serial))
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=900))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .sign(key, hashes.SHA256())
        )
        return Pair(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            key,
        )

    return make


class Responder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.client_address[0]} asked for {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def responder() -> Iterator[tuple[str, int]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Responder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "127.0.0.1", server.server_address[1]
    server.shutdown()


@pytest.fixture
def objects(box, responder):
    """Host and service exist; no rule yet."""
    assert box.add(HOST.format(responder[0])) == "200"
    assert box.add(SERVICE.format(responder[1])) == "200"
    return box
