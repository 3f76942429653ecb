# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A new key for an existing account (RFC 8555 §7.3.5)."""

from __future__ import annotations

import contextlib
import json

from .._errors import CertfleetError
from .account import Account, find_account
from .client import AcmeClient
from .errors import AcmeError

REMEDY_TAKEN = "Use a key that has no account at this CA."


def plan_key_change(client: AcmeClient, new: AcmeClient | None) -> tuple[Account, bool]:
    """The account, and whether its key is still to be changed. new: speaks for the new key, None if not made yet.

    Sets the clients' account_uri. CertfleetError when there is no account, or when the new key has one of its own.
    """
    account = find_account(client)
    owner = find_account(new) if new is not None else None
    if owner is None:
        if account is None:
            raise CertfleetError(
                "no account at the CA has this account key",
                remedy="Register the key with state present first, and check that acme_directory is the CA where it"
                " was registered.",
                stage="account",
            )
        return account, True
    # Where the CA knows the old key no more, an earlier run has changed it.
    if account is not None and account.uri != owner.uri:
        raise CertfleetError(
            f"the new account key belongs to another account, {owner.uri}",
            remedy=REMEDY_TAKEN,
            stage="account",
        )
    return owner, False


def change_key(client: AcmeClient, new: AcmeClient) -> None:
    """Make the new client's key the account's. The old key is refused from then on.

    CertfleetError when it is not changed, or when that cannot be told.
    """
    url = client.endpoint("keyChange")
    request = json.dumps({"account": client.account_uri, "oldKey": client.public_jwk}).encode()
    try:
        client.post(url, new.signed(request, url), repeatable=False)
    except CertfleetError as error:
        # The answer may have been lost, but not the change: what the CA has is what counts.
        if not _is_changed(client, new):
            _explain(error)
            raise
    else:
        # Pebble says yes to a key that has an account of its own, and changes nothing.
        if not _has_key(client, new):
            raise CertfleetError(
                "the CA took the new account key, but did not make it the account's",
                remedy=REMEDY_TAKEN,
                stage="account",
            )


def _has_key(client: AcmeClient, new: AcmeClient) -> bool:
    owner = find_account(new)
    return owner is not None and owner.uri == client.account_uri


def _is_changed(client: AcmeClient, new: AcmeClient) -> bool:
    with contextlib.suppress(CertfleetError):
        return _has_key(client, new)
    return False


def _explain(error: CertfleetError) -> None:
    error.locate(stage="account")
    if not isinstance(error, AcmeError):
        error.remedy = "Run again with both keys, and keep both until then: the CA may have changed the key."
    elif error.status == 409:
        error.remedy = REMEDY_TAKEN


__all__ = ("change_key", "plan_key_change")
