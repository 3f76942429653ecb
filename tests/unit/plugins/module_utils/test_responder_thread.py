# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The responder inside another process: bound for the time of a block, and never longer than the process."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder, _responder_thread
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process as process
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._responder_thread import Listener

from lab.ports import free_port, is_open, wait_closed, wait_open
from lab.processes import wait_until

HOST = "127.0.0.1"
PRINT = "t" * 43
TOKENS = ["first678901234567890123", "second78901234567890123"]


def fetch(port: int, token: str, name: str, host: str = HOST) -> bytes:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", _responder.PREFIX + token, headers={"Host": name})
        return connection.getresponse().read()
    finally:
        connection.close()


def test_answers_inside_the_block_and_counts() -> None:
    port = free_port()
    listener = Listener(f"{HOST}:{port}")
    assert not is_open(HOST, port)
    with listener(PRINT):
        for token, name in ((TOKENS[0], "a.example.com"), (TOKENS[1], "b.example.com"), (TOKENS[0], "a.example.com")):
            assert fetch(port, token, name) == f"{token}.{PRINT}".encode()
        assert fetch(port, "~ready", "a.example.com") == b"ready"
        assert fetch(port, "other", "a.example.com") == b"Not Found"
    assert not is_open(HOST, port)
    assert listener.report() == {
        "listen": f"{HOST}:{port}",
        "joined": False,
        "requests": 3,
        "sources": [HOST],
        "hits": [
            {"name": "a.example.com", "token": TOKENS[0][:8], "source": HOST, "requests": 2},
            {"name": "b.example.com", "token": TOKENS[1][:8], "source": HOST, "requests": 1},
        ],
    }


def test_a_scan_is_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_responder_thread, "MAX_HITS", 2)
    port = free_port()
    listener = Listener(f"{HOST}:{port}")
    with listener(PRINT):
        for number in (0, 1, 2, 3, 0):
            fetch(port, TOKENS[0], f"n{number}.example.com")
    assert [hit["name"] for hit in listener.report()["hits"]] == ["n0.example.com", "n1.example.com"]
    assert listener.report()["requests"] == 3


def test_an_error_inside_frees_the_port_too() -> None:
    port = free_port()
    with pytest.raises(RuntimeError), Listener(f"{HOST}:{port}")(PRINT):
        raise RuntimeError
    assert not is_open(HOST, port)
    assert not [thread for thread in threading.enumerate() if thread.name == "responder"]


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_f32_ipv6() -> None:
    port = free_port("::1")
    listener = Listener(f"[::1]:{port}")
    with listener(PRINT):
        assert fetch(port, TOKENS[0], "a.example.com", "::1") == f"{TOKENS[0]}.{PRINT}".encode()
        assert not is_open(HOST, port)
    assert not is_open("::1", port)
    assert listener.report()["sources"] == ["::1"]


@pytest.mark.parametrize("account", ["nobody", "another account"])
def test_f32_a_port_that_is_taken(account: str) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        if account != "nobody":
            other.close()
            process.start(HOST, port, "x" * 43, 30)
        try:
            with pytest.raises(CertfleetError, match=rf"{HOST}:{port}") as caught, Listener(f"{HOST}:{port}")(PRINT):
                pass
        finally:
            process.stop(HOST, port)
    assert (caught.value.stage, bool(caught.value.remedy)) == ("responder", True)


@pytest.mark.parametrize("address", ["", "8080", "localhost:8080", f"{HOST}:0", "::1:8080", "[::1]"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(CertfleetError, match=r"\[::\]:8080") as caught:
        Listener(address)
    assert caught.value.stage == "responder"


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(CertfleetError, match=r"192\.0\.2\.1:8080"), Listener("192.0.2.1:8080")(PRINT):
        pass


def test_joins_a_responder_of_the_account_and_takes_over_from_it() -> None:
    port = free_port()
    process.start(HOST, port, PRINT, 30)
    listener = Listener(f"{HOST}:{port}")
    with listener(PRINT):
        assert fetch(port, TOKENS[0], "a.example.com") == f"{TOKENS[0]}.{PRINT}".encode()
        assert listener.report() == {**listener.report(), "joined": True, "requests": 0}
        Path(process.lease_file(HOST, port)).unlink()
        wait_until(lambda: counted(listener, port), 10, lambda: "it was not taken over")
    assert not is_open(HOST, port)


def counted(listener: Listener, port: int) -> bool:
    try:
        fetch(port, TOKENS[1], "a.example.com")
    except OSError:
        return False
    return bool(listener.report()["requests"])


def test_leaves_alone_what_it_joined() -> None:
    port = free_port()
    process.start(HOST, port, PRINT, 30)
    with Listener(f"{HOST}:{port}")(PRINT):
        pass
    assert process.answers(HOST, port, PRINT)
    assert process.stop(HOST, port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ends_with_its_process(number: signal.Signals) -> None:
    port = free_port()
    package = Listener.__module__.rpartition(".")[0]
    program = (
        f"from time import sleep\nfrom {package}._responder_thread import Listener\n"
        f"from {package}._signals import orderly_end\n"
        f"with orderly_end(), Listener('{HOST}:{port}')('{PRINT}'): sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL) as running:
        try:
            wait_open(HOST, port)
            running.send_signal(number)
            assert running.wait(10) != 0
        finally:
            running.kill()
    wait_closed(HOST, port)
