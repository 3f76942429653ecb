# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""One POST to the firewall's XML API over TLS that is verified, by CA or by pinned fingerprint."""

from __future__ import annotations

import dataclasses
import functools
import re
import socket
import ssl
import typing as t

from .._libraries import urllib3
from .._tls_probe import probe
from .errors import XgsConnectionError

PATH = "/webconsole/APIController"
# A Get of all certificate authorities carries some hundred certificates: well under a megabyte.
MAX_BODY = 32 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where the API is and how its TLS certificate is verified.

    fingerprint: SHA-256 of the certificate, hexadecimal. The pin vouches for a certificate that no CA does; one that
    verifies the ordinary way is accepted as well, because replacing the pinned certificate is what we are here for.
    server_name: the name to verify, where `host` is an address.
    connect_timeout, timeout: seconds. A write takes a real firewall 5 to 20 s (measured), a full read longer.
    """

    host: str
    port: int = 4444
    validate_certs: bool = True
    ca_path: str | None = None
    fingerprint: str | None = None
    server_name: str | None = None
    connect_timeout: float = 10.0
    timeout: float = 120.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def verified_name(self) -> str | None:
        """What the console's certificate has to be issued for; None where it is not verified."""
        return (self.server_name or self.host).lower() if self.validate_certs else None


@dataclasses.dataclass(frozen=True)
class File:
    """A part of a multipart upload. The firewall finds it by its file name, not by the part's name (measured)."""

    name: str
    content: bytes = dataclasses.field(repr=False)


class Transport:
    """Sends request documents to one endpoint, and keeps the connection between them."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._pools = _pools(endpoint)

    def post(self, document: bytes, files: t.Sequence[File] = ()) -> bytes:
        """Send one request document, return the body of the answer.

        Raises XgsConnectionError; its `sent` is False only where the firewall certainly acted on nothing.
        """
        fields: list[tuple[str, t.Any]] = [("reqxml", document.decode())]
        fields += [("file", (file.name, file.content, "application/octet-stream")) for file in files]
        for pool in self._pools:
            try:
                return self._post(pool, fields, multipart=bool(files))
            except _Mistrust as mistrust:
                refusal = mistrust
        raise self._refused(refusal)

    def _refused(self, refusal: _Mistrust) -> XgsConnectionError:
        shown = probe(self.endpoint.host, self.endpoint.port).fingerprint
        if shown is None:
            problem, remedy = (
                "does not speak TLS",
                "Give the port of the web admin console (4444 unless it was changed).",
            )
        else:
            problem = "shows a TLS certificate that is not trusted"
            remedy = (
                "Set ca_path, or name in tls_server_name what it is issued for; or, after comparing it with the one"
                f" that the console shows, set fingerprint to its SHA-256, {shown}."
            )
        return XgsConnectionError(f"{self.endpoint} {problem}: {refusal}", remedy=remedy, sent=False)

    def check_trust(self) -> None:
        """Shake hands with nothing but the endpoint's own settings. Raises XgsConnectionError, with a remedy."""
        endpoint = self.endpoint
        if endpoint.verified_name is None:
            return
        try:
            with socket.create_connection((endpoint.host, endpoint.port), endpoint.connect_timeout) as plain:
                _verifying_context(endpoint.ca_path).wrap_socket(plain, server_hostname=endpoint.verified_name).close()
        except ssl.SSLError as error:
            if probe(endpoint.host, endpoint.port).fingerprint != _digest(endpoint.fingerprint or ""):
                raise self._refused(_Mistrust(str(error))) from error
        except OSError as error:
            raise XgsConnectionError(
                f"no connection to {endpoint}: {error}", remedy=_UNREACHABLE, sent=False
            ) from error

    def trust(self, fingerprint: str) -> None:
        """Accept this certificate for the lifetime of this object; what was trusted before stays so."""
        self._pools.insert(0, _pinning_pool(self.endpoint, fingerprint))

    def _post(self, pool: t.Any, fields: t.Any, *, multipart: bool) -> bytes:
        endpoint = self.endpoint
        try:
            answer = pool.request(
                "POST",
                PATH,
                fields=fields,
                encode_multipart=multipart,
                timeout=urllib3.Timeout(connect=endpoint.connect_timeout, read=endpoint.timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            body: bytes = answer.read(MAX_BODY + 1)
            answer.release_conn()
        except urllib3.exceptions.SSLError as error:
            raise XgsConnectionError(
                f"TLS with {endpoint} broke off: {error}", remedy="Try again.", sent=True
            ) from error
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            reason = str(error.__cause__ or f"no answer within {endpoint.connect_timeout:g} s")
            raise XgsConnectionError(
                f"no connection to {endpoint}: {reason}", remedy=_UNREACHABLE, sent=False
            ) from error
        except urllib3.exceptions.TimeoutError as error:
            raise XgsConnectionError(
                f"no answer from {endpoint} within {endpoint.timeout:g} s",
                remedy="The firewall may be busy; try again, or raise the option timeout.",
                sent=True,
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise XgsConnectionError(
                f"{endpoint} broke off the exchange: {error}", remedy="Try again.", sent=True
            ) from error
        return _checked(answer.status, body, endpoint)


class _Mistrust(Exception):
    """The handshake failed, so the request was not sent; there may be another way to trust the certificate."""


@functools.lru_cache(maxsize=None)
def _pool_class() -> t.Any:
    """urllib3's pool, with connections that tell a failed handshake from one that breaks later.

    Made at first use, because urllib3 may be missing when this file is imported.
    """

    class Connection(urllib3.connection.HTTPSConnection):
        def connect(self) -> None:
            try:
                super().connect()
            except (ssl.SSLError, urllib3.exceptions.SSLError, ValueError) as error:
                # ValueError: the name does not match.
                raise _Mistrust(str(error)) from error
            except TimeoutError:
                raise urllib3.exceptions.ConnectTimeoutError(self, "no TLS handshake") from None

    class Pool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


def _checked(status: int, body: bytes, endpoint: Endpoint) -> bytes:
    if len(body) > MAX_BODY:
        raise XgsConnectionError(f"the answer of {endpoint} is larger than {MAX_BODY} bytes", sent=True)
    if status != 200 or body.lstrip()[:9].lower().startswith((b"<html", b"<!doctype")):
        raise XgsConnectionError(
            f"{endpoint} does not answer as the XML API does, but with HTTP status {status} and a page",
            remedy="Give the port of the web admin console (4444 unless it was changed).",
            sent=False,
        )
    return body


_UNREACHABLE = (
    "Check the address and the port of the web admin console, and that it may be reached from here"
    " (Administration > Device access)."
)


@functools.lru_cache(maxsize=None)
def _verifying_context(ca_path: str | None) -> ssl.SSLContext:
    # Loading the CA bundle costs 40 ms of CPU (measured): once per process and CA file.
    try:
        return ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError) as error:
        raise XgsConnectionError(
            f"the CA file {ca_path} cannot be read: {error}", remedy="Set ca_path to a file of PEM.", sent=False
        ) from error


@functools.lru_cache(maxsize=None)
def _unverifying_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _pool(endpoint: Endpoint, **tls: t.Any) -> t.Any:
    return _pool_class()(endpoint.host, endpoint.port, maxsize=1, **tls)


def _digest(fingerprint: str) -> str:
    return fingerprint.replace(":", "").lower()


def _pinning_pool(endpoint: Endpoint, fingerprint: str) -> t.Any:
    digest = _digest(fingerprint)
    if not re.fullmatch("[0-9a-f]{64}", digest):
        # urllib3 would take an MD5 or SHA-1, too.
        raise XgsConnectionError(
            f"'{fingerprint}' is not the SHA-256 of a certificate",
            remedy="Set fingerprint to its 64 hexadecimal digits.",
            sent=False,
        )
    return _pool(endpoint, ssl_context=_unverifying_context(), assert_fingerprint=digest, assert_hostname=False)


def _pools(endpoint: Endpoint) -> list[t.Any]:
    """The ways in which the certificate may be trusted, in the order of trial."""
    if not endpoint.validate_certs:
        # Who switched it off knows.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return [_pool(endpoint, ssl_context=_unverifying_context(), cert_reqs="CERT_NONE", assert_hostname=False)]
    name: dict[str, t.Any] = {}
    if endpoint.server_name:
        name = {"server_hostname": endpoint.server_name, "assert_hostname": endpoint.server_name}
    pools = [_pool(endpoint, ssl_context=_verifying_context(endpoint.ca_path), **name)]
    if endpoint.fingerprint:
        pools.insert(0, _pinning_pool(endpoint, endpoint.fingerprint))
    return pools


__all__ = ("Endpoint", "File", "Transport")
