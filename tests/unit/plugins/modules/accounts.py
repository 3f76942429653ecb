# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of accounts and revocations share: runs of acme_account, and answers that get lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import (
    load_account_key,
    new_account_key,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.transport import (
    Failure,
    Transport,
    Unsuccessful,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.modules import acme_account

from lab.pebble import AcmeCa
from lab.second_ca import SecondCa


def connection(ca: AcmeCa | SecondCa, **options: Any) -> dict[str, Any]:
    """The options of every acme_* module."""
    return {
        "acme_directory": ca.directory_url,
        "account_key_path": None,
        "account_key_content": None,
        "account_key_passphrase": None,
        "ca_path": ca.ca_file,
        "validate_certs": True,
        **options,
    }


def run(ca: AcmeCa | SecondCa, check_mode: bool = False, **options: Any) -> Outcome:
    params: dict[str, Any] = {
        "state": "present",
        "contact": [],
        "terms_agreed": True,
        "external_account_binding": None,
        "new_account_key_path": None,
        "new_account_key_content": None,
        "new_account_key_passphrase": None,
        **options,
    }
    return acme_account.run(connection(ca, **params), check_mode)


def new_key() -> str:
    return new_account_key().decode()


def client_of(ca: AcmeCa | SecondCa, key_pem: str) -> AcmeClient:
    return AcmeClient(ca.directory_url, load_account_key(content=key_pem), ca_path=ca.ca_file)


@contextlib.contextmanager
def lost_answer(part: str, *, acted: bool = True) -> Iterator[list[str]]:
    """The first answer of a URL with this part is lost, and the request too unless `acted`; yields all such URLs."""
    real, asked = Transport._exchange, []

    def exchange(self: Transport, method: str, url: str, *rest: Any) -> Any:
        first = part in url and not asked
        if part in url:
            asked.append(url)
        reply = real(self, method, url, *rest) if acted or not first else None
        if first:
            raise Unsuccessful(Failure.LOST, AcmeNetworkError(f"no answer from {url}", url=url))
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transport, "_exchange", exchange)
        yield asked
