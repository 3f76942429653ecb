# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real responder among visitors of all kinds: it answers challenges, tells nothing else, stays small, and ends."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.ports import free_port, is_open

HOST = "127.0.0.1"
PRINT = "-" + "t" * 42
TOKEN = "abcdefghijklmnopqrstuvwxyz_-0123456789"
PREFIX = "/.well-known/acme-challenge/"
CHALLENGE = f"GET {PREFIX}{TOKEN} HTTP/1.1\r\nHost: fw.example.com\r\n\r\n".encode()
# So many at once; the responder takes a quarter of them.
CROWD = 1000
# What they may cost beyond an idle responder.
MEMORY = 16 * 1024 * 1024
# Without a limit of the log a single visitor could fill the disk.
LIMITS = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2); "
RUN = LIMITS + "sys.argv[1:] = sys.argv[2:]; exec(compile(sys.stdin.read(), 'responder', 'exec'))"


@dataclass
class Running:
    """A responder in the foreground."""

    process: subprocess.Popen[str]
    port: int
    lease: Path

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    @property
    def memory(self) -> int:
        """The most that it ever took, in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]

    def expire(self) -> None:
        self.lease.write_text(json.dumps({"expires": time.time() - 1}))

    def connect(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=30)

    def says(self, data: bytes) -> bytes:
        """All that comes back when nothing follows."""
        with self.connect() as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: peer.recv(4096), b""))

    def answers(self) -> bool:
        return self.says(CHALLENGE).endswith(f"\r\n\r\n{TOKEN}.{PRINT}".encode())


@contextlib.contextmanager
def responder(directory: Path, descriptors: int = 1024, *options: str) -> Iterator[Running]:
    port, lease = free_port(), directory / "lease"
    lease.write_text(json.dumps({"expires": time.time() + 300}))
    command = [sys.executable, "-c", RUN, str(descriptors), "--listen", f"{HOST}:{port}", f"--thumbprint={PRINT}"]
    with subprocess.Popen(
        [*command, "--lease-file", str(lease), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(Path(_responder.__file__).read_text())
            process.stdin.close()
            assert json.loads(process.stdout.readline())["pid"] == process.pid
            yield Running(process, port, lease)
        finally:
            process.kill()


@pytest.fixture
def roomy() -> Iterator[None]:
    """Descriptors for a crowd in this process."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CROWD + 200
    if limits[1] != resource.RLIM_INFINITY and limits[1] < wanted:
        pytest.skip(f"no more than {limits[1]} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], wanted), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# --- the crowd -------------------------------------------------------------------------------------------------------

# What each sends first, and then time and again.
VISITORS: dict[str, tuple[bytes, bytes]] = {
    "idle": (b"", b""),
    "half a line": (b"GET /.well-", b"k"),
    "headers without end": (b"GET / HTTP/1.1\r\n", b"X-A: b\r\n"),
    "a line without end": (b"GET /", b"a" * 1500),
    "a head without end": (b"GET / HTTP/1.1\r\nX: ", b"a" * 6000),
    "challenges without end": (CHALLENGE, CHALLENGE * 20),
}


@pytest.mark.parametrize("descriptors", [1024, 64])
@pytest.mark.parametrize("kind", VISITORS)
@pytest.mark.usefixtures("roomy")
def test_f8_a_thousand_hold_nobody_up(tmp_path: Path, kind: str, descriptors: int) -> None:
    """Also where the host allows few descriptors: some have a limit of 256. And at the end of its lease it ends."""
    first, more = VISITORS[kind]
    with responder(tmp_path, descriptors) as running, contextlib.ExitStack() as stack:
        assert running.answers()
        before = running.memory
        crowd = []
        for number in range(CROWD):
            crowd.append(stack.enter_context(running.connect()))
            send(crowd[-1], first)
            if number % 100 == 0:
                assert running.answers()
        for _round in range(3):
            for peer in crowd:
                send(peer, more)
            assert running.answers()
        assert running.descriptors <= min(_responder.MAX_CONNECTIONS + 20, descriptors)
        assert running.memory - before < MEMORY
        running.expire()
        assert running.process.wait(30) == 0
    assert not is_open(HOST, running.port)


def send(peer: socket.socket, data: bytes) -> None:
    """To whoever may have hung up, and may not read."""
    peer.setblocking(False)
    with contextlib.suppress(OSError):
        peer.send(data)


def test_a_log_has_an_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(_responder.MAX_LOG - 1)
    with responder(tmp_path, 1024, "--log", str(log)) as running:
        assert all(running.answers() for _ in range(10))
    assert log.stat().st_size < _responder.MAX_LOG + 200


# --- the fuzzer ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with responder(tmp_path_factory.mktemp("fuzzed")) as running:
        yield running
        assert running.answers()
        assert running.descriptors < 20


PIECES = st.sampled_from(
    [
        *(
            "/",
            "//",
            "..",
            ".",
            "%2e",
            "%2e%2e%2f",
            "%00",
            "\0",
            "%2f",
            "\\",
            ";",
            "?",
            "#",
            "@",
            ":",
            " ",
            "\t",
            "~ready",
        ),
        *(".well-known", "acme-challenge", PREFIX, TOKEN, PREFIX + TOKEN, TOKEN[:21], "a" * 83, "a" * 84, "a" * 3000),
        *("http://fw.example.com", "https:", "*", "é", "\u202e", "<script>", "etc/passwd", "\r", "\n", "\r\n"),
    ]
)
METHODS = st.sampled_from(
    ["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "G\0ET", "", "X" * 20]
)
VERSIONS = st.sampled_from([" HTTP/1.1", " HTTP/1.0", " HTTP/2.0", " HTTP/0.9", "", " HTTP/1.1 x", "  HTTP/1.1"])
HEADERS = st.lists(
    st.sampled_from(
        [
            *(
                "Host: fw.example.com",
                "Host: a\rb",
                "host:x:80",
                "Host: [::1]",
                "Host: é",
                "Host:",
                "Content-Length: 5",
            ),
            *("Transfer-Encoding: chunked", "Expect: 100-continue", "Upgrade: h2c", "X: " + "a" * 9000, ": x", "\0"),
        ]
    ),
    max_size=4,
)


@st.composite
def requests(draw: Callable[..., str]) -> bytes:
    path = "".join(draw(st.lists(PIECES, max_size=5)))  # type: ignore[arg-type]
    line = draw(METHODS) + " " + path + draw(VERSIONS)
    end = draw(st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r"]))
    return end.join([line, *draw(HEADERS), "", ""]).encode()


FINE = re.compile(rb"(GET|HEAD) /\.well-known/acme-challenge/([A-Za-z0-9_-]{22,83}|~ready) HTTP/1\.[01]")
KINDS = {301, 400, 404, 405, 414, 431}


def judge(sent: bytes, said: bytes) -> None:
    """What may be said, by rules that are written here anew."""
    fine = FINE.fullmatch(sent.partition(b"\r\n")[0])
    if not said:
        assert b"\r\n\r\n" not in sent
        return
    head, _empty, body = said.partition(b"\r\n\r\n")
    status = int(re.match(rb"HTTP/1\.1 (\d{3}) ", head)[1])  # type: ignore[index]
    assert said.count(b"HTTP/1.1 ") == 1, "one answer a connection"
    assert len(body) < 128
    if status == 200:
        assert fine, "a challenge, or nothing"
        right = b"ready" if fine[2] == b"~ready" else fine[2] + b"." + PRINT.encode()
        assert body == (b"" if fine[1] == b"HEAD" else right)
        return
    assert status in KINDS
    assert PRINT.encode() not in said
    assert (b"Location" in head) == (status == 301)
    if status == 301:
        assert re.search(rb"\r\nLocation: https://[A-Za-z0-9.-]+/[\x21-\x7e]*(\r\n|$)", head)


@given(st.lists(requests() | st.just(CHALLENGE) | st.binary(max_size=200), min_size=1, max_size=3).map(b"".join))
@settings(max_examples=400)
def test_f9_whatever_comes(fuzzed: Running, sent: bytes) -> None:
    """Path tricks, other methods, pipelining, enormous lines, random bytes, half-closed."""
    judge(sent, fuzzed.says(sent))


@given(st.binary(max_size=60), st.integers(0, len(CHALLENGE)), st.integers(0, 10))
@settings(max_examples=200)
def test_f9_a_damaged_request(fuzzed: Running, noise: bytes, at: int, lost: int) -> None:
    sent = CHALLENGE[:at] + noise + CHALLENGE[at + lost :]
    judge(sent, fuzzed.says(sent))
