# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive reader on archives that nobody should make. It opens no file."""

from __future__ import annotations

import io
import sys
import tarfile
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import archive
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.archive import certificate_files
from hypothesis import given
from hypothesis import strategies as st

EVENTS = ("open", "os.", "shutil.", "tempfile.", "subprocess.", "socket.")
_seen: list[str] | None = None


def _hook(event: str, _arguments: Any) -> None:
    if _seen is not None and event.startswith(EVENTS):
        _seen.append(event)


# A hook cannot be taken away again, so there is one, which mostly does nothing.
sys.addaudithook(_hook)


def unpacked(body: bytes) -> list[tuple[str, bytes | None]]:
    """What the reader finds, while the interpreter itself says what is opened, made or called."""
    global _seen
    _seen = []
    try:
        found = list(certificate_files(body))
        assert _seen == []
    finally:
        _seen = None
    return found


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **more: Any) -> bytes:
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, len(content)
    for attribute, value in more.items():
        setattr(header, attribute, value)
    padding = bytes(-len(content) % tarfile.BLOCKSIZE)
    return header.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape") + content + padding


def made(*files: tuple[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in files:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


NAMES = [
    "../../etc/x.pem",
    "/etc/cron.d/x.pem",
    "./Files/a/../../x.pem",
    "C:\\x.pem",
    "x\n.pem",
    "\udcff.pem",
    "ä€😀.pem",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_a_path_is_only_a_name(name: str, form: int) -> None:
    assert unpacked(made((name, b"content"), form=form)) == [(name, b"content")]


KINDS = [
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
    tarfile.DIRTYPE,
    tarfile.CONTTYPE,
    tarfile.GNUTYPE_SPARSE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.XHDTYPE,
    b"Z",
]


@pytest.mark.parametrize("kind", KINDS)
def test_only_ordinary_files_count(kind: bytes) -> None:
    special = entry("link.pem", kind=kind, linkname="/etc/passwd", devmajor=1, devminor=1)
    assert unpacked(special + entry("a.pem", b"A")) == [("a.pem", b"A")]


@pytest.mark.parametrize("name", ["a.key", "A.KEY", "./Files/a.Key"])
def test_keys_have_no_content(name: str) -> None:
    assert unpacked(entry(name, b"KEY")) == [(name, None)]


def sized(size: bytes) -> bytes:
    """A header that says so, with its checksum right."""
    block = bytearray(entry("a.pem"))
    block[124:136] = size.ljust(12, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "size", [b"\xff" * 12, b"\xff" * 11 + b"\x00", b"\x80" + b"\xff" * 11, b"-1", b"77777777777", b"x", b""]
)
def test_a_size_that_cannot_be(size: bytes) -> None:
    files = unpacked(sized(size) + b"A" * 512 + entry("b.pem", b"B"))
    assert [each for each in files if each[0] == "b.pem"] == [("b.pem", b"B")]
    assert all(not content for name, content in files if name == "a.pem")


def test_what_is_cut_off_is_not_there() -> None:
    whole = entry("a.pem", b"A" * 1000)
    assert unpacked(whole[:1511]) == []
    assert unpacked(whole[:1512]) == [("a.pem", b"A" * 1000)]


def test_a_file_within_a_file_is_its_content() -> None:
    inner = entry("inner.pem", b"I")
    assert unpacked(entry("outer.pem", inner) + entry("b.pem")) == [("outer.pem", inner), ("b.pem", b"")]


@pytest.mark.parametrize(
    ("position", "byte", "read"),
    [(0, b"b", [("b.pem", b"A")]), (4, b"n", []), (124, b"x", []), (156, b"2", [])],
    ids=["path", "kind of file", "size", "link"],
)
def test_a_wrong_checksum(position: int, byte: bytes, read: list[tuple[str, bytes]]) -> None:
    """Firewalls change paths on the way (measured). What is not beyond doubt is not read."""
    broken = bytearray(entry("a.pem", b"A"))
    broken[position : position + 1] = byte
    assert unpacked(bytes(broken) + entry("c.pem", b"C")) == [*read, ("c.pem", b"C")]


def test_files_are_counted() -> None:
    assert len(unpacked(entry("a.pem") * (archive.MAX_FILES + 5))) == archive.MAX_FILES


HEADERS = st.builds(
    entry,
    st.sampled_from([*NAMES, "a.pem", "a.key", "Entities.xml"]),
    st.binary(max_size=20),
    st.sampled_from([tarfile.REGTYPE, tarfile.AREGTYPE, *KINDS]),
)


@given(st.lists(HEADERS | st.binary(max_size=600) | st.just(bytes(512)), max_size=8).map(b"".join), st.data())
def test_nothing_but_files(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body)))
    noise = data.draw(st.binary(max_size=30))
    found = unpacked(body[:at] + noise + body[at + data.draw(st.integers(0, 30)) :])
    assert sum(len(content or b"") for _name, content in found) <= len(body) + len(noise)
    assert all(content is None for name, content in found if name.endswith(".key"))


def test_what_may_be_a_header_is_counted_too() -> None:
    """To look at each costs time, and a body has room for millions."""
    assert unpacked(b"ustar\0" * archive.MAX_FILES + bytes(512) + entry("a.pem", b"A")) == []
