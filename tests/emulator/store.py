# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of one firewall: named objects, in order, with reference integrity."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from typing import Any

from .catalogue import ENTITIES
from .envelope import Refused
from .schema import Entity, named

__all__ = ["CENTRAL", "FAILED", "Store"]

SINGLETON = ""
FAILED = (500, "Operation could not be performed on entity.")
CENTRAL = (
    596,
    (
        "Can't make the change locally. For configurations made through Sophos Central, "
        "you can only make changes centrally"
    ),
)
IN_USE = "Operation failed. Deleting entity referred by another entity."


class Store:
    """Stored elements are never changed in place: built-in ones are shared by all firewalls."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, ET.Element]] = {tag: {} for tag in ENTITIES}
        self._materials: dict[tuple[str, str], Any] = {}
        # Who cannot be changed, and the answer to those who try.
        self._fixed: dict[tuple[str, str], tuple[int, str]] = {}
        # Rules of Sophos Central: "Central_TOP" or "Central_Bottom". All others are "Local".
        self._sections: dict[tuple[str, str], str] = {}
        # Used by something that is no entity of the API.
        self.held: set[tuple[str, str]] = set()

    def names(self, tag: str) -> list[str]:
        return list(self._objects[tag])

    def all(self, tag: str) -> Iterable[ET.Element]:
        return self._objects[tag].values()

    def get(self, tag: str, name: str = SINGLETON) -> ET.Element | None:
        return self._objects[tag].get(name)

    def material(self, tag: str, name: str) -> Any:
        return self._materials.get((tag, name))

    def put(self, tag: str, name: str, element: ET.Element, material: Any = None) -> None:
        self._objects[tag][name] = element
        if material is not None:
            self._materials[tag, name] = material

    def put_built_in(self, tag: str, name: str, element: ET.Element, material: Any = None) -> None:
        self.put(tag, name, element, material)
        self._fixed[tag, name] = FAILED

    def put_central(self, tag: str, name: str, section: str) -> None:
        """A rule that is there already comes from Sophos Central."""
        self._fixed[tag, name] = CENTRAL
        self._sections[tag, name] = section
        self.move(tag, name, "Bottom")

    def section(self, tag: str, name: str) -> str:
        return self._sections.get((tag, name), "Local")

    def check_changeable(self, tag: str, name: str) -> None:
        if (tag, name) in self._fixed:
            raise Refused(*self._fixed[tag, name])

    def exists(self, entity: Entity, name: str) -> bool:
        shared = entity.shares_names_with
        return name in self._objects[entity.tag] or bool(shared and name in self._objects[shared])

    def resolve(self, tags: Iterable[str], name: str) -> ET.Element | None:
        for tag in tags:
            if name in self._objects[tag]:
                return self._objects[tag][name]
        return None

    def remove(self, tag: str, name: str) -> None:
        if name not in self._objects[tag] or any(self.users(tag, name)) or (tag, name) in self.held:
            raise Refused(504, IN_USE)
        self.check_changeable(tag, name)
        del self._objects[tag][name]
        self._materials.pop((tag, name), None)

    def users(self, tag: str, name: str) -> Iterator[tuple[str, str]]:
        """(entity, name) of every object that holds a strong reference to this one."""
        for entity in ENTITIES.values():
            paths = [ref.path for ref in entity.references if tag in ref.targets and not ref.weak]
            for owner, element in self._objects[entity.tag].items() if paths else ():
                if any(name in named(element, path) for path in paths):
                    yield entity.tag, owner

    def check_references(self, entity: Entity, element: ET.Element) -> None:
        bad = [
            f"/{entity.tag}/{ref.path}"
            for ref in entity.references
            for name in named(element, ref.path)
            if name not in ref.words and self.resolve(ref.targets, name) is None
        ]
        if bad:
            raise Refused.validation(*dict.fromkeys(bad))

    def move(self, tag: str, name: str, position: str, anchor: str = "") -> None:
        objects = self._objects[tag]
        order = [other for other in objects if other != name]
        sections = [self.section(tag, other) for other in order]
        if position == "Top":
            index = 0
        elif position == "Bottom":
            index = len(order)
        else:
            index = order.index(anchor) + (position == "After")
        top, local = sections.count("Central_TOP"), len(order) - sections.count("Central_Bottom")
        bounds = {"Local": (top, local), "Central_TOP": (top, top), "Central_Bottom": (len(order), len(order))}
        lowest, highest = bounds[self.section(tag, name)]
        order.insert(min(max(index, lowest), highest), name)
        self._objects[tag] = {other: objects[other] for other in order}

    def predecessor(self, tag: str, name: str) -> str | None:
        order = self.names(tag)
        index = order.index(name)
        return order[index - 1] if index else None
