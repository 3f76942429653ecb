# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""All that a firewall tells of its certificates, as plain data."""

from __future__ import annotations

import dataclasses
import typing as t

from .api import Firewall
from .certificates import StoredCertificate, authority_certificates, base_name, read_certificates
from .chains import Authorities, missing_issuer
from .errors import XgsApiError, XgsConnectionError
from .usage import Unread, Use, read_uses

Read = t.TypeVar("Read")
Entry = t.Dict[str, t.Any]


def read_inventory(firewall: Firewall, names: t.Sequence[str] | None, *, uses: bool, chains: bool) -> Entry:
    """`certificates`, `unread` and, if asked for, `consumers`. names: of objects or without version; None for all.

    One read; one more for `chains`; one for each of ENTITIES for `uses`. Raises XgsError when nothing can be read.
    """
    unread: list[Unread] = []
    # Some firmware answers with nothing, and a profile may keep the files back: who uses what is told all the same.
    stored = _read("Certificate", lambda: read_certificates(firewall), unread, required=not uses) or []
    readers = read_uses(firewall) if uses else ([], [])
    authorities = None
    if chains and any(certificate.chain for certificate in stored):
        certificates = _read("CertificateAuthority", lambda: authority_certificates(firewall), unread)
        authorities = None if certificates is None else Authorities(certificates)
    found = {
        "certificates": [
            _entry(certificate, firewall, authorities, readers[0] if uses else None)
            for certificate in _selected(stored, names)
        ],
        "unread": [dataclasses.asdict(each) for each in (*unread, *readers[1])],
    }
    return {**found, "consumers": [dataclasses.asdict(use) for use in readers[0]]} if uses else found


def _read(entity: str, read: t.Callable[[], Read], unread: list[Unread], required: bool = False) -> Read | None:
    try:
        return read()
    except (XgsApiError, XgsConnectionError) as error:
        # Whoever does not answer at all will not answer the next question.
        if required or (isinstance(error, XgsConnectionError) and not error.sent):
            raise
        unread.append(Unread(entity, str(error)))
        return None


def _selected(stored: t.Sequence[StoredCertificate], names: t.Sequence[str] | None) -> t.Sequence[StoredCertificate]:
    if not names:
        return stored
    found = [each for each in stored if each.name in names or base_name(each.name) in names]
    return sorted(found, key=lambda each: each.facts.not_before.timestamp() if each.facts else 0, reverse=True)


def _entry(
    certificate: StoredCertificate, firewall: Firewall, authorities: Authorities | None, uses: list[Use] | None
) -> Entry:
    entry = certificate.as_dict()
    if certificate.facts:
        entry.update(certificate.facts.told(firewall.clock.now()))
    if authorities is not None and certificate.chain:
        missing = missing_issuer(certificate.chain, authorities)
        entry.update(chain_complete=missing is None, chain_missing=missing)
    if uses is not None:
        entry["used_by"] = [use.consumer for use in uses if use.certificate == certificate.name]
    return entry


__all__ = ("read_inventory",)
