# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firewall in a network namespace that is reached by SSH alone: real routes and iptables, no XML API.

Outside is the plane's `inet`, behind it the control node. The policy drops what comes from outside, as an administrator
would have it.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from lab.console.server import PASSWORD, Console
from lab.plane.namespaces import NamespacedMachine, Namespaces
from lab.plane.window import Window
from lab.ports import knock

__all__ = ["Box"]

POLICY = """*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -i lan -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i lan -o wan -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT
:POSTROUTING ACCEPT
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
"""
NAME = "fw1"
WAN, LAN = "198.18.1.1", "198.19.1.1"


class Box:
    """`with Box(directory) as box:` a firewall, whose SSH server is `box.ssh` as the options of a module."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stack = ExitStack()

    def __enter__(self) -> Box:
        with ExitStack() as stack:
            self.plane = stack.enter_context(Namespaces([{"name": NAME}], rootless=False))
            # The lab's own knowledge of its namespaces.
            world = self.plane._world
            self.itself = NamespacedMachine(world, NAME, LAN, stack)
            self.console = stack.enter_context(
                Console(
                    self._home, address=LAN, port=22, prefix=world.command(NAME, []), connect=self.plane.control.connect
                )
            )
            window = Window(lambda: self.plane.control.connect((LAN, 22), 5.0))
            stack.callback(window.close)
            host, port = window.address
            pin = self.console.fingerprint
            self.ssh = {"host": host, "port": port, "password": PASSWORD, "fingerprint": [pin]}
            self.iptables("-restore", given=POLICY)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def iptables(self, what: str, given: str = "") -> str:
        """What an administrator would do on the firewall: `iptables("-t nat -S")`."""
        name, *words = f"iptables{what if what.startswith('-restore') else ' ' + what}".split()
        command = self.itself.command([*self.plane.prefix, name, *words])
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rules(self) -> list[str]:
        return [line for table in ("filter", "nat") for line in self.iptables(f"-t {table} -S").splitlines()]

    def watchdogs(self) -> int:
        return sum("watching" in line for line in self.console.processes())

    @contextlib.contextmanager
    def answering(self, machine: NamespacedMachine, port: int, name: str) -> Iterator[None]:
        """Who connects there reads the name and the address that the connection comes from."""
        listener = machine.listen(port, "0.0.0.0")

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, peer = listener.accept()
                    with connection:
                        connection.sendall(f"{name} {peer[0]}".encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join()

    def seen(self, port: int = 80, address: str = WAN) -> str:
        """From outside: "silent", "refused", or what whoever answers says."""
        connect = self.plane.outside.connect
        state = knock(address, port, 1.0, connect)
        if state != "open":
            return state
        with connect((address, port), 5.0) as connection:
            return connection.recv(1000).decode()
