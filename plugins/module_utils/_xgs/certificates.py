# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Certificates on the firewall: what is there, and how a new version gets there and an old one away.

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
from .._libraries import serialization, x509
from .api import Answer, Firewall, Write
from .archive import certificate_files
from .change import Change
from .errors import XgsError
from .transport import File

# The firewall allows 50 characters; a version's suffix takes 18.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")
VERSION = re.compile(r"-\d{8}-([0-9a-f]{4})([0-9a-f]{4})\Z")
# "A CA certificate with this name / this content exists" (API document; 503 measured for the same content).
CA_PRESENT = (502, 503)


@dataclasses.dataclass(frozen=True)
class StoredCertificate:
    """One certificate object, its chain leaf first; empty where the firewall's archive did not show it.

    facts is None where there is no certificate, or none that can be understood.
    """

    name: str
    chain: list[x509.Certificate]
    has_key: bool

    @functools.cached_property
    def facts(self) -> _x509.CertificateFacts | None:
        try:
            return _x509.facts(self.chain[0]) if self.chain else None
        except CertfleetError:
            return None

    @property
    def origin(self) -> str | None:
        """The origin_of() that its name tells; None where it tells none, or is not a name that we gave."""
        version = VERSION.search(self.name)
        if version is None or self.facts is None:
            return None
        start, rest = self.facts.fingerprint[:4], self.facts.fingerprint[4:8]
        return version[2] if version[1] == start and version[2] != rest else None

    def as_dict(self) -> dict[str, t.Any]:
        facts = self.facts.as_dict() if self.facts else {"fingerprint": None}
        return {"name": self.name, "chain_length": len(self.chain), "has_key": self.has_key, **facts}


def read_certificates(firewall: Firewall, name: str | None = None) -> list[StoredCertificate]:
    """All certificates, or the one of that name, in one read."""
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
    files = dict(certificate_files(answer.body))
    for record in answer.records:
        name = record.findtext("Name", "")
        content = _file_of(name, {record.findtext(file_element), f"{name}.pem"}, files)
        has_key = _file_of(name, {record.findtext("PrivateKeyFile"), f"{name}.key"}, files) is not None
        try:
            chain = _x509.load_certificates(files[content] or b"") if content else []
        except CertfleetError:
            # One damaged certificate of somebody else must not hide the rest.
            chain = []
        yield record, chain, has_key


def _file_of(name: str, file_names: set[str | None], files: t.Iterable[str]) -> str | None:
    """The path of an object's file, which bears the name that it was uploaded with or the object's own (both measured).

    Where several objects were uploaded under one file name, only a folder can tell whose is whose.
    """
    found = [path for path in files if posixpath.basename(path) in file_names]
    own = [path for path in found if name in path.split("/") or posixpath.basename(path).startswith(f"{name}.")]
    return next(iter(own or (found if len(found) == 1 else [])), None)


def check_name(name: str) -> None:
    """Refuse a name that the firewall would not take with a version behind it."""
    if not NAME.fullmatch(name):
        raise CertfleetError(
            f"'{name}' cannot name a certificate on the firewall",
            stage="plan",
            remedy="Use 1 to 32 letters, digits, '_', '.' and '-', and begin with none of the latter two.",
        )


def base_name(version: str) -> str:
    """The name without its version."""
    return VERSION.sub("", version)


def versions(name: str, stored: t.Iterable[StoredCertificate]) -> list[StoredCertificate]:
    """Every readable version of a certificate, newest first; an object of the bare name counts as one."""
    found = [
        (certificate.facts.not_before, certificate.name, certificate)
        for certificate in stored
        if certificate.facts and base_name(certificate.name) == name
    ]
    return [certificate for _not_before, _name, certificate in sorted(found, reverse=True)]


def origin_of(directory_url: str, profile: str | None) -> str:
    """Where a certificate comes from, in four hex digits: another CA or another profile has others."""
    return hashlib.sha256(f"{directory_url}\n{profile or ''}".encode()).hexdigest()[:4]


def version_name(name: str, facts: _x509.CertificateFacts, origin: str = "") -> str:
    """origin: an origin_of(), or nothing."""
    return f"{name}-{facts.not_after:%Y%m%d}-{facts.fingerprint[: 8 - len(origin)]}{origin}"


def plan_upload(
    name: str,
    chain: t.Sequence[x509.Certificate],
    key_pem: bytes,
    stored: t.Iterable[StoredCertificate],
    authorities: t.Container[str],
    origin: str = "",
) -> tuple[str, Change]:
    """The object's name, and the change that brings certificate, chain and key onto the firewall.

    chain: leaf first. Intermediates go into the certificate's file and become certificate authorities as well, because
    it is not known which of the two a consumer serves. authorities: fingerprints of those that are there.
    origin: its origin_of(), if that is known.
    """
    facts = _x509.facts(chain[0])
    for certificate in versions(name, stored):
        if certificate.facts and certificate.facts.fingerprint == facts.fingerprint:
            return certificate.name, Change({}, {})
    version = version_name(name, facts, origin)
    missing = [certificate for certificate in chain[1:] if _x509.fingerprint(certificate) not in authorities]
    uploads = [_authority(certificate) for certificate in missing]
    uploads.append(_certificate(version, chain, key_pem))
    after = {"certificate": {"name": version, **facts.as_dict()}, "authorities": [write.name for write in uploads[:-1]]}
    return version, Change({"certificate": None, "authorities": []}, after, tuple(uploads))


def check_uploaded(firewall: Firewall, version: str, fingerprint: str) -> None:
    """Read back what was uploaded. Raises XgsError when the firewall holds something else under that name."""
    stored = read_certificates(firewall, version)
    if stored and stored[0].facts is None:
        # Its file was not to be found in the archive; the handshake will tell.
        return
    if not stored or not stored[0].facts or stored[0].facts.fingerprint != fingerprint:
        raise XgsError(
            f"the firewall accepted {version}, but holds no such certificate",
            remedy=f"Look under Certificates for {version}; delete it if it is damaged, and run again.",
        )


def plan_prune(name: str, keep: int, stored: t.Iterable[StoredCertificate], in_use: t.Container[str]) -> Change:
    """Remove our versions but the `keep` newest and those in use. An object of the bare name is not ours."""
    old = [certificate.name for certificate in versions(name, stored)[keep:] if certificate.name != name]
    gone = [version for version in old if version not in in_use]
    writes = tuple(Write("remove", _named("Certificate", version)) for version in gone)
    return Change({"certificates": old}, {"certificates": [version for version in old if version in in_use]}, writes)


def _certificate(name: str, chain: t.Sequence[x509.Certificate], key_pem: bytes) -> Write:
    entity = ET.Element("Certificate")
    # A key file of any other ending is stored damaged and locks the web admin console out (reported).
    fields = {
        "Action": "UploadCertificate",
        "Name": name,
        "CertificateFormat": "pem",
        "CertificateFile": f"{name}.pem",
        "PrivateKeyFile": f"{name}.key",
    }
    for tag, text in fields.items():
        ET.SubElement(entity, tag).text = text
    pem = b"".join(map(_pem, chain))
    return Write("add", entity, (File(f"{name}.pem", pem), File(f"{name}.key", key_pem)))


def _authority(certificate: x509.Certificate) -> Write:
    common_name = re.sub(r"[^A-Za-z0-9_.-]+", "_", _common_name(certificate))[:30]
    name = f"{common_name}-{_x509.fingerprint(certificate)[:8]}"
    entity = ET.Element("CertificateAuthority")
    for tag, text in {"Name": name, "Format": "PEM", "CACertFile": f"{name}.pem"}.items():
        ET.SubElement(entity, tag).text = text
    return Write("add", entity, (File(f"{name}.pem", _pem(certificate)),), satisfied_by=CA_PRESENT)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _common_name(certificate: x509.Certificate) -> str:
    return next(
        (str(part.value) for part in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)), "CA"
    )


def _named(entity: str, name: str) -> ET.Element:
    element = ET.Element(entity)
    ET.SubElement(element, "Name").text = name
    return element


__all__ = (
    "StoredCertificate",
    "authority_certificates",
    "base_name",
    "check_name",
    "check_uploaded",
    "origin_of",
    "plan_prune",
    "plan_upload",
    "read_authorities",
    "read_certificates",
    "version_name",
    "versions",
)
