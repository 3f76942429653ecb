# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever answers in the firewall's place: an error with a remedy, within bounds of time and memory."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tarfile
import threading
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import envelope
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall, Write
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import (
    XgsAccessError,
    XgsConnectionError,
    XgsError,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.hostile import Hostile, Script, drops, endless, http, once
from lab.tls import TlsFiles
from unit.plugins.module_utils._xgs.firewalls import Impatient, response

ZONES = response(b"<Zone><Name>LAN</Name></Zone>")
HEAD = b"HTTP/1.1 200 OK\r\n"
NO_END = HEAD + b"Content-Length: 1073741824\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PASSWORD = "pass-&-word"
# What one read may take beyond what the interpreter takes anyway: the body, a copy without controls, the tree of it.
MEMORY = 400 * 1024 * 1024


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Ends what would drip for ever."""
    event = threading.Event()
    yield event
    event.set()


def firewall(port: int, timeout: float = 20.0, password: str = PASSWORD) -> Firewall:
    endpoint = Endpoint("127.0.0.1", port, validate_certs=False, timeout=timeout)
    return Firewall(Transport(endpoint), "admin", password, Impatient())


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"x"),
        (HEAD, b"X-A: b\r\n"),
        (HEAD + b"X-Endless: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (NO_END, b"x"),
        (NO_END, b"<"),
        (HEAD + b"Connection: close\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED, b"0"),
        (CHUNKED + b"0\r\n", b"Trailer: x\r\n"),
    ],
)
def test_drops_are_not_waited_for(
    hostile: Callable[[Script], Hostile], over: threading.Event, start: bytes, piece: bytes
) -> None:
    """The socket's own timeout would begin anew with each; who took all the time once is not asked again."""
    served = hostile(drops(start, over, piece))
    with pytest.raises(XgsConnectionError, match=rf"127\.0\.0\.1:{served.port}") as caught:
        firewall(served.port, timeout=0.3).get("Zone")
    assert caught.value.sent
    assert caught.value.remedy
    assert len(served.requests) == 1


def test_after_drops_the_next_answer_is_read(hostile: Callable[[Script], Hostile], over: threading.Event) -> None:
    served = hostile(drops(NO_END, over))
    asking = firewall(served.port, timeout=0.3)
    with pytest.raises(XgsConnectionError, match=r"no answer .* within 0\.3 s"):
        asking.get("Zone")
    served.script = once(http(ZONES))
    assert asking.get("Zone")


# --- memory ----------------------------------------------------------------------------------------------------------

READ = r"""
import re, sys
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import api, certificates, transport
endpoint = transport.Endpoint("127.0.0.1", int(sys.argv[1]), validate_certs=False, timeout=100.0)
api.PAUSES = ()
firewall = api.Firewall(transport.Transport(endpoint), "admin", "secret")
def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) * 1024
before = peak()
try:
    certificates.read_certificates(firewall)
except CertfleetError as error:
    print(error, file=sys.stderr)
print(peak() - before)
"""
MEGABYTE = 1024 * 1024
OPEN, CLOSE = response(b"\n").split(b"\n")


def packed(megabytes: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)) + packer.flush()


# How it goes on, and what is said of it. Made when needed, since some are large.
COSTLY: dict[str, tuple[Callable[[], Script], str]] = {
    "a gigabyte": (lambda: endless(NO_END, bytes(MEGABYTE)), "larger than"),
    "no length": (lambda: endless(HEAD + b"Connection: close\r\n\r\n", bytes(MEGABYTE)), "larger than"),
    "chunks": (lambda: endless(CHUNKED, b"100000\r\n" + bytes(MEGABYTE) + b"\r\n"), "larger than"),
    "a chunk's size": (lambda: endless(CHUNKED, b"0" * MEGABYTE), "broke off"),
    "a status line": (lambda: endless(b"", b"x" * MEGABYTE), "broke off"),
    "header lines": (lambda: endless(HEAD, b"X-A: " + b"x" * 1000 + b"\r\n"), "broke off"),
    "packed": (lambda: once(http(packed(1024), "Content-Encoding: gzip")), "is none of"),
    "elements": (lambda: once(http(OPEN + b"<a/>" * (3 * MEGABYTE) + CLOSE)), "elements"),
    "attributes": (
        lambda: once(http(OPEN + b"<a %s/>" % b" ".join(b"a%d=''" % n for n in range(MEGABYTE)) + CLOSE)),
        "elements",
    ),
    "open elements": (lambda: once(http(OPEN + b"<a>" * (5 * MEGABYTE))), "cut off"),
    "levels": (lambda: once(http(OPEN + b"<a>" * (5 * MEGABYTE) + CLOSE)), "levels"),
    "beginnings": (lambda: once(http(b"<Response " * (MEGABYTE) + CLOSE)), "not XML"),
    "text": (lambda: once(http(OPEN + b"<a>" + b"x" * (15 * MEGABYTE) + b"</a>" + CLOSE)), "did not answer"),
    "files": (lambda: once(http(files(31 * 1024) + OPEN + CERTIFICATE + CLOSE)), ""),
    # Each with each would be a billion.
    "files of one name": (lambda: once(http(same_name(9000) + OPEN + CERTIFICATE * (64 * 1024) + CLOSE)), ""),
    "one file for all": (lambda: once(http(beginnings() + OPEN + CERTIFICATE * (64 * 1024) + CLOSE)), ""),
}
CERTIFICATE = b"<Certificate><Name>x</Name><CertificateFile>f1.pem</CertificateFile></Certificate>"


def same_name(count: int) -> bytes:
    return b"".join(tarfile.TarInfo(f"d{number}/f1.pem").tobuf(tarfile.USTAR_FORMAT) for number in range(count))


def beginnings() -> bytes:
    header = tarfile.TarInfo("f1.pem")
    header.size = MEGABYTE
    piece = b"-----BEGIN CERTIFICATE-----\n"
    return header.tobuf(tarfile.USTAR_FORMAT) + (piece * MEGABYTE)[:MEGABYTE]


def files(count: int) -> bytes:
    """Headers without contents, each of which says that a megabyte follows."""
    header = tarfile.TarInfo("f1.pem")
    header.size = MEGABYTE
    return b"".join(header.tobuf(tarfile.USTAR_FORMAT) for _ in range(count))


@pytest.mark.parametrize("kind", COSTLY)
def test_an_answer_without_end_costs_little(hostile: Callable[[Script], Hostile], kind: str) -> None:
    script, text = COSTLY[kind]
    served = hostile(script())
    done = subprocess.run(
        [sys.executable, "-c", READ, str(served.port)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert text in done.stderr
    assert not text or f"127.0.0.1:{served.port}" in done.stderr
    assert "Traceback" not in done.stderr
    assert int(done.stdout) < MEMORY


# --- content ---------------------------------------------------------------------------------------------------------

PAGE = b"<html><body>you sent " + PASSWORD.encode() + b"</body></html>"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (http(PAGE), r"HTTP status 200 and a page.*4444"),
        (http(b"\xef\xbb\xbf\r\n<!DOCTYPE html>" + PAGE), r"HTTP status 200 and a page.*4444"),
        (http(b"<!-- hello -->" + PAGE), "is none of the XML API's.*host and port"),
        (http(PAGE, status="404 Not Found"), r"HTTP status 404 and a page.*4444"),
        (http(PAGE, status="401 Unauthorized"), "HTTP status 401"),
        (http(PAGE, status="502 Bad Gateway"), "HTTP status 502.*in between"),
        (http(b"{}", status="500 Oops"), "HTTP status 500"),
        (http(b""), "is empty.*Try again"),
        (http(b"\x00\x00 \r\n\x00"), "is empty"),
        (http(ZONES[:-20]), "is cut off"),
        (http(ZONES)[:-20], "is cut off"),
        (http(b"SSH-2.0-OpenSSH"), "is none of the XML API's"),
        (http(ZONES.replace(b"LAN", b"&lol;")), "is not XML: undefined entity"),
        (http(ZONES.replace(b"LAN", b"&#0;")), "is not XML"),
        (http(ZONES.replace(b"LAN", b"<![CDATA[")), "is not XML"),
        (http(ZONES.replace(b"Zone>", b"IPHost>")), "did not answer the question for Zone"),
        (b"HTTP/1.1 abc\r\n\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "broke off"),
        (b"", "broke off"),
    ],
)
def test_what_is_wrong_is_said(hostile: Callable[[Script], Hostile], answer: bytes, text: str) -> None:
    served = hostile(once(answer))
    with pytest.raises(XgsConnectionError, match=text) as caught:
        firewall(served.port).get("Zone")
    assert f"127.0.0.1:{served.port}" in str(caught.value)
    assert caught.value.remedy
    assert PASSWORD not in str(caught.value), "a page may show what was sent"


@pytest.mark.parametrize("code", [b"", b"abc", b"9" * 5000, b"-1", b"2000", b" 200", b"\xc2\xb2\xc2\xb2\xc2\xb2"])
def test_a_code_that_is_none_is_no_success(hostile: Callable[[Script], Hostile], code: bytes) -> None:
    answer = b'<IPHost><Status code="%s">' % code + b"\x1b[31m \xc2\x9b so \r\n" * 5000 + b"</Status></IPHost>"
    served = hostile(once(http(response(answer))))
    with pytest.raises(XgsError) as caught:
        firewall(served.port).send(Write("add", ET.XML("<IPHost><Name>h</Name></IPHost>")))
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


def test_one_refusal_among_several_is_a_refusal(hostile: Callable[[Script], Hostile]) -> None:
    status = b'<IPHost><Status code="200">ok</Status></IPHost>'
    served = hostile(once(http(response(status + status.replace(b"200", b"500")))))
    with pytest.raises(XgsError, match="status 500"):
        firewall(served.port).send(Write("add", ET.XML("<IPHost><Name>h</Name></IPHost>")))


@pytest.mark.parametrize("more", [b"", b"<InvalidParams><Params>/Zone</Params></InvalidParams>"])
def test_a_refused_read_is_not_a_record(hostile: Callable[[Script], Hostile], more: bytes) -> None:
    served = hostile(once(http(response(b'<Zone><Status code="501">no</Status>%s</Zone>' % more))))
    with pytest.raises(XgsError, match="refused to read Zone: status 501"):
        firewall(served.port).get("Zone")


def test_a_status_without_code_is_data(hostile: Callable[[Script], Hostile]) -> None:
    served = hostile(once(http(response(b"<NATRule><Name>n</Name><Status>Enable</Status></NATRule>"))))
    assert [found.findtext("Status") for found in firewall(served.port).get("NATRule")] == ["Enable"]


def test_a_gateway_in_between_may_have_passed_it_on(hostile: Callable[[Script], Hostile]) -> None:
    """The write is looked up, and not sent a second time, when it shows that it was carried out."""
    answers = [
        http(b"", status="504 Gateway Timeout"),
        http(response(b"<IPHost><Name>h</Name><IPAddress>192.0.2.1</IPAddress></IPHost>")),
    ]
    served = hostile(lambda send: send(answers.pop(0)))
    firewall(served.port).send(Write("add", ET.XML("<IPHost><Name>h</Name></IPHost>")))
    assert [b"Set" in each for each in served.requests] == [True, False]


@given(st.binary(max_size=300), st.sampled_from([b"", HEAD, HEAD + b"\r\n", CHUNKED, http(ZONES)[:-1]]))
@settings(max_examples=60)
def test_bytes_without_sense(tls: TlsFiles, noise: bytes, start: bytes) -> None:
    with Hostile(tls, once(start + noise)) as served:
        transport = Transport(Endpoint("127.0.0.1", served.port, validate_certs=False, timeout=5.0))
        with contextlib.suppress(XgsConnectionError):
            envelope.response(transport.post(b"<Request/>"), "fw", "read Zone")


# --- ways ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(hostile: Callable[[Script], Hostile], status: str) -> None:
    """The password would go where somebody else says."""
    elsewhere = hostile(once(http(ZONES)))
    target = f"Location: https://127.0.0.1:{elsewhere.port}/webconsole/APIController"
    served = hostile(once(http(b"", target, status=status)))
    with pytest.raises(XgsConnectionError, match=f"HTTP status {status[:3]}") as caught:
        firewall(served.port).get("Zone")
    assert not caught.value.sent
    assert (len(served.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"])
def test_the_environments_proxy_is_not_for_firewalls(
    hostile: Callable[[Script], Hostile], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    served = hostile(once(http(ZONES)))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert firewall(served.port).get("Zone")
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_a_login_that_is_spelt_otherwise(hostile: Callable[[Script], Hostile]) -> None:
    """Some builds are said to misspell it."""
    served = hostile(once(http(ZONES.replace(b"Authentication", b"Authetication"))))
    assert firewall(served.port).get("Zone")


def test_a_refused_login_is_not_repeated(hostile: Callable[[Script], Hostile]) -> None:
    served = hostile(once(http(b"<Response><Login><status>Authentication Failure</status></Login></Response>")))
    with pytest.raises(XgsAccessError, match="user name and password"):
        firewall(served.port).get("Zone")
    assert len(served.requests) == 1
