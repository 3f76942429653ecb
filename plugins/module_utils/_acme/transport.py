# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""HTTPS to one ACME server: bounded, verified, without redirects; and the one table of what is tried again.

Enough for everything that needs no account: the directory and renewal information.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import random
import re
import threading
import typing as t
import urllib.parse

from .._clock import Clock, CorrectedClock, Deadline
from .._http_dates import http_date, parse_retry_after
from .._libraries import urllib3
from .connections import connections, tls_context
from .errors import AcmeError, AcmeNetworkError

USER_AGENT = "certfleet.sophos_xgs (Ansible collection)"
# A chain is a few KiB, an order of a hundred names some 15.
MAX_BODY = 1024 * 1024
READ = 64 * 1024
LAST_YEAR = 9000
# A longer wait demanded by a rate limit is for another run, not for this one. Seconds.
SHORT_WAIT = 10.0


class Failure(enum.Enum):
    """Why an attempt came to nothing."""

    CONNECT = "no connection"
    LOST = "no answer"
    SERVER = "server error"
    BUSY = "server busy"
    LIMITED = "rate limit"
    NONCE = "bad nonce"


@dataclasses.dataclass(frozen=True)
class Rule:
    """tries: of one request; pause: seconds before the second, doubled each time up to `longest`, and jittered;
    clean: the request had no effect for certain, so that even one which must not be repeated blindly may be."""

    tries: int
    pause: float
    clean: bool
    longest: float = 8.0


# Retry-After, where the server sends it, is obeyed instead of `pause`.
RETRIES = {
    Failure.CONNECT: Rule(tries=3, pause=0.5, clean=True),
    Failure.LOST: Rule(tries=3, pause=0.5, clean=False),
    Failure.SERVER: Rule(tries=3, pause=1.0, clean=False),
    Failure.BUSY: Rule(tries=5, pause=1.0, clean=True),
    Failure.LIMITED: Rule(tries=3, pause=1.0, clean=True),
    # Common with load-balanced CAs and no error at all (RFC 8555 §6.5): at 50 % rejected, one in a billion gets here.
    Failure.NONCE: Rule(tries=30, pause=0.01, clean=True, longest=0.25),
}


@dataclasses.dataclass(frozen=True)
class Reply:
    """What the server answered. status: of HTTP. `headers` finds names in any case. body: at most MAX_BODY bytes."""

    url: str
    status: int
    headers: t.Mapping[str, str]
    body: bytes
    # Aware; None where the server set no time.
    retry_after: datetime.datetime | None

    @property
    def json(self) -> dict[str, t.Any]:
        """The body as a JSON object. AcmeNetworkError when it is none."""
        document = _document(self.body)
        if not isinstance(document, dict):
            raise AcmeNetworkError("the CA's answer is not a JSON object", url=self.url)
        return document

    def links(self, relation: str) -> list[str]:
        """The absolute URLs of the Link headers with this relation (RFC 8288 §3)."""
        found = re.findall(r"<([^>]*)>([^<]*)", self.headers.get("Link", ""))
        return [
            urllib.parse.urljoin(self.url, target)
            for target, parameters in found
            if re.search(rf';\s*rel="?([^",;]* )?{relation}[ ",;]', f"{parameters};", re.IGNORECASE)
        ]

    @property
    def location(self) -> str:
        """The URL of the resource (RFC 8555 §7.3, §7.4). AcmeNetworkError when the server sent none."""
        if "Location" not in self.headers:
            raise AcmeNetworkError("the CA's answer has no Location", url=self.url)
        try:
            return urllib.parse.urljoin(self.url, self.headers["Location"])
        except ValueError as error:
            raise AcmeNetworkError("the CA's answer has a Location that is no URL", url=self.url) from error


def _document(body: bytes) -> t.Any:
    """What the body says as JSON, None where it says nothing (a recursion is an answer nested without end)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


class Unsuccessful(Exception):
    """One attempt failed in a way that the table knows. `error` is what the user sees when it was the last."""

    def __init__(self, failure: Failure, error: Exception, retry_after: datetime.datetime | None = None) -> None:
        super().__init__(str(error))
        self.failure = failure
        self.error = error
        self.retry_after = retry_after


def is_ambiguous(error: Exception) -> bool:
    """Whether the request that failed so may have had its effect all the same."""
    miss = error.__cause__
    return isinstance(miss, Unsuccessful) and not RETRIES[miss.failure].clean


def origin(url: str) -> tuple[str, int] | None:
    """Host and TCP port of an https URL, None for anything else."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        return None
    if parts.scheme != "https" or not host or parts.username is not None:
        return None
    return host.lower(), port


def _readable(directory: dict[str, t.Any]) -> dict[str, t.Any]:
    """The directory object with a `meta` that is an object, and no `profiles` in it that are none."""
    meta = directory.get("meta")
    meta = dict(meta) if isinstance(meta, dict) else {}
    if not isinstance(meta.get("profiles"), dict):
        meta.pop("profiles", None)
    return dict(directory, meta=meta)


# The directories seen by this process: they do not change while it lives.
_directories: dict[t.Any, dict[str, t.Any]] = {}
_directories_lock = threading.Lock()


class Transport:
    """Requests to the server of one directory; safe for threads.

    ca_path: PEM file with the CAs to trust in place of the system's.
    timeout: seconds for one request with all its repetitions; connect_timeout: until there is a connection;
    request_timeout: for the whole of an answer's head, and for the whole of its body.
    The attribute `clock` is the given one as the server's `Date` corrects it.
    AcmeNetworkError when the directory's URL is not https, or ca_path cannot be read.
    """

    def __init__(
        self,
        directory_url: str,
        *,
        ca_path: str | None = None,
        validate_certs: bool = True,
        clock: Clock | None = None,
        timeout: float = 120.0,
        connect_timeout: float = 10.0,
        request_timeout: float = 30.0,
    ) -> None:
        own = origin(directory_url)
        if own is None:
            raise AcmeNetworkError(
                f"the ACME directory {directory_url!r} is not an https URL", url=directory_url, remedy="Use https."
            )
        self.directory_url = directory_url
        self.clock = CorrectedClock(clock or Clock(), "the CA", "certificates are judged by")
        self.timeout = timeout
        self._origin = own
        self._cache_key = (directory_url, ca_path, validate_certs)
        self._request_timeout = request_timeout
        self._limits = urllib3.Timeout(connect=connect_timeout, read=request_timeout)
        self._pool = connections(directory_url, tls_context(ca_path, validate_certs), request_timeout)

    @property
    def directory(self) -> dict[str, t.Any]:
        """The directory object (RFC 8555 §7.1.1), fetched once per process."""
        with _directories_lock:
            if self._cache_key not in _directories:
                _directories[self._cache_key] = _readable(self.get(self.directory_url).json)
            return _directories[self._cache_key]

    def endpoint(self, resource: str) -> str:
        """The URL of a resource in the directory. AcmeNetworkError when the server does not offer it."""
        url = self.directory.get(resource)
        if not isinstance(url, str):
            raise AcmeNetworkError(
                f"the ACME directory {self.directory_url} has no {resource}",
                url=self.directory_url,
                remedy="Check acme_directory: it must be the URL of the CA's directory.",
            )
        return url

    def get(self, url: str) -> Reply:
        """Unauthenticated GET. AcmeError for a refusal, AcmeNetworkError when there is no proper answer."""
        return self.persist(lambda: self.attempt("GET", url))

    def attempt(self, method: str, url: str, body: bytes | None = None, headers: t.Any = None) -> Reply:
        """One request, once. Unsuccessful for what may be tried again, AcmeError, AcmeNetworkError for the rest."""
        if origin(url) != self._origin:
            raise AcmeNetworkError(f"the CA names a URL outside its own server: {url[:200]!r}", url=url)
        reply = self._exchange(method, url, body, dict(headers or {}, **{"User-Agent": USER_AGENT}))
        self.received(reply)
        if 200 <= reply.status < 300:
            return reply
        raise _refusal(reply)

    def received(self, reply: Reply) -> None:
        """Called for every reply, refusals too."""

    def _exchange(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=self._limits,
                retries=False,
                redirect=False,
                preload_content=False,
                # Nobody asked for it to be packed, and a small answer must not become a large one here.
                decode_content=False,
            )
            self._learn_time(response.headers)
            try:
                content = self._read(response, url)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise _no_answer(error, url) from error
        said = response.headers
        waits = parse_retry_after(said.get("Retry-After"), self.clock.now(), said.get("Date"))
        return Reply(url, response.status, response.headers, content, waits)

    def _learn_time(self, headers: t.Mapping[str, str]) -> None:
        """By `Date`, where there is one. What comes out of a cache tells an old time (RFC 9111 §5.1)."""
        date = http_date(headers.get("Date"))
        # At the end of all days there would be no time to add to.
        if date is not None and date.year < LAST_YEAR and "Age" not in headers:
            self.clock.told(date)

    def _read(self, response: t.Any, url: str) -> bytes:
        """The whole body: neither more than MAX_BODY, nor longer than `request_timeout`."""
        deadline = Deadline(self.clock, self._request_timeout)
        # Whatever has come, where urllib3 can do that: then drops keep nobody waiting.
        read = getattr(response, "read1", response.read)
        content = b""
        # Until nothing comes: only then does urllib3 notice that a part is missing.
        while part := read(READ):
            content += part
            if len(content) > MAX_BODY:
                raise AcmeNetworkError(f"the CA's answer is longer than {MAX_BODY} bytes", url=url)
            if deadline.over:
                raise Unsuccessful(Failure.LOST, AcmeNetworkError(f"no answer from {url} that came to an end", url=url))
        return content

    def persist(
        self, attempt: t.Callable[[], Reply], *, repeatable: bool = True, deadline: Deadline | None = None
    ) -> Reply:
        """Attempt until it succeeds, as RETRIES allows, within `timeout` seconds and the deadline.

        Raises the error of the last attempt, AcmeError or AcmeNetworkError, and any that RETRIES does not know at once.
        repeatable: False for what must not be sent again unless it had no effect for certain.
        """
        seconds = self.timeout if deadline is None else min(self.timeout, deadline.remaining)
        own = Deadline(self.clock, seconds)
        failures = dict.fromkeys(Failure, 0)
        while True:
            try:
                return attempt()
            except Unsuccessful as miss:
                rule = RETRIES[miss.failure]
                failures[miss.failure] += 1
                pause = self._pause(miss, rule, failures[miss.failure])
                over = failures[miss.failure] >= rule.tries or pause > own.remaining
                if over or not (repeatable or rule.clean):
                    raise miss.error from miss
                self.clock.sleep(pause)

    def _pause(self, miss: Unsuccessful, rule: Rule, count: int) -> float:
        """Seconds until the next attempt; infinite when the server wants more than this run has."""
        if miss.retry_after is None:
            return min(rule.pause * 2.0 ** (count - 1), rule.longest) * random.uniform(0.5, 1.5)
        seconds = (miss.retry_after - self.clock.now()).total_seconds()
        if miss.failure is Failure.LIMITED and seconds > SHORT_WAIT:
            return float("inf")
        return max(0.0, seconds)


def _no_answer(error: Exception, url: str) -> Exception:
    """What a failure of the connection means: certificate (final), not connected, or answer lost."""
    if isinstance(error, urllib3.exceptions.SSLError):
        return AcmeNetworkError(
            f"the TLS connection to the CA fails: {error}",
            url=url,
            remedy="For a private CA, name its root certificate in ca_path.",
        )
    unsent = (
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
        urllib3.exceptions.ProxyError,
    )
    failure, way = (Failure.CONNECT, "to") if isinstance(error, unsent) else (Failure.LOST, "from")
    return Unsuccessful(failure, AcmeNetworkError(f"{failure.value} {way} {url}: {error}", url=url))


def _refusal(reply: Reply) -> Exception:
    """What a reply that is no success means."""
    if reply.status < 400:
        return AcmeNetworkError(f"the CA answers with HTTP status {reply.status}, which is not followed", url=reply.url)
    # Where it is some proxy's page, nothing of it is worth showing.
    document = _document(reply.body)
    error = AcmeError.from_document(
        document,
        status=reply.status,
        url=reply.url,
        retry_after=reply.retry_after,
        help_url=next(iter(reply.links("help")), ""),
    )
    failure = _failure(error)
    return error if failure is None else Unsuccessful(failure, error, reply.retry_after)


def _failure(error: AcmeError) -> Failure | None:
    """The row of RETRIES for a refusal; None for what is final."""
    if error.is_a("badNonce"):
        return Failure.NONCE
    if error.status == 503:
        return Failure.BUSY
    if error.status >= 500:
        return Failure.SERVER
    # Without a time there is no telling when, and a paused account waits for a person.
    if error.status == 429 and error.retry_after is not None and not error.is_a("paused"):
        return Failure.LIMITED
    return None


__all__ = ("RETRIES", "Failure", "Reply", "Rule", "Transport", "Unsuccessful", "is_ambiguous", "origin")
