# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The XML API's envelope: login, Get, Set and Remove, and what the firewall's status codes mean.

There is no session: each request carries the login. HTTP says 200 whatever happened; the truth is the status code
inside (API document; the places where it stands were measured).
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
import xml.etree.ElementTree as ET

from .._clock import Clock
from .errors import XgsAccessError, XgsApiError, XgsConnectionError
from .transport import File, Transport

Operation = t.Literal["add", "update", "remove"]
RESPONSE = re.compile(rb"<Response[\s>]")
# Characters that XML forbids, and that the firewall sends all the same (reported).
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# Seconds between the tries of a request that is safe to repeat.
PAUSES = (2.0, 4.0, 8.0)


@dataclasses.dataclass(frozen=True)
class Write:
    """One Set or Remove of one entity: one a request, so that each status belongs to one thing."""

    operation: Operation
    entity: ET.Element
    files: tuple[File, ...] = ()
    # Status codes that mean: it is as wanted already.
    satisfied_by: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """VPN connections have it in a block of their own."""
        return self.entity.findtext("Name") or self.entity.findtext("Configuration/Name") or ""

    def __str__(self) -> str:
        return f"{self.operation} {self.entity.tag} {self.name}".rstrip()


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a Get brought: the records, and the body itself where it was an archive with files beside them."""

    records: list[ET.Element]
    body: bytes = dataclasses.field(repr=False)


class Firewall:
    """One firewall's API, used by one thread. Counts what it sends."""

    def __init__(self, transport: Transport, username: str, password: str, clock: Clock | None = None) -> None:
        self.endpoint = transport.endpoint
        self.clock = clock or Clock()
        self.reads = 0
        self.writes = 0
        self._transport = transport
        self._username = username
        self._password = password

    def get(self, entity: str, name: str | None = None) -> list[ET.Element]:
        """Records of an entity; with a name, that one or none."""
        return self.fetch(entity, name).records

    def fetch(self, entity: str, name: str | None = None) -> Answer:
        """As get(), with the body."""
        get = ET.Element("Get")
        wanted = ET.SubElement(get, entity)
        if name is not None:
            key = ET.SubElement(ET.SubElement(wanted, "Filter"), "key", name="Name", criteria="=")
            key.text = name
        self.reads += 1
        response, body = self._repeat(lambda: self._ask(get, entity))
        records = [record for record in response.findall(entity) if _is_record(record)]
        if name is not None:
            # Some entities ignore the filter (measured).
            records = [record for record in records if record.findtext("Name") == name]
        return Answer(records, body)

    def _ask(self, get: ET.Element, entity: str) -> tuple[ET.Element, bytes]:
        body = self._post(get)
        response = _response(body, f"read {entity}")
        if response.find(entity) is None:
            # Taken for "there is none", that would have everything made anew.
            raise XgsConnectionError(f"the firewall did not answer the question for {entity}", sent=True)
        return response, body

    def send(self, write: Write) -> None:
        """Carry out one write. An answer lost on the way is cleared up by reading, never by a blind second try."""
        try:
            self._send(write)
        except XgsConnectionError as error:
            if not error.sent:
                raise
            if write.operation == "update":
                self._repeat(lambda: self._send(write))
            elif bool(self.get(write.entity.tag, write.name)) != (write.operation == "add"):
                self._send(write)

    def check_trust(self) -> None:
        """Raises XgsConnectionError when the console's certificate is not trusted by what the user has set."""
        self._transport.check_trust()

    def trust(self, fingerprint: str) -> None:
        """Accept this certificate (SHA-256, hexadecimal) of the web admin console from now on, too."""
        self._transport.trust(fingerprint)

    def _send(self, write: Write) -> None:
        if write.operation == "remove":
            document = ET.Element("Remove")
            ET.SubElement(ET.SubElement(document, write.entity.tag), "Name").text = write.name
        else:
            document = ET.Element("Set", operation=write.operation)
            document.append(write.entity)
        self.writes += 1
        response = _response(self._post(document, write.files), str(write))
        _check_status(response, write)

    def _repeat(self, request: t.Callable[[], t.Any]) -> t.Any:
        for pause in PAUSES:
            try:
                return request()
            except XgsConnectionError as error:
                if not error.sent:
                    raise
            self.clock.sleep(pause)
        return request()

    def _post(self, operation: ET.Element, files: t.Sequence[File] = ()) -> bytes:
        request = ET.Element("Request")
        login = ET.SubElement(request, "Login")
        ET.SubElement(login, "Username").text = self._username
        ET.SubElement(login, "Password").text = self._password
        request.append(operation)
        return self._transport.post(ET.tostring(request, encoding="utf-8"), files)


def _response(body: bytes, purpose: str) -> ET.Element:
    """The <Response> in a body: alone, behind noise, or as the last file of an archive (all measured)."""
    end = body.rfind(b"</Response>")
    start = max((match.start() for match in RESPONSE.finditer(body, 0, max(end, 0))), default=-1)
    if start < 0:
        raise XgsConnectionError(
            f"the firewall's answer to '{purpose}' is {'cut off' if body else 'empty'}",
            remedy="Try again; if it stays so, check that the port is the web admin console's.",
            sent=True,
        )
    if b"<!DOCTYPE" in body[:end] or b"<!ENTITY" in body[:end]:
        raise XgsConnectionError(
            f"the firewall's answer to '{purpose}' has a document type, which is never right", sent=True
        )
    document = CONTROL.sub(b"", body[start:end]) + b"</Response>"
    try:
        # Safe: what could define an entity was refused above.
        response = ET.XML(document.decode("utf-8", "replace"))
    except ET.ParseError as error:
        raise XgsConnectionError(f"the firewall's answer to '{purpose}' is not XML: {error}", sent=True) from error
    _check_access(response)
    return response


def _check_access(response: ET.Element) -> None:
    """532 and 534 come without a login; a wrong password comes without a code (measured)."""
    refusal = response.find("Status")
    if refusal is not None:
        code, text = refusal.get("code", ""), (refusal.text or "").strip()
        raise XgsAccessError(f"the API is not available: status {code}, {text}", remedy=_ACCESS.get(code, ""))
    if "success" not in response.findtext("Login/status", "").lower():
        raise XgsAccessError(
            "the firewall does not accept user name and password",
            remedy="Use a local administrator without a one-time password, and mind that repeated failures lock it.",
        )


_ACCESS = {
    "529": "The request did not arrive whole; is there a proxy in between?",
    "532": "Switch it on under Backup & firmware > API (SFOS 22: Administration > API access).",
    "534": "Add the address that this runs on to the API's allowed sources.",
}


def _is_record(element: ET.Element) -> bool:
    """False for <Status>No. of records Zero.</Status> and its like: a lone status is no data."""
    children = list(element)
    if len(children) == 1 and children[0].tag == "Status":
        code = int(children[0].get("code", "0"))
        if code >= 500:
            raise XgsApiError(code, (children[0].text or "").strip(), operation=f"read {element.tag}")
        return False
    return bool(children)


def _check_status(response: ET.Element, write: Write) -> None:
    """The status of a write stands under the entity, or under its sub-block, as with WebAdminSettings (measured)."""
    places = {write.entity.tag, *(child.tag for child in write.entity)}
    for answered in response:
        if answered.tag in places:
            for status in answered.iter("Status"):
                if status.get("code"):
                    return _judge(status, answered, write)
    raise XgsConnectionError(
        f"the firewall did not say whether it did '{write}'", remedy="Run again: it is read anew.", sent=True
    )


def _judge(status: ET.Element, answered: ET.Element, write: Write) -> None:
    """2xx is done, even with a remark; everything else is a refusal."""
    code = int(status.get("code", "0"))
    if not 200 <= code <= 299 and code not in write.satisfied_by:
        parameters = tuple(element.text or "" for element in answered.iter("Params"))
        raise XgsApiError(code, (status.text or "").strip(), operation=str(write), parameters=parameters)


__all__ = ("Answer", "Firewall", "Write")
