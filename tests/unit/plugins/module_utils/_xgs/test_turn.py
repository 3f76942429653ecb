# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One request at a time per firewall, whoever of this user on this machine asks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsConnectionError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport

from lab.hostile import Hostile, Send, http
from lab.tls import TlsFiles
from unit.plugins.module_utils._xgs.firewalls import Impatient, response

ANSWER = http(response(b"<Zone><Name>LAN</Name></Zone>"))


def firewall(port: int, clock: Clock | None = None, timeout: float = 60.0) -> Firewall:
    transport = Transport(Endpoint("127.0.0.1", port, validate_certs=False, timeout=timeout))
    return Firewall(transport, "admin", "secret", clock or Clock())


class Held:
    """A server that answers no request before it is told to; `arrived` says that there is one."""

    def __init__(self) -> None:
        self.arrived, self.go_on = threading.Event(), threading.Event()

    def __call__(self, send: Send) -> None:
        self.arrived.set()
        assert self.go_on.wait(60)
        send(ANSWER)


@pytest.fixture
def held(tls: TlsFiles) -> Iterator[tuple[Hostile, Held]]:
    script = Held()
    with Hostile(tls, script) as server:
        yield server, script
    script.go_on.set()


CHILD = """
import sys
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import api, transport
endpoint = transport.Endpoint("127.0.0.1", int(sys.argv[1]), validate_certs=False, timeout=60.0)
print(len(api.Firewall(transport.Transport(endpoint), "admin", "secret").get("Zone")))
"""


@contextlib.contextmanager
def another_process(port: int) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHILD, str(port)]
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_another_process_is_waited_for_and_named(held: tuple[Hostile, Held]) -> None:
    server, script = held
    with another_process(server.port) as other:
        assert script.arrived.wait(60)
        # Waits for two minutes, of a clock of its own.
        with pytest.raises(
            XgsConnectionError, match=rf"busy for 120 s \(process {other.pid}\).*one after the other"
        ) as caught:
            firewall(server.port, Impatient()).get("Zone")
        assert not caught.value.sent
        assert len(server.requests) == 1
        script.go_on.set()
        assert other.communicate(timeout=60)[0] == "1\n"
    assert firewall(server.port).get("Zone")
    assert server.most == 1


def test_a_process_that_is_killed_keeps_nobody_waiting(held: tuple[Hostile, Held]) -> None:
    server, script = held
    with another_process(server.port) as other:
        assert script.arrived.wait(60)
        other.kill()
        other.wait()
        script.go_on.set()
        assert firewall(server.port).get("Zone")


def slowly(send: Send) -> None:
    """So that two at a time would be seen."""
    time.sleep(0.01)
    send(ANSWER)


def test_threads_and_processes_take_turns(tls: TlsFiles) -> None:
    with Hostile(tls, slowly) as server, contextlib.ExitStack() as stack:
        others = [stack.enter_context(another_process(server.port)) for _ in range(2)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: firewall(server.port).get("Zone"), range(40)))
        assert all(found)
        assert [other.communicate(timeout=60)[0] for other in others] == ["1\n"] * 2
        assert len(server.requests) == 42
        assert server.most == 1


def test_another_firewall_is_not_waited_for(held: tuple[Hostile, Held], tls: TlsFiles) -> None:
    server, script = held
    with another_process(server.port), Hostile(tls, lambda send: send(ANSWER)) as neighbour:
        assert script.arrived.wait(60)
        assert firewall(neighbour.port, Impatient()).get("Zone")


def test_a_place_for_locks_that_is_not_ours(tls: TlsFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / f"certfleet-{os.geteuid()}"
    place.symlink_to(tmp_path / "elsewhere")
    with Hostile(tls, lambda send: send(ANSWER)) as server:
        with pytest.raises(CertfleetError, match=f"{place} is not a directory"):
            firewall(server.port).get("Zone")
        assert server.requests == []
        place.unlink()
        assert firewall(server.port).get("Zone")
    assert place.stat().st_mode & 0o777 == 0o700
    assert [each.stat().st_mode & 0o777 for each in place.iterdir()] == [0o600]
