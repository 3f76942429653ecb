# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""XML to the firewall, and XML from whatever answers: what cannot be carried is refused, what is read is bounded.

<Request> with its <Login>, and <Response>: API document.
"""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from .errors import XgsConnectionError, XgsError, legible

RESPONSE = re.compile(rb"<Response[\s>]")
DOCUMENT_TYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
# Characters that XML forbids, and that the firewall sends all the same (reported).
CONTROL = bytes(code for code in range(0x20) if code not in b"\t\n\r")
# U+FFFD stands where an answer was not UTF-8: to send it back would damage what is there.
UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffd-\uffff]")
# The deepest entity of the API document has nine levels, the largest export that is known some 100 000 elements.
MAX_DEPTH = 50
MAX_ELEMENTS = 1_000_000
# What is parsed before it is counted.
PIECE = 1024 * 1024


def request(username: str, password: str, operation: ET.Element, purpose: str) -> bytes:
    """The document that asks for one operation. XgsError, without a secret, for what XML cannot carry."""
    texts = {
        "the user name": (username,),
        "the password": (password,),
        f"what is needed to {legible(purpose)}": operation.itertext(),
    }
    for what, carried in texts.items():
        if any(map(UNSENDABLE.search, carried)):
            raise XgsError(
                f"{what} has a character that XML cannot carry",
                remedy="It is a control character, or was not UTF-8 where it came from: change it there.",
            )
    document = ET.Element("Request")
    login = ET.SubElement(document, "Login")
    ET.SubElement(login, "Username").text = username
    ET.SubElement(login, "Password").text = password
    document.append(operation)
    # A bare carriage return would arrive as a line feed (XML 1.0, 2.11).
    return ET.tostring(document, encoding="utf-8").replace(b"\r", b"&#13;")


def response(body: bytes, origin: object, purpose: str) -> ET.Element:
    """The <Response> in a body: alone, behind noise, or as the last file of an archive (all measured).

    origin: who sent it. XgsConnectionError for everything else, and before parsing for a document type.
    """

    def spoilt(problem: str, remedy: str) -> XgsConnectionError:
        return XgsConnectionError(f"{origin}: the answer to '{purpose}' {problem}", remedy=remedy, sent=True)

    text = body.translate(None, CONTROL)
    if not text.strip():
        raise spoilt(
            "is empty", "Try again; if it stays so, restart the firewall's web admin console, or the firewall."
        )
    end = max(text.rfind(b"</Response>"), 0)
    if DOCUMENT_TYPE.search(text, 0, end or len(text)):
        raise spoilt("has a document type, which is never right", _IMPOSTOR)
    start = max((match.start() for match in RESPONSE.finditer(text, 0, end)), default=-1)
    if start < 0:
        if RESPONSE.search(text):
            raise spoilt("is cut off", "Try again; if it stays so, look for what is between here and the firewall.")
        raise spoilt("is none of the XML API's", _IMPOSTOR)
    try:
        return _parsed(text[start:end] + b"</Response>")
    except ET.ParseError as error:
        raise spoilt(f"is not XML: {error}", _IMPOSTOR) from error


_IMPOSTOR = "Check host and port: something else than a firewall's web admin console seems to answer there."


def _parsed(document: bytes) -> ET.Element:
    """Safe: without what stands before the root there is nothing that could define an entity.

    As a string, so that no declaration has a say in the encoding.
    """
    parser = ET.XMLParser(target=_Bounded())  # noqa: S314
    text = document.decode("utf-8", "replace")
    for start in range(0, len(text), PIECE):
        parser.feed(text[start : start + PIECE])
    root: ET.Element = parser.close()
    return root


class _Bounded(ET.TreeBuilder):
    """A tree with neither too many elements nor too many levels (most code that reads trees is recursive)."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = self._count = 0

    def start(self, tag: t.Any, attrs: t.Any, /) -> ET.Element:
        self._depth += 1
        self._count += 1 + len(attrs)
        if self._depth > MAX_DEPTH:
            raise ET.ParseError(f"more than {MAX_DEPTH} levels")
        if self._count > MAX_ELEMENTS:
            raise ET.ParseError(f"more than {MAX_ELEMENTS} elements")
        return super().start(tag, attrs)

    def end(self, tag: t.Any, /) -> ET.Element:
        self._depth -= 1
        return super().end(tag)


__all__ = ("request", "response")
