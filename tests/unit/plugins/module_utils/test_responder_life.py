# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the responder lives: how it is started, extended and stopped, where it listens, what it logs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process as process
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError

from lab.ports import free_port, is_open, wait_closed
from unit.plugins.module_utils.knocking import HOST, PRINT, TOKEN, request, talk

MODULE_UTILS = Path(_responder.__file__).resolve().parent


def test_start_extend_stop() -> None:
    port = free_port()
    first = process.start(HOST, port, PRINT, 30)
    try:
        assert first.changed
        assert process.answers(HOST, port, PRINT)
        assert not process.answers(HOST, port, "x" * 43)
        second = process.start(HOST, port, PRINT, 60)
        assert (second.changed, second.pid) == (False, first.pid)
        assert second.expires > first.expires + 25
        shorter = process.start(HOST, port, PRINT, 5)
        assert shorter.expires == second.expires
        assert json.loads(Path(first.lease_file).read_text())["pid"] == first.pid
        with pytest.raises(CertfleetError, match="another ACME account"):
            process.start(HOST, port, "x" * 43, 30)
        assert process.answers(HOST, port, PRINT)
    finally:
        assert process.stop(HOST, port)
    assert not is_open(HOST, port)
    assert not Path(first.lease_file).exists()
    assert not process.stop(HOST, port)


def test_it_stays_for_whoever_needs_it_still() -> None:
    port = free_port()
    first, second = process.start(HOST, port, PRINT, 60), process.start(HOST, port, PRINT, 30)
    assert first.holder != second.holder
    assert not process.stop(HOST, port, first.holder)
    assert process.answers(HOST, port, PRINT)
    assert not process.stop(HOST, port, first.holder), "twice is once"
    assert json.loads(Path(first.lease_file).read_text())["expires"] < first.expires, "its own time"
    assert process.stop(HOST, port, second.holder)
    assert not is_open(HOST, port)


def test_of_two_starts_at_once_one_starts() -> None:
    port = free_port()
    found: list[process.Started] = []
    threads = [threading.Thread(target=lambda: found.append(process.start(HOST, port, PRINT, 30))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.changed for one in found) == [False, False, True]
    assert len({one.pid for one in found}) == 1
    assert process.stop(HOST, port)


def test_it_ends_with_its_lease() -> None:
    port = free_port()
    process.start(HOST, port, PRINT, 1.5)
    assert is_open(HOST, port)
    wait_closed(HOST, port, 4)
    assert process.start(HOST, port, PRINT, 30).changed
    assert process.stop(HOST, port)


def test_f32_a_port_that_is_taken() -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CertfleetError, match=f"{HOST}:{port}") as caught:
            process.start(HOST, port, PRINT, 30)
        assert (caught.value.stage, bool(caught.value.remedy)) == ("responder", True)
        assert not Path(process.lease_file(HOST, port)).exists()


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(CertfleetError, match=r"192\.0\.2\.1"):
        process.start("192.0.2.1", free_port(), PRINT, 30)
    with pytest.raises(CertfleetError, match="thumbprint"):
        process.start(HOST, free_port(), "no", 30)


ipv6 = pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")


@ipv6
def test_f32_ipv6() -> None:
    port = free_port()
    process.start("::1", port, PRINT, 30)
    try:
        assert process.answers("::1", port, PRINT)
        assert talk(port, f"GET {_responder.PREFIX}{TOKEN} HTTP/1.1\r\n\r\n".encode(), "::1").endswith(PRINT.encode())
    finally:
        assert process.stop("::1", port)


@ipv6
def test_f32_ipv6_only_leaves_ipv4_to_others() -> None:
    """On the address that was given, and on no other."""
    port = free_port()
    process.start("::1", port, PRINT, 30)
    try:
        assert not is_open(HOST, port)
        assert process.lease_file("::1", port) != process.lease_file(HOST, port)
        with socket.create_server((HOST, port)):
            assert process.answers("::1", port, PRINT)
    finally:
        assert process.stop("::1", port)


@ipv6
def test_f32_one_for_each_family() -> None:
    """On the same port of both, each with a life of its own."""
    port = free_port()
    try:
        pids = {process.start(address, port, PRINT, 30).pid for address in (HOST, "::1")}
        assert len(pids) == 2
        assert process.answers(HOST, port, PRINT)
        assert process.answers("::1", port, PRINT)
        assert process.stop("::1", port)
        assert process.answers(HOST, port, PRINT)
    finally:
        process.stop("::1", port)
        assert process.stop(HOST, port)


@ipv6
def test_f32_all_addresses_means_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """`::` takes IPv4 as well. Bound to loopback here all the same."""

    asked: list[tuple[str, int]] = []

    class Loopback(socket.socket):
        def bind(self, address: Any) -> None:
            # Before it is bound to one address: Linux sets the option then.
            asked.append((address[0], self.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)))
            super().bind(("::1", address[1]))

    monkeypatch.setattr(_responder.socket, "socket", Loopback)
    for address in ("::", "::1"):
        _responder.listen(address, 0).close()
    assert asked == [("::", 0), ("::1", 1)]


@ipv6
def test_f32_an_ipv6_port_that_is_taken() -> None:
    """The message names the address as one writes it."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(CertfleetError, match=rf"\[::1\]:{port}"):
            process.start("::1", port, PRINT, 30)
        assert not Path(process.lease_file("::1", port)).exists()


def test_starts_from_inside_a_zip(tmp_path: Path) -> None:
    """As AnsiballZ brings it, on a host that has nothing but Python's standard library."""
    archive, port = tmp_path / "payload.zip", free_port()
    with zipfile.ZipFile(archive, "w") as payload:
        payload.writestr("lib/__init__.py", "")
        for name in ("_responder", "_responder_process", "_errors", "_clock", "_files"):
            payload.write(MODULE_UTILS / f"{name}.py", f"lib/{name}.py")
    script = f"from lib import _responder_process as p; print(p.start({HOST!r}, {port}, {PRINT!r}, 30))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": str(archive)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stdout.startswith("Started(changed=True"), done.stderr
    archive.unlink()
    assert process.answers(HOST, port, PRINT)
    assert process.stop(HOST, port)


def test_log_has_no_whole_token_and_foreground_ends_too(tmp_path: Path) -> None:
    port, lease, log = free_port(), tmp_path / "lease", tmp_path / "log"
    lease.write_text(json.dumps({"expires": time.time() + 30}))
    command = [sys.executable, "-", "--listen", f"{HOST}:{port}", f"--thumbprint={PRINT}"]
    command += ["--lease-file", str(lease), "--log", str(log)]
    with (
        Path(_responder.__file__).open() as source,
        subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, text=True) as running,
    ):
        assert running.stdout is not None
        assert json.loads(running.stdout.readline()) == {"listening": f"{HOST}:{port}", "pid": running.pid}
        request(port, f"/.well-known/acme-challenge/{TOKEN}")
        request(port, "/secret")
        assert running.poll() is None
        lease.unlink()
        assert running.wait(3) == 0
    text = log.read_text()
    assert f"{HOST} fw.example.com 200 token {TOKEN[:8]}..." in text
    assert text.count("\n") == 2
    assert TOKEN not in text
    assert "secret" not in text
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_log_of_the_module(tmp_path: Path) -> None:
    """One line a request, for this user alone, in a file that may have been there."""
    port, log = free_port(), tmp_path / "log"
    log.write_text("before\n")
    log.chmod(0o644)
    process.start(HOST, port, PRINT, 30, log_path=str(log))
    try:
        request(port, "/", "GET", "Host: evil\x7fexample")
        request(port, "/", "POST")
        talk(port, b"\x16\x03\r\n\r\n")
    finally:
        assert process.stop(HOST, port)
    lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [line[1:] for line in lines[:4]] == [
        [],
        [f"{HOST} - 404 other"],
        [f"{HOST} fw.example.com 405 method"],
        [f"{HOST} - 400 malformed"],
    ]
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["missing directory", "link", "fifo"])
def test_a_log_that_cannot_be(tmp_path: Path, kind: str) -> None:
    port, log = free_port(), tmp_path / "log"
    if kind == "missing directory":
        log = tmp_path / "none" / "log"
    elif kind == "link":
        log.symlink_to(tmp_path / "other")
    else:
        os.mkfifo(log)
    with pytest.raises(CertfleetError, match="log"):
        process.start(HOST, port, PRINT, 30, log_path=str(log))
    assert not is_open(HOST, port)
    assert not (tmp_path / "other").exists()


def test_a_full_disk_is_no_reason_not_to_answer(tmp_path: Path) -> None:
    """A limit on the size of files does to the log what a full disk does."""
    port, lease, log = free_port(), tmp_path / "lease", tmp_path / "log"
    lease.write_text(json.dumps({"expires": time.time() + 30}))
    limited = "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    command = [
        sys.executable,
        "-c",
        limited,
        _responder.__file__,
        "--listen",
        f"{HOST}:{port}",
        f"--thumbprint={PRINT}",
    ]
    command += ["--lease-file", str(lease), "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        assert request(port, f"/.well-known/acme-challenge/{TOKEN}")[0] == 200
        lease.unlink()
        assert running.wait(3) == 0
    assert log.read_text() == ""


def test_no_answer_any_more_once_its_lease_is_gone(tmp_path: Path) -> None:
    """Whoever knocks then ends it: a stop needs no waiting."""
    port = free_port()
    started = process.start(HOST, port, PRINT, 30)
    assert process.answers(HOST, port, PRINT)
    Path(started.lease_file).unlink()
    with contextlib.suppress(ConnectionError):
        assert talk(port, f"GET {_responder.READY} HTTP/1.1\r\n\r\n".encode()) == b""
    wait_closed(HOST, port)


@pytest.mark.parametrize(
    "text",
    ["", "8080", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:80", "[::1]", "[127.0.0.1", "1.2.3:80", "a:80"],
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        _responder.split_endpoint(text)


def test_endpoints() -> None:
    assert _responder.split_endpoint("127.0.0.1:80") == (HOST, 80)
    assert _responder.split_endpoint("[0:0::1]:8080") == ("::1", 8080)


def test_the_directory_must_be_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"certfleet-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(CertfleetError, match="accessible by others") as caught:
        process.start(HOST, free_port(), PRINT, 30)
    assert caught.value.stage == "responder"
