# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which certificate is trusted, what counts as an answer, and whether the firewall may have acted."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsConnectionError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lab.ports import free_port
from lab.tls import TlsFiles
from unit.plugins.module_utils._xgs.firewalls import Box, Impatient, response


def firewall(port: int, host: str = "127.0.0.1", **endpoint: object) -> Firewall:
    return Firewall(Transport(Endpoint(host, port, **{"timeout": 5.0, **endpoint})), "admin", "secret", Impatient())


ADD = (
    b"<Request><Login><Username>admin</Username><Password>secret</Password></Login><Set operation='add'><IPHost>"
    b"<Name>h</Name><IPFamily>IPv4</IPFamily><HostType>IP</HostType><IPAddress>192.0.2.1</IPAddress></IPHost></Set>"
    b"</Request>"
)


def in_pairs(fingerprint: str) -> str:
    return ":".join(fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()


def pin(tls: TlsFiles) -> str:
    return x509.load_pem_x509_certificate(tls.certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize("written", [str, str.upper, in_pairs])
def test_the_pin_may_be_written_as_people_do(box: Box, written: Callable[[str], str]) -> None:
    assert box.firewall(fingerprint=written(box.fingerprint)).get("Zone")
    assert box.reads == 1


def test_a_wrong_pin_sends_nothing_and_names_what_was_shown(box: Box) -> None:
    with pytest.raises(XgsConnectionError, match=box.fingerprint) as caught:
        box.firewall(fingerprint="ab" * 32).get("Zone")
    assert not caught.value.sent
    assert box.state["counters"]["requests"] == 0


@pytest.mark.parametrize("fingerprint", ["", "ab" * 16, "ab" * 20, "zz" * 32, "SHA256:" + "ab" * 32, "ä" * 64])
def test_what_is_no_sha256_is_no_pin(box: Box, fingerprint: str) -> None:
    """MD5 and SHA-1 vouch for nothing any more."""
    with pytest.raises(CertfleetError):
        box.firewall(fingerprint=fingerprint).get("Zone")
    assert box.state["counters"]["requests"] == 0


@pytest.mark.parametrize("broken", [False, True])
def test_a_ca_file_that_cannot_be_read(box: Box, tmp_path: Path, broken: bool) -> None:
    if broken:
        (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(CertfleetError, match=r"ca\.pem"):
        box.firewall(fingerprint=None, ca_path=str(tmp_path / "ca.pem")).get("Zone")


def test_a_weak_digest_of_the_right_certificate(serve: Callable, tls: TlsFiles) -> None:
    served = serve(response())
    weak = x509.load_pem_x509_certificate(tls.certificate.read_bytes()).fingerprint(hashes.SHA1()).hex()
    with pytest.raises(CertfleetError):
        firewall(served.port, fingerprint=weak).get("Zone")
    assert served.requests == []


def test_no_trust_at_all_names_what_was_shown(box: Box) -> None:
    with pytest.raises(XgsConnectionError, match=rf"not trusted.*{box.fingerprint}") as caught:
        box.firewall(fingerprint=None).get("Zone")
    assert not caught.value.sent
    assert box.state["counters"]["requests"] == 0


def test_who_switched_verification_off_gets_through(box: Box) -> None:
    assert box.firewall(fingerprint=None, validate_certs=False).get("Zone")


def test_a_ca_file_and_the_name_in_the_certificate(serve: Callable, tls: TlsFiles) -> None:
    served = serve(response())
    ca = str(tls.ca)
    assert firewall(served.port, ca_path=ca, server_name="fw.example.com").get("Zone") == []
    with pytest.raises(XgsConnectionError, match="tls_server_name") as caught:
        firewall(served.port, ca_path=ca).get("Zone")
    assert not caught.value.sent
    with pytest.raises(XgsConnectionError, match="not trusted"):
        firewall(served.port, ca_path=ca, server_name="other.example.com").get("Zone")
    assert len(served.requests) == 1


def test_a_ca_vouches_for_what_the_pin_does_not(serve: Callable, tls: TlsFiles) -> None:
    served = serve(response())
    both = {"ca_path": str(tls.ca), "server_name": "fw.example.com", "fingerprint": "ab" * 32}
    assert firewall(served.port, **both).get("Zone") == []
    assert len(served.requests) == 1


def test_the_port_of_the_user_portal(box: Box) -> None:
    with pytest.raises(XgsConnectionError, match=r"HTTP status \d+ and a page.*4444") as caught:
        box.firewall(port=4443).get("Zone")
    assert not caught.value.sent


def test_a_port_without_tls() -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        with pytest.raises(XgsConnectionError) as caught:
            firewall(server.server_address[1]).get("Zone")
    finally:
        server.shutdown()
        server.server_close()
    assert not caught.value.sent
    assert "None" not in str(caught.value), "there is no certificate whose fingerprint one could set"


@pytest.mark.parametrize("host", ["127.0.0.1", "firewall.invalid"])
def test_nobody_there(host: str) -> None:
    with pytest.raises(XgsConnectionError, match=f"no connection to {host}") as caught:
        firewall(free_port(), host).get("Zone")
    assert not caught.value.sent
    assert "device access" in caught.value.remedy.lower()


def test_a_handshake_that_never_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(XgsConnectionError, match=r"within 0\.3 s"):
        firewall(silent.getsockname()[1], connect_timeout=0.3).get("Zone")


def test_an_answer_that_never_comes(box: Box) -> None:
    box.faults({"kind": "timeout", "count": 0})
    with pytest.raises(XgsConnectionError, match=r"no answer .* within 0\.3 s") as caught:
        box.transport(timeout=0.3).post(
            b"<Request><Login><Username>admin</Username><Password>secret</Password></Login><Get><Zone/></Get></Request>"
        )
    assert caught.value.sent
    assert box.statuses("get", "Zone") == [], "or else it was answered"


def test_two_equal_timeouts_are_told_apart(box: Box) -> None:
    box.faults({"kind": "timeout", "operation": "add", "applied": True})
    with pytest.raises(XgsConnectionError, match="no answer from") as caught:
        box.transport(connect_timeout=0.5, timeout=0.5).post(ADD)
    assert caught.value.sent, "it was carried out"
    assert "h" in box.names("IPHost")


def test_a_reset_may_have_been_acted_upon(box: Box) -> None:
    box.faults({"kind": "reset_before", "count": 0})
    with pytest.raises(XgsConnectionError, match="broke off") as caught:
        box.firewall().get("Zone")
    assert caught.value.sent


def test_tls_that_breaks_after_the_request_is_not_mistrust(serve: Callable, tls: TlsFiles) -> None:
    """What reached the firewall must not be sent a second time blindly, and must not be called not sent."""
    served = serve(b"", spoil=True)
    endpoint = Endpoint(
        "127.0.0.1", served.port, ca_path=str(tls.ca), server_name="fw.example.com", fingerprint=pin(tls)
    )
    with pytest.raises(XgsConnectionError) as caught:
        Transport(endpoint).post(b"<Request/>")
    assert len(served.requests) == 1
    assert caught.value.sent
    assert "not trusted" not in str(caught.value)


def test_too_large_an_answer_is_refused_and_the_next_one_is_read(serve: Callable, tls: TlsFiles) -> None:
    served = serve(bytes(64 * 1024 * 1024), response(b"<Zone><Name>LAN</Name></Zone>"))
    transport = Transport(Endpoint("127.0.0.1", served.port, fingerprint=pin(tls), timeout=20.0))
    with pytest.raises(XgsConnectionError, match="larger than") as caught:
        transport.post(b"<Request/>")
    assert caught.value.sent
    assert b"LAN" in transport.post(b"<Request/>")


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "body",
    [
        BOMB + response(b"<Zone><Name>&b;</Name></Zone>"),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + response(),
        b"\r\n" + BOMB.replace(b"<!DOCTYPE", b"\x00<!DOCTYPE") + response(),
        b"<?xml?><Response><!ENTITY a 'x'></Response>",
    ],
)
def test_document_types_are_refused(serve: Callable, tls: TlsFiles, body: bytes) -> None:
    served = serve(body)
    with pytest.raises(XgsConnectionError, match=r"has a document type|and a page"):
        firewall(served.port, fingerprint=pin(tls)).get("Zone")


@pytest.mark.parametrize(
    "body",
    [
        b"junk\x00\r\n" + response(b"<Zone><Name>LA\x00N</Name></Zone>") + b"\n\x00trailing",
        response(b"<Zone><Name>LAN</Name></Zone>").replace(b"Successful", b"SUCCESSFUL"),
        response(b"<Zone><Name>LAN</Name><ResponseTime>5</ResponseTime></Zone>"),
    ],
)
def test_noise_is_passed_over(serve: Callable, tls: TlsFiles, body: bytes) -> None:
    served = serve(body)
    found = firewall(served.port, fingerprint=pin(tls)).get("Zone")
    assert [zone.findtext("Name") for zone in found] == ["LAN"]


def test_a_noisy_firewall(box: Box) -> None:
    box.settings(noise=True)
    assert "LAN" in [zone.findtext("Name") for zone in box.firewall().get("Zone")]


def test_the_trust_of_a_new_certificate_keeps_the_old(serve: Callable, tls: TlsFiles) -> None:
    served = serve(response())
    transport = Transport(Endpoint("127.0.0.1", served.port, fingerprint=pin(tls)))
    transport.trust(in_pairs("ab" * 32))
    transport.post(b"<Request/>")
    assert len(served.requests) == 1
