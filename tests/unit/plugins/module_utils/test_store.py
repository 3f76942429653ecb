# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies on disk between order and upload."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import CertificateRequest, Progress
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._store import Store

from lab.faults import LeapClock
from unit.plugins.module_utils._xgs.firewalls import Issued, authority

NAMES = ("owa.example.com", "mail.example.com")
ORDER = "https://ca.example.com/order/1"


def request(*domains: str, key_type: str = "ec256") -> CertificateRequest:
    return CertificateRequest(name="owa", domains=domains or NAMES, key_type=key_type)


def progress(key_pem: bytes, order_uri: str = ORDER) -> Progress:
    return Progress(key_pem, b"csr", "https://ca.example.com/account/1", order_uri)


def keep(store: Store, issued: Issued, wanted: CertificateRequest | None = None) -> None:
    store.remember(wanted or request(), progress(issued.key_pem))
    store.issued(wanted or request(), progress(issued.key_pem), issued.chain_pem)


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


def test_f29_a_directory_that_others_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(CertfleetError, match="accessible by others"), Store(str(tmp_path)).locked([]):
        pass


def test_what_was_issued_is_found_again(tmp_path: Path) -> None:
    issued = authority().issue(*NAMES)
    keep(Store(str(tmp_path / "s")), issued)
    found = Store(str(tmp_path / "s")).find(request(), "ab" * 32)
    assert found.facts.fingerprint == issued.fingerprint
    assert (found.private_key_pem, found.chain_pem, found.order_uri) == (issued.key_pem, issued.chain_pem, ORDER)
    assert found.challenged is False


def test_what_was_issued_stays_until_there_is_something_new(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s"))
    old, new = authority().issue(*NAMES), authority().issue(*NAMES)
    keep(store, old)
    store.remember(request(), progress(new.key_pem, ORDER + "1"))
    assert store.find(request(), None).private_key_pem == old.key_pem
    store.issued(request(), progress(new.key_pem, ORDER + "1"), new.chain_pem)
    found = store.find(request(), None)
    assert (found.private_key_pem, found.chain_pem, found.order_uri) == (new.key_pem, new.chain_pem, ORDER + "1")


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


@pytest.mark.parametrize(
    ("directory_url", "profile"), [("https://other.example.com/dir", None), ("https://ca.example.com/dir", "short")]
)
def test_what_comes_from_elsewhere_is_not_found(tmp_path: Path, directory_url: str, profile: str | None) -> None:
    """It did not reach the firewall, and then somebody changed the CA, say from staging to production."""
    ours = "https://ca.example.com/dir"
    keep(Store(str(tmp_path / "s"), ours), authority().issue(*NAMES))
    assert Store(str(tmp_path / "s"), ours).find(request(), None) is not None
    wanted = CertificateRequest("owa", NAMES, "ec256", profile=profile)
    assert Store(str(tmp_path / "s"), directory_url).find(wanted, None) is None


@pytest.mark.parametrize("hours", [-2, -200, 2])
def test_f28_what_was_just_issued_is_found_whatever_our_clock_says(tmp_path: Path, hours: int) -> None:
    clock = LeapClock(skew=hours * 3600.0)
    issued = authority().issue(*NAMES)
    keep(Store(str(tmp_path / "s")), issued)
    assert Store(str(tmp_path / "s"), clock=clock).find(request(), None).facts.fingerprint == issued.fingerprint


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


def test_an_unfinished_order_is_found_until_it_is_issued(tmp_path: Path) -> None:
    store, issued = Store(str(tmp_path / "s")), authority().issue(*NAMES)
    assert store.unfinished(request()) is None
    for order_uri in ("", ORDER):
        store.remember(request(), progress(issued.key_pem, order_uri))
        assert Store(str(tmp_path / "s")).unfinished(request()) == progress(issued.key_pem, order_uri)
    assert stat.S_IMODE((tmp_path / "s/owa/unfinished.json").stat().st_mode) == 0o600
    store.issued(request(), progress(issued.key_pem), issued.chain_pem)
    assert store.unfinished(request()) is None


@pytest.mark.parametrize(
    "wanted",
    [request("owa.example.com"), request(key_type="ec384"), CertificateRequest("owa", NAMES, "ec256", profile="short")],
    ids=["names", "key type", "profile"],
)
def test_an_unfinished_order_for_something_else_is_not_taken(tmp_path: Path, wanted: CertificateRequest) -> None:
    store = Store(str(tmp_path / "s"))
    store.remember(request(), progress(authority().issue(*NAMES).key_pem))
    assert store.unfinished(request(*reversed(NAMES))) is not None
    assert store.unfinished(wanted) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"[]", b"null", b'{"asked_for": 1}'], ids=repr)
def test_a_damaged_unfinished_order_is_not_taken(tmp_path: Path, content: bytes) -> None:
    store = Store(str(tmp_path / "s"))
    store.remember(request(), progress(authority().issue(*NAMES).key_pem))
    (tmp_path / "s/owa/unfinished.json").write_bytes(content)
    assert store.unfinished(request()) is None


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC], ids=["read-only", "full"])
def test_f29_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    store = Store(str(tmp_path / "s"))

    def refuse(**_options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(CertfleetError, match=f"cannot write .*/owa/unfinished.json: {os.strerror(number)}"):
        store.remember(request(), progress(b"key"))


def test_f29_f31_one_run_at_a_time(tmp_path: Path) -> None:
    """The other is a process of its own; killed, it lets go."""
    store = Store(str(tmp_path / "s"))
    script = "import fcntl, os, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2);"
    script += " f.write(str(os.getpid())); f.flush(); print(flush=True); time.sleep(60)"
    with store.locked([request()]):
        pass
    lock = tmp_path / "s/owa/lock"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    with subprocess.Popen([sys.executable, "-c", script, str(lock)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout
            other.stdout.readline()
            with pytest.raises(CertfleetError, match=rf"\(process {other.pid}\) is at work in {lock.parent}") as caught:
                store.locked([request()]).__enter__()
            assert "Wait" in caught.value.remedy
        finally:
            other.kill()
    with store.locked([request(), request("other.example.com")]):
        assert lock.read_text().strip() == str(os.getpid())


def test_halves_of_files_are_cleared_away(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s"))
    keep(store, authority().issue(*NAMES))
    (tmp_path / "s/owa/.certfleet-x1").write_text("half a key")
    with store.locked([request()]):
        assert not (tmp_path / "s/owa/.certfleet-x1").exists()
    assert store.find(request(), None) is not None
