# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing certificates and authorities: the rules of an upload."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from cryptography.x509 import BasicConstraints, ExtensionNotFound

from .config import Settings
from .device import Device
from .envelope import Refused
from .material import BAD_KEY, Material, read_certificates, read_key, read_pkcs12
from .personas import Persona
from .schema import text
from .store import Store

__all__ = ["authority", "certificate"]

FORMATS = ("pem", "der", "cer", "pkcs7", "pkcs12", "p7b")
EXTENSIONS = ("pem", "der", "cer", "p7b", "pfx", "p12")
NAME = r"[A-Za-z0-9_@.-]"
ANY_CHARACTER = r"[^,/\x00-\x1f]"
Files = Mapping[str, bytes]


def _fields(element: ET.Element, settings: Settings) -> list[str]:
    """The fields of a Certificate that break a rule."""
    bad = []
    names = NAME if settings.certificate_names == "strict" else ANY_CHARACTER
    if not re.fullmatch(names + "{1,50}", text(element, "Name")):
        bad.append("Name")
    if text(element, "Action") != "UploadCertificate":
        bad.append("Action")
    if text(element, "CertificateFormat") not in FORMATS:
        bad.append("CertificateFormat")
    if text(element, "CertificateFile").rpartition(".")[2].lower() not in EXTENSIONS:
        bad.append("CertificateFile")
    key_file = text(element, "PrivateKeyFile")
    if key_file and not key_file.endswith(".key") and settings.key_mode == "strict":
        bad.append("PrivateKeyFile")
    password = text(element, "Password")
    if password and not 4 <= len(password) <= 128:
        bad.append("Password")
    return bad


def _file(files: Files, name: str, text_: str) -> bytes:
    """Parts are matched by their file name; the name of the part does not matter."""
    if name not in files:
        raise Refused(500, text_)
    return files[name]


def certificate(device: Device, element: ET.Element, files: Files, update: bool) -> None:
    store, settings = device.store, device.settings
    bad = _fields(element, settings)
    if bad:
        raise Refused.validation(*(f"/Certificate/{path}" for path in bad))
    name = text(element, "Name")
    if update:
        _may_update(store, settings, device.persona, name)
    elif store.get("Certificate", name) is not None:
        raise Refused(502, "Operation failed. Entity having same name already exists.")
    store.put("Certificate", name, _without_password(element), _material(element, files))


def _may_update(store: Store, settings: Settings, persona: Persona, name: str) -> None:
    failed = Refused(500, "Certificate could not be updated.")
    if store.get("Certificate", name) is None:
        raise failed
    store.check_changeable("Certificate", name)
    in_waf = any(tag == "FirewallRule" for tag, _ in store.users("Certificate", name))
    if in_waf and not settings.allow_update_in_use:
        raise Refused(persona.update_in_use, failed.text)


def _material(element: ET.Element, files: Files) -> Material:
    kind, password = text(element, "CertificateFormat"), text(element, "Password")
    certificate_file, key_file = text(element, "CertificateFile"), text(element, "PrivateKeyFile")
    missing = "Certificate could not be generated."
    data = _file(files, certificate_file, missing)
    if kind == "pkcs12":
        certificates, key = read_pkcs12(data, password)
        return Material(certificates, key, uploaded_names=(certificate_file, ""))
    material = Material(read_certificates(data, kind), uploaded_names=(certificate_file, key_file))
    if not key_file:
        return material
    key_data = _file(files, key_file, missing)
    # Seen in the wild: a key file with another extension is taken, and stored four bytes too long.
    if not key_file.endswith(".key"):
        return dataclasses.replace(material, key=b"\0\0\0\0" + key_data, damaged=True)
    return dataclasses.replace(material, key=read_key(key_data, password, material.certificates))


def authority(store: Store, element: ET.Element, files: Files, update: bool) -> None:
    name = text(element, "Name")
    password = text(element, "Password")
    bad = [
        path
        for path, wrong in (
            ("Name", not re.fullmatch(NAME + "{1,255}", name)),
            ("Format", text(element, "Format") not in ("PEM", "DER")),
            ("CACertFile", not text(element, "CACertFile")),
            ("Password", bool(password) and not 4 <= len(password) <= 30),
        )
        if wrong
    ]
    if bad:
        raise Refused.validation(*(f"/CertificateAuthority/{path}" for path in bad))
    existing = store.get("CertificateAuthority", name) is not None
    if update and not existing:
        raise Refused(500, "Certificate authority details could not be updated.")
    if update:
        store.check_changeable("CertificateAuthority", name)
    if existing and not update:
        raise Refused(
            502,
            "Certificate authority (CA) could not be added. CA with the same name already exists, "
            "choose a different name.",
        )
    material = _authority_material(element, files)
    _check_repeated(store, name, material)
    stored = _without_password(element)
    for old in stored.findall("Type"):
        stored.remove(old)
    ET.SubElement(stored, "Type").text = "Uploaded"
    store.put("CertificateAuthority", name, stored, material)


def _authority_material(element: ET.Element, files: Files) -> Material:
    missing = "Attached certificate authority is invalid. Please choose a valid certificate authority."
    certificate_file, key_file = text(element, "CACertFile"), text(element, "CAPrivateKeyFile")
    data = _file(files, certificate_file, missing)
    certificates = read_certificates(data, text(element, "Format").lower())
    # Only the first is taken: one entity is one authority.
    material = Material(certificates[:1], uploaded_names=(certificate_file, key_file))
    if not _is_authority(material):
        raise Refused(500, missing)
    if key_file:
        key = read_key(_file(files, key_file, BAD_KEY), text(element, "Password"), certificates)
        material = dataclasses.replace(material, key=key)
    return material


def _is_authority(material: Material) -> bool:
    try:
        return material.leaf.extensions.get_extension_for_class(BasicConstraints).value.ca
    except ExtensionNotFound:
        return False


def _check_repeated(store: Store, name: str, material: Material) -> None:
    for other in store.names("CertificateAuthority"):
        if other != name and store.material("CertificateAuthority", other).fingerprint == material.fingerprint:
            raise Refused(
                503,
                "Certificate authority (CA) could not be uploaded. CA certificate already exists. Choose another CA.",
            )


def _without_password(element: ET.Element) -> ET.Element:
    stored = ET.Element(element.tag)
    stored.extend(child for child in element if child.tag != "Password")
    return stored
