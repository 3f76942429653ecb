# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The XML API's envelope: login, Get, Set and Remove, and what the firewall's status codes mean.

There is no session: each request carries the login. HTTP says 200 whatever happened; the truth is the status code
inside (API document; the places where it stands were measured).
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t
import xml.etree.ElementTree as ET

from .._clock import Clock, CorrectedClock, Deadline
from . import envelope
from .errors import XgsAccessError, XgsApiError, XgsConnectionError, XgsLoginError, legible
from .status_codes import CLOSED, NO_RIGHT, in_words, remark
from .switches import takes
from .transport import File, Transport
from .turn import turn

Operation = t.Literal["add", "update", "remove"]
# Seconds between the tries of a request that is safe to repeat.
PAUSES = (2.0, 4.0, 8.0)
# So often a task may be told that the password is wrong: the second try is to take back what the first one left undone.
# The firewall locks the account after five in a minute (vendor's default).
MOST_LOGIN_FAILURES = 2
# "The request did not arrive whole."
MUTILATED = 529


@dataclasses.dataclass(frozen=True)
class Write:
    """One Set or Remove of one entity: one a request as a rule, so that each status belongs to one thing.

    An update replaces the whole entity; what it leaves out is cleared (measured).
    """

    operation: Operation
    entity: ET.Element
    files: tuple[File, ...] = ()
    # Status codes that mean: it is as wanted already.
    satisfied_by: tuple[int, ...] = ()
    # Carried out after it even if the way back is cut. Whether that worked is for the caller to look up.
    then: tuple[ET.Element, ...] = ()

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
    """One firewall's API, used by one thread. Counts what it sends.

    Whatever asks raises XgsConnectionError when no proper answer comes in time, XgsAccessError where the firewall does
    not let us in, XgsApiError where it refuses; XgsError is all of these, and what XML cannot carry. CertfleetError:
    turn() can make no lock. Whoever is handed a Firewall lets them pass, unless it says otherwise.

    time: the firewall's own clock as its answers tell it (Date, RFC 9110 §6.6.1); ours before the first of them, and
    where they do not.

    remarks: what it said of writes that it carried out, each sentence once; for the user, as warnings.
    """

    def __init__(
        self,
        transport: Transport,
        username: str,
        password: str,
        clock: Clock | None = None,
        *,
        asks_rights: bool = True,
    ) -> None:
        self.endpoint = transport.endpoint
        self.clock = clock or Clock()
        self.time = CorrectedClock(self.clock, "the firewall", "how long a port stays open goes by")
        self.reads = 0
        self.writes = 0
        self.remarks: list[str] = []
        self._login_failures = 0
        self._transport = transport
        self.username = username
        self._asks_rights = asks_rights
        self._password = password

    def get(self, entity: str, name: str | None = None, *, like: str | None = None) -> list[ET.Element]:
        """Records of an entity; with a name, that one or none; with `like`, those that have it in their name.

        A read without a proper answer is repeated (PAUSES), unless the endpoint's timeout is over by then.
        """
        return self.fetch(entity, name, like=like).records

    def fetch(self, entity: str, name: str | None = None, *, like: str | None = None) -> Answer:
        """As get(), with the body."""
        get = ET.Element("Get")
        wanted = ET.SubElement(get, entity)
        if name is not None:
            _filter(wanted, "Name", "=", name)
        elif like is not None:
            _filter(wanted, "Name", "like", like)
        self.reads += 1
        response, body = self._repeat(lambda: self._ask(get, entity))
        records = [record for record in response.findall(entity) if _is_record(record)]
        # Some entities ignore the filter (measured).
        if name is not None:
            records = [record for record in records if record.findtext("Name") == name]
        elif like is not None:
            records = [record for record in records if like in record.findtext("Name", "")]
        return Answer(records, body)

    @functools.cached_property
    def profile(self) -> ET.Element | None:
        """The administration profile of the account that we log in with; None where the firewall does not tell it.

        One request of two reads, sent once and never repeated: nothing hangs on it. The account's record has a hash of
        the password in it, and is dropped at once.
        """
        if not self._asks_rights:
            return None
        get = ET.Element("Get")
        _filter(ET.SubElement(get, "User"), "Username", "=", self.username)
        ET.SubElement(get, "AdministrationProfile")
        self.reads += 1
        try:
            _body, response = self._post(get, "read the account's profile")
            (name,) = [
                user.findtext("Profile", "")
                for user in response.findall("User")
                if _is_record(user) and user.findtext("Username", "").casefold() == self.username.casefold()
            ]
            (profile,) = [
                one
                for one in response.findall("AdministrationProfile")
                if _is_record(one) and one.findtext("Name") == name
            ]
        except (XgsApiError, XgsConnectionError, ValueError):
            return None
        return profile

    def _ask(self, get: ET.Element, entity: str) -> tuple[ET.Element, bytes]:
        body, response = self._post(get, f"read {entity}")
        if response.find(entity) is None:
            # Taken for "there is none", that would have everything made anew.
            raise XgsConnectionError(
                f"{self.endpoint} did not answer the question for {entity}",
                remedy="Try again; if it stays so, this firmware may not know it.",
                sent=True,
            )
        return response, body

    def send(self, write: Write) -> None:
        """Carry out one write; any status of 2xx counts as done (measured).

        An answer lost on the way is cleared up by reading, never by a blind second try.
        """
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
        """Accept this certificate (SHA-256, hexadecimal) of the web admin console from now on, too.

        Raises XgsConnectionError when it is none.
        """
        self._transport.trust(fingerprint)

    def _send(self, write: Write) -> None:
        if write.operation == "remove":
            document = ET.Element("Remove")
            ET.SubElement(ET.SubElement(document, write.entity.tag), "Name").text = write.name
        else:
            document = ET.Element("Set", operation=write.operation)
            document.extend([write.entity, *write.then])
        self.writes += 1
        _body, response = self._post(document, str(write), write.files)
        for code, text in _check_status(response, write):
            self._note(write, code, text)

    def _note(self, write: Write, code: int, text: str) -> None:
        meaning = remark(code, write.entity.tag)
        if meaning is None:
            return
        said = f"{self.endpoint.host}: '{write}' is done, with the status {code}, {legible(text)}"
        said = f"{said}: {meaning}" if meaning else said
        if said not in self.remarks:
            self.remarks.append(said)

    def _repeat(self, request: t.Callable[[], t.Any]) -> t.Any:
        # One that is silent has had its time: neighbours in the same task wait for it.
        deadline = Deadline(self.clock, self.endpoint.timeout)
        for pause in PAUSES:
            try:
                return request()
            except XgsConnectionError as error:
                if not error.sent or deadline.over:
                    raise
            self.clock.sleep(pause)
        return request()

    def _post(self, operation: ET.Element, purpose: str, files: t.Sequence[File] = ()) -> tuple[bytes, ET.Element]:
        """The body of the answer, and the response in it."""
        if self._login_failures >= MOST_LOGIN_FAILURES:
            raise _login_error()
        document = envelope.request(self.username, self._password, operation, purpose)
        with turn(self.endpoint, self.clock):
            body = self._transport.post(document, files)
        if self._transport.told:
            self.time.told(self._transport.told)
        response = envelope.response(body, self.endpoint, purpose)
        _check_access(response, self._transport)
        # A wrong password comes without a code (measured).
        if "success" not in response.findtext("Login/status", "").lower():
            self._login_failures += 1
            raise _login_error()
        return body, response


def _check_access(response: ET.Element, transport: Transport) -> None:
    """529, 532 and 534 come without a login (measured)."""
    refusal = response.find("Status")
    if refusal is None:
        return
    code, text = _code(refusal), legible(refusal.text or "")
    meaning, remedy = in_words(code)
    if code in CLOSED:
        own = transport.own_address()
        seen = f" Unless NAT on the way changes it, that is {own}." if own else ""
        raise XgsAccessError(f"{meaning} (status {code}, {text})", remedy=remedy + seen)
    problem = f"the API is not available: status {code}, {text}: {meaning}"
    if code == MUTILATED:
        raise XgsConnectionError(problem, remedy=remedy, sent=True)
    raise XgsAccessError(problem, remedy=remedy)


def _login_error() -> XgsLoginError:
    return XgsLoginError(
        "the firewall does not accept user name and password",
        remedy="Use a local administrator without a one-time password, and mind that repeated failures lock it.",
    )


def _code(status: ET.Element) -> int:
    """The number; 0 where there is none, which is never a success."""
    number = status.get("code", "")
    return int(number) if len(number) == 3 and number.isdecimal() else 0


def _filter(wanted: ET.Element, key: str, criteria: str, value: str) -> None:
    ET.SubElement(ET.SubElement(wanted, "Filter"), "key", name=key, criteria=criteria).text = value


def _is_record(element: ET.Element) -> bool:
    """False for <Status>No. of records Zero.</Status> and its like: a lone status is no data.

    With a code it is one even if more is beside it, such as <InvalidParams>: in data a Status has none (measured).
    """
    for status in element.findall("Status"):
        if _code(status) >= 500:
            operation = f"read {element.tag}"
            refusal = XgsApiError(_code(status), status.text or "", operation=operation, entity=element.tag)
            if refusal.code == NO_RIGHT:
                refusal.advise(takes(element.tag, reading=True))
            raise refusal
    return [child.tag for child in element] not in ([], ["Status"])


def _check_status(response: ET.Element, write: Write) -> list[tuple[int, str]]:
    """(code, text) of each success. Raises XgsApiError for a refusal, XgsConnectionError when there is neither.

    The status of a write stands under the entity, or under its sub-block, as with WebAdminSettings (measured).
    """
    places = {write.entity.tag, *(child.tag for child in write.entity)}
    found = [
        (answered, status)
        for answered in response
        if answered.tag in places
        for status in answered.iter("Status")
        if status.get("code")
    ]
    if not found:
        raise XgsConnectionError(
            f"the firewall did not say whether it did '{write}'", remedy="Run again: it is read anew.", sent=True
        )
    for answered, status in found:
        _judge(status, answered, write)
    return [(_code(status), status.text or "") for _answered, status in found if _code(status) < 300]


def _judge(status: ET.Element, answered: ET.Element, write: Write) -> None:
    """2xx is done, even with a remark; everything else is a refusal."""
    code = _code(status)
    if not 200 <= code <= 299 and code not in write.satisfied_by:
        parameters = tuple(element.text or "" for element in answered.iter("Params"))
        refusal = XgsApiError(code, status.text or "", operation=str(write), entity=answered.tag, parameters=parameters)
        if code == NO_RIGHT:
            rule_of_waf = write.entity.findtext("PolicyType") == "HTTPBased"
            refusal.advise(takes(write.entity.tag, reading=False, rule_of_waf=rule_of_waf))
        raise refusal


__all__ = ("Answer", "Firewall", "Write")
