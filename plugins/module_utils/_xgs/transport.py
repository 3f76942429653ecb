# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""One POST to the firewall's XML API (API document) over TLS that is verified, by CA or by pinned fingerprint."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import hashlib
import socket
import ssl
import typing as t

from .._http_dates import http_date
from .._libraries import urllib3
from .._tls_probe import Served, probe
from .._watch import Watch
from .errors import XgsConnectionError
from .trust import Mistrust, digests, refused, trusting_context, unverifying_context

PATH = "/webconsole/APIController"
# A Get of all certificate authorities carries some hundred certificates, well under a megabyte; one of a thousand
# firewall rules some three. What an XML parser makes of a body may take twenty times its size.
MAX_BODY = 16 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where the API is and how its TLS certificate is verified.

    fingerprint: SHA-256 of the certificate, hexadecimal, or several with commas between. A pin vouches for a
    certificate that no CA does; one that verifies the ordinary way is accepted as well, because replacing the pinned
    certificate is what we are here for.
    server_name: the name to verify, where `host` is an address.
    connect_timeout, timeout: seconds until there is a connection, and then for a whole exchange. A write takes a real
    firewall 5 to 20 s (measured), a full read longer.
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
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

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
    """Sends request documents to one endpoint, and keeps the connection between them.

    Raises XgsConnectionError when the endpoint's fingerprint is no SHA-256.
    Straight: the environment's proxies are for the way out, and a firewall's console is on the way in.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._watch = Watch(endpoint.timeout)
        self._configured = digests(endpoint.fingerprint)
        self._pins = set(self._configured)
        # The firewall's own time in its last answer, aware; None where that did not tell.
        self.told: datetime.datetime | None = None

    def post(self, document: bytes, files: t.Sequence[File] = ()) -> bytes:
        """Send one request document, with files as multipart/form-data (API document), return the body of the answer.

        Raises XgsConnectionError; its `sent` is False only where the firewall certainly acted on nothing.
        """
        fields: list[tuple[str, t.Any]] = [("reqxml", document.decode())]
        fields += [("file", (file.name, file.content, "application/octet-stream")) for file in files]
        failures = []
        for pool in self._pools():
            try:
                return self._post(pool, fields, multipart=bool(files))
            except Mistrust as mistrust:
                failures.append(mistrust)
        shown = self._shown()
        if shown.fingerprint in self._pins:
            # It is the one that is pinned, so the first handshake failed for another reason. "Sent", lest a read is not
            # repeated for it.
            raise _broken(failures[0].__cause__ or failures[0], self.endpoint, late=False)
        raise refused(self.endpoint, failures[-1], bool(self._pins), shown)

    def check_trust(self) -> None:
        """Shake hands with nothing but the endpoint's own settings. Raises XgsConnectionError, with a remedy."""
        endpoint = self.endpoint
        if endpoint.verified_name is None:
            return
        try:
            with socket.create_connection((endpoint.host, endpoint.port), endpoint.connect_timeout) as plain:
                trusting_context(endpoint.ca_path).wrap_socket(plain, server_hostname=endpoint.verified_name).close()
        except ssl.SSLError as error:
            if probe(endpoint.host, endpoint.port).fingerprint not in self._configured:
                raise refused(endpoint, Mistrust(error), bool(self._pins), self._shown()) from error
        except OSError as error:
            raise _no_connection(endpoint, str(error)) from error

    def trust(self, fingerprint: str) -> None:
        """Accept this certificate (SHA-256, hexadecimal) for the lifetime of this object; what was trusted stays so.

        Raises XgsConnectionError when it is none.
        """
        self._pins |= digests(fingerprint)

    def own_address(self) -> str:
        """From which address this machine goes to the endpoint; "" where it does not know. Sends nothing."""
        with contextlib.suppress(OSError):
            family, kind, _proto, _name, place = socket.getaddrinfo(
                self.endpoint.host, self.endpoint.port, type=socket.SOCK_DGRAM
            )[0]
            with socket.socket(family, kind) as probing:
                probing.connect(place)
                return str(probing.getsockname()[0])
        return ""

    def _shown(self) -> Served:
        endpoint = self.endpoint
        return probe(endpoint.host, endpoint.port, endpoint.server_name, endpoint.connect_timeout)

    def _pools(self) -> t.Iterator[t.Any]:
        """The ways in which the certificate may be trusted, in the order of trial."""
        if not self.endpoint.validate_certs:
            yield self._unverifying
            return
        if self._pins:
            yield self._pinning
        yield self._verifying

    @functools.cached_property
    def _unverifying(self) -> t.Any:
        # Who switched it off knows.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return self._pool(ssl_context=unverifying_context(), cert_reqs="CERT_NONE", assert_hostname=False)

    @functools.cached_property
    def _pinning(self) -> t.Any:
        return self._pool(ssl_context=unverifying_context(), assert_hostname=False, pins=self._pins)

    @functools.cached_property
    def _verifying(self) -> t.Any:
        name = {"server_hostname": self.endpoint.server_name} if self.endpoint.server_name else {}
        return self._pool(ssl_context=trusting_context(self.endpoint.ca_path), **name)

    def _pool(self, **tls: t.Any) -> t.Any:
        return _pool_class()(self.endpoint.host, self.endpoint.port, maxsize=1, watch=self._watch, **tls)

    def _post(self, pool: t.Any, fields: t.Any, *, multipart: bool) -> bytes:
        endpoint = self.endpoint
        try:
            with self._watch:
                answer = pool.request(
                    "POST",
                    PATH,
                    fields=fields,
                    encode_multipart=multipart,
                    timeout=urllib3.Timeout(connect=endpoint.connect_timeout, read=endpoint.timeout),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    # A small answer must not become a large one here.
                    decode_content=False,
                )
                body: bytes = answer.read(MAX_BODY + 1)
        except urllib3.exceptions.HTTPError as error:
            raise _broken(error, endpoint, late=self._watch.over) from error
        if self._watch.over:
            raise _broken(urllib3.exceptions.TimeoutError(), endpoint, late=True)
        if len(body) > MAX_BODY:
            answer.close()
        else:
            answer.release_conn()
        checked = _checked(answer.status, body, endpoint)
        self.told = http_date(answer.headers.get("Date"))
        return checked


@functools.lru_cache(maxsize=None)
def _pool_class() -> t.Any:
    """urllib3's pool, with connections that tell a failed handshake from one that breaks later.

    Made at first use, because urllib3 may be missing when this file is imported.
    """

    class Connection(urllib3.connection.HTTPSConnection):
        def __init__(self, *args: t.Any, watch: Watch, pins: set[str] | None = None, **options: t.Any) -> None:
            super().__init__(*args, **options)
            self._watch = watch
            self._pins = pins

        def connect(self) -> None:
            try:
                super().connect()
            except (ssl.SSLError, urllib3.exceptions.SSLError, ValueError) as error:
                # ValueError: the name does not match, as older releases say it.
                raise Mistrust(error) from error
            except TimeoutError:
                reason = TimeoutError(f"it is open, but there was no TLS handshake within {self.timeout:g} s")
                raise urllib3.exceptions.ConnectTimeoutError(self, str(reason)) from reason
            if self._pins is not None:
                shown = hashlib.sha256(t.cast(t.Any, self.sock).getpeercert(binary_form=True)).hexdigest()
                if shown not in self._pins:
                    self.close()
                    raise Mistrust(ValueError(f"its fingerprint is {shown}"))
                # Or else urllib3 warns of a connection that nobody verified.
                self.is_verified = True

        def request(self, *args: t.Any, **options: t.Any) -> None:
            self._watch.begin(self.sock)
            super().request(*args, **options)

    class Pool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


def _broken(error: BaseException, endpoint: Endpoint, *, late: bool) -> XgsConnectionError:
    """What it means that an exchange came to no end. late: we ended it, since it took too long."""
    if isinstance(error, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)):
        return _no_connection(endpoint, str(error.__cause__ or f"no answer within {endpoint.connect_timeout:g} s"))
    if late or isinstance(error, urllib3.exceptions.TimeoutError):
        return XgsConnectionError(
            f"no answer from {endpoint} within {endpoint.timeout:g} s",
            remedy="The firewall may be busy; try again, or raise the option timeout.",
            sent=True,
        )
    where = "TLS" if isinstance(error, (urllib3.exceptions.SSLError, ssl.SSLError)) else "the exchange"
    return XgsConnectionError(
        f"{endpoint} broke off {where}: {error}",
        remedy="Try again; if it stays so, look for what is between here and the firewall.",
        sent=True,
    )


def _no_connection(endpoint: Endpoint, reason: str) -> XgsConnectionError:
    return XgsConnectionError(
        f"no connection to {endpoint}: {reason}",
        remedy="Check the address and the port of the web admin console, and that it may be reached from here"
        " (Administration > Device access).",
        sent=False,
    )


def _checked(status: int, body: bytes, endpoint: Endpoint) -> bytes:
    """The body, where it may be the API's. Nothing of a page is shown: it may repeat our request, password and all."""
    if len(body) > MAX_BODY:
        raise XgsConnectionError(
            f"the answer of {endpoint} is larger than {MAX_BODY} bytes",
            remedy="No firewall has so much to say: check host and port.",
            sent=True,
        )
    page = body[:4096].lstrip(b"\xef\xbb\xbf\x00 \t\r\n")[:9].lower().startswith((b"<html", b"<!doctype"))
    if status != 200 or page:
        # Of a gateway in between (502, 503, 504) nobody knows how far the request got.
        remedy = "Try again; the web admin console may be restarting, or what is in between has a problem."
        raise XgsConnectionError(
            f"{endpoint} does not answer as the XML API does, but with HTTP status {status} and a page",
            remedy=remedy if status >= 500 else "Give the port of the web admin console (4444 unless it was changed).",
            sent=status >= 500,
        )
    return body


__all__ = ("Endpoint", "File", "Transport")
