# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports on loopback: find free ones, ask whether one answers, wait until it does or no longer does."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable

# Below the kernel's ephemeral range, so that no outgoing connection takes a port between the
# moment it was found free and the moment the server binds it.
LOWEST, HIGHEST = 20000, 32000
POLL = 0.02
# From where: see `Machine.connect`.
Connect = Callable[[tuple[str, int], float], socket.socket]
# Each worker of pytest has ports of its own: one that is given away may not be bound for a while.
LANES = 4
LANE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % LANES
# What was given away may not be bound yet, and must not be given to somebody else meanwhile.
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing uses on `host`, neither by TCP nor by UDP (DNS wants both). Each is given once a process."""
    for _ in range(200):
        port = random.randrange(LOWEST + LANE, HIGHEST, LANES)
        if port in _given:
            continue
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(family_of(host), kind) as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        _given.add(port)
        return port
    raise RuntimeError(f"no free port on {host} between {LOWEST} and {HIGHEST}")


def knock(host: str, port: int, timeout: float = 1.0, connect: Connect = socket.create_connection) -> str:
    """What a TCP connection comes to right now: "open", "refused" or "silent" (no answer for `timeout` seconds)."""
    try:
        with connect((host, port), timeout):
            return "open"
    except TimeoutError:
        return "silent"
    except OSError:
        return "refused"


def is_open(host: str, port: int, timeout: float = 1.0, connect: Connect = socket.create_connection) -> bool:
    """Whether something accepts TCP connections there right now."""
    return knock(host, port, timeout, connect) == "open"


def wait_open(host: str, port: int, timeout: float = 10.0) -> None:
    """Return when the port answers; TimeoutError otherwise."""
    _wait(lambda: is_open(host, port), timeout, f"nothing listens on {host}:{port}")


def wait_closed(host: str, port: int, timeout: float = 10.0) -> None:
    """Return when the port answers no more; TimeoutError otherwise."""
    _wait(lambda: not is_open(host, port), timeout, f"{host}:{port} is still open")


def _wait(done: Callable[[], bool], timeout: float, message: str) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{message} after {timeout:g} s")
        time.sleep(POLL)


def family_of(host: str) -> socket.AddressFamily:
    """Of an address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
