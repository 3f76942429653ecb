# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Get, Set and Remove on the entities of one firewall."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import certificates, groups
from .catalogue import ENTITIES
from .checks import CHECKS, certificates_fit
from .defaults import SERVICES_OF_THE_DEVICE
from .device import Device
from .envelope import SUCCESS, Refused, Step
from .schema import Entity, text, validate
from .store import FAILED, SINGLETON

__all__ = ["Outcome", "name_of", "read", "remove", "write"]

DUPLICATE = "Operation failed. Entity having same name already exists."
# In the vendor's sample the position comes after these.
HEAD = ("Name", "RuleName", "Description", "Status", "IPFamily")
UNKNOWN_STATUS = "Unable to get status message"
PLACING = ("Position", "After", "Before", "Section")
DEFAULTS = {"Description": "", "Status": "Enable", "IPFamily": "IPv4"}
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Outcome:
    """One status element of the answer. Sub-blocks answer under their own tag, or below one: ENTITY/BLOCK."""

    path: str
    code: int = 200
    text: str = SUCCESS
    invalid: tuple[str, ...] = ()


def name_of(step: Step) -> str:
    entity = ENTITIES.get(step.entity)
    return text(step.element, entity.key) if entity else ""


def answer_path(step: Step) -> str:
    """Where the vendor's own collection looks for the status of an entity whose object sits in a block."""
    entity = ENTITIES.get(step.entity)
    if entity is None or not entity.block:
        return step.entity
    if step.operation in ("add", "update", "set"):
        return entity.block
    asked = step.operation == "remove" or step.element.find(entity.block) is not None
    return f"{entity.tag}/{entity.block}" if asked else entity.tag


# --- Set ----------------------------------------------------------------------------------------------------


def write(device: Device, step: Step, files: Files) -> list[Outcome]:
    """Raises Refused when there is one answer and it is no."""
    if device.settings.auxiliary:
        raise Refused(*FAILED)
    special = SPECIAL.get(step.entity)
    if special:
        return special(device, step, files)
    entity = ENTITIES[step.entity]
    return _write_singleton(device, entity, step) if entity.singleton else _write_named(device, entity, step)


def _check(device: Device, entity: Entity, element: ET.Element, update: bool) -> None:
    validate(entity, element)
    device.store.check_references(entity, element)
    certificates_fit(device, entity, element)
    check = CHECKS.get(entity.tag)
    if check:
        check(device, element, update)


def _write_singleton(device: Device, entity: Entity, step: Step) -> list[Outcome]:
    _check(device, entity, step.element, True)
    known = device.store.get(entity.tag) is not None
    device.store.put(entity.tag, SINGLETON, _clean(entity, step.element))
    if entity.tag == "SophosConnectClient" and known:
        return [Outcome(entity.tag, 201, "Updated remote access IPsec VPN.")]
    return [Outcome(entity.tag)]


def _write_named(device: Device, entity: Entity, step: Step) -> list[Outcome]:
    element, name = step.element, text(step.element, entity.key)
    update = step.operation == "update" or (step.operation == "set" and device.store.get(entity.tag, name) is not None)
    if update and device.store.get(entity.tag, name) is None:
        raise Refused(*FAILED)
    if update:
        device.store.check_changeable(entity.tag, name)
    _check(device, entity, element, update)
    if not update and device.store.exists(entity, name):
        raise Refused(502, DUPLICATE)
    position, anchor = _position(device, entity, element, update)
    stored = _clean(entity, element)
    if entity.tag == "FirewallRuleGroup":
        stored = groups.grow(device, stored)
    device.store.put(entity.tag, name, stored)
    if position:
        device.store.move(entity.tag, name, position, anchor)
    if entity.tag == "FirewallRule":
        # Observed by several tools: an updated rule falls out of its group.
        groups.drop(device.store, {name})
        groups.close_ranks(device.store)
    if entity.tag == "L2TPConnection":
        # L2TP itself is switched off, as it is out of the box.
        return [Outcome(answer_path(step), 201, SUCCESS)]
    return [Outcome(answer_path(step))]


def _position(device: Device, entity: Entity, element: ET.Element, update: bool) -> tuple[str, str]:
    if not entity.positioned:
        return "", ""
    position = text(element, "Position")
    if not position and not update and entity.tag != "LocalServiceACL":
        raise Refused.validation(f"/{entity.tag}/Position")
    if position not in ("After", "Before"):
        return position, ""
    anchor = text(element, f"{position}/Name")
    if anchor == text(element, entity.key) or device.store.get(entity.tag, anchor) is None:
        raise Refused.validation(f"/{entity.tag}/{position}/Name")
    return position, anchor


def _clean(entity: Entity, element: ET.Element) -> ET.Element:
    """As stored: without placement, and with the defaults that the device shows."""
    stored = ET.Element(element.tag)
    if entity.block:
        stored.extend(element.findall(entity.block))
        return stored
    known = {rule.path for rule in entity.fields}
    for child in element:
        if child.tag in PLACING and entity.positioned:
            continue
        if child.tag in DEFAULTS and not (child.text or "").strip():
            continue
        stored.append(child)
    for tag, default in DEFAULTS.items():
        if tag in known and stored.find(tag) is None:
            ET.SubElement(stored, tag).text = default
    return stored


def _write_certificate(device: Device, step: Step, files: Files) -> list[Outcome]:
    known = device.store.get(step.entity, text(step.element, "Name")) is not None
    update = step.operation == "update" or (step.operation == "set" and known)
    if step.entity == "Certificate":
        certificates.certificate(device, step.element, files, update)
    else:
        certificates.authority(device.store, step.element, files, update)
    return [Outcome(step.entity)]


def _write_admin_settings(device: Device, step: Step, files: Files) -> list[Outcome]:
    """Only the blocks sent are replaced, and each answers under its own tag."""
    outcomes = []
    for block in step.element:
        merged = ET.Element("AdminSettings")
        before = device.store.get("AdminSettings")
        merged.extend(child for child in before if child.tag != block.tag)  # type: ignore[union-attr]
        merged.append(block)
        try:
            _check(device, ENTITIES["AdminSettings"], merged, True)
        except Refused as refused:
            outcomes.append(Outcome(block.tag, refused.code, str(refused), refused.invalid))
            continue
        device.store.put("AdminSettings", SINGLETON, merged)
        outcomes.append(Outcome(block.tag))
    return outcomes


def _write_time(device: Device, step: Step, files: Files) -> list[Outcome]:
    merged = ET.Element("Time")
    merged.extend(child for child in step.element if child.tag not in ("SetDateTime", "SyncNow"))
    if not text(merged, "TimeZone"):
        ET.SubElement(merged, "TimeZone").text = device.timezone
    _check(device, ENTITIES["Time"], merged, True)
    device.store.put("Time", SINGLETON, merged)
    return [Outcome("Time")]


def _write_services(device: Device, step: Step, files: Files) -> list[Outcome]:
    outcomes = []
    for daemon in step.element:
        action = text(daemon, "Action")
        if daemon.tag not in SERVICES_OF_THE_DEVICE or action not in ("Start", "Stop", "Restart"):
            outcomes.append(Outcome(daemon.tag, 501, "Configuration parameters validation failed."))
            continue
        changed = ET.Element("SystemServices")
        for child in device.store.get("SystemServices"):  # type: ignore[union-attr]
            state = ET.SubElement(changed, child.tag)
            stopped = action == "Stop" if child.tag == daemon.tag else text(child, "Status") == "Stopped"
            ET.SubElement(state, "Status").text = "Stopped" if stopped else "Running"
        device.store.put("SystemServices", SINGLETON, changed)
        outcomes.append(Outcome(daemon.tag, 202, UNKNOWN_STATUS) if action == "Stop" else Outcome(daemon.tag))
    return outcomes


def _refuse(device: Device, step: Step, files: Files) -> list[Outcome]:
    raise Refused(*FAILED)


SPECIAL = {
    "Certificate": _write_certificate,
    "CertificateAuthority": _write_certificate,
    "AdminSettings": _write_admin_settings,
    "Time": _write_time,
    "SystemServices": _write_services,
    "HAConfigure": _refuse,
    "User": _refuse,
    "AdministrationProfile": _refuse,
}


# --- Remove -------------------------------------------------------------------------------------------------


def remove(device: Device, step: Step) -> list[Outcome]:
    entity, name = ENTITIES[step.entity], name_of(step)
    if device.settings.auxiliary or entity.singleton:
        raise Refused(*FAILED)
    if not name:
        raise Refused.validation(f"/{entity.tag}/{entity.key}")
    device.store.remove(entity.tag, name)
    if entity.tag == "FirewallRule":
        groups.drop(device.store, {name})
    return [Outcome(answer_path(step))]


# --- Get ----------------------------------------------------------------------------------------------------


def read(device: Device, step: Step) -> list[ET.Element]:
    entity = ENTITIES[step.entity]
    wanted = _filter(entity, step.element)
    return [_shown(device, entity, element) for element in device.store.all(entity.tag) if wanted(element)]


def grouped(entity: Entity, records: list[ET.Element]) -> list[ET.Element]:
    """Objects in blocks are shown as the blocks of one element."""
    if not entity.block:
        return records
    whole = ET.Element(entity.tag)
    whole.extend(block for record in records for block in record)
    return [whole]


def _filter(entity: Entity, element: ET.Element) -> Callable[[ET.Element], bool]:
    inside = f"{entity.block}/" if entity.block else ""
    key = element.find(f"{inside}Filter/key")
    path = inside + key.get("name", "") if key is not None else ""
    if key is None or path not in (entity.key, *entity.filters):
        # The device ignores a key that it does not support and answers with everything.
        return lambda record: True
    value = (key.text or "").strip()
    criteria = key.get("criteria", "=")
    if criteria == "like":
        return lambda record: value.lower() in text(record, path).lower()
    if criteria == "!=":
        return lambda record: text(record, path) != value
    return lambda record: text(record, path) == value


def _shown(device: Device, entity: Entity, element: ET.Element) -> ET.Element:
    if not entity.positioned:
        return element
    name = text(element, entity.key)
    before = device.store.predecessor(entity.tag, name)
    placing = [ET.Element("Position")]
    placing[0].text = "Top" if before is None else "After"
    if entity.tag == "FirewallRule":
        placing.append(ET.Element("Section"))
        placing[1].text = device.store.section(entity.tag, name)
    if before is not None:
        placing.append(ET.Element("After"))
        ET.SubElement(placing[-1], "Name").text = before
    shown = ET.Element(element.tag)
    shown.extend(child for child in element if child.tag in HEAD)
    shown.extend(placing)
    shown.extend(child for child in element if child.tag not in HEAD)
    return shown
