# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that are due: of a CA that visitors trust, with ten of their ninety days left."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab.tls import make_issuer

PEM = serialization.Encoding.PEM


class Expiring:
    """Its CA and what it issues, as files below `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._issuer = make_issuer(directory, "previous")
        self.root = self._issuer.certificate.public_bytes(PEM).decode()

    def issue(self, name: str, domain: str) -> dict[str, str]:
        """For the emulator: a certificate object with the name that the collection would have given it as version."""
        key = ec.generate_private_key(ec.SECP256R1())
        start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=80)
        parent = self._issuer.certificate
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(parent.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=90))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.public_key()), critical=False)
            .sign(self._issuer.key, hashes.SHA256())
        )
        version = f"{name}-{leaf.not_valid_after_utc:%Y%m%d}-{leaf.fingerprint(hashes.SHA256()).hex()[:8]}"
        files = {"cert_file": self._directory / f"{domain}.pem", "key_file": self._directory / f"{domain}.key"}
        files["cert_file"].write_bytes(leaf.public_bytes(PEM))
        bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        files["key_file"].write_bytes(key.private_bytes(PEM, *bare))
        return {"name": version, **{option: str(path) for option, path in files.items()}}
