# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wall time, CPU time and peak memory of a command with all its children.

The command is started by a bare Python (this file as a program), because the kernel counts the memory of
whoever starts a program as that program's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

# Seconds between two looks at the memory.
EVERY = 0.5


@dataclass(frozen=True)
class Usage:
    """`cpu_s`: user and system, of all processes that were waited for.

    `rss_mb`: peak of all processes together, where each page that they share counts once (looked at twice a second), or
    of the largest of them if that is more.
    """

    wall_s: float
    cpu_s: float
    rss_mb: float


class RunFailed(Exception):
    """The command failed, or did not end in time (`timed_out`)."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


def measure(command: Sequence[str], *, env: Mapping[str, str], log: Path, timeout: float) -> Usage:
    """Run the command; RunFailed with the end of its output when it does not succeed."""
    result = log.with_suffix(".usage.json")
    result.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(result), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=log.parent,
        )
        try:
            status, together = _wait(process, timeout)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if status:
        tail = " | ".join(log.read_text(errors="replace").strip().splitlines()[-4:])
        raise RunFailed(f"exit status {status}: {tail[-400:]}")
    usage = Usage(**json.loads(result.read_text()))
    return replace(usage, rss_mb=max(usage.rss_mb, together))


def _wait(process: subprocess.Popen[bytes], timeout: float) -> tuple[int, float]:
    """The exit status, and the peak of the memory of the process and its family, in MB."""
    ends = time.monotonic() + timeout
    peak = 0.0
    while True:
        try:
            return process.wait(EVERY), peak
        except subprocess.TimeoutExpired:
            peak = max(peak, sum(map(_share_of_memory, _family(process.pid))))
        if time.monotonic() > ends:
            raise RunFailed(f"not done after {timeout:g} s", timed_out=True)


def _share_of_memory(pid: int) -> float:
    """What is its own, and its part of what it shares ("Pss"), in MB."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """No proxies, no Ansible settings, no Python settings of whoever runs this."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "TERM") if name in os.environ}
    return {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8", **more}


def end(pid: int) -> None:
    """Kill the process and all that came of it: Ansible's workers are in sessions of their own."""
    for each in list(_family(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def main(result: str, *command: str) -> int:
    began = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    signal.signal(signal.SIGTERM, lambda *_: end(pid))
    _, status, used = os.wait4(pid, 0)
    usage = {
        "wall_s": time.monotonic() - began,
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_mb": used.ru_maxrss / 1024,
    }
    Path(result).write_text(json.dumps(usage))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
