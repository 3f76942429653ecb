# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A window by SSH on a real firewall of the kernel's: what is seen from outside while it is open, and after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell import responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.endpoint import Endpoint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.session import shell
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell_window import ShellWindow
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.forward import Forward

from lab.console import Box
from lab.console.box import WAN
from lab.ports import free_port
from lab.processes import wait_until

PRINT = "w" * 43
TOKEN = "abcdefghijklmnopqrstuvwxyz_-0123456789"
NO_SSH = "INPUT -i lan -p tcp --dport 22 -j REJECT --reject-with tcp-reset"


@pytest.fixture
def endpoint(shell_box: Box) -> Endpoint:
    ssh: dict[str, Any] = shell_box.ssh
    return Endpoint(ssh["host"], ssh["port"], password=ssh["password"], fingerprints=tuple(ssh["fingerprint"]))


@pytest.fixture
def window(shell_box: Box, endpoint: Endpoint) -> Iterator[ShellWindow]:
    before = shell_box.rules()
    # Another one for each test: all firewalls of this machine have one /tmp.
    forward = Forward("certfleet-http01", "127.0.0.1", free_port(), wan_hosts=(WAN,))
    yield ShellWindow(endpoint, forward, lambda: PRINT)
    assert shell_box.rules() == before
    assert asked(shell_box) is None


def left(box: Box) -> list[str]:
    return [line for line in box.console.processes() if "python" in line or "watching" in line]


def asked(box: Box) -> str | None:
    """What the CA would read from outside."""
    try:
        with box.plane.outside.connect((WAN, 80), 1.0) as connection:
            request = f"GET /.well-known/acme-challenge/{TOKEN} HTTP/1.1\r\nHost: a.example\r\n\r\n"
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
            return answer.decode().rpartition("\r\n")[2]
    except OSError:
        return None


def test_open_for_as_long_as_it_is_needed(shell_box: Box, window: ShellWindow) -> None:
    foreseen = window.plan()
    assert asked(shell_box) is None
    with window():
        assert asked(shell_box) == f"{TOKEN}.{PRINT}"
    assert asked(shell_box) is None
    assert window.writes == 2 * len(foreseen.after)
    times = [str(time) for time in (window.opened_at, window.closed_at, window.until)]
    assert times == sorted(times)
    assert window.addresses("wan") == [WAN]
    wait_until(lambda: not left(shell_box), 10, lambda: f"still there: {left(shell_box)}")


def test_what_fails_inside_closes_it(shell_box: Box, window: ShellWindow) -> None:
    def fail() -> None:
        assert asked(shell_box) == f"{TOKEN}.{PRINT}"
        raise KeyError

    with pytest.raises(KeyError), window():
        fail()


def test_a_session_that_breaks_off_is_replaced(shell_box: Box, window: ShellWindow) -> None:
    with window():
        shell_box.console.hang_up()
        assert asked(shell_box) == f"{TOKEN}.{PRINT}"


def test_what_cannot_be_closed_has_its_lease(shell_box: Box, window: ShellWindow, endpoint: Endpoint) -> None:
    window.patience = 0.0
    told = r"Its lease ends at .* a process on the firewall closes the port"
    with pytest.raises(CertfleetError, match=told) as caught, window():
        shell_box.iptables(f"-I {NO_SSH}")
    shell_box.iptables(f"-D {NO_SSH}")
    assert caught.value.stage == "close"
    assert asked(shell_box) == f"{TOKEN}.{PRINT}"
    with shell(endpoint) as session:
        window._close(session)


def test_a_port_that_is_taken_opens_nothing(shell_box: Box, window: ShellWindow, endpoint: Endpoint) -> None:
    with shell(endpoint) as session:
        responder.start(session, window.forward.target_port, "o" * 43, 60, "other")
        with pytest.raises(CertfleetError, match="serves another ACME account"), window():
            pass
        assert responder.stop(session, window.forward.target_port, "other")
