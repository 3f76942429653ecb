# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of the CA that misbehaves as told: what no test CA does by itself.

It hands on the Host header that it was called by. Pebble builds its URLs from that and compares the signed `url` with
it, so that everything goes through the proxy and nothing has to be rewritten.
"""

from __future__ import annotations

import datetime
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab.tls import TlsFiles, make_tls

# Pebble's endpoints, as patterns.
DIRECTORY, NEW_NONCE, NEW_ACCOUNT, NEW_ORDER = "/dir", "/nonce-plz", "/sign-me-up", "/order-plz"
ORDER, AUTHORIZATION, CHALLENGE = "/my-order/", "/authZ/", "/chalZ/"
FINALIZE, CERTIFICATE, RENEWAL_INFO = "/finalize-order/", "/certZ/", "/[^ ]*renewal-?[iI]nfo/"

URN = "urn:ietf:params:acme:error:"
ENDLESS = 256 * 1024 * 1024
_PASSED_ON = ("Host", "Content-Type", "Accept", "User-Agent")
_OF_A_CONNECTION = ("connection", "content-length", "transfer-encoding", "keep-alive")


class Dropped(Exception):
    """The connection ends without an answer."""


@dataclass(frozen=True)
class Answer:
    """What goes back. `announced`: the Content-Length, if it is to lie. `endless`: repeat the body, say no length.

    `pause`: seconds before each byte of the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    announced: int | None = None
    endless: bool = False
    pause: float = 0.0


@dataclass(frozen=True)
class Exchange:
    """A request, and the way to have the CA answer it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    forward: Callable[[], Answer]


Action = Callable[[Exchange], Answer]


@dataclass
class Rule:
    """From the `first` matching request on (1 is the next), `times` times (None: always)."""

    method: str
    path: re.Pattern[str]
    action: Action
    first: int
    times: int | None
    matched: int = 0

    def takes(self, method: str, path: str) -> bool:
        if method != self.method or not self.path.match(path):
            return False
        self.matched += 1
        return self.matched >= self.first and (self.times is None or self.matched < self.first + self.times)


@dataclass
class Seen:
    """One request. `status` is what went back, 0 where that was nothing."""

    method: str
    path: str
    status: int = 0
    payload: bytes = b""


# -- actions --------------------------------------------------------------------------------------


def answer(status: int, body: bytes = b"", **headers: str) -> Action:
    """Answer without asking the CA. An underscore in a header's name stands for a hyphen."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _exchange: Answer(status, fields, body)


def problem(status: int, name: str, detail: str = "as the test wants it", **headers: str) -> Action:
    """A problem document, without asking the CA."""
    body = json.dumps({"type": URN + name, "detail": detail, "status": status}).encode()
    return answer(status, body, **{"Content_Type": "application/problem+json", **headers})


def drop_before(_exchange: Exchange) -> Answer:
    """The CA sees nothing, nor does the client."""
    raise Dropped


def drop_after(exchange: Exchange) -> Answer:
    """The CA acts, but its answer gets lost."""
    exchange.forward()
    raise Dropped


def instead(status: int, body: bytes = b"") -> Action:
    """The CA acts, but something on the way answers for it."""

    def act(exchange: Exchange) -> Answer:
        exchange.forward()
        return Answer(status, {"Content-Type": "text/html"}, body)

    return act


def change(edit: Callable[[dict[str, Any]], Any]) -> Action:
    """The CA's JSON, edited in place."""

    def act(exchange: Exchange) -> Answer:
        real = exchange.forward()
        document = json.loads(real.body)
        edit(document)
        return replace(real, body=json.dumps(document).encode())

    return act


def body(make: Callable[[bytes], bytes]) -> Action:
    """The CA's answer with another body."""

    def act(exchange: Exchange) -> Answer:
        real = exchange.forward()
        return replace(real, body=make(real.body))

    return act


def headers(**fields: str | None) -> Action:
    """The CA's answer with other headers; None takes one away."""

    def act(exchange: Exchange) -> Answer:
        real = exchange.forward()
        wanted = {name.replace("_", "-").lower(): value for name, value in fields.items()}
        kept = {name: value for name, value in real.headers.items() if name.lower() not in wanted}
        return replace(real, headers={**kept, **{name: value for name, value in wanted.items() if value is not None}})

    return act


def cut(length: Callable[[bytes], int]) -> Action:
    """The whole length is announced, then the connection ends after a part of the body."""

    def act(exchange: Exchange) -> Answer:
        real = exchange.forward()
        return replace(real, body=real.body[: length(real.body)], announced=len(real.body))

    return act


def endless(exchange: Exchange) -> Answer:
    """A body that never ends."""
    return replace(exchange.forward(), body=b"x" * 65536, endless=True)


def trickle(pause: float) -> Action:
    """The CA's answer, a byte at a time."""
    return lambda exchange: replace(exchange.forward(), pause=pause)


def http_date(seconds: float) -> str:
    """That many seconds from now, as HTTP writes it."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return format_datetime(moment.replace(microsecond=0), usegmt=True)


def forged(
    leaf_pem: bytes,
    *,
    names: tuple[str, ...] | None = None,
    own_key: bool = True,
    days: tuple[float, float] = (-1, 90),
    links: int = 1,
) -> bytes:
    """A chain of another CA that looks like the one given, with other names, another key, another time or length.

    links: authorities behind the leaf, of which each signed the one before.
    """
    leaf = x509.load_pem_x509_certificate(leaf_pem)
    if names is None:
        names = tuple(
            leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        )
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = (now + datetime.timedelta(days=each) for each in days)
    issuers = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"forger {n}")]) for n in range(links)]
    public = leaf.public_key() if own_key else ec.generate_private_key(ec.SECP256R1()).public_key()
    made = x509.CertificateBuilder(issuers[0], x509.Name([]), public, x509.random_serial_number(), start, end)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), True)
    chain = [made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)]
    for subject, issuer in zip(issuers, [*issuers[1:], issuers[-1]], strict=True):
        link = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), start, end)
        chain.append(link.add_extension(x509.BasicConstraints(True, None), True))
    return b"".join(each.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) for each in chain)


# -- the proxy ------------------------------------------------------------------------------------


@dataclass
class FaultProxy:
    """HTTPS on loopback in front of `upstream` (scheme and authority). A context manager.

    `upstream_ca`: None trusts whatever is there, as a firewall with a certificate of its own.
    `tls`: its certificate, to be found wanting by the client; default one made for it.
    """

    upstream: str
    upstream_ca: str | None
    directory: Path
    tls: TlsFiles | None = None
    host: str = "127.0.0.1"
    seen: list[Seen] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.tls = self.tls or make_tls(self.directory, (self.host,), "fault proxy")
        self.ca_file = str(self.tls.ca)
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        trust: dict[str, Any] = {"ca_certs": self.upstream_ca}
        if self.upstream_ca is None:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            trust = {"cert_reqs": "CERT_NONE", "assert_hostname": False}
        self._pool = urllib3.PoolManager(maxsize=16, retries=False, **trust)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate, hexadecimal."""
        assert self.tls is not None
        leaf = x509.load_pem_x509_certificates(self.tls.certificate.read_bytes())[0]
        return leaf.fingerprint(hashes.SHA256()).hex()

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def directory_url(self) -> str:
        return self.url + DIRECTORY

    def on(self, path: str, action: Action, *, method: str = "POST", first: int = 1, times: int | None = 1) -> None:
        """Misbehave. `path` is a pattern for its beginning; of several rules that match the oldest acts."""
        with self._lock:
            self._rules.append(Rule(method, re.compile(path), action, first, times))

    def reset(self) -> None:
        """Behave, and forget."""
        with self._lock:
            self._rules, self.seen, self.sent = [], [], 0

    def count(self, path: str, method: str = "POST") -> int:
        """How many requests came."""
        return len([one for one in self.seen if one.method == method and re.match(path, one.path)])

    def statuses(self, path: str, method: str = "POST") -> list[int]:
        """What they were answered."""
        return [one.status for one in self.seen if one.method == method and re.match(path, one.path)]

    def forward(self, method: str, path: str, fields: Mapping[str, str], content: bytes) -> Answer:
        """What the CA says."""
        passed = {name: fields[name] for name in _PASSED_ON if name in fields}
        got = self._pool.request(method, self.upstream + path, headers=passed, body=content, redirect=False, timeout=60)
        # Joined, where there are several of a name.
        kept = {name: got.headers[name] for name in got.headers if name.lower() not in _OF_A_CONNECTION}
        return Answer(got.status, kept, got.data)

    def act(self, exchange: Exchange) -> Answer:
        """What goes back. Raises Dropped."""
        with self._lock:
            record = Seen(exchange.method, exchange.path, payload=exchange.body)
            self.seen.append(record)
            # Each rule counts what it matches, whether or not another one acts.
            taking = [rule for rule in self._rules if rule.takes(exchange.method, exchange.path)]
        given = taking[0].action(exchange) if taking else exchange.forward()
        record.status = given.status
        return given

    def __enter__(self) -> FaultProxy:
        assert self.tls is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.tls.certificate, self.tls.key)
        self._server = _Server((self.host, 0), self, context)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pool.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], proxy: FaultProxy, context: ssl.SSLContext) -> None:
        super().__init__(address, _Handler)
        self.proxy = proxy
        # The handshake is for the connection's own thread.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away: that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _handle(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fields = dict(self.headers.items())
        proxy = self.server.proxy

        def forward() -> Answer:
            return proxy.forward(self.command, self.path, fields, content)

        try:
            given = proxy.act(Exchange(self.command, self.path, fields, content, forward))
        except Dropped:
            self.close_connection = True
            return
        self._send(given)

    def _send(self, given: Answer) -> None:
        self.send_response_only(given.status)
        for name, value in given.headers.items():
            self.send_header(name, value)
        if given.endless or given.announced is not None:
            self.close_connection = True
            self.send_header("Connection", "close")
        if not given.endless:
            self.send_header("Content-Length", str(len(given.body) if given.announced is None else given.announced))
        self.end_headers()
        if self.command == "HEAD":
            return
        while given.endless and self.server.proxy.sent < ENDLESS:
            self.server.proxy.sent += self.wfile.write(given.body)
        if given.pause:
            for number in range(len(given.body)):
                time.sleep(given.pause)
                self.wfile.write(given.body[number : number + 1])
        else:
            self.wfile.write(given.body)

    do_GET = do_POST = do_HEAD = _handle

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""
