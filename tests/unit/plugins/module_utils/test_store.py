# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies on disk between order and upload."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import CertificateRequest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._store import Store

from unit.plugins.module_utils._xgs.firewalls import Issued, authority

NAMES = ("owa.example.com", "mail.example.com")
ORDER = "https://ca.example.com/order/1"


def request(*domains: str, key_type: str = "ec256") -> CertificateRequest:
    return CertificateRequest(name="owa", domains=domains or NAMES, key_type=key_type)


def keep(store: Store, issued: Issued, wanted: CertificateRequest | None = None) -> None:
    store.remember(wanted or request(), issued.key_pem, b"csr", ORDER)
    store.issued(wanted or request(), issued.key_pem, issued.chain_pem)


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    keep(Store(str(tmp_path / "a" / "store")), authority().issue(*NAMES))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").rglob("*")}
    assert modes == {
        "store": 0o700,
        "owa": 0o700,
        "privkey.pem": 0o600,
        "fullchain.pem": 0o600,
        "order.json": 0o600,
    }


def test_a_directory_that_others_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(CertfleetError, match="accessible by others"):
        Store(str(tmp_path))


def test_what_was_issued_is_found_again(tmp_path: Path) -> None:
    issued = authority().issue(*NAMES)
    keep(Store(str(tmp_path / "s")), issued)
    found = Store(str(tmp_path / "s")).find(request(), "ab" * 32)
    assert found.facts.fingerprint == issued.fingerprint
    assert (found.private_key_pem, found.chain_pem, found.order_uri) == (issued.key_pem, issued.chain_pem, ORDER)
    assert found.challenged is False


def test_a_new_key_never_stands_beside_an_old_chain(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s"))
    keep(store, authority().issue(*NAMES))
    new = authority().issue(*NAMES)
    store.remember(request(), new.key_pem, b"csr", None)
    assert not (tmp_path / "s/owa/fullchain.pem").exists()
    assert (tmp_path / "s/owa/privkey.pem").read_bytes() == new.key_pem
    assert store.find(request(), None) is None


@pytest.mark.parametrize(
    ("age", "wanted"),
    [
        (61, request()),
        (100, request()),
        (0, request("owa.example.com")),
        (0, request(*NAMES, "new.example.com")),
        (0, request(key_type="rsa2048")),
    ],
    ids=["due", "expired", "fewer names", "more names", "another key type"],
)
def test_what_does_not_fit_is_not_found(tmp_path: Path, age: int, wanted: CertificateRequest) -> None:
    store = Store(str(tmp_path / "s"))
    keep(store, authority().issue(*NAMES, age=age))
    assert store.find(wanted, None) is None


def test_what_is_to_be_replaced_is_not_found(tmp_path: Path) -> None:
    store, issued = Store(str(tmp_path / "s")), authority().issue(*NAMES)
    keep(store, issued)
    assert store.find(request(), issued.fingerprint) is None


def test_the_key_of_another_is_not_taken(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s"))
    keep(store, authority().issue(*NAMES))
    (tmp_path / "s/owa/privkey.pem").write_bytes(authority().issue(*NAMES).key_pem)
    assert store.find(request(), None) is None


@pytest.mark.parametrize("file", ["privkey.pem", "fullchain.pem", "order.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"[]", None], ids=repr)
def test_damaged_files_are_not_taken(tmp_path: Path, file: str, content: bytes | None) -> None:
    store = Store(str(tmp_path / "s"))
    keep(store, authority().issue(*NAMES))
    path = tmp_path / "s/owa" / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert store.find(request(), None) is None


def test_nothing_there(tmp_path: Path) -> None:
    assert Store(str(tmp_path / "s")).find(request(), None) is None


def test_the_order_is_remembered_before_it_is_finished(tmp_path: Path) -> None:
    Store(str(tmp_path / "s")).remember(request(), b"key", b"\x01\x02", ORDER)
    order = json.loads((tmp_path / "s/owa/order.json").read_text())
    assert order == {"order_uri": ORDER, "domains": list(NAMES), "csr": "0102"}
