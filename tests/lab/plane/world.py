# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that holds network namespaces, and makes sockets in them for the tests.

They have no names and nothing on disk: they end with their holder. The holder sees the end of the test process,
whatever that dies of, and takes along what still runs in them. So planes of several test processes cannot get in each
other's way, and there is nothing to sweep up.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from emulator.namespace import make_namespace, tcp_socket

__all__ = ["World"]

TESTS = Path(__file__).resolve().parents[2]
AS_ROOT_OF_ITS_OWN = ["unshare", "--user", "--map-root-user"]
LONGEST = 65536


class World:
    """`with World(["inet", "fw1"]) as world: world.tcp_socket("inet", AF_INET)`; `rootless`: in a user namespace."""

    def __init__(self, names: Iterable[str], rootless: bool) -> None:
        """Starts it. RuntimeError with the reason when this machine does not let us."""
        self._asking = threading.Lock()
        self._rootless = rootless
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(AS_ROOT_OF_ITS_OWN if rootless else ()),
                    *(sys.executable, "-m", "lab.plane.world", str(theirs.fileno()), *names),
                ],
                cwd=TESTS,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        paths = self._channel.recv(LONGEST)
        if not paths:
            raise RuntimeError(self._last_words())
        self.paths: dict[str, str] = json.loads(paths)

    def _last_words(self) -> str:
        self._channel.close()
        _, said = self._process.communicate()
        return (said.decode(errors="replace").strip().splitlines() or ["no network namespaces"])[-1]

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs in the namespaces, and the namespaces."""
        self._channel.close()
        self._process.communicate(timeout=30)

    @property
    def prefix(self) -> list[str]:
        """Runs a command with all rights over the namespaces, in the network that it is called from."""
        user = f"--user=/proc/{self._process.pid}/ns/user"
        return ["nsenter", user, "--preserve-credentials", "--"] if self._rootless else []

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        return [*self.prefix, "nsenter", f"--net={self.paths[name]}", "--", *command]

    def tcp_socket(self, name: str, family: socket.AddressFamily) -> socket.socket:
        with self._asking:
            self._channel.send(json.dumps([name, family]).encode())
            _, (descriptor,), _, _ = socket.recv_fds(self._channel, 1, 1)
        return socket.socket(fileno=descriptor)


def _hold(channel: socket.socket, names: Sequence[str]) -> None:
    held = {name: make_namespace() for name in names}
    paths = {name: f"/proc/{os.getpid()}/fd/{descriptor}" for name, descriptor in held.items()}
    channel.send(json.dumps(paths).encode())
    try:
        while asked := channel.recv(LONGEST):
            name, family = json.loads(asked)
            with tcp_socket(paths[name], family) as made:
                socket.send_fds(channel, [b"."], [made.fileno()])
    except ConnectionError:
        pass  # the other end was killed
    finally:
        _end_everything_in({os.fstat(descriptor).st_ino for descriptor in held.values()})


def _end_everything_in(namespaces: set[int]) -> None:
    """The sweep: what runs in a namespace of ours is ours, and nothing else is."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "ns/net").stat().st_ino in namespaces:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue  # gone meanwhile, or somebody else's


def _main(arguments: Sequence[str]) -> Any:
    # A terminal's Ctrl-C is for the tests: they still need the namespaces to clean up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(arguments[0])) as channel:
        _hold(channel, arguments[1:])


if __name__ == "__main__":
    _main(sys.argv[1:])
