# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Get on a certificate: a ustar archive with the files first and Entities.xml last."""

from __future__ import annotations

import tarfile
import xml.etree.ElementTree as ET

from .config import Settings
from .material import Material

__all__ = ["Archive", "describe"]

LONGEST_NAME = 100


def describe(
    tag: str, element: ET.Element, material: Material, settings: Settings
) -> tuple[ET.Element, dict[str, bytes]]:
    """The record as Get shows it, and the files beside it."""
    name = element.findtext("Name") or ""
    stored = (f"{name}.pem", f"{name}.key")
    if settings.tar_names == "uploaded":
        stored = (material.uploaded_names[0] or stored[0], material.uploaded_names[1] or stored[1])
    certificate_tag, key_tag = ("CertificateFile", "PrivateKeyFile")
    if tag == "CertificateAuthority":
        certificate_tag, key_tag = ("CACertFile", "CAPrivateKeyFile")
    record = ET.Element(tag)
    record.extend(child for child in element if child.tag not in (certificate_tag, key_tag, "Password"))
    ET.SubElement(record, certificate_tag).text = stored[0]
    folder = f"./Files/{tag}/{name}" if settings.tar_names == "uploaded" else f"./Files/{tag}"
    files = {f"{folder}/{stored[0]}": b"".join(material.certificates)}
    if material.key:
        ET.SubElement(record, key_tag).text = stored[1]
        files[f"{folder}/{stored[1]}"] = material.key
    return record, files


def _entry(name: str, content: bytes) -> bytes:
    """Header and content. A name that is not ASCII is encoded twice and pushes the rest of its header aside."""
    encoded = name.encode()[:LONGEST_NAME]
    header = tarfile.TarInfo(encoded.decode("latin-1"))
    header.size = len(content)
    twice = encoded.decode("latin-1").encode()
    block = header.tobuf(tarfile.USTAR_FORMAT, "latin-1").replace(encoded, twice, 1)
    return block + content + bytes(-len(content) % tarfile.BLOCKSIZE)


class Archive:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def render(self, entities: bytes, settings: Settings, api_version: str) -> bytes:
        if settings.empty_tar:
            return b""
        version = f"{api_version}\n".encode()
        entries = {**self.files, "./version": version, "./Entities.xml": entities}
        body = bytearray(b"".join(_entry(name, content) for name, content in entries.items()))
        body += bytes(-len(body) % tarfile.RECORDSIZE or tarfile.RECORDSIZE)
        if settings.broken_tar:
            # The first header's checksum no longer holds, as with double-encoded names on the device.
            body[0:4] = b"\xc3\x83\xc2\xa4"
        return bytes(body)
