# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""How a certificate gets onto the firewall: a new version beside the others, or, asked for, in the place of one."""

from __future__ import annotations

import re
import typing as t

from .. import _x509
from .._errors import CertfleetError
from .._libraries import x509
from .._material import Material
from .api import Firewall, Operation, Write
from .certificates import (
    StoredCertificate,
    read_authorities,
    read_certificates,
    version_name,
    versions,
)
from .change import Change
from .errors import XgsError
from .objects import element
from .transport import File

# "A CA certificate with this name / this content exists" (API document; 503 measured for the same content).
CA_PRESENT = (502, 503)


def plan_upload(
    firewall: Firewall, name: str, material: Material, stored: t.Sequence[StoredCertificate], origin: str = ""
) -> tuple[str, Change]:
    """The object's name, and the change that brings certificate, chain and key onto the firewall.

    Nothing is to be done where that certificate is there under any name of ours. origin: its origin_of(), if known.
    One read, of the authorities, where it is new and has a chain.
    """
    for certificate in versions(name, stored):
        if certificate.facts == material.facts:
            return certificate.name, Change({}, {})
    version = version_name(name, material.facts, origin)
    return version, _change(firewall, None, Upload("add", version, material))


def plan_replacement(
    firewall: Firewall, name: str, material: Material, stored: t.Sequence[StoredCertificate]
) -> Change:
    """The change that puts certificate, chain and key in the place of what an object holds.

    Raises CertfleetError when there is no such object.
    """
    current = stored_under(name, stored)
    if current.facts == material.facts:
        return Change({}, {})
    return _change(firewall, current.as_dict(), Upload("update", name, material))


def stored_under(name: str, stored: t.Iterable[StoredCertificate]) -> StoredCertificate:
    """The object of this name. Raises CertfleetError when there is none."""
    for certificate in stored:
        if certificate.name == name:
            return certificate
    raise CertfleetError(
        f"the firewall has no certificate '{name}' to replace", remedy="Leave replace out to upload a new version."
    )


class Upload(t.NamedTuple):
    """One certificate object to be written."""

    operation: Operation
    name: str
    material: Material

    def write(self) -> Write:
        """The Set of it, its two files beside it (API document, Certificate)."""
        # A key file of any other ending is stored damaged and locks the web admin console out (reported).
        fields = {
            "Action": "UploadCertificate",
            "Name": self.name,
            "CertificateFormat": "pem",
            "CertificateFile": f"{self.name}.pem",
            "PrivateKeyFile": f"{self.name}.key",
        }
        files = (File(f"{self.name}.pem", self.material.chain_pem), File(f"{self.name}.key", self.material.key_pem))
        return Write(self.operation, element("Certificate", fields), files)


def _change(firewall: Firewall, before: dict[str, t.Any] | None, upload: Upload) -> Change:
    """Intermediates go into the certificate's file and become certificate authorities as well, because it is not known
    which of the two a consumer serves.
    """
    chain = upload.material.chain
    present = read_authorities(firewall) if len(chain) > 1 else {}
    authorities = [_authority(one) for one in chain[1:] if _x509.fingerprint(one) not in present]
    after = {
        "certificate": {"name": upload.name, **upload.material.facts.as_dict()},
        "authorities": [write.name for write in authorities],
    }
    return Change({"certificate": before, "authorities": []}, after, (*authorities, upload.write()))


def check_uploaded(firewall: Firewall, name: str, fingerprint: str) -> None:
    """Read back what was uploaded. Raises XgsError when the firewall holds something else under that name."""
    stored = read_certificates(firewall, name)
    if stored and stored[0].facts is None:
        # Its file was not to be found in the archive; the handshake will tell.
        return
    if not stored or not stored[0].facts or stored[0].facts.fingerprint != fingerprint:
        raise XgsError(
            f"the firewall accepted {name}, but holds no such certificate",
            remedy=f"Look under Certificates for {name}; delete it if it is damaged, and run again.",
        )


def _authority(certificate: x509.Certificate) -> Write:
    common_name = re.sub(r"[^A-Za-z0-9_.-]+", "_", _common_name(certificate))[:30]
    name = f"{common_name}-{_x509.fingerprint(certificate)[:8]}"
    entity = element("CertificateAuthority", {"Name": name, "Format": "PEM", "CACertFile": f"{name}.pem"})
    return Write("add", entity, (File(f"{name}.pem", _x509.pem(certificate)),), satisfied_by=CA_PRESENT)


def _common_name(certificate: x509.Certificate) -> str:
    return next(
        (str(part.value) for part in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)), "CA"
    )


__all__ = ("check_uploaded", "plan_replacement", "plan_upload", "stored_under")
