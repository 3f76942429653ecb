# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Certificates on the firewall: what is there, and under which name.

A certificate in use is never overwritten. Each version has a name of its own, NAME-YYYYMMDD-FFFFFFFF: the day on which
it expires and the start of its SHA-256, so that the web console's list says what is what. Where its origin is known,
that takes the place of the last four digits, NAME-YYYYMMDD-FFFFOOOO: no certificate tells its ACME directory and
profile, and there is no other place that outlives the control node.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import posixpath
import re
import typing as t
import xml.etree.ElementTree as ET

from .. import _x509
from .._errors import CertfleetError
from .._libraries import x509
from .api import Answer, Firewall
from .archive import certificate_files

# The firewall allows 50 characters; a version's suffix takes 18.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")
# What check mode calls a version that is still to be issued.
UNISSUED = "-YYYYMMDD-FFFFFFFF"
VERSION = re.compile(r"-[0-9]{8}-([0-9a-f]{4})([0-9a-f]{4})\Z")


@dataclasses.dataclass(frozen=True)
class StoredCertificate:
    """One certificate object, its chain leaf first; empty where the firewall's archive did not show it."""

    name: str
    chain: list[x509.Certificate]
    has_key: bool

    @functools.cached_property
    def facts(self) -> _x509.CertificateFacts | None:
        """Of the leaf; None where there is no certificate, or none that can be understood."""
        try:
            return _x509.facts(self.chain[0]) if self.chain else None
        except CertfleetError:
            return None

    @property
    def fingerprint(self) -> str | None:
        """SHA-256, lower-case hex; as far as there is a certificate that can be understood."""
        return self.facts.fingerprint if self.facts else None

    @property
    def origin(self) -> str | None:
        """The origin_of() that its name tells; None where it tells none, or is not a name that we gave."""
        version = VERSION.search(self.name)
        if version is None or self.facts is None:
            return None
        start, rest = self.facts.fingerprint[:4], self.facts.fingerprint[4:8]
        return version[2] if version[1] == start and version[2] != rest else None

    def as_dict(self) -> dict[str, t.Any]:
        """For diffs and results: nothing of the key but whether there is one."""
        facts = self.facts.as_dict() if self.facts else {"fingerprint": None}
        return {"name": self.name, "chain_length": len(self.chain), "has_key": self.has_key, **facts}


def read_certificates(firewall: Firewall, name: str | None = None) -> list[StoredCertificate]:
    """All certificates, or the one of that name, in one read. Their facts stand in no field of the answer, but in the
    files beside it (measured)."""
    return [
        StoredCertificate(record.findtext("Name", ""), chain, has_key)
        for record, chain, has_key in _with_files(firewall.fetch("Certificate", name), "CertificateFile")
    ]


def read_authorities(firewall: Firewall) -> dict[str, str]:
    """Fingerprint → name of every certificate authority on the firewall, built-in ones too."""
    authorities = {}
    for record, chain, _has_key in _with_files(firewall.fetch("CertificateAuthority"), "CACertFile"):
        authorities.update(dict.fromkeys(map(_x509.fingerprint, chain), record.findtext("Name", "")))
    return authorities


def authority_certificates(firewall: Firewall) -> list[x509.Certificate]:
    """Every certificate authority on the firewall, built-in ones too."""
    entries = _with_files(firewall.fetch("CertificateAuthority"), "CACertFile")
    return [certificate for _record, chain, _has_key in entries for certificate in chain]


def _with_files(answer: Answer, file_element: str) -> t.Iterator[tuple[ET.Element, list[x509.Certificate], bool]]:
    """(record, certificates, has a key) of each record."""
    files = _Files(certificate_files(answer.body))
    for record in answer.records:
        name = record.findtext("Name", "")
        own = files.path_of(name, record.findtext(file_element), f"{name}.pem")
        key = files.path_of(name, record.findtext("PrivateKeyFile"), f"{name}.key")
        yield record, files.certificates(own), key is not None


class _Files:
    """The files of an archive. Each is read once, and none is searched for: there may be thousands, and of records."""

    def __init__(self, files: t.Iterable[tuple[str, bytes | None]]) -> None:
        self._contents = dict(files)
        # By file name; and by a folder or file name on the way there as well, the first of each.
        self._named: dict[str, list[str]] = {}
        self._within: dict[tuple[str, str], str] = {}
        self._read: dict[str, list[x509.Certificate]] = {}
        for path in self._contents:
            file_name = posixpath.basename(path)
            self._named.setdefault(file_name, []).append(path)
            for part in path.split("/"):
                self._within.setdefault((part, file_name), path)

    def path_of(self, name: str, *file_names: str | None) -> str | None:
        """The path of an object's file, which bears the name that it was uploaded with or the object's own (both
        measured). Where several of them were uploaded under one file name, only a folder can tell whose is whose."""
        wanted = [file_name for file_name in dict.fromkeys(file_names) if file_name in self._named]
        for file_name in wanted:
            if (name, file_name) in self._within:
                return self._within[name, file_name]
            if file_name.startswith(f"{name}."):
                return self._named[file_name][0]
        only = wanted[0] if len(wanted) == 1 else ""
        return self._named[only][0] if len(self._named.get(only, ())) == 1 else None

    def certificates(self, path: str | None) -> list[x509.Certificate]:
        """One damaged certificate of somebody else must not hide the rest: there is none then."""
        if path is None:
            return []
        if path not in self._read:
            try:
                self._read[path] = _x509.load_certificates(self._contents[path] or b"")
            except CertfleetError:
                self._read[path] = []
        return self._read[path]


def check_name(name: str) -> None:
    """Raises CertfleetError, stage "plan", for a name that the firewall would not take with a version behind it (API
    document, Certificate), or that looks like a version itself: it would belong to another certificate."""
    if not NAME.fullmatch(name) or VERSION.search(name):
        raise CertfleetError(
            f"'{name}' cannot name a certificate on the firewall",
            stage="plan",
            remedy="Use 1 to 32 letters, digits, '_', '.' and '-', and begin with none of the latter two. The end must"
            " not be that of a version (NAME-YYYYMMDD-FFFFFFFF).",
        )


def base_name(version: str) -> str:
    """The name without its version."""
    return VERSION.sub("", version.removesuffix(UNISSUED))


def versions(name: str, stored: t.Iterable[StoredCertificate]) -> list[StoredCertificate]:
    """Every readable version of a certificate, newest first; an object of the bare name counts as one.

    A self-signed one only bridges the time until a CA has issued one, and CAs date back: it is older than all of those.
    """
    found = [
        (not certificate.facts.self_signed, certificate.facts.not_before, certificate.name, certificate)
        for certificate in stored
        if base_name(certificate.name) == name and certificate.facts
    ]
    return [certificate for *_order, certificate in sorted(found, key=lambda one: one[:3], reverse=True)]


def origin_of(directory_url: str, profile: str | None) -> str:
    """Where a certificate comes from, in four hex digits: another CA or another profile has others."""
    return hashlib.sha256(f"{directory_url}\n{profile or ''}".encode()).hexdigest()[:4]


def version_name(name: str, facts: _x509.CertificateFacts, origin: str = "") -> str:
    """The object's name for this certificate. origin: an origin_of(), or nothing."""
    return f"{name}-{facts.not_after:%Y%m%d}-{facts.fingerprint[: 8 - len(origin)]}{origin}"


__all__ = (
    "UNISSUED",
    "StoredCertificate",
    "authority_certificates",
    "base_name",
    "check_name",
    "origin_of",
    "read_authorities",
    "read_certificates",
    "version_name",
    "versions",
)
