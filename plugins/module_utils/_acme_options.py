# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The options that all acme_* modules share, documented in doc_fragments/_acme.py."""

from __future__ import annotations

import typing as t

from ._acme.account import load_account_key
from ._acme.client import AcmeClient
from ._acme.order import CertificateRequest
from ._errors import CertfleetError, stage
from ._names import normalise_domains
from ._runner import Params, env_fallback
from ._x509 import KEY_TYPES
from ._xgs.certificates import check_name

if t.TYPE_CHECKING:
    from ._x509 import PrivateKey


def acme_spec() -> dict[str, dict[str, t.Any]]:
    """Part of an argument specification."""
    return {
        "acme_directory": {"type": "str", "default": "https://acme-v02.api.letsencrypt.org/directory"},
        "account_key_path": {"type": "path", "fallback": (env_fallback, ["ACME_ACCOUNT_KEY_PATH"])},
        "account_key_content": {"type": "str", "no_log": True, "fallback": (env_fallback, ["ACME_ACCOUNT_KEY"])},
        "account_key_passphrase": {"type": "str", "no_log": True},
        "ca_path": {"type": "path", "fallback": (env_fallback, ["ACME_CA_PATH"])},
        "validate_certs": {"type": "bool", "default": True},
    }


def certificate_spec() -> dict[str, dict[str, t.Any]]:
    """What every list of certificates says of each."""
    return {
        "name": {"type": "str", "required": True},
        "domains": {"type": "list", "elements": "str", "required": True},
        "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": KEY_TYPES[0], "no_log": False},
        "profile": {"type": "str"},
        "reuse_key": {"type": "bool", "default": False, "no_log": False},
        "preferred_chain": {"type": "str"},
    }


def requests_from(entries: t.Sequence[Params]) -> list[CertificateRequest]:
    """What a task asks for. CertfleetError (stage "plan") with the first that cannot be."""
    requests = [_request(entry) for entry in entries]
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            raise CertfleetError(
                "two certificates have this name", stage="plan", certificate=name, remedy="Give each a name of its own."
            )
    return requests


def _request(entry: Params) -> CertificateRequest:
    with stage("plan", certificate=entry["name"]):
        check_name(entry["name"])
        return CertificateRequest(
            entry["name"],
            normalise_domains(entry["domains"], entry["profile"]),
            key_type=entry["key_type"],
            replaces=entry["replaces"],
            profile=entry["profile"] or None,
            reuse_key=entry["reuse_key"],
            preferred_chain=entry["preferred_chain"] or None,
        )


def client_from(params: Params, key: PrivateKey | None = None) -> AcmeClient:
    """A client for the account key, which is read as the options say unless it is given.

    CertfleetError (stage "account") when that cannot be used, AcmeNetworkError when the CA's URL or ca_path cannot.
    """
    key = key or load_account_key(
        path=params["account_key_path"],
        content=params["account_key_content"],
        passphrase=params["account_key_passphrase"],
    )
    return AcmeClient(params["acme_directory"], key, ca_path=params["ca_path"], validate_certs=params["validate_certs"])


__all__ = ("acme_spec", "certificate_spec", "client_from", "requests_from")
