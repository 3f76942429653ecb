# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a daemon, wait until it answers, stop it: no zombie and no leftover, whatever happens."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from emulator.namespace import die_with_parent, in_main_thread
from lab.ports import POLL, Connect, is_open


class DaemonError(RuntimeError):
    """A daemon did not start, or ended by itself. The message holds the end of its log."""


class Daemon:
    """One background process with a log file.

    As a context manager it is running inside the `with` and gone after it. It also goes when the
    process that started it is killed, so an aborted test run leaves nothing behind.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        answers: tuple[str, int] | None = None,
        connect: Connect = socket.create_connection,
        timeout: float = 15.0,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.answers = answers
        self.timeout = timeout
        self._connect = connect
        self._env = dict(env) if env is not None else None
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and return when its port answers."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = self._spawn(log)
        try:
            if self.answers:
                self._wait_for_port(*self.answers)
        except BaseException:
            self.stop()
            raise

    def stop(self, grace: float = 5.0) -> None:
        """End it (SIGTERM, after `grace` seconds SIGKILL) and reap it. Twice does no harm."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def tail(self, lines: int = 15) -> str:
        """The end of its log, for messages."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def check(self) -> None:
        """Raise DaemonError if it ended by itself."""
        if not self.alive():
            code = self._process.poll() if self._process else None
            raise DaemonError(f"{self.name} is not running (exit status {code}):\n{self.tail()}")

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=self._env,
            cwd=self._cwd,
            preexec_fn=die_with_parent if in_main_thread() else None,  # noqa: PLW1509  # one system call
        )

    def _wait_for_port(self, host: str, port: int) -> None:
        def answers() -> bool:
            self.check()
            return is_open(host, port, connect=self._connect)

        wait_until(answers, self.timeout, lambda: f"{self.name} does not answer on {host}:{port}:\n{self.tail()}")

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def wait_until(done: Callable[[], bool], timeout: float, message: Callable[[], str]) -> None:
    """Poll until `done()`; DaemonError with `message()` when the time is over."""
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            raise DaemonError(f"after {timeout:g} s: {message()}")
        time.sleep(POLL)
