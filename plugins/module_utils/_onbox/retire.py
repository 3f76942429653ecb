# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Takes an on-box shell tool off the firewall.

Each step may have been done before, so what a run that died has left is done by the next one.
"""

from __future__ import annotations

import os
import typing as t

from .._clock import Clock, Deadline
from .._errors import CertfleetError
from .._files import make_private_directory, write_private
from .._shell.session import Shell
from .tool import CHAIN, RULE, Found, Process, look, processes_of_tool

# Signals, politely at first, so that a loop that clears up behind itself does; and the seconds that each has to work.
SIGNALS = (("TERM", 10.0), ("KILL", 5.0))
# Seconds between two looks.
LOOK = 0.5
# Sends a signal to a process, if it is still the one that was seen: the 22nd field of stat is its start (proc(5)).
_SIGNAL = '[ "$(sed "s/.*) //" /proc/{pid}/stat 2>/dev/null | cut -d" " -f20)" = {start} ] && kill -{signal} {pid}'
# The loops append a rule each time, so there may be several.
_REMOVE_RULES = f"""while iptables -t nat -C {CHAIN} {RULE} 2>/dev/null; do
  iptables -t nat -D {CHAIN} {RULE} || exit 1
done"""
# As one command, which a lost connection does not end in the middle.
_REMOVE_FROM_ROOT = """trap '' HUP
mount -o remount,rw / || exit 1
rm -f {paths}; status=$?
mount -o remount,ro / && exit $status"""


def targets(found: Found, directory: str) -> dict[str, str]:
    """Where what is worth saving goes on this machine, by its path on the firewall."""
    top = os.path.abspath(directory)
    return {path: os.path.join(top, path.lstrip("/")) for path in found.worth_saving}


def save(shell: Shell, found: Found, directory: str) -> None:
    """Copy that below a directory which only this user enters. Raises CertfleetError when that fails."""
    for path, target in targets(found, directory).items():
        made = os.path.abspath(directory)
        for part in ["", *os.path.relpath(os.path.dirname(target), made).split(os.sep)]:
            made = os.path.join(made, part)
            make_private_directory(made)
        write_private(target, shell.read_file(path))


def retire(shell: Shell, found: Found, clock: Clock) -> None:
    """End its processes, and remove its rules and files. Raises CertfleetError when some of it is there afterwards."""
    _stop(shell, found, clock)
    shell.run(_REMOVE_RULES)
    if found.boot_scripts:
        shell.run(_REMOVE_FROM_ROOT.format(paths=" ".join(found.boot_scripts)))
    elif found.root_writable:
        shell.run("mount -o remount,ro /")
    if found.files:
        shell.run(f"rm -rf {' '.join(found.files)}")
    left = look(shell)
    if left.anything or left.root_writable:
        raise CertfleetError(
            f"something of the on-box tool is still there: {_named(left)}",
            remedy="Run again. If it stays, look at it in the advanced shell.",
            stage="shell",
        )


def _stop(shell: Shell, found: Found, clock: Clock) -> None:
    seen = {(each.pid, each.start) for each in found.processes}
    left = found.processes
    for signal, seconds in SIGNALS:
        deadline = Deadline(clock, seconds)
        _signal(shell, left, signal)
        while left and not deadline.over:
            clock.sleep(LOOK)
            left = processes_of_tool(shell, seen)


def _signal(shell: Shell, processes: t.Iterable[Process], signal: str) -> None:
    """The loop before what it waits for, or it would go on."""
    commands = [_SIGNAL.format(pid=each.pid, start=each.start, signal=signal) for each in processes]
    if commands:
        shell.run("\n".join([*commands, ":"]))


def _named(left: Found) -> str:
    named: list[str] = [*map(str, left.processes), *left.boot_scripts, *left.files]
    named += [f"the rule {CHAIN} {RULE}"] * bool(left.rules) + ["a writable root file system"] * left.root_writable
    return ", ".join(named)


__all__ = ("retire", "save", "targets")
