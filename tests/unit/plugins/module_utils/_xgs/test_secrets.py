# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewall's password is in the request, and nowhere else: whatever fails, and however much is logged."""

from __future__ import annotations

import traceback
import urllib.parse
import xml.etree.ElementTree as ET
import xml.sax.saxutils
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall, Write
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, File, Transport

from lab.hostile import Hostile, Script, http, once
from lab.leaks import spellings
from lab.module_process import ModuleProcess
from unit.plugins.module_utils._xgs.firewalls import Impatient, response

PASSWORD = "hush<&>\"'ü-7Qz"
KEY = b"-----BEGIN PRIVATE KEY-----\nkeep it dark\n"
ECHO = PASSWORD.encode()


def told(error: BaseException) -> str:
    """All that Ansible, a debugger's user or a curious callback could get out of an error, with its causes."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    attributes = [repr(vars(one)) + repr(one) + str(one) + repr(one.args) for one in chain]
    return "\n".join([*traceback.format_exception(chain[0]), *attributes])


ANSWERS = {
    "a page": http(b"<html>" + ECHO),
    "an error page": http(ECHO, status="500 Oops"),
    "a redirect": http(b"", f"Location: /?p={urllib.parse.quote(PASSWORD)}", status="302 Found"),
    "a login refused": http(b"<Response><Login><status>Failure " + b"</status></Login></Response>"),
    "not XML": http(response(b"<Zone>" + xml.sax.saxutils.escape(PASSWORD).encode())),
    "nothing": b"",
    "no HTTP": ECHO + b"\r\n\r\n",
    "cut off": http(b"<Response>" + ECHO),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_no_error_has_a_secret(hostile: Callable[[Script], Hostile], kind: str) -> None:
    served = hostile(once(ANSWERS[kind]))
    transport = Transport(Endpoint("127.0.0.1", served.port, validate_certs=False, timeout=5.0))
    firewall = Firewall(transport, "admin", PASSWORD, Impatient())
    entity = ET.XML("<Certificate><Name>n</Name></Certificate>")
    write = Write("add", entity, (File("n.key", KEY),))
    for request in (lambda: firewall.get("Zone"), lambda: firewall.send(write)):
        with pytest.raises(CertfleetError) as caught:
            request()
        said = told(caught.value)
        if kind == "no HTTP":
            # The status line is what urllib3 says it did not understand: it is the firewall's, not ours.
            said = said.replace(repr(ECHO.decode("latin-1"))[1:-1], "")
        assert [each for each in spellings(PASSWORD) if each in said] == []
        assert "keep it dark" not in said
    for shown in (repr(firewall), repr(write), repr(transport), str(transport.endpoint), repr(transport.endpoint)):
        assert PASSWORD not in shown
        assert "keep it dark" not in shown


MODULES = {
    "xgs_cert_info": {},
    "xgs_dnat_port": {"state": "swept"},
}
# What a module's own words would hand on, if Ansible did not look over them.
STATUS = http(
    b'<Response><Status code="534">not you, %s</Status></Response>' % xml.sax.saxutils.escape(PASSWORD).encode()
)


@pytest.mark.parametrize("answer", [STATUS, ANSWERS["a page"]], ids=["a status", "a page"])
@pytest.mark.parametrize("module", MODULES)
def test_no_module_says_or_logs_it(
    hostile: Callable[[Script], Hostile], tmp_path: Path, module: str, answer: bytes
) -> None:
    """Not even where a firewall tells it back, and everything that any library logs is written down."""
    served = hostile(once(answer))
    connection = {"host": "127.0.0.1", "port": served.port, "validate_certs": False, "username": "admin"}
    log = tmp_path / "log"
    with ModuleProcess(module, log, **connection, password=PASSWORD, **MODULES[module]) as process:
        arguments = Path(f"/proc/{process.process.pid}/cmdline").read_bytes()
        assert process.result()["failed"]
    assert urllib.parse.quote_plus(xml.sax.saxutils.escape(PASSWORD)).encode() in served.requests[0], "it was used"
    said = process.said + log.read_text() + arguments.decode()
    assert [each for each in spellings(PASSWORD) if each in said] == []
