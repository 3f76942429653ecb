# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-playbook as users do, in a process of its own, and read what it says."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lab.plane.machine import LocalMachine, Machine

BIN = Path(sys.executable).parent
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \*+$")
_STATUS = re.compile(r"^(ok|changed|skipping|fatal|failed|unreachable): \[([^\] ]+)")
_RECAP = re.compile(r"^(\S+)\s+:\s+((?:\w+=\d+\s*)+)$", re.MULTILINE)
# Settings and credentials of whoever runs the tests must not leak into them.
_NOT_INHERITED = re.compile(r"^(ANSIBLE_|XGS_|ACME_|PYTHON(PATH|HOME)$|LC_|LANG)")


class Told(NamedTuple):
    """A line that a user reads of a task, or of one turn of its loop: ok, changed, skipping, fatal, failed."""

    host: str
    task: str
    status: str


@dataclass(frozen=True)
class PlaybookResult:
    """What came of it. `rc` is negative when a signal ended the process."""

    rc: int
    stdout: str
    stderr: str
    recap: dict[str, dict[str, int]]

    def host(self, name: str) -> dict[str, int]:
        """One host's counts: ok, changed, unreachable, failed, skipped, rescued, ignored."""
        return self.recap[name]

    @property
    def changed(self) -> int:
        return sum(counts["changed"] for counts in self.recap.values())

    @property
    def failed(self) -> int:
        return sum(counts["failed"] + counts["unreachable"] for counts in self.recap.values())

    @property
    def told(self) -> list[Told]:
        """What was said of each task and host, in this order."""
        found, task = [], ""
        for line in self.stdout.splitlines():
            if heading := _TASK.match(line):
                task = heading[1]
            elif status := _STATUS.match(line):
                found.append(Told(status[2], task, status[1]))
        return found

    def check(self) -> PlaybookResult:
        """Itself, or an AssertionError with all the output when the run failed."""
        assert self.rc == 0, f"ansible-playbook ended with {self.rc}\n{self.stdout}\n{self.stderr}"
        return self


class PlaybookTimeout(AssertionError):
    """The playbook did not end in time; it was stopped."""


def run_playbook(
    playbook: str | Path | Sequence[Mapping[str, Any]], *, workdir: Path, timeout: float = 300, **options: Any
) -> PlaybookResult:
    """Run a playbook and wait for its end; `options` as for prepare().

    After `timeout` seconds the whole process group is ended and PlaybookTimeout raised, with what was said so far.
    """
    command, environment = prepare(playbook, workdir=workdir, **options)
    process = subprocess.Popen(
        command,
        cwd=workdir,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that a timeout ends the workers as well
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        stdout, stderr = _end(process)
        raise PlaybookTimeout(f"not done after {timeout:g} s\n{stdout}\n{stderr}") from None
    except BaseException:
        _end(process)
        raise
    return PlaybookResult(process.returncode, stdout, stderr, parse_recap(stdout))


def prepare(
    playbook: str | Path | Sequence[Mapping[str, Any]],
    *,
    collection_path: Path,
    workdir: Path,
    inventory: Mapping[str, Any] | str | Path | None = None,
    extra_vars: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    verbosity: int = 0,
    flags: Sequence[str] = (),
    machine: Machine | None = None,
    binaries: Path = BIN,
) -> tuple[list[str], dict[str, str]]:
    """The command and its whole environment, for callers that want the process in their own hands.

    `playbook` is a file, or a list of plays that is written to one. `inventory` is a dict in the
    YAML inventory's shape (`{"all": {"hosts": {…}}}`) or a path. `workdir` is where everything
    goes, HOME included. `env` is added last. `machine` is the control node, this one unless told.
    `binaries` is where Ansible is installed, that of the tests unless told.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    command = [str(binaries / "ansible-playbook"), "-i", _inventory(inventory, workdir), *flags]
    if extra_vars:
        (workdir / "extra_vars.json").write_text(json.dumps(dict(extra_vars)))
        command += ["-e", f"@{workdir / 'extra_vars.json'}"]
    if verbosity:
        command.append("-" + "v" * verbosity)
    command.append(_playbook(playbook, workdir))
    command = (machine or LocalMachine()).command(command)
    return command, {**clean_environment(collection_path, workdir, binaries), **(env or {})}


def _temporary(workdir: Path) -> Path:
    """The same directory each time, by a short name: ansible-core makes sockets in it, whose paths end at 107 bytes."""
    short = Path(tempfile.gettempdir()) / f"cf-{hashlib.sha256(str(workdir).encode()).hexdigest()[:12]}"
    with contextlib.suppress(FileExistsError):
        short.mkdir(mode=0o700)
        atexit.register(shutil.rmtree, short, ignore_errors=True)
    return short


def clean_environment(collection_path: Path, workdir: Path, binaries: Path = BIN) -> dict[str, str]:
    """This process's environment without its Ansible settings, and with quiet, private ones."""
    home, temporary = workdir / "home", _temporary(workdir)
    home.mkdir(parents=True, exist_ok=True)
    config = workdir / "ansible.cfg"
    if not config.exists():
        config.write_text("[defaults]\n")
    inherited = {name: value for name, value in os.environ.items() if not _NOT_INHERITED.match(name)}
    return {
        **inherited,
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        # In a user namespace anybody is uid 0: what is kept by uid below /tmp must not meet root's own.
        "TMPDIR": str(temporary),
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_LOCAL_TEMP": str(home / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(home / "tmp"),
        "ANSIBLE_COLLECTIONS_PATH": str(collection_path),
        "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "0",
        "ANSIBLE_PYTHON_INTERPRETER": str(binaries / "python"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "1",
    }


def parse_recap(stdout: str) -> dict[str, dict[str, int]]:
    """The PLAY RECAP as {host: {ok: 1, changed: 0, …}}; empty when there is none."""
    _, _, recap = stdout.rpartition("\nPLAY RECAP ")
    return {
        host: {key: int(value) for key, value in (count.split("=") for count in counts.split())}
        for host, counts in _RECAP.findall(recap)
    }


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """First politely, so that `always` sections and signal handlers have a chance to show."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            return process.communicate(timeout=10)
        except ProcessLookupError:
            return process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            continue
    return "", ""


def _inventory(inventory: Mapping[str, Any] | str | Path | None, workdir: Path) -> str:
    if inventory is None:
        return "localhost,"
    if isinstance(inventory, (str, Path)):
        return str(inventory)
    path = workdir / "inventory.yml"
    path.write_text(yaml.safe_dump(_plain(inventory), sort_keys=False))
    return str(path)


def _playbook(playbook: str | Path | Sequence[Mapping[str, Any]], workdir: Path) -> str:
    if isinstance(playbook, (str, Path)):
        return str(playbook)
    path = workdir / "playbook.yml"
    path.write_text(yaml.safe_dump(_plain(playbook), sort_keys=False))
    return str(path)


def _plain(value: object) -> Any:
    """Only what YAML knows: paths and the like become strings."""
    return json.loads(json.dumps(value, default=str))
