# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A certificate with its chain and its key, as the options of a task give it: read and compared before it is sent."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from . import _x509
from ._errors import CertfleetError
from ._foreseen import is_foreseen
from ._libraries import x509
from ._runner import Params

# The rules of material_spec().
ONE_OF_EACH = (("certificate_path", "certificate_content"), ("private_key_path", "private_key_content"))


class Material(t.NamedTuple):
    """chain: leaf first; key_pem: the leaf's key, PEM, not encrypted."""

    chain: t.Sequence[x509.Certificate]
    key_pem: bytes

    def __repr__(self) -> str:
        return "Material()"

    @property
    def facts(self) -> _x509.CertificateFacts:
        """Of the leaf."""
        return _x509.facts(self.chain[0])

    @property
    def chain_pem(self) -> bytes:
        """The whole chain, leaf first."""
        return b"".join(map(_x509.pem, self.chain))


def material_spec() -> dict[str, dict[str, t.Any]]:
    """Goes with the documentation fragment _material."""
    return {
        "certificate_path": {"type": "path"},
        "certificate_content": {"type": "str"},
        "private_key_path": {"type": "path"},
        "private_key_content": {"type": "str", "no_log": True},
        "private_key_passphrase": {"type": "str", "no_log": True},
    }


def needed_if(option: str, value: str) -> tuple[tuple[str, str, tuple[str, ...], bool], ...]:
    """As required_if of an argument specification."""
    return tuple((option, value, one_of, True) for one_of in ONE_OF_EACH)


def material_from(params: Params) -> Material:
    """Raises CertfleetError when a file cannot be read, or its contents do not belong together."""
    chain = _x509.load_certificates(_content(params, "certificate"))
    key = _x509.load_private_key(_content(params, "private_key"), params["private_key_passphrase"])
    if not chain or not _x509.key_matches(chain[0], key):
        raise CertfleetError(
            f"the key{_of(params, 'private_key')} does not belong to the certificate{_of(params, 'certificate')}",
            remedy="Nothing was sent. Give the key that the certificate was requested with; the certificate comes"
            " first, its chain after it.",
        )
    _x509.check_chain(chain)
    return Material(chain, _x509.private_key_pem(key))


def absent_files(params: Params) -> list[str]:
    """Those of the files that are not there, which in check mode an earlier task may make."""
    paths = [params[f"{option}_path"] for option in ("certificate", "private_key")]
    return [path for path in paths if path and not os.path.exists(path)]


def told_of(absent: t.Iterable[str]) -> list[str]:
    """Warnings of check mode about files that nobody has foreseen."""
    unsaid = [path for path in absent if not is_foreseen(path)]
    return [f"{path} is not there: check mode takes it that an earlier task would make it." for path in unsaid]


def _content(params: Params, option: str) -> bytes:
    path = params[f"{option}_path"]
    if path is None:
        return str(params[f"{option}_content"]).encode()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CertfleetError(
            f"{path} cannot be read: {error.strerror}", remedy="Is it there, on the host that this runs on?"
        ) from error


def _of(params: Params, option: str) -> str:
    return f" in {params[f'{option}_path']}" if params[f"{option}_path"] else ""


__all__ = ("ONE_OF_EACH", "Material", "absent_files", "material_from", "material_spec", "needed_if", "told_of")
