# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an entity is described: its name, its fields, and the objects that it names."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from .envelope import Refused

__all__ = ["Entity", "Field", "Reference", "named", "text", "validate"]


@dataclass(frozen=True)
class Field:
    path: str
    required: bool = False
    # The element has to be there, be it empty.
    present: bool = False
    choices: tuple[str, ...] = ()
    pattern: str = ""
    longest: int = 0

    def allows(self, value: str) -> bool:
        return not (
            (self.choices and value not in self.choices)
            or (self.pattern and not re.fullmatch(self.pattern, value))
            or (self.longest and len(value) > self.longest)
        )


@dataclass(frozen=True)
class Reference:
    path: str
    targets: tuple[str, ...]
    # Words that stand there without being an object's name.
    words: tuple[str, ...] = ()
    # A weak reference follows the removal of its target instead of forbidding it.
    weak: bool = False


@dataclass(frozen=True)
class Entity:
    tag: str
    right: str
    key: str = "Name"
    singleton: bool = False
    positioned: bool = False
    fields: tuple[Field, ...] = ()
    references: tuple[Reference, ...] = ()
    # The object sits in a block of this name; a Get shows all of them in one element.
    block: str = ""
    # Names are taken together with those of this entity (a service and a service group).
    shares_names_with: str = ""
    filters: tuple[str, ...] = ()


def text(element: ET.Element, path: str, default: str = "") -> str:
    return (element.findtext(path) or "").strip() or default


def named(element: ET.Element, path: str) -> list[str]:
    """The non-empty texts below a path."""
    return [value for found in element.findall(path) if (value := (found.text or "").strip())]


def validate(entity: Entity, element: ET.Element) -> None:
    """Raise 501, naming every field that breaks a rule."""
    bad = []
    for rule in entity.fields:
        values = named(element, rule.path)
        missing = (rule.required and not values) or (rule.present and element.find(rule.path) is None)
        if missing or not all(rule.allows(value) for value in values):
            bad.append(f"/{entity.tag}/{rule.path}")
    if bad:
        raise Refused.validation(*bad)
