# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CA that wants to cost: heads and lists without end, packed answers, times that cannot be. See also F19 and F22."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._names import MAX_NAMES

from lab import proxy as fault
from lab.faults import KEY, Bench, LeapClock
from lab.hostile import Hostile, Script, drops, endless, http, once
from lab.tls import TlsFiles, make_tls

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = 1024 * 1024
# What an answer may take beyond what the interpreter takes anyway. A megabyte of JSON may become some sixty.
MEMORY = 100 * MEGABYTE


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls(tmp_path_factory.mktemp("tls"), ("127.0.0.1",), "hostile CA")


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Ends what would drip for ever."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"x"),
        (HEAD, b"X-A: b\r\n"),
        (HEAD + b"X-Endless: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
        (CHUNKED, b"1\r\n \r\n"),
    ],
    ids=["status", "headers", "header", "continue", "body", "chunks"],
)
def test_f19_drops_are_not_waited_for(tls: TlsFiles, over: threading.Event, start: bytes, piece: bytes) -> None:
    """Each begins the socket's own timeout anew."""
    with Hostile(tls, drops(start, over, piece)) as served:
        url = f"https://127.0.0.1:{served.port}/dir"
        client = AcmeClient(url, KEY, ca_path=str(tls.ca), request_timeout=0.3, clock=LeapClock())
        with pytest.raises(AcmeNetworkError, match="no answer"):
            client.get(url)
        assert len(served.requests) == 3, "as often as the table says, and no more"


READ = r"""
import re, sys
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import transport
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
ca = transport.Transport(sys.argv[1], ca_path=sys.argv[2])
transport.RETRIES = dict.fromkeys(transport.Failure, transport.Rule(tries=1, pause=0, clean=True))
def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) * 1024
before = peak()
try:
    ca.directory
except CertfleetError as error:
    print(error, file=sys.stderr)
print(peak() - before)
"""

# What it answers, made when needed; and what is said of it.
COSTLY: dict[str, tuple[Callable[[], Script], str]] = {
    "a gigabyte": (lambda: endless(HEAD + b"Content-Length: 1073741824\r\n\r\n", bytes(MEGABYTE)), "longer than"),
    "chunks": (lambda: endless(CHUNKED, b"100000\r\n" + bytes(MEGABYTE) + b"\r\n"), "longer than"),
    "a chunk's size": (lambda: endless(CHUNKED, b"0" * MEGABYTE), "no answer"),
    "a status line": (lambda: endless(b"", b"x" * MEGABYTE), "no answer"),
    "header lines": (lambda: endless(HEAD, b"X-A: " + b"x" * 1000 + b"\r\n"), "no answer"),
    "packed": (lambda: once(http(gzip.compress(b'{"newNonce": "x"}'), "Content-Encoding: gzip")), "not a JSON object"),
    "packed twice": (
        lambda: once(http(gzip.compress(gzip.compress(bytes(256 * MEGABYTE))), "Content-Encoding: gzip, gzip")),
        "not a JSON object",
    ),
    "levels": (lambda: once(http(b"[" * MEGABYTE)), "not a JSON object"),
    "levels of objects": (lambda: once(http(b'{"a":' * (MEGABYTE // 5))), "not a JSON object"),
    "a number": (lambda: once(http(b'{"a": %s}' % (b"9" * (MEGABYTE - 10)))), "not a JSON object"),
    "a list": (lambda: once(http(b"[%s{}]" % (b"{}," * (MEGABYTE // 3 - 2)))), "not a JSON object"),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_f19_an_answer_without_end_costs_little(tls: TlsFiles, kind: str) -> None:
    script, text = COSTLY[kind]
    with Hostile(tls, script()) as served:
        done = subprocess.run(
            [sys.executable, "-c", READ, f"https://127.0.0.1:{served.port}/dir", str(tls.ca)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=110,
        )
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert int(done.stdout) < MEMORY


def test_f22_a_list_without_end_is_not_followed(bench: Bench, own_name: str) -> None:
    """Each authorization is a request; a certificate has a hundred names at most."""

    def many(document: dict[str, list[str]]) -> None:
        document["authorizations"] = [f"{url}?{n}" for url in document["authorizations"] for n in range(5000)]

    bench.proxy.on(fault.NEW_ORDER, fault.change(many))
    bench.proxy.on(fault.AUTHORIZATION, fault.problem(404, "malformed"), times=None)
    bench.refused(bench.request(own_name))
    assert 0 < bench.proxy.count(fault.AUTHORIZATION) <= MAX_NAMES


@pytest.mark.parametrize("year", ["0001", "1969", "9999"])
def test_f28_a_time_that_cannot_be(bench: Bench, own_name: str, year: str) -> None:
    """Believed or not: it ends with a certificate or with an error of ours, also where there is a wait to reckon."""
    for method in ("GET", "HEAD", "POST"):
        date = f"Fri, 31 Dec {year} 23:59:59 GMT"
        bench.proxy.on("/", fault.headers(Date=date, Retry_After=date), method=method, times=None)
    (one,) = bench.obtain(bench.request(own_name)).results
    problem = str(getattr(one, "error", ""))
    assert not problem or "which is not now" in problem
    bench.clock.sleep(5.0)
    assert bench.client.clock.now(), "there is time left to reckon with"


@pytest.mark.parametrize("value", ["1" * 5000, "-1", "²", "Fri, 31 Dec 9999 23:59:59 GMT", "\x80", "0"], ids=range(6))
@pytest.mark.parametrize("status", [200, 503, 429])
def test_f18_a_wait_without_end(bench: Bench, own_name: str, value: str, status: int) -> None:
    """It ends with the time that the order has; a limit says when to come back, within a day."""
    action = (
        fault.headers(Retry_After=value) if status == 200 else fault.problem(status, "rateLimited", Retry_After=value)
    )
    stuck = fault.change(lambda document: document.update(status="processing"))

    def act(exchange: fault.Exchange) -> fault.Answer:
        real = action(exchange)
        return stuck(fault.Exchange("", "", {}, b"", lambda: real)) if status == 200 else real

    bench.proxy.on(fault.ORDER if status == 200 else fault.NEW_ORDER, act, times=None)
    error = bench.refused(bench.request(own_name), timeout=20.0)
    assert sum(bench.clock.slept) < 400
    later = getattr(error, "retry_after", None)
    assert later is None or later - bench.clock.now() <= datetime.timedelta(days=1)


@pytest.mark.parametrize("text", ["\ud800", "\x1b[31m\x07", "\u202e", "\x00", "x" * 100_000], ids=range(5))
def test_f22_words_that_no_terminal_can_take(bench: Bench, own_name: str, text: str) -> None:
    problem = {"type": fault.URN + text, "detail": text, "subproblems": [{"detail": text, "identifier": text}] * 50}
    bench.proxy.on(fault.NEW_ORDER, fault.answer(403, json.dumps(problem).encode()))
    error: CertfleetError = bench.refused(bench.request(own_name))
    assert str(error).isprintable()
    assert len(str(error)) < 10_000
    json.dumps(error.details).encode()
    str(error).encode()
