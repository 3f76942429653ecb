# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Who opens a port: ids of runs that tell, on the machine where a run was, whether it still lives.

An id is PIDxSTART for what a playbook opens and may leave open, PIDxSTARTxRANDOM for a window, which nobody would close
any more when its process is gone.
Elsewhere, and where there is no /proc, nobody knows, and the lease decides.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import platform
import re
import uuid

_ID = re.compile(r"(?P<pid>\d+)x(?P<started>\d+)(?P<window>x[0-9a-f]{4})?")


def window_run() -> str:
    """Of a window, which this process is going to close."""
    random = uuid.uuid4().hex
    started = _started(os.getpid())
    return f"{os.getpid()}x{started}x{random[:4]}" if started else random[:8]


def playbook_run() -> str:
    """The same in all tasks of a run of ansible-playbook, and in no other: what one task opens another closes.

    To be called in a worker of it.
    """
    parent = os.getppid()
    return f"{parent}x{_started(parent) or '0'}"


@functools.lru_cache(maxsize=None)
def this_owner() -> str:
    """Who runs this, and where, without blanks: for people who find our objects.

    What follows the slash stands for this boot of the machine and this container: in no other are its processes.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user nobody knows
        user = "somebody"
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            place = file.read() + os.readlink("/proc/self/ns/pid")
    except OSError:
        place = uuid.uuid4().hex
    name = re.sub(r"\s", "-", f"{user}@{platform.node()}")[:80]
    return f"{name}/{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def has_died(owner: str, run: str, *, windows_only: bool = True) -> bool:
    """Whether it was a run on this machine that lives no more; windows_only: and nothing but a window."""
    found = _ID.fullmatch(run)
    if not found or owner != this_owner() or (windows_only and not found["window"]):
        return False
    return _started(int(found["pid"])) != found["started"]


def _started(pid: int) -> str:
    """When a process began, in ticks since boot; nothing when there is none that lives."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


__all__ = ("has_died", "playbook_run", "this_owner", "window_run")
