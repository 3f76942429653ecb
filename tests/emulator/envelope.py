# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The XML envelope: what a request asks for, and how an answer looks."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Answer", "Malformed", "ParsedRequest", "Refused", "Step", "envelope_status", "parse"]

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
SUCCESS = "Configuration applied successfully."
VALIDATION = "Configuration parameters validation failed."


class Malformed(Exception):
    """The request is no request (529)."""


class Refused(Exception):
    """The firewall says no to one entity."""

    def __init__(self, code: int, text: str, invalid: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.invalid = tuple(invalid)

    @classmethod
    def validation(cls, *paths: str) -> Refused:
        return cls(501, VALIDATION, paths)


@dataclass(frozen=True)
class Step:
    """One entity of a request. `operation` is get, add, update, set or remove."""

    operation: str
    element: ET.Element

    @property
    def entity(self) -> str:
        return self.element.tag

    @property
    def transaction(self) -> str:
        return self.element.get("transactionid", "")


@dataclass(frozen=True)
class ParsedRequest:
    username: str
    password: str
    steps: tuple[Step, ...]


def parse(xml: str) -> ParsedRequest:
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as error:
        raise Malformed(str(error)) from None
    if root.tag != "Request":
        raise Malformed(root.tag)
    username, password = _login(root.find("Login"))
    return ParsedRequest(username, password, tuple(_steps(root)))


def _login(login: ET.Element | None) -> tuple[str, str]:
    if login is None:
        return "", ""
    password = login.find("Password")
    if password is None or password.get("passwordform", "plain").lower() != "plain":
        return "", ""
    return (login.findtext("Username") or "").strip(), password.text or ""


def _steps(root: ET.Element) -> Iterable[Step]:
    for block in root:
        if block.tag == "Login":
            continue
        operation = block.tag.lower()
        if block.tag not in ("Get", "Set", "Remove"):
            raise Malformed(block.tag)
        if block.tag == "Set":
            operation = block.get("operation", "set").lower()
            if operation not in ("add", "update", "set"):
                raise Malformed(operation)
        for element in block:
            yield Step(operation, element)


class Answer:
    """Collects the answer in the order of the request."""

    def __init__(self, api_version: str) -> None:
        self.root = ET.Element("Response", _attributes(api_version))

    def login(self, succeeded: bool) -> None:
        login = ET.SubElement(self.root, "Login")
        ET.SubElement(login, "status").text = "Authentication " + ("Successful" if succeeded else "Failure")

    def status(self, path: str, transaction: str, code: int, text: str, invalid: Iterable[str] = ()) -> None:
        entity = self._below(path, transaction)
        ET.SubElement(entity, "Status", {"code": str(code)}).text = text
        paths = list(invalid)
        if paths:
            block = ET.SubElement(entity, "InvalidParams")
            for path in paths:
                ET.SubElement(block, "Params").text = path

    def remark(self, path: str, transaction: str, text: str) -> None:
        """A status without a code: an empty result, or "Transaction fail"."""
        ET.SubElement(self._below(path, transaction), "Status").text = text

    def _below(self, path: str, transaction: str) -> ET.Element:
        """Most entities answer under their own tag, some under a block: ENTITY/BLOCK."""
        tag, _, block = path.partition("/")
        entity = ET.SubElement(self.root, tag, {"transactionid": transaction})
        return ET.SubElement(entity, block) if block else entity

    def record(self, element: ET.Element, transaction: str) -> None:
        # A shallow copy: stored elements are shared and never changed.
        record = ET.SubElement(self.root, element.tag, {"transactionid": transaction})
        record.extend(element)

    def render(self) -> bytes:
        return _document(self.root)


def _attributes(api_version: str) -> dict[str, str]:
    return {"APIVersion": api_version, "IPS_CAT_VER": "1"}


def envelope_status(code: int, text: str, api_version: str) -> bytes:
    """An answer before login: no Login element, the status right below Response."""
    attributes = {} if code == 529 else _attributes(api_version)
    root = ET.Element("Response", attributes)
    ET.SubElement(root, "Status", {"code": str(code)}).text = text
    return _document(root)


def _document(root: ET.Element) -> bytes:
    body: bytes = ET.tostring(root, encoding="utf-8")
    return DECLARATION + body
