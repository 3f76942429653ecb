# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The responder that is sent to a firewall: a real python3 behind a real SSH server runs it."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell import responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.errors import ShellError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.session import Shell, shell

from lab.console import Console
from lab.ports import free_port
from lab.processes import wait_until

from .conftest import Make

PRINT, OTHER = "p" * 43, "q" * 43
TOKEN = "abcdefghijklmnopqrstuvwxyz_-0123456789"


@pytest.fixture
def box(console: Make) -> Iterator[tuple[Shell, Console]]:
    made, endpoint = console()
    with shell(endpoint) as session:
        yield session, made


@pytest.fixture
def port() -> Iterator[int]:
    found = free_port()
    yield found
    assert asked(found) is None, "a responder is left"
    assert not lease(found).exists()


def lease(port: int) -> Path:
    """The firewall's /tmp is this machine's."""
    return Path(f"/tmp/certfleet-responder-{port}.json")


def asked(port: int, target: str = f"/.well-known/acme-challenge/{TOKEN}") -> str | None:
    """What a CA would read; None where nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", target)
        return connection.getresponse().read().decode()
    except ConnectionError:
        return None
    finally:
        connection.close()


def pythons(console: Console) -> list[str]:
    return [line for line in console.processes() if "python" in line]


def test_from_start_to_stop(box: tuple[Shell, Console], port: int) -> None:
    session, console = box
    others = [line for line in console.processes() if "sleep" not in line]
    changed, running = responder.start(session, port, PRINT, 60, "run1")
    assert (changed, asked(port)) == (True, f"{TOKEN}.{PRINT}")
    assert lease(port).stat().st_mode & 0o777 == 0o600
    assert PRINT in pythons(console)[0]
    again = responder.start(session, port, PRINT, 30, "run1")
    assert again == (False, running)
    assert responder.stop(session, port, "run1")
    assert asked(port) is None
    assert console.processes() == others
    assert not responder.stop(session, port, "run1")


def test_outlives_the_session_and_ends_with_its_lease(console: Make, port: int) -> None:
    made, endpoint = console()
    with shell(endpoint) as session:
        responder.start(session, port, PRINT, 4, "run1")
    assert asked(port) == f"{TOKEN}.{PRINT}"
    wait_until(lambda: asked(port) is None, 10, lambda: "it does not end")
    wait_until(lambda: not pythons(made) and not lease(port).exists(), 5, lambda: "something is left")


def test_stays_for_the_last_who_needs_it(box: tuple[Shell, Console], port: int) -> None:
    session, _console = box
    _changed, first = responder.start(session, port, PRINT, 60, "run1")
    changed, joined = responder.start(session, port, PRINT, 600, "run2")
    assert (changed, joined.pid) == (False, first.pid)
    assert joined.expires >= first.expires + 500
    assert not responder.stop(session, port, "run1")
    assert asked(port) == f"{TOKEN}.{PRINT}"
    assert responder.stop(session, port, "run2")


def test_another_account_and_another_program(box: tuple[Shell, Console], port: int) -> None:
    session, _console = box
    responder.start(session, port, PRINT, 60, "run1")
    with pytest.raises(ShellError, match="serves another ACME account"):
        responder.start(session, port, OTHER, 60, "run2")
    responder.stop(session, port)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ShellError, match=r"does not start on port .* in use.*Choose another target_port"),
    ):
        responder.start(session, port, PRINT, 60, "run1")


def test_killed_it_is_started_anew(box: tuple[Shell, Console], port: int) -> None:
    session, _console = box
    _changed, first = responder.start(session, port, PRINT, 60, "run1")
    session.run(f"kill -9 {first.pid}")
    changed, second = responder.start(session, port, PRINT, 60, "run1")
    assert (changed, asked(port)) == (True, f"{TOKEN}.{PRINT}")
    assert second.pid != first.pid
    responder.stop(session, port)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 127", "the firewall has no python3|which is too old"),
        ('echo "Python 2.7"; exit 1', "has Python 2.7, which is"),
    ],
)
def test_no_python_that_would_do(console: Make, tmp_path: Path, port: int, script: str, told: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "bin/python3").chmod(0o755)
    _made, endpoint = console({"path": str(tmp_path / "bin")})
    with shell(endpoint) as session, pytest.raises(ShellError, match=told) as caught:
        responder.start(session, port, PRINT, 60, "run1")
    assert "3.7 is needed. Have the responder run on another host" in str(caught.value)
