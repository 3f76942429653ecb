# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What an account may write, as far as its own administration profile tells, before anything is written.

Profiles are documented with their switches and levels (API document), and what a live one has was reported; which
switch lets what be written is inferred, and docs/firewall.md asks for just these. So a refusal takes a switch that
says None or Read-Only; whatever else comes back cannot tell, and then the first write does.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from .errors import XgsError, legible
from .switches import CALLED, NEEDED, READ_ONLY, READ_WRITE, WAF_RULE

if t.TYPE_CHECKING:
    from .api import Firewall, Write

TOO_LOW = ("None", READ_ONLY)
# What every opening and every upload writes.
OPENED = ("IPHost", "Services", "Schedule", "FirewallRule", "NATRule")
UPLOADED = ("Certificate", "CertificateAuthority")


def parts_of(writes: t.Iterable[Write]) -> list[str]:
    """The parts of the configuration that these add to or change. What is only removed is left to the firewall."""
    found = []
    for write in writes:
        if write.operation != "remove":
            found.append(write.entity.tag)
            if write.entity.findtext("PolicyType") == "HTTPBased":
                found.append(WAF_RULE)
    return list(dict.fromkeys(found))


def check_rights(firewall: Firewall, parts: t.Iterable[str]) -> None:
    """Raises XgsError when the account is sure not to be allowed to write one of them. No parts: nothing is asked."""
    wanted = dict.fromkeys(switches for part in parts for switches in NEEDED.get(part, ()))
    profile = firewall.profile if wanted else None
    if profile is None:
        return
    lacking: dict[str, str] = {}
    for switches in wanted:
        lacking.update(_lacking(profile, switches))
    if not lacking:
        return
    name = legible(profile.findtext("Name", ""))
    found = " and ".join(f"{switch} on {level}" for switch, level in lacking.items())
    raise XgsError(
        f"the profile '{name}' of the administrator '{firewall.username}' has {found}, which does not let it"
        " write what is to be written",
        remedy=f"Set {' and '.join(lacking)} to {READ_WRITE} under Profiles > Device access > {name}; if this firewall"
        " lets the account write all the same, set check_rights (in the inventory: xgs_check_rights) to false.",
    )


def _lacking(profile: ET.Element, switches: tuple[str, ...]) -> dict[str, str]:
    """By the console's name, switches that are too low. Of alternatives all that there are have to be."""
    levels = {CALLED[path]: profile.findtext(path, "").strip() for path in switches}
    there = {switch: level for switch, level in levels.items() if level}
    return there if all(level in TOO_LOW for level in there.values()) else {}


__all__ = ("OPENED", "UPLOADED", "check_rights", "parts_of")
