# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""External account binding: which customer of the CA an account is of (RFC 8555 §7.3.4)."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from .._errors import CertfleetError
from .._libraries import acme_jws, josepy

if t.TYPE_CHECKING:
    from .client import AcmeClient

ALGORITHMS = ("HS256", "HS384", "HS512")

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")


@dataclasses.dataclass(frozen=True)
class ExternalAccountBinding:
    """What the CA gave its customer. `key` is the MAC key itself; `alg` is one of ALGORITHMS."""

    kid: str
    key: bytes = dataclasses.field(repr=False)
    alg: str = ALGORITHMS[0]

    def sign(self, client: AcmeClient, url: str) -> dict[str, t.Any]:
        """The client's public key, signed with the MAC key: proof that the customer wants this account."""
        payload = json.dumps(client.public_jwk).encode()
        key, alg = josepy.JWKOct(key=self.key), getattr(josepy, self.alg)
        return t.cast(
            t.Dict[str, t.Any],
            acme_jws.JWS.sign(payload, key=key, alg=alg, nonce=None, url=url, kid=self.kid).to_json(),
        )


def decode_mac_key(text: str) -> bytes:
    """The MAC key from base64url, padded or not. CertfleetError (never with key material) when it is none."""
    text = text.strip()
    # Python's decoder passes over what is no base64, and would make another key of it.
    if not _BASE64URL.fullmatch(text) or len(text.rstrip("=")) % 4 == 1:
        raise CertfleetError(
            "the key of external_account_binding is not base64url",
            remedy="Copy the MAC key as the CA shows it: letters, digits, - and _ only.",
            stage="account",
        )
    return t.cast(bytes, josepy.decode_b64jose(text.rstrip("=")))


__all__ = ("ALGORITHMS", "ExternalAccountBinding", "decode_mac_key")
