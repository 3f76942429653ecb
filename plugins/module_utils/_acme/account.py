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
from .binding import ExternalAccountBinding
from .client import AcmeClient, jwk
from .errors import AcmeError, remedy_for
from .transport import is_ambiguous

if t.TYPE_CHECKING:
    from .._x509 import PrivateKey
    from .transport import Reply

# RFC 8555 §7.1.6: the holder's doing, or the CA's.
GONE = ("deactivated", "revoked")
REMEDY_BINDING = "Check kid, key and alg of external_account_binding: they must be as the CA gave them, and unused."


@dataclasses.dataclass(frozen=True)
class Account:
    """An account as the CA knows it. `changed`: created now, or its contact was."""

    uri: str
    created: bool
    changed: bool
    contact: tuple[str, ...]
    # The URL of the terms, "" where the CA has none.
    terms_of_service: str


class AccountGoneError(CertfleetError):
    """The key's account is deactivated."""

    def __init__(self, details: dict[str, t.Any] | None = None) -> None:
        super().__init__(
            "the account of this account key is deactivated",
            remedy="That is for good: register another key with acme_account.",
            stage="account",
            details=details,
        )


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

    Two processes at once end with the same key. A missing directory is made (0700). CertfleetError when the file cannot
    be made or read.
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
    client: AcmeClient,
    *,
    contact: t.Sequence[str] = (),
    terms_agreed: bool = False,
    only_existing: bool = False,
    binding: ExternalAccountBinding | None = None,
) -> Account:
    """Find the key's account at the CA (RFC 8555 §7.3.1), or register it; update its contact where one is given.

    Sets client.account_uri. binding: used only for a registration. AccountGoneError when the account is deactivated,
    CertfleetError when an obstacle_to_registration() is in the way.
    only_existing: change nothing; AcmeError (accountDoesNotExist) when there is none.
    """
    wanted = contact_uris(contact)
    obstacle = obstacle_to_registration(client, terms_agreed=terms_agreed, binding=binding)
    # What cannot be registered can only be looked up.
    new = not only_existing and obstacle is None
    try:
        reply = _register(client, _registration(client, wanted, terms_agreed, binding)) if new else _look_up(client)
    except CertfleetError as error:
        _explain(error, binding if new else None)
        if only_existing or obstacle is None or not (isinstance(error, AcmeError) and _says_none(error)):
            raise
        raise obstacle from error
    if reply.json.get("status") in GONE:
        raise AccountGoneError()
    created = reply.status == 201
    client.account_uri = reply.location
    before = _contact(reply.json)
    after = before
    if wanted and not created and not only_existing and sorted(before) != sorted(wanted):
        # Some CAs keep no contact at all: only what they report back counts as a change.
        after = _contact(client.post(client.account_uri, {"contact": list(wanted)}).json)
    changed = created or sorted(after) != sorted(before)
    return Account(client.account_uri, created, changed, after, terms_of_service(client))


def _look_up(client: AcmeClient) -> Reply:
    return client.post(client.endpoint("newAccount"), {"onlyReturnExisting": True})


def _register(client: AcmeClient, registration: dict[str, t.Any]) -> Reply:
    """Not sent again blindly: who got no answer looks first what came of it."""
    url = client.endpoint("newAccount")
    try:
        return client.post(url, registration, repeatable=False)
    except CertfleetError as error:
        if not is_ambiguous(error):
            raise
    try:
        return _look_up(client)
    except AcmeError as error:
        if not _says_none(error):
            raise
    return client.post(url, registration, repeatable=False)


def find_account(client: AcmeClient) -> Account | None:
    """The key's account, None where there is none. AccountGoneError when it is deactivated."""
    try:
        return ensure_account(client, only_existing=True)
    except AcmeError as error:
        if _says_none(error):
            return None
        raise


def deactivate_account(client: AcmeClient) -> None:
    """Deactivate the account that was found before, for good (RFC 8555 §7.3.6). CertfleetError when it is not."""
    try:
        client.post(t.cast(str, client.account_uri), {"status": "deactivated"})
    except CertfleetError as error:
        # A repetition is refused when the first attempt succeeded and its answer was lost.
        if not _is_gone(client):
            error.locate(stage="account")
            raise


def terms_of_service(client: AcmeClient) -> str:
    """The URL of the CA's terms, "" where it has none."""
    return str(_meta(client).get("termsOfService") or "")


def obstacle_to_registration(
    client: AcmeClient, *, terms_agreed: bool, binding: ExternalAccountBinding | None
) -> CertfleetError | None:
    """Why the CA would refuse a new account; None when nothing is known to be missing."""
    terms = terms_of_service(client)
    if terms and not terms_agreed:
        return CertfleetError(
            "the CA's terms of service are not agreed to",
            remedy=f"Read {terms}, then set terms_agreed.",
            stage="account",
        )
    if _meta(client).get("externalAccountRequired") is True and binding is None:
        return CertfleetError(
            "the CA registers accounts only with an external account binding",
            remedy=remedy_for("externalAccountRequired"),
            stage="account",
        )
    return None


def _meta(client: AcmeClient) -> dict[str, t.Any]:
    meta = client.directory.get("meta")
    return meta if isinstance(meta, dict) else {}


def _says_none(error: AcmeError) -> bool:
    return error.is_a("accountDoesNotExist")


def _is_gone(client: AcmeClient) -> bool:
    try:
        return find_account(client) is None
    except AccountGoneError:
        return True
    except CertfleetError:
        return False


def _explain(error: CertfleetError, binding: ExternalAccountBinding | None) -> None:
    """Say what a refused newAccount means: the table of remedies thinks of challenges."""
    error.locate(stage="account")
    if not isinstance(error, AcmeError):
        return
    # The type is that of many refusals; Boulder and Pebble tell them apart in words only.
    if error.is_a("unauthorized") and any(word in error.detail for word in GONE):
        raise AccountGoneError(error.details) from error
    if binding is not None and error.status in (400, 401, 403):
        error.remedy = error.remedy if error.is_a("invalidContact") else REMEDY_BINDING
    elif error.is_a("unauthorized"):
        error.remedy = "Check the account key: the CA does not accept it."


def _registration(
    client: AcmeClient, contact: tuple[str, ...], terms_agreed: bool, binding: ExternalAccountBinding | None
) -> dict[str, t.Any]:
    payload: dict[str, t.Any] = {"contact": list(contact)} if contact else {}
    if terms_agreed:
        payload["termsOfServiceAgreed"] = True
    if binding is not None:
        payload["externalAccountBinding"] = binding.sign(client, client.endpoint("newAccount"))
    return payload


def _contact(account: dict[str, t.Any]) -> tuple[str, ...]:
    listed = account.get("contact")
    return tuple(str(address) for address in listed) if isinstance(listed, list) else ()


__all__ = (
    "Account",
    "AccountGoneError",
    "contact_uris",
    "deactivate_account",
    "ensure_account",
    "ensure_account_key",
    "find_account",
    "load_account_key",
    "new_account_key",
    "obstacle_to_registration",
    "terms_of_service",
    "thumbprint",
)
