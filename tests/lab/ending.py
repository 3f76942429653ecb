# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of ansible-playbook that are ended by a signal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.processes import wait_until

# Seconds; nobody gets to the end of these.
PATIENCE = 100.0
# What only its command line has.
RESPONDER = b"--lease-file"


@dataclass(frozen=True)
class Signal:
    """to: "group", as a terminal or AWX does; "parent", ansible-playbook alone; "all", as when the container goes.

    From ansible-core 2.19 on workers have sessions of their own: the group does not have them, the parent hands on
    SIGTERM and SIGINT.
    """

    label: str
    number: signal.Signals
    to: str = "group"

    def send(self, run: Run) -> None:
        """Where nobody can go on, only after all are gone."""
        if self.to == "all":
            run.kill_all()
        else:
            (os.killpg if self.to == "group" else os.kill)(run.process.pid, self.number)
        if self.number is signal.SIGKILL:
            run.process.wait()


GONE = Signal("all killed", signal.SIGKILL, "all")
KILL, TERM, INT = (Signal(number.name, number) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
ALONE = Signal("SIGTERM to the parent", signal.SIGTERM, "parent")


class Run:
    """A process with all that it started; they are found by a variable of their environment."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._mark = f"LAB_RUN={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                env={**environment, name: value},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def members(self, *, responder: bool = False) -> list[int]:
        """Those that live; with or without the responder, which is to outlive the run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = self._mark.encode() in (process / "environ").read_bytes().split(b"\0")
                if ours and (responder or RESPONDER not in (process / "cmdline").read_bytes()):
                    found.append(int(process.name))
        return found

    def kill_all(self) -> None:
        """None may go on because of another's death: all are stopped first."""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for member in self.members(responder=True):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, number)

    def kill_responder(self) -> None:
        for member in set(self.members(responder=True)) - set(self.members()):
            os.kill(member, signal.SIGKILL)

    def wait(self) -> None:
        self.process.wait(PATIENCE)
        wait_until(lambda: not self.members(), PATIENCE, lambda: "a worker lives on")
