# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The ACME account and its key (RFC 8555 §7.3)."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._errors import CertfleetError
from .._files import create_private, make_private_directory, read_private
from .._libraries import hashes, josepy
from .._x509 import generate_private_key, load_private_key, private_key_pem
from .client import AcmeClient, jwk

if t.TYPE_CHECKING:
    from .._x509 import PrivateKey


@dataclasses.dataclass(frozen=True)
class Account:
    """An account as the CA knows it. `changed`: created now, or its contact was."""

    uri: str
    created: bool
    changed: bool
    contact: tuple[str, ...]
    # The URL of the terms, "" where the CA has none.
    terms_of_service: str


def new_account_key() -> bytes:
    """A new account key (P-256) in PEM."""
    return private_key_pem(generate_private_key("ec256"))


def load_account_key(
    *, path: str | None = None, content: str | bytes | None = None, passphrase: str | None = None
) -> PrivateKey:
    """The key from a file of mode 0600, or from PEM text. CertfleetError (stage "account") when that fails."""
    if path is None and not content:
        raise CertfleetError(
            "no account key is given", remedy="Set account_key_path or account_key_content.", stage="account"
        )
    try:
        return load_private_key(read_private(path) if path is not None else t.cast(str, content), passphrase)
    except CertfleetError as error:
        error.locate(stage="account")
        raise


def ensure_account_key(path: str, passphrase: str | None = None) -> tuple[PrivateKey, bool]:
    """The key in the file, made first where there is none; and whether it was made now.

    Two processes at once end with the same key. A missing directory is made (0700).
    """
    created = False
    if not os.path.exists(path):
        directory = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(directory):
            make_private_directory(directory)
        created = create_private(path, new_account_key())
    return load_account_key(path=path, passphrase=None if created else passphrase), created


def thumbprint(key: PrivateKey) -> str:
    """SHA-256 of the public key as a JWK (RFC 7638), base64url without padding."""
    return t.cast(str, josepy.encode_b64jose(jwk(key).thumbprint(hash_function=hashes.SHA256)))


def contact_uris(addresses: t.Iterable[str]) -> tuple[str, ...]:
    """The addresses as the CA takes them: `mailto:` before each that is not a URI already."""
    return tuple(address if ":" in address else f"mailto:{address}" for address in addresses)


def ensure_account(
    client: AcmeClient, *, contact: t.Sequence[str] = (), terms_agreed: bool = False, only_existing: bool = False
) -> Account:
    """Find the key's account at the CA, or register it; bring its contact up to date where one is given.

    Sets client.account_uri. only_existing: change nothing; AcmeError (accountDoesNotExist) when there is none.
    """
    terms = str(client.directory.get("meta", {}).get("termsOfService", ""))
    wanted = contact_uris(contact)
    # Without consent an account can only be looked up.
    new = not only_existing and (terms_agreed or not terms)
    payload = _registration(wanted, terms_agreed) if new else {"onlyReturnExisting": True}
    try:
        reply = client.post(client.endpoint("newAccount"), payload, repeatable=not new)
    except CertfleetError as error:
        error.locate(stage="account")
        if only_existing or new or not getattr(error, "is_a", lambda name: False)("accountDoesNotExist"):
            raise
        raise CertfleetError(
            "the CA's terms of service are not agreed to",
            remedy=f"Read {terms}, then set terms_agreed.",
            stage="account",
        ) from error
    created = reply.status == 201
    client.account_uri = reply.location
    before = _contact(reply.json)
    after = before
    if wanted and not created and not only_existing and sorted(before) != sorted(wanted):
        # Some CAs keep no contact at all: only what they report back counts as a change.
        after = _contact(client.post(client.account_uri, {"contact": list(wanted)}).json)
    return Account(client.account_uri, created, created or sorted(after) != sorted(before), after, terms)


def _registration(contact: tuple[str, ...], terms_agreed: bool) -> dict[str, t.Any]:
    payload: dict[str, t.Any] = {"contact": list(contact)} if contact else {}
    if terms_agreed:
        payload["termsOfServiceAgreed"] = True
    return payload


def _contact(account: dict[str, t.Any]) -> tuple[str, ...]:
    return tuple(str(address) for address in account.get("contact") or ())


__all__ = (
    "Account",
    "contact_uris",
    "ensure_account",
    "ensure_account_key",
    "load_account_key",
    "new_account_key",
    "thumbprint",
)
