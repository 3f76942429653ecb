# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of its own for servers that insist on port 80 and DNS on port 53; needs no root.

Linux namespaces of a user, a network and mounts, as `unshare` makes them for anybody where the kernel allows it. In it
all names lead to 127.0.0.1 until told otherwise. Its servers are reached from outside by the same port of 127.0.0.1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import requests as http
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder

from lab.pebble import tool
from lab.ports import free_port
from lab.processes import Daemon

# Lives as long as its standard input, so it goes when the test run is killed.
HOLDER = 'mount --bind "$1" /etc/resolv.conf && ip link set lo up && echo ready && exec cat'
HERE = Path(__file__).parent


class NoIsland(RuntimeError):
    """This machine does not let us make one; the message says why."""


class Island:
    """A context manager. Raises NoIsland on entering."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._dns_api = free_port()

    def __enter__(self) -> Island:
        with ExitStack() as stack:
            self.base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="island-")))
            resolv = self.base / "resolv.conf"
            resolv.write_text("nameserver 127.0.0.1\n")
            self._pid = self._hold(stack, resolv)
            self._stack = stack
            stack.enter_context(self._dns())
            self.open(self._dns_api)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _hold(self, stack: ExitStack, resolv: Path) -> int:
        command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", HOLDER, "sh", str(resolv)]
        try:
            holder = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise NoIsland(str(error)) from error
        stack.callback(holder.communicate)
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            raise NoIsland(holder.communicate()[1].strip())
        return holder.pid

    def _dns(self) -> Daemon:
        off = ["-defaultIPv6=", "-http01=", "-https01=", "-tlsalpn01=", "-doh="]
        mine = ["-defaultIPv4=127.0.0.1", "-dnsserver=127.0.0.1:53", f"-management=127.0.0.1:{self._dns_api}"]
        return self.daemon("dns", [tool("pebble-challtestsrv"), *off, *mine])

    def daemon(self, name: str, command: Sequence[str], **options: Any) -> Daemon:
        """A daemon on the island."""
        enter = ["nsenter", f"--target={self._pid}", "--user", "--net", "--mount", "--preserve-credentials"]
        # Entering takes away what ends it with us.
        return Daemon(
            name, [*enter, "setpriv", "--pdeathsig=KILL", "--", *command], log=self.base / f"{name}.log", **options
        )

    def open(self, port: int) -> None:
        """From now on 127.0.0.1 at this port leads to the island, as soon as something listens there."""
        gateway = [sys.executable, str(HERE / "gateway.py"), str(self._pid), str(port)]
        self._stack.enter_context(
            Daemon(f"gateway {port}", gateway, log=self.base / "gateway.log", answers=("127.0.0.1", port))
        )

    def add_a(self, name: str, address: str) -> None:
        """The name leads there, on the island."""
        with http.Session() as session:
            session.trust_env = False
            body = {"host": name, "addresses": [address]}
            session.post(f"http://127.0.0.1:{self._dns_api}/add-a", json=body, timeout=20).raise_for_status()

    @contextmanager
    def responder(self, thumbprint: str) -> Iterator[None]:
        """The collection's own, at port 80."""
        lease = self.base / "lease.json"
        lease.write_text('{"expires": 99999999999}')
        command = [sys.executable, "-I", _responder.__file__, "--listen", "127.0.0.1:80"]
        with self.daemon("responder", [*command, f"--thumbprint={thumbprint}", f"--lease-file={lease}"]):
            yield
