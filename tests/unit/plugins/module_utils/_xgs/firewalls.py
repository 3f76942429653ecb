# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Emulated firewalls, certificates and a clock for the tests of what talks to a firewall."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import ssl
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from emulator.client import Emulator
from lab.handshake import Shown, shake_hands
from lab.ports import is_open

FLEET = 70
# An address range per process, so that several runs on one machine do not meet.
NET = f"127.21.{os.getpid() % 250}"
SPECIAL_NET = f"127.23.{os.getpid() % 250}"
SPECIAL = itertools.count(1)
WAF_PORT = 8443
DAY = datetime.timedelta(days=1)


class Impatient(Clock):
    """Sleeps without sleeping, but the time does pass."""

    def __init__(self, ahead: datetime.timedelta = datetime.timedelta(0)) -> None:
        self.ahead = ahead
        self.slept: list[float] = []

    def now(self) -> datetime.datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Box:
    """One emulated firewall, seen from outside."""

    def __init__(self, emulator: Emulator, name: str, address: str) -> None:
        self.emulator = emulator
        self.name = name
        self.address = address

    @property
    def state(self) -> dict[str, Any]:
        return self.emulator.firewall(self.name)

    @property
    def fingerprint(self) -> str:
        """Of its own certificate."""
        return str(self.state["appliance_fingerprint"])

    @property
    def writes(self) -> int:
        return int(self.state["counters"]["writes"])

    @property
    def reads(self) -> int:
        return int(self.state["counters"]["reads"])

    @property
    def forwards(self) -> bool:
        """Whether a connection to port 80 comes about."""
        return is_open(self.address, 5080, timeout=10.0)

    def names(self, entity: str) -> list[str]:
        return list(self.state["objects"].get(entity, []))

    def statuses(self, operation: str, entity: str) -> list[str]:
        return [
            entry["status"]
            for entry in self.state["log"]
            if (entry["operation"], entry["entity"]) == (operation, entity)
        ]

    def bound(self, entity: str) -> list[str]:
        """Certificates that objects of this entity use."""
        return [use["certificate"] for use in self.state["bindings"] if use["entity"] == entity]

    def faults(self, *faults: dict[str, Any]) -> None:
        self.emulator.add_faults(self.name, *faults)

    def settings(self, **values: Any) -> None:
        self.emulator.settings(self.name, **values)

    def put(self, name: str, issued: Issued) -> None:
        """As an administrator would have stored it."""
        self.emulator.put_certificate(self.name, name, issued.chain_pem.decode(), issued.key_pem.decode())

    def shown(self, port: int, name: str = "any.example.com") -> Shown:
        return shake_hands(self.address, port, name, authority().root_pem)

    def ask(self, body: str) -> ET.Element:
        """One request by other means than those under test."""
        login = "<Login><Username>admin</Username><Password>secret</Password></Login>"
        data = urllib.parse.urlencode({"reqxml": f"<Request>{login}{body}</Request>"}).encode()
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        url = f"https://{self.address}:4444/webconsole/APIController"
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(url, data, timeout=10) as answer:
            return ET.fromstring(answer.read())

    def add(self, body: str) -> None:
        """Somebody else's object."""
        codes = [status.get("code") for status in self.ask(f'<Set operation="add">{body}</Set>').iter("Status")]
        assert codes == ["200"], codes

    def firewall(
        self, *, clock: Clock | None = None, username: str = "admin", password: str = "secret", **endpoint: Any
    ) -> Firewall:
        return Firewall(self.transport(**endpoint), username, password, clock or Impatient())

    def transport(self, **endpoint: Any) -> Transport:
        return Transport(
            Endpoint(**{"host": self.address, "fingerprint": self.fingerprint, "timeout": 10.0, **endpoint})
        )


@contextlib.contextmanager
def fleet() -> Iterator[Iterator[Box]]:
    """Firewalls that nobody has touched, one for each test."""
    rule = {"name": "OWA", "domains": ["owa.example.com", "mail.example.com"], "listen_port": WAF_PORT, "group": "Web"}
    addresses = {f"fw{number}": f"{NET}.{number}" for number in range(1, FLEET + 1)}
    config = {
        "webadmin_delay": 0.3,
        "accounts": [
            {"username": "reader", "password": "x", "profile": {"default": "Read-Only"}},
            {"username": "ä<&>\"'", "password": "p&w<d>\"'ä€"},
        ],
        "waf_rules": [rule],
        "firewalls": [{"name": name, "address": address} for name, address in addresses.items()],
    }
    with Emulator(config) as emulator:
        yield iter([Box(emulator, name, address) for name, address in addresses.items()])


@contextlib.contextmanager
def special(**config: Any) -> Iterator[Box]:
    """One with a configuration of its own."""
    address = f"{SPECIAL_NET}.{next(SPECIAL)}"
    with Emulator({"firewalls": [{"name": "fw", "address": address, "webadmin_delay": 0.3, **config}]}) as emulator:
        yield Box(emulator, "fw", address)


def response(inner: bytes = b"<Zone><Status>No. of records Zero.</Status></Zone>") -> bytes:
    """An answer of the API after a good login."""
    login = b"<Login><status>Authentication Successful</status></Login>"
    return b'<?xml version="1.0"?><Response>' + login + inner + b"</Response>"


# --- certificates ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Issued:
    """chain: leaf first, without root."""

    chain: list[x509.Certificate]
    key_pem: bytes

    @property
    def chain_pem(self) -> bytes:
        return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in self.chain)

    @property
    def fingerprint(self) -> str:
        return self.chain[0].fingerprint(hashes.SHA256()).hex()


class Authority:
    """A root, and an intermediate that issues."""

    def __init__(self, name: str) -> None:
        self.root_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = _certificate(f"{name} root", f"{name} root", self.root_key, self.root_key, 3650, authority=True)
        self.intermediate = _certificate(name, f"{name} root", self.key, self.root_key, 3650, authority=True)
        self.name = name

    @property
    def root_pem(self) -> str:
        return self.root.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, *names: str, days: float = 90, age: float = 0, key_type: str = "ec", san: bytes = b"") -> Issued:
        """days: lifetime; age: days since issuance; san: a broken extension instead of the names."""
        key = rsa.generate_private_key(65537, 2048) if key_type == "rsa" else ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(names[0], self.name, key, self.key, days, names=names, age=age, san=san)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Issued([leaf, self.intermediate], pem)


def self_signed(*names: str) -> Issued:
    """A leaf that nobody else has signed, of ten days ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _certificate(names[0], names[0], key, key, 90, names=names, age=10)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Issued([leaf], pem)


@cache
def authority(name: str = "Lab Issuing CA") -> Authority:
    return Authority(name)


def _certificate(
    subject: str,
    issuer: str,
    key: Any,
    issuer_key: Any,
    days: float,
    *,
    names: tuple[str, ...] = (),
    age: float = 0,
    san: bytes = b"",
    authority: bool = False,
) -> x509.Certificate:
    start = datetime.datetime.now(datetime.timezone.utc) - age * DAY - datetime.timedelta(minutes=5)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + days * DAY)
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )
    if san:
        oid = x509.SubjectAlternativeName.oid
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, san), False)
    elif names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
