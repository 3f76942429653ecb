# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The XML API of one firewall: from an incoming request to the bytes of the answer."""

from __future__ import annotations

import asyncio
import ipaddress
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from . import entities
from .archive import Archive, describe
from .catalogue import CERTIFICATE_ENTITIES, ENTITIES
from .config import Account, Latency
from .device import Device
from .entities import Outcome
from .envelope import Answer, Malformed, ParsedRequest, Refused, Step, envelope_status, parse
from .faults import Fault, Faults
from .schema import text
from .store import FAILED
from .wire import Incoming

__all__ = ["Api", "Dropped", "Reply"]

XML = "text/xml;charset=UTF-8"
TAR = "application/octet-stream"
HTML = "text/html;charset=UTF-8"
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Login</title></head><body>Login</body></html>"
REMARKS = {"zero": "No. of records Zero.", "fail": "Transaction fail"}
SILENCE = 600.0
RANKS = {"None": 0, "Read-Only": 1, "Read-Write": 2}
Changed = Callable[[], Awaitable[None]]


class Dropped(Exception):
    """The connection is to be reset instead of answered."""

    def __init__(self, refuse_for: float = 0.0) -> None:
        self.refuse_for = refuse_for


@dataclass(frozen=True)
class Reply:
    body: bytes
    content_type: str = XML
    # Seconds for which nobody listens after it (0: until the faults are cleared).
    then_refuse: float | None = None


class _Replaced(Exception):
    """A fault replaces the whole answer."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply


class Api:
    def __init__(self, device: Device, faults: Faults, changed: Changed) -> None:
        self.device = device
        self.faults = faults
        self.changed = changed
        # The appliance carries out one change at a time.
        self.writing = asyncio.Lock()

    async def handle(self, incoming: Incoming, source: str) -> Reply:
        device = self.device
        device.journal.counters["requests"] += 1
        if incoming.xml is None:
            return Reply(b"")
        refused = self._before_login(source)
        if refused:
            return refused
        try:
            request = parse(incoming.xml)
        except Malformed:
            device.journal.note(source, "login", "", "", "529")
            return self.envelope(529, "Input request file is Invalid")
        account = self._account(request)
        if account is None:
            return self.login_failure(source)
        if not request.steps:
            device.journal.note(source, "login", "", "", "success")
        try:
            return await _Run(self, request, account, incoming, source).reply()
        except _Replaced as replaced:
            return replaced.reply

    def _before_login(self, source: str) -> Reply | None:
        settings, journal = self.device.settings, self.device.journal
        if not settings.api_enabled:
            journal.note(source, "login", "", "", "532")
            return self.envelope(532, "API access is not enabled")
        allowed = settings.allowed_sources
        address = ipaddress.ip_address(source)
        if allowed and not any(address in ipaddress.ip_network(entry, strict=False) for entry in allowed):
            journal.note(source, "login", "", "", "534")
            return self.envelope(534, "API operations are not allowed from the requester IP address")
        return None

    def envelope(self, code: int, text_: str) -> Reply:
        return Reply(envelope_status(code, text_, self.device.persona.api_version))

    def _account(self, request: ParsedRequest) -> Account | None:
        for account in self.device.config.administrators:
            if (account.username, account.password) == (request.username, request.password):
                return account
        return None

    def login_failure(self, source: str) -> Reply:
        journal = self.device.journal
        journal.counters["auth_failures"] += 1
        journal.note(source, "login", "", "", "failure")
        answer = Answer(self.device.persona.api_version)
        answer.login(False)
        return Reply(answer.render())


class _Run:
    """One request with a valid login."""

    def __init__(self, api: Api, request: ParsedRequest, account: Account, incoming: Incoming, source: str) -> None:
        self._api = api
        self._device = api.device
        self._request = request
        self._account = account
        self._files = incoming.files
        self._source = source
        self._answer = Answer(api.device.persona.api_version)
        self._archive = Archive()
        self._afterwards: list[Fault] = []
        self._remarked: Fault | None = None

    async def reply(self) -> Reply:
        self._answer.login(True)
        for step in self._request.steps:
            await self._step(step)
        body, content_type = self._answer.render(), XML
        if self._archive.files:
            body = self._archive.render(body, self._device.settings, self._device.persona.api_version)
            content_type = TAR
        elif self._device.settings.noise:
            body = _noisy(body)
        for fault in self._afterwards:
            body = await self._spoil(fault, body)
        leaving = [fault.seconds for fault in self._afterwards if fault.kind == "leave"]
        return Reply(body, content_type, *leaving[:1])

    async def _step(self, step: Step) -> None:
        name = entities.name_of(step)
        fault = self._api.faults.take(step, name or _filtered_name(step))
        if fault and await self._faulty(fault, step):
            return
        try:
            status = await self._carry_out(step)
        except Refused as refused:
            path = entities.answer_path(step)
            self._answer.status(path, step.transaction, refused.code, refused.text, refused.invalid)
            status = str(refused.code)
        self._note(step, status)

    async def _faulty(self, fault: Fault, step: Step) -> bool:
        """True when the step is dealt with; the journal knows of it even when nobody is answered."""
        instead = True
        try:
            instead = await self._instead(fault, step)
        finally:
            if instead:
                self._note(step, f"fault {fault.kind}")
        return instead

    def _note(self, step: Step, status: str) -> None:
        name = entities.name_of(step) or _filtered_name(step)
        self._device.journal.note(self._source, step.operation, step.entity, name, status)

    async def _carry_out(self, step: Step) -> str:
        absent = {"HAConfigure": "fail", **self._device.settings.absent_entities}.get(step.entity)
        if step.entity not in ENTITIES or absent == "unknown":
            raise Refused(529, "Input request file is Invalid")
        self._check_rights(step)
        latency = Latency.parse(self._device.settings.latency)
        if step.operation == "get":
            await asyncio.sleep(latency.read)
            return self._remark(step, absent) if absent else self._get(step)
        if absent:
            raise Refused(*FAILED)
        async with self._api.writing:
            await asyncio.sleep(latency.waf if _is_waf(step, self._device) else latency.write)
            if step.operation == "remove":
                outcomes = entities.remove(self._device, step)
            else:
                outcomes = entities.write(self._device, step, self._files)
            await self._api.changed()
        self._report(step, outcomes)
        return ",".join(str(outcome.code) for outcome in outcomes)

    def _report(self, step: Step, outcomes: list[Outcome]) -> None:
        fault, self._remarked = self._remarked, None
        if fault:
            outcomes[:] = [replace(outcome, code=fault.code, text=fault.text) for outcome in outcomes]
        for outcome in outcomes:
            self._answer.status(outcome.path, step.transaction, outcome.code, outcome.text, outcome.invalid)

    def _check_rights(self, step: Step) -> None:
        if self._account.profile is None:
            return
        reading = step.operation == "get"
        rights = [ENTITIES[step.entity].right]
        if reading and step.entity in CERTIFICATE_ENTITIES:
            rights = ["System/DownloadCertificates"]
        if not reading and _is_waf(step, self._device):
            rights.append("WAF/OtherWAFConfiguration")
        default = self._account.profile.get("default", "None")
        granted = min(RANKS.get(self._account.profile.get(right, default), 0) for right in rights)
        if granted < (1 if reading else 2):
            raise Refused(599, "The administrator account may not add or edit this configuration.")

    def _remark(self, step: Step, kind: str) -> str:
        self._answer.remark(entities.answer_path(step), step.transaction, REMARKS[kind])
        return kind

    def _get(self, step: Step) -> str:
        found = entities.read(self._device, step)
        if not found:
            return self._remark(step, "zero")
        for element in entities.grouped(ENTITIES[step.entity], found):
            self._answer.record(self._with_files(step.entity, element), step.transaction)
        return str(len(found))

    def _with_files(self, tag: str, element: ET.Element) -> ET.Element:
        if tag not in CERTIFICATE_ENTITIES:
            return element
        material = self._device.store.material(tag, text(element, "Name"))
        record, files = describe(tag, element, material, self._device.settings)
        self._archive.files.update(files)
        return record

    async def _instead(self, fault: Fault, step: Step) -> bool:
        """True when the step is not to be carried out."""
        kind = fault.kind
        if kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif kind == "hold" and not fault.applied:
            await self._api.faults.hold()
        elif kind in ("reset_before", "refuse"):
            raise Dropped(fault.seconds if kind == "refuse" else 0.0)
        elif kind == "timeout" and not fault.applied:
            await asyncio.sleep(SILENCE)
            raise Dropped
        elif kind in ("auth", "envelope", "html", "empty"):
            raise _Replaced(self._whole_answer(fault))
        elif kind == "status":
            self._answer.status(entities.answer_path(step), step.transaction, fault.code, fault.text)
            return True
        elif kind == "remark":
            self._remarked = fault
        elif kind == "lie":
            self._report(step, [Outcome(entities.answer_path(step))])
            return True
        else:
            self._afterwards.append(fault)
        return False

    def _whole_answer(self, fault: Fault) -> Reply:
        if fault.kind == "auth":
            return self._api.login_failure(self._source)
        if fault.kind == "envelope":
            return self._api.envelope(fault.code, fault.text)
        return Reply(LOGIN_PAGE, HTML) if fault.kind == "html" else Reply(b"")

    async def _spoil(self, fault: Fault, body: bytes) -> bytes:
        if fault.kind == "reset_after":
            raise Dropped
        if fault.kind == "timeout":
            await asyncio.sleep(SILENCE)
            raise Dropped
        if fault.kind == "hold":
            await self._api.faults.hold()
            return body
        if fault.kind == "truncated":
            # An archive ends with kilobytes of zeros, which nobody would miss.
            return body[: len(body.rstrip(b"\0")) // 2]
        if fault.kind == "noise":
            return _noisy(body)
        if fault.kind == "leave":
            return body
        for step in self._request.steps:
            body = body.replace(b"<%s " % step.entity.encode(), b"<Unexpected ")
            body = body.replace(b"</%s>" % step.entity.encode(), b"</Unexpected>")
        return body


def _filtered_name(step: Step) -> str:
    return (step.element.findtext(".//Filter/key") or "").strip()


def _is_waf(step: Step, device: Device) -> bool:
    if step.entity != "FirewallRule":
        return False
    stored = device.store.get("FirewallRule", entities.name_of(step))
    return text(step.element, "PolicyType") == "HTTPBased" or (
        stored is not None and text(stored, "PolicyType") == "HTTPBased"
    )


def _noisy(body: bytes) -> bytes:
    return b"\r\nAPI\x00" + body.replace(b"</Response>", b"\x00</Response>\n\x00")
