# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight against real DNS servers and a real responder."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _http_probe
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process as responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._caa import Issuer
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock, Deadline
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._dns import DnsError, Resolver
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._preflight import (
    Expected,
    Finding,
    Place,
    Preflight,
    Probe,
)

from lab.dns_server import DnsServer, serving
from lab.pebble import AcmeCa
from lab.ports import free_port
from unit.plugins.module_utils._xgs.firewalls import Impatient

WAN, WAN6 = "192.0.2.1", "2001:db8::1"
HERE = Expected((WAN, WAN6), certain=True)
LOOPBACK = Expected(("127.0.0.1",), certain=True)
CA = Issuer(("ca.example",))
ZONE = """
good.example.com.       60 A     192.0.2.1
good.example.com.       60 AAAA  2001:0db8:0:0::0001
moved.example.com.      60 A     198.51.100.9
both.example.com.       60 A     192.0.2.1
both.example.com.       60 A     198.51.100.9
six.example.com.        60 A     192.0.2.1
six.example.com.        60 AAAA  2001:db8::bad
only6.example.com.      60 AAAA  2001:db8::bad
mine6.example.com.      60 AAAA  2001:db8::1
empty.example.com.      60 TXT   "nothing to connect to"
alias.example.com.      60 CNAME second.example.com.
second.example.com.     60 CNAME good.example.com.
dangling.example.com.   60 CNAME gone.example.org.
round.example.com.      60 CNAME round.example.com.
big.example.com.        60 A     192.0.2.1
mute.example.com.       60 A     192.0.2.1
sick.example.com.       60 A     192.0.2.1
a.denied.test.          60 A     192.0.2.1
denied.test.            60 CAA   0 issue ";"
a.critical.test.        60 A     192.0.2.1
critical.test.          60 CAA   128 unheardof "x"
critical.test.          60 CAA   0 issue "ca.example"
a.open.denied.test.     60 A     192.0.2.1
open.denied.test.       60 CAA   0 issue "ca.example; validationmethods=http-01"
a.bound.test.           60 A     192.0.2.1
bound.test.             60 CAA   0 issue "ca.example; accounturi=https://ca.example/acct/1"
a.sickparent.test.      60 A     192.0.2.1
a.aliased.test.         60 CNAME a.denied.test.
"""


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    with serving(
        ZONE,
        truncated=["big.example.com"],
        silent=["mute.example.com"],
        broken=["sick.example.com", "sickparent.test"],
    ) as running:
        yield running


def preflight(dns: str, expected: Expected = HERE, issuer: Issuer = CA, **probe: Any) -> Preflight:
    return Preflight(Resolver([dns]), expected, issuer, Probe(**probe), Impatient())


def findings(server: DnsServer, name: str, *how: Any) -> list[Finding]:
    looked = preflight(server.address, *how)
    looked.examine([name])
    assert all(finding.name == name and finding.remedy.endswith(".") for finding in looked.findings)
    return looked.findings


@pytest.mark.parametrize(
    "name",
    ["good.example.com", "mine6.example.com", "alias.example.com", "big.example.com", "a.open.denied.test", WAN],
)
def test_nothing_to_find(server: DnsServer, name: str) -> None:
    assert findings(server, name) == []


@pytest.mark.parametrize(
    ("name", "severity", "says"),
    [
        ("nowhere.example.com", "error", "nowhere.example.com does not exist"),
        ("dangling.example.com", "error", "dangling.example.com does not exist"),
        ("empty.example.com", "error", "empty.example.com has no address"),
        ("moved.example.com", "error", f"leads to 198.51.100.9, not to {WAN} or {WAN6}"),
        ("both.example.com", "warning", "also leads to 198.51.100.9"),
        ("six.example.com", "warning", "has the IPv6 address 2001:db8::bad"),
        ("only6.example.com", "error", "has the IPv6 address 2001:db8::bad"),
        ("sick.example.com", "warning", "SERVFAIL"),
        ("round.example.com", "warning", "could not be looked up"),
        ("a.denied.test", "error", "CAA records at denied.test do not permit ca.example"),
        ("a.critical.test", "error", "critical"),
        ("a.bound.test", "warning", "permits another account"),
        ("a.sickparent.test", "warning", "CAA records of a.sickparent.test could not be read"),
    ],
)
def test_f05_f06_one_finding_each(server: DnsServer, name: str, severity: str, says: str) -> None:
    (found,) = findings(server, name)
    assert says in found.problem
    assert found.severity == severity


def test_aliases_and_caa(server: DnsServer) -> None:
    """RFC 8659 section 3: an alias is followed for its own CAA records, but its target's ancestors do not count."""
    assert findings(server, "a.aliased.test") == []


def test_an_account_that_caa_names(server: DnsServer) -> None:
    account = "https://ca.example/acct/1"
    assert findings(server, "a.bound.test", HERE, Issuer(("ca.example",), account)) == []
    (found,) = findings(server, "a.bound.test", HERE, Issuer(("ca.example",), account + "0"))
    assert found.severity == "error"


def test_a_ca_without_identity(server: DnsServer) -> None:
    assert findings(server, "good.example.com", HERE, Issuer(())) == []
    (found,) = findings(server, "a.denied.test", HERE, Issuer(()))
    assert found.severity == "warning"
    assert "does not tell by which name" in found.problem


def test_what_the_firewall_says_of_itself_only_warns(server: DnsServer) -> None:
    (found,) = findings(server, "moved.example.com", Expected(("10.0.0.2",)))
    assert found.severity == "warning"
    assert "10.0.0.2, the address of the firewall's interface" in found.problem


def test_without_addresses_that_is_said_once(server: DnsServer) -> None:
    looked = preflight(server.address, Expected())
    looked.examine(["moved.example.com", "six.example.com", "nowhere.example.com"])
    assert [(found.name, found.severity) for found in looked.findings] == [
        ("", "warning"),
        ("nowhere.example.com", "error"),
    ]


def test_only_the_certificate_with_the_bad_name_is_refused(server: DnsServer) -> None:
    looked = preflight(server.address)
    looked.examine(["good.example.com", "moved.example.com", "six.example.com", "nowhere.example.com"])
    assert looked.refusal(["good.example.com", "six.example.com"]) is None
    refusal = looked.refusal(["good.example.com", "moved.example.com", "nowhere.example.com"])
    assert refusal is not None
    assert refusal.stage == "preflight"
    assert "moved.example.com leads to" in str(refusal)
    assert "nowhere.example.com does not exist" in str(refusal)
    assert "Correct its A record" in str(refusal)


def test_a_hundred_names_ask_for_their_parents_once() -> None:
    names = [f"n{number}.crowd.test" for number in range(100)]
    with serving("\n".join(f"{name}. 60 A {WAN}" for name in names)) as server:
        looked = preflight(server.address)
        looked.examine(names)
        assert looked.findings == []
        assert len([name for name, kind in server.questions if kind == "A"]) == 100
        # A few threads may ask at once before the first has its answer.
        assert len([name for name, kind in server.questions if name == "crowd.test"]) <= 8


def test_the_same_dns_that_the_test_ca_uses(ca: AcmeCa) -> None:
    ca.add_a("one.lab.test", WAN)
    ca.add_cname("two.lab.test", "one.lab.test")
    ca.add_a("three.lab.test", WAN)
    ca.add_aaaa("three.lab.test", "2001:db8::bad")
    ca.add_a("four.caa.test", WAN)
    ca.add_caa("caa.test", "stranger.example")
    ca.servfail("five.lab.test")
    looked = preflight(ca.dns_address)
    looked.examine([f"{name}.lab.test" for name in ("one", "two", "three", "five", "six")] + ["four.caa.test"])
    assert [(found.name, found.severity) for found in looked.findings] == [
        ("three.lab.test", "warning"),
        ("five.lab.test", "warning"),
        ("six.lab.test", "error"),
        ("four.caa.test", "error"),
    ]


@pytest.mark.parametrize("wrong", ["dns.example.com", "192.0.2.53:x", "[::1", "192.0.2.53:53:53", ""])
def test_a_resolver_that_is_none(wrong: str) -> None:
    with pytest.raises(CertfleetError, match="is no address"):
        Resolver([wrong])


def test_resolvers_by_any_spelling(server: DnsServer) -> None:
    for spelling in ("192.0.2.53", "192.0.2.53:5353", "::1", "[::1]", "[::1]:5353"):
        Resolver([spelling])
    # The second one answers where the first is mute.
    assert Resolver([f"127.0.0.1:{free_port()}", server.address]).records("good.example.com", "A")


def test_a_resolver_that_never_answers_is_given_up(server: DnsServer) -> None:
    with pytest.raises(DnsError):
        Resolver([server.address], patience=0.2).records("mute.example.com", "A")
    looked = Preflight(Resolver([server.address], patience=0.2), HERE, CA, Probe())
    looked.examine(["mute.example.com"])
    (found,) = looked.findings
    assert found.severity == "warning"
    assert "mute.example.com could not be looked up" in found.problem


# The responder


OURS, OTHERS = "t" * 43, "o" * 43


def standing(port: int, mode: str = "warn", ours: str = OURS, *addresses: str) -> Preflight:
    """The preflight of no name where the responder is to be at this port."""
    place = Place(mode, addresses or ("127.0.0.1",), port, ours)
    looked = Preflight(Resolver([]), HERE, CA, Probe(), place=place)
    looked.examine([])
    return looked


def test_a_responder_in_its_place(ready: int) -> None:
    assert standing(ready, "require").findings == []


def test_a_responder_for_another_account_is_sure_to_fail(ready: int) -> None:
    looked = standing(ready, "warn", OTHERS)
    refusal = looked.refusal(["any.example.com"])
    assert refusal is not None
    assert f"another ACME account answers, thumbprint {OURS}" in str(refusal)
    assert f"this account's thumbprint, {OTHERS}" in str(refusal)


@pytest.mark.parametrize(("mode", "severity"), [("warn", "warning"), ("require", "error")])
def test_nobody_in_its_place(mode: str, severity: str) -> None:
    (found,) = standing(free_port(), mode).findings
    assert (found.name, found.severity) == ("", severity)
    assert "nothing listens there" in found.problem
    assert "publish its port if it runs in a container" in found.remedy


def test_something_else_in_its_place() -> None:
    with web_server(404, b"not here") as port:
        (found,) = standing(port).findings
    assert "something else answers, with 404" in found.problem
    assert found.severity == "warning"


def test_each_address_is_looked_at(ready: int) -> None:
    """The one of IPv6 is not: it listens on IPv4."""
    (found,) = standing(ready, "warn", OURS, "127.0.0.1", "::1").findings
    assert f"at ::1 port {ready}" in found.problem


def test_nobody_is_asked_where_that_is_not_wanted() -> None:
    assert standing(free_port(), "none").findings == []


# The port


@pytest.fixture(scope="module")
def ready() -> Iterator[int]:
    """Port of a responder."""
    port = free_port()
    responder.start("127.0.0.1", port, "t" * 43, 120)
    yield port
    responder.stop("127.0.0.1", port)


@contextmanager
def web_server(status: int, body: bytes, **headers: str) -> Iterator[int]:
    """Something else on port 80."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


LOCAL = "here.example.com. 60 A 127.0.0.1\nalso.example.com. 60 A 127.0.0.1"


def through(port: int, mode: str, expected: Expected = LOOPBACK) -> Preflight:
    """The preflight of two names at this port, after its window was open."""
    with serving(LOCAL) as server:
        looked = preflight(server.address, expected, mode=mode, port=port)
        looked.examine(["here.example.com", "also.example.com"])
    with looked.watched(nullcontext, ["here.example.com", "also.example.com"])():
        pass
    return looked


@pytest.mark.parametrize("mode", ["warn", "require"])
def test_the_responder_answers(ready: int, mode: str) -> None:
    assert through(ready, mode).findings == []


def test_no_answer_is_a_warning_once_an_address() -> None:
    (found,) = through(free_port(), "warn").findings
    assert found.severity == "warning"
    assert "does not answer" in found.problem
    assert "hairpin" in found.remedy


@pytest.mark.parametrize(
    ("status", "body", "headers", "says"),
    [
        (404, b"", {}, "answers 404"),
        (301, b"", {"Location": "https://here.example.com/"}, "answers 301 .* to https://here"),
        (200, b"ready, and more", {}, "answers 200"),
    ],
)
def test_f07_something_else_answers(status: int, body: bytes, headers: dict[str, str], says: str) -> None:
    with web_server(status, body, **headers) as port, pytest.raises(CertfleetError, match=says) as raised:
        through(port, "require")
    assert raised.value.stage == "preflight"


def test_f07_drops_are_not_waited_for() -> None:
    """Each begins the socket's own timeout anew."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with contextlib.suppress(OSError):
                peer, _address = listener.accept()
                peer.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
                while not over.wait(0.01):
                    peer.sendall(b"x")

        threading.Thread(target=drip, daemon=True).start()
        found = _http_probe.ask(*listener.getsockname(), "here.example.com", Deadline(Clock(), 0.5))
    over.set()
    assert found


def test_a_required_answer_is_asked_for_even_where_no_name_could_be_looked_up(ready: int) -> None:
    with serving("", broken=["here.example.com"]) as server:
        looked = preflight(server.address, LOOPBACK, mode="require", port=ready)
        looked.examine(["here.example.com"])
    with looked.watched(nullcontext, ["here.example.com"])():
        pass
    nothing_known = preflight(server.address, Expected(), mode="require", port=ready)
    with pytest.raises(CertfleetError, match="no address is known"), nothing_known.watched(nullcontext, ["x.test"])():
        pass


def test_the_window_is_left_when_a_required_answer_fails() -> None:
    events = []

    @contextmanager
    def window() -> Iterator[None]:
        events.append("open")
        try:
            yield
        finally:
            events.append("closed")

    with serving(LOCAL) as server:
        looked = preflight(server.address, LOOPBACK, mode="require", port=free_port())
        looked.examine(["here.example.com"])
    with pytest.raises(CertfleetError), looked.watched(window, ["here.example.com"])():
        events.append("answered")
    assert events == ["open", "closed"]


def test_not_asked_when_not_wanted() -> None:
    assert through(free_port(), "none").findings == []
