# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test does somewhere: run a command, connect, reach a listener. And what a plane is made of."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from lab.ports import family_of, free_port

__all__ = ["LocalMachine", "Machine", "Plane"]


class Machine(Protocol):
    """A host of the lab: the CA's, or the control node."""

    address: str
    address6: str

    def command(self, command: Sequence[str]) -> list[str]:
        """The command as it is to be run so that it runs there."""

    def free_port(self) -> int:
        """A port that nothing uses there."""

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        """A TCP connection from there. OSError as `socket.create_connection`."""

    def listen(self, port: int, address: str = "") -> socket.socket:
        """A listener of this process on that port of the machine's address, or of another one that it has."""

    def window(self, port: int) -> tuple[str, int]:
        """Where this process reaches that port of the machine."""


class Plane(AbstractContextManager["Plane"], Protocol):
    """Usable inside `with` only."""

    outside: Machine
    control: Machine
    http_port: int
    # A command that runs others with the plane's rights, in this process's own network.
    prefix: list[str]

    def firewall(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The emulator's configuration of this firewall: what the test says, and where the plane puts it."""

    def admin_address(self, name: str) -> str:
        """Where the control node reaches the firewall."""


class LocalMachine:
    """This one."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address, self.address6 = address, "::1"

    def command(self, command: Sequence[str]) -> list[str]:
        return list(command)

    def free_port(self) -> int:
        return free_port(self.address)

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        return socket.create_connection(address, timeout)

    def listen(self, port: int, address: str = "") -> socket.socket:
        address = address or self.address
        return socket.create_server((address, port), family=family_of(address))

    def window(self, port: int) -> tuple[str, int]:
        return self.address, port
