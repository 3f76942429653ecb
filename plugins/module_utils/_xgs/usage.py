# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Who uses which certificate, as far as the firewall tells: for reading alone, VPN connections too.

Nothing on the firewall looks it up the other way round, so every entity that can name a certificate is read. One that
this firmware does not have, or this account may not read, must not hide the others.
"""

from __future__ import annotations

import dataclasses
import typing as t
import xml.etree.ElementTree as ET

from .api import Firewall
from .consumers import KINDS
from .errors import XgsApiError

# What lies inside the VPN connections' one child.
BLOCK = "Configuration"
ENTITIES = tuple(dict.fromkeys(kind.entity for kind in KINDS.values()))


@dataclasses.dataclass(frozen=True)
class Use:
    """consumer: `webadmin`, `waf:NAME`, …; certificate: the name of the object that it uses."""

    consumer: str
    certificate: str


@dataclasses.dataclass(frozen=True)
class Unread:
    """What could not be read, and why."""

    entity: str
    reason: str


def read_uses(firewall: Firewall) -> tuple[list[Use], list[Unread]]:
    """Every use of a certificate, and the entities that stayed closed. One read for each of ENTITIES (API document).

    Raises XgsConnectionError, XgsAccessError, but no XgsApiError: what is refused is unread.
    """
    uses: list[Use] = []
    unread = []
    for entity in ENTITIES:
        try:
            records = firewall.get(entity)
        except XgsApiError as error:
            unread.append(Unread(entity, str(error)))
            continue
        for block in (block for record in records for block in record.findall(BLOCK) or [record]):
            uses += _uses_in(entity, block)
    return uses, unread


def _uses_in(entity: str, record: ET.Element) -> t.Iterator[Use]:
    for kind in KINDS.values():
        if kind.entity == entity:
            places = [record.findtext(path.removeprefix(f"{BLOCK}/"), "") for path in kind.paths]
            consumer = f"{kind.key}:{record.findtext('Name', '')}" if kind.named else kind.key
            yield from (Use(consumer, certificate) for certificate in places if certificate)


__all__ = ("ENTITIES", "Unread", "Use", "read_uses")
