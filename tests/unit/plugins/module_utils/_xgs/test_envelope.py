# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""XML both ways: nothing that is sent changes its meaning, nothing that comes does more than to say something."""

from __future__ import annotations

import contextlib
import copy
import string
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import envelope
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsConnectionError, XgsError
from hypothesis import given
from hypothesis import strategies as st

from emulator.client import Emulator
from unit.plugins.module_utils._xgs.firewalls import NET, Box, response

ZONE = response(b"<Zone><Name>LAN</Name></Zone>")


def read(body: bytes) -> ET.Element:
    return envelope.response(body, "192.0.2.1:4444", "read Zone")


# --- to the firewall -------------------------------------------------------------------------------------------------

# What XML 1.0 allows, but for the two that stand for what was not UTF-8 and for no character.
TEXT = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\ufffd\ufffe\uffff").filter(
        lambda letter: letter >= " " or letter in "\t\n\r"
    )
)


@given(TEXT, TEXT, TEXT, TEXT)
def test_everything_arrives_as_it_was(username: str, password: str, name: str, attribute: str) -> None:
    operation = ET.Element("Set", operation=attribute)
    ET.SubElement(ET.SubElement(operation, "IPHost"), "Name").text = name
    request = ET.XML(envelope.request(username, password, operation, "add IPHost"))
    assert request.findtext("Login/Username") == username
    assert request.findtext("Login/Password") == password
    assert request.findtext("Set/IPHost/Name") == name
    assert request.find("Set").get("operation") == attribute


@given(st.sampled_from("\x00\x01\x08\x0b\x0c\x1b\x1f\ud800\udcff\ufffd\ufffe\uffff"), st.integers(0, 2))
def test_what_xml_cannot_carry_is_not_sent(letter: str, where: int) -> None:
    texts = ["user", "secret", "name"]
    texts[where] += letter
    operation = ET.Element("Set")
    ET.SubElement(operation, "Name").text = texts[2]
    with pytest.raises(XgsError, match="has a character that XML cannot carry") as caught:
        envelope.request(texts[0], texts[1], operation, f"add IPHost {texts[2]}")
    assert "secret" not in repr(caught.value) + str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.__cause__ is None


PASSWORDS = [
    string.printable[:95],
    "\"'&<>]]><!--%-->&amp;&#65;%26+%2B ?=;\\",
    "äöüÄÖÜß€éñЖ漢字",
    " leading and trailing ",
    "]]>",
    "&" * 128,
]


def test_passwords_of_every_character() -> None:
    """The emulator parses by means of its own."""
    accounts = [{"username": f"ü<{n}>&\"'", "password": password} for n, password in enumerate(PASSWORDS)]
    address = f"{NET}.200"
    with Emulator({"accounts": accounts, "firewalls": [{"name": "fw", "address": address}]}) as emulator:
        box = Box(emulator, "fw", address)
        for account in accounts:
            assert box.firewall(**account).get("Zone"), account
        assert box.state["counters"]["auth_failures"] == 0


# --- from the firewall -----------------------------------------------------------------------------------------------

BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "body",
    [
        BOMB + ZONE,
        b'<?xml version="1.0"?>' + BOMB + ZONE,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + ZONE,
        b'<!DOCTYPE x PUBLIC "-//x" "http://192.0.2.1/x.dtd">' + ZONE,
        ZONE.replace(b"<Zone>", b"<Zone>" + BOMB),
        ZONE.replace(b"LAN", b"<!DOCTYPE x>&b;"),
        BOMB.replace(b"DOCTYPE", b"DOC\x00TYPE") + ZONE,
        BOMB.lower() + ZONE,
        b"./Files/x.pem" + bytes(512) + BOMB + bytes(512) + ZONE,
        (BOMB + ZONE).decode().encode("utf-16"),
        (BOMB + ZONE).decode().encode("utf-32"),
        BOMB,
        b"\xef\xbb\xbf \r\n\t<!-- hello -->" + BOMB + ZONE,
        b"<?xml version='1.0'?><?x y?><!-- <Response> -->" + BOMB + ZONE,
        *((BOMB + ZONE).decode().encode(encoding) for encoding in ("utf-16-le", "utf-16-be", "utf-32-be")),
        b"<!DOCTYPE x [" + b"<!ENTITY a '%s'>" % (b"a" * 100_000) + b"]>" + ZONE.replace(b"LAN", b"&a;" * 100_000),
        b'<!DOCTYPE x [<!ENTITY % a SYSTEM "http://192.0.2.1/x.dtd">%a;]>' + ZONE,
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + ZONE.replace(b"LAN", b"&a;"),
    ],
    ids=range(20),
)
def test_a_document_type_is_refused_unparsed(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ET, "XMLParser", lambda **_more: pytest.fail("it was parsed"))
    with pytest.raises(XgsConnectionError, match=r"192\.0\.2\.1:4444.*has a document type, which is never right"):
        read(body)


def test_a_document_type_in_another_alphabet_defines_nothing() -> None:
    """UTF-7 as the declaration has it: no declaration has a say."""
    hidden = b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x +AFs-+ADwAIQ-ENTITY a "x"+AD4-]+AD4-'
    with pytest.raises(XgsConnectionError, match="undefined entity"):
        read(hidden + ZONE.replace(b"LAN", b"&a;"))


@pytest.mark.parametrize("encoding", [b"ISO-8859-1", b"UTF-16", b"UTF-7", b"ebcdic", b"none", b"utf-8"])
def test_the_declared_encoding_does_not_matter(encoding: bytes) -> None:
    body = b'<?xml version="1.0" encoding="%s"?>' % encoding + ZONE.partition(b"?>")[2].replace(b"LAN", "Län€".encode())
    assert read(body).findtext("Zone/Name") == "Län€"


def test_what_is_no_utf8_may_be_read_but_is_not_sent_back() -> None:
    """It would be damaged for good."""
    zone = read(ZONE.replace(b"LAN", b"L\xe4N")).find("Zone")
    assert zone.findtext("Name") == "L\ufffdN"
    with pytest.raises(XgsError, match="was not UTF-8"):
        envelope.request("u", "p", zone, "update Zone")


@pytest.mark.parametrize("levels", [40, 60, 5000, 500_000])
def test_levels_are_counted(levels: int) -> None:
    body = response(b"<a>" * levels + b"</a>" * levels)
    if levels > envelope.MAX_DEPTH:
        with pytest.raises(XgsConnectionError, match="levels"):
            read(body)
    else:
        copy.deepcopy(read(body))
        ET.tostring(read(body))


def test_attributes_are_kept() -> None:
    zone = read(ZONE.replace(b"<Zone>", b"<Zone transactionid='' x=\"&lt;&#10;&quot;\">")).find("Zone")
    assert zone.attrib == {"transactionid": "", "x": '<\n"'}


PIECES = st.sampled_from(
    [
        b"<Response>",
        b"<Response APIVersion='1'>",
        b"</Response>",
        b"<Login><status>Authentication Successful</status></Login>",
        b"<Zone>",
        b"</Zone>",
        b"<Zone/>",
        b'<Status code="200">',
        b"</Status>",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<?xml version='1.0'?>",
        b"&amp;",
        b"&#xD800;",
        b"&x;",
        b"xmlns:a='b'",
        b"\x00",
        b"\xff",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=8), max_size=30).map(b"".join))
def test_nothing_but_our_own_error(body: bytes) -> None:
    with contextlib.suppress(XgsConnectionError):
        assert read(body).tag == "Response"


@given(st.integers(0, len(ZONE)), st.binary(max_size=8), st.integers(0, 8))
def test_a_damaged_answer(at: int, noise: bytes, lost: int) -> None:
    with contextlib.suppress(XgsConnectionError):
        assert read(ZONE[:at] + noise + ZONE[at + lost :]).tag == "Response"
