# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account at the CA, for tools that are not to be measured while they make one."""

from __future__ import annotations

from pathlib import Path

import josepy
from acme import client, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def new_account(directory_url: str, ca_file: str, path: Path, key_type: str = "ec") -> str:
    """Register one, and write its key to `path` (PEM); gives its URL."""
    key = ec.generate_private_key(ec.SECP256R1()) if key_type == "ec" else rsa.generate_private_key(65537, 2048)
    jwk, alg = (josepy.JWKEC, josepy.ES256) if key_type == "ec" else (josepy.JWKRSA, josepy.RS256)
    net = client.ClientNetwork(jwk(key=key), alg=alg, verify_ssl=ca_file, user_agent="bench")
    directory = client.ClientV2.get_directory(directory_url, net)
    registration = messages.NewRegistration.from_data(terms_of_service_agreed=True)
    uri: str = client.ClientV2(directory, net).new_account(registration).uri
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return uri
