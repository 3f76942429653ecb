# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _files
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_write_private_replaces_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("old")
    path.chmod(0o644)
    previous = os.umask(0)
    try:
        _files.write_private(str(path), b"new")
    finally:
        os.umask(previous)
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key.pem"]


def test_write_private_fails_clean(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "taken", tmp_path / "missing" / "key.pem"):
        with pytest.raises(CertfleetError, match="cannot write"):
            _files.write_private(str(path), b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_create_private_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    assert _files.create_private(str(path), b"first")
    assert not _files.create_private(str(path), b"second")
    assert path.read_bytes() == b"first"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key.pem"]


def _race(path: str, gate: object, data: bytes, won: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    won.put((_files.create_private(path, data), _files.read_private(path)))  # type: ignore[attr-defined]


def test_of_several_processes_one_makes_the_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    gate, won = context.Barrier(4), context.Queue()
    path = str(tmp_path / "key.pem")
    racers = [context.Process(target=_race, args=(path, gate, b"key %d" % n, won)) for n in range(4)]
    for racer in racers:
        racer.start()
    ends = [won.get(timeout=20) for _ in racers]
    for racer in racers:
        racer.join()
    assert sorted(first for first, _key in ends) == [False, False, False, True]
    assert len({key for _first, key in ends}) == 1


def test_read_private_refuses_what_others_may_read(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"key")
    for bad in (0o640, 0o604, 0o620):
        path.chmod(bad)
        with pytest.raises(CertfleetError, match="accessible by others") as caught:
            _files.read_private(str(path))
        assert "chmod 0600" in caught.value.remedy
    path.chmod(0o400)
    assert _files.read_private(str(path)) == b"key"
    with pytest.raises(CertfleetError, match="No such file"):
        _files.read_private(str(tmp_path / "none"))


def test_make_private_directory(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    for _again in range(2):
        _files.make_private_directory(str(path))
    assert mode(path) == 0o700
    path.chmod(0o750)
    with pytest.raises(CertfleetError, match="accessible by others"):
        _files.make_private_directory(str(path))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "file").touch()
    for odd in ("link", "file"):
        with pytest.raises(CertfleetError, match="not a directory"):
            _files.make_private_directory(str(tmp_path / odd))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_make_private_directory_refuses_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.mkdir(0o700)
    os.chown(path, 65534, 65534)
    with pytest.raises(CertfleetError, match="another user"):
        _files.make_private_directory(str(path))
