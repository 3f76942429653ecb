# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As little as can be done: the requests of an order, in parallel, with no care for anything: `python floor.py JOB`.

No error handling, no retries, no checks of what comes back, no regard for Retry-After, nothing safe from a crash.
It is there to say how much time the CA and the arithmetic take by themselves.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.02, 1.5, 0.5
PREFIX = "/.well-known/acme-challenge/"
Reply = tuple[http.client.HTTPMessage, bytes]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Ca:
    """Signed requests over one connection for each thread."""

    def __init__(self, job: dict[str, Any]) -> None:
        key = serialization.load_pem_private_key(Path(job["account_key"]).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._kid = job["account_uri"]
        self._host = urllib.parse.urlsplit(job["directory_url"]).netloc
        self._tls = ssl.create_default_context(cafile=job["ca_file"])
        self._local = threading.local()
        self._nonces: deque[str] = deque()
        self.directory = json.loads(self._send("GET", job["directory_url"])[1])

    def thumbprint(self) -> str:
        numbers = self._key.public_key().public_numbers()
        x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return b64(hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest())

    def post(self, url: str, payload: Any = None) -> Reply:
        try:
            nonce = self._nonces.pop()
        except IndexError:
            self._send("HEAD", self.directory["newNonce"])
            nonce = self._nonces.pop()
        head = b64(json.dumps({"alg": "ES256", "kid": self._kid, "nonce": nonce, "url": url}).encode())
        body = "" if payload is None else b64(json.dumps(payload).encode())
        r, s = decode_dss_signature(self._key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
        signature = b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return self._send("POST", url, json.dumps({"protected": head, "payload": body, "signature": signature}))

    def _send(self, method: str, url: str, body: str | None = None) -> Reply:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPSConnection(self._host, context=self._tls)
        headers = {"User-Agent": "floor", "Content-Type": "application/jose+json"}
        connection.request(method, urllib.parse.urlsplit(url).path, body, headers)
        response = connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise SystemExit(f"{url}: {response.status} {content!r}")
        if response.headers["Replay-Nonce"]:
            self._nonces.append(response.headers["Replay-Nonce"])
        return response.headers, content


def respond(port: int, thumbprint: str) -> None:
    """Answer every challenge."""
    listener = socket.create_server(("127.0.0.1", port), backlog=256)

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            token = connection.recv(4096).split(b" ", 2)[1].decode()[len(PREFIX) :]
            body = f"{token}.{thumbprint}"
            connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            connection.close()

    threading.Thread(target=serve, daemon=True).start()


class Floor:
    def __init__(self, job: dict[str, Any]) -> None:
        self._out = Path(job["out"])
        self._certificates = job["certificates"]
        self._pool = ThreadPoolExecutor(job["concurrency"])
        self._ca = Ca(job)
        respond(job["http_port"], self._ca.thumbprint())

    def _each(self, step: Callable[..., Any], *items: Iterable[Any]) -> list[Any]:
        return list(self._pool.map(step, *items))

    def _create(self, names: list[str]) -> tuple[str, dict[str, Any]]:
        identifiers = [{"type": "dns", "value": name} for name in names]
        headers, body = self._ca.post(self._ca.directory["newOrder"], {"identifiers": identifiers})
        return headers["Location"], json.loads(body)

    def _find(self, url: str) -> str:
        challenges = json.loads(self._ca.post(url)[1])["challenges"]
        return next(each["url"] for each in challenges if each["type"] == "http-01")

    def _poll(self, order: str, *states: str) -> dict[str, Any]:
        """Until it is in none of these states."""
        pause = FIRST_PAUSE
        while True:
            time.sleep(pause)
            document = json.loads(self._ca.post(order)[1])
            if document["status"] not in states:
                return document
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    def _finish(self, names: list[str], order: str) -> None:
        document = self._poll(order, "pending")
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        request = request.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        csr = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        self._ca.post(document["finalize"], {"csr": b64(csr)})
        document = self._poll(order, "ready", "processing")
        pem = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (self._out / f"{names[0]}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *pem))
        (self._out / f"{names[0]}.pem").write_bytes(self._ca.post(document["certificate"])[1])

    def run(self) -> None:
        orders = self._each(self._create, self._certificates)
        challenges = self._each(self._find, [url for _, order in orders for url in order["authorizations"]])
        self._each(lambda url: self._ca.post(url, {}), challenges)
        self._each(self._finish, self._certificates, [url for url, _ in orders])


if __name__ == "__main__":
    Floor(json.loads(Path(sys.argv[1]).read_text())).run()
