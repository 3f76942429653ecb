# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Whether CAA records let a CA issue (RFC 8659), to this account and by HTTP-01 (RFC 8657). Pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

METHOD = "http-01"
CRITICAL = 0x80
# Tags that are registered. A critical one that a CA does not know forbids it to issue (RFC 8659 §4.5).
KNOWN = ("issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone")

# RFC 8659 §4.2, with white space allowed where the grammar allows it.
_LABEL = r"[A-Za-z0-9](?:-*[A-Za-z0-9])*"
_PARAMETER = re.compile(rf"\s*({_LABEL})\s*=\s*([\x21-\x3a\x3c-\x7e]*)\s*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclasses.dataclass(frozen=True)
class Record:
    """One CAA record (RFC 8659 §4.1); tag in lower case."""

    flags: int
    tag: str
    value: str


@dataclasses.dataclass(frozen=True)
class Issuer:
    """Who shall be allowed to issue. identities: what the CA calls itself in CAA records; account_uri: if known."""

    identities: tuple[str, ...]
    account_uri: str | None = None


@dataclasses.dataclass(frozen=True)
class Objection:
    """Why the CA may not issue. certain: false when that depends on an account that is not known yet."""

    reason: str
    certain: bool = True


def relevant(name: str, lookup: t.Callable[[str], t.Sequence[Record]]) -> tuple[str, t.Sequence[Record]]:
    """(domain, records) of the nearest ancestor that has any, the name itself included (RFC 8659 §3)."""
    labels = name.split(".")
    for start in range(len(labels)):
        domain = ".".join(labels[start:])
        records = lookup(domain)
        if records:
            return domain, records
    return "", ()


def objection(records: t.Sequence[Record], issuer: Issuer) -> Objection | None:
    """What these records have against a certificate without wildcards; None when they permit it."""
    for record in records:
        if record.flags & CRITICAL and record.tag not in KNOWN:
            return Objection(f"the critical property {record.tag!r} is unknown, which forbids every CA to issue")
    found = [_objection(record.value, issuer) for record in records if record.tag == "issue"]
    if not found or None in found:
        return None
    objections = [each for each in found if each is not None]
    return Objection("; ".join(each.reason for each in objections), all(each.certain for each in objections))


def _objection(value: str, issuer: Issuer) -> Objection | None:
    """The same for one issue property."""
    shown = f'issue "{value}"'
    domain, _semicolon, rest = value.partition(";")
    domain = domain.strip()
    parameters = [_PARAMETER.fullmatch(part) for part in rest.split(";") if part.strip()]
    if None in parameters or (domain and not _DOMAIN.fullmatch(domain)):
        return Objection(f"{shown} is malformed, so it permits nobody")
    if domain.lower() not in issuer.identities:
        return Objection(f"{shown} permits {'another CA' if domain else 'nobody'}")
    found = [(match.group(1).lower(), match.group(2)) for match in parameters if match]
    methods = [text for tag, text in found if tag == "validationmethods"]
    if any(METHOD not in text.lower().split(",") for text in methods):
        return Objection(f"{shown} does not permit {METHOD}")
    accounts = [text for tag, text in found if tag == "accounturi"]
    if len(accounts) > 1:
        return Objection(f"{shown} names more than one account, so it permits nobody (RFC 8657 section 3)")
    if accounts and accounts[0] != issuer.account_uri:
        return Objection(f"{shown} permits another account", certain=issuer.account_uri is not None)
    return None


__all__ = ("Issuer", "Objection", "Record", "objection", "relevant")
