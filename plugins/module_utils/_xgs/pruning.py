# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""How old versions of a certificate leave the firewall, and who keeps them there."""

from __future__ import annotations

import typing as t

from .._progress import some, tell
from .api import Firewall, Write
from .certificates import StoredCertificate, read_certificates
from .change import Change
from .consumers import KINDS, read_consumers
from .errors import NO_RIGHT, XgsApiError, XgsError
from .objects import element

# "Operation failed. Deleting entity referred by another entity."
REFERRED = 504


class Users(t.NamedTuple):
    """by_certificate: consumers by the certificate's name. hidden: titles of kinds that the account may not read."""

    by_certificate: dict[str, list[str]]
    hidden: list[str]

    @property
    def unknown(self) -> str:
        """Who it is, when the firewall says that there is somebody and we see nobody."""
        return f"something else ({', '.join(self.hidden)} may not be read)" if self.hidden else "something else"

    def switched(self, consumers: t.Sequence[str], certificate: str) -> Users:
        """As it will be when these use that certificate."""
        others = {
            name: [user for user in users if user not in consumers] for name, users in self.by_certificate.items()
        }
        others[certificate] = [*others.get(certificate, ()), *consumers]
        return self._replace(by_certificate={name: users for name, users in others.items() if users})


def read_users(firewall: Firewall) -> Users:
    """Who uses which certificate, as far as the account may see it; the firewall itself guards the rest (504)."""
    users = Users({}, [])
    for entity in dict.fromkeys(kind.entity for kind in KINDS.values()):
        kinds = [kind for kind in KINDS.values() if kind.entity == entity]
        try:
            found = read_consumers(firewall, [kind.key for kind in kinds])
        except XgsApiError as error:
            if error.code != NO_RIGHT:
                raise
            users.hidden.extend(kind.title for kind in kinds)
            continue
        for consumer in found:
            users.by_certificate.setdefault(consumer.certificate, []).append(str(consumer))
    return users


def plan_prune(name: str, keep: int, found: t.Sequence[StoredCertificate], in_use: t.Container[str]) -> Change:
    """Remove our versions but the `keep` newest (a number) and those in use. An object of the bare name is not ours.

    A provisional one goes as soon as there is another. found: versions() of the name.
    """
    kept = [version for version in found[:keep] if version is found[0] or not _provisional(version)]
    old = [version.name for version in found if version not in kept and version.name != name]
    gone = [version for version in old if version not in in_use]
    writes = tuple(Write("remove", element("Certificate", {"Name": version})) for version in gone)
    return Change({"certificates": old}, {"certificates": [version for version in old if version in in_use]}, writes)


def with_newest(version: str, found: list[StoredCertificate]) -> list[StoredCertificate]:
    """The versions, newest first, together with one that a task before would have made."""
    there = any(one.name == version for one in found)
    return found if there else [StoredCertificate(version, [], has_key=True), *found]


def _provisional(version: StoredCertificate) -> bool:
    return version.facts is not None and version.facts.self_signed


def remove(firewall: Firewall, change: Change) -> list[str]:
    """Carry out plan_prune(). Returns what the firewall keeps because something refers to it that we do not see (504).

    Raises XgsError when a removal is refused for another reason, or was not carried out.
    """
    if change.writes:
        tell("prune", some(write.name for write in change.writes))
    referred = []
    for write in change.writes:
        try:
            firewall.send(write)
        except XgsApiError as error:
            # Somebody else may have been faster; the code for what is not there is not known for sure.
            if not firewall.get("Certificate", write.name):
                continue
            if error.code != REFERRED:
                raise
            referred.append(write.name)
    left = {certificate.name for certificate in read_certificates(firewall)} if change.changed else set()
    for write in change.writes:
        if write.name in left and write.name not in referred:
            raise XgsError(
                f"the firewall accepted the removal of {write.name}, but still holds it", remedy="Run again."
            )
    return referred


__all__ = ("Users", "plan_prune", "read_users", "remove", "with_newest")
