# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Start and stop the responder on the host where this runs. Standard library only, for Python 3.7 and newer."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import http.client
import inspect
import itertools
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import typing as t

from . import _responder
from ._clock import Clock, Deadline
from ._errors import CertfleetError
from ._files import make_private_directory, write_private

# Seconds: for the process to listen, for it to end, for one probe.
START_TIMEOUT = 15.0
STOP_TIMEOUT = 10.0
PROBE_TIMEOUT = 2.0
POLL = 0.1
# A lease with less than this left may be found over at any moment: it is not extended any more.
LAST_MOMENT = 2 * _responder.LEASE_CHECK


@dataclasses.dataclass(frozen=True)
class Started:
    """A running responder. `changed`: it was started now; `expires`: seconds since 1970."""

    changed: bool
    pid: int
    lease_file: str
    expires: float


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _error(problem: str, remedy: str) -> CertfleetError:
    return CertfleetError(problem, remedy=remedy, stage="responder")


def lease_file(address: str, port: int) -> str:
    """Where the lease of the responder at this address is; its directory is made if need be."""
    directory = os.path.join(tempfile.gettempdir(), f"certfleet-{os.getuid()}")
    try:
        make_private_directory(directory)
    except CertfleetError as error:
        error.locate(stage="responder")
        raise
    return os.path.join(directory, "responder-" + re.sub(r"[^0-9a-f]", "_", address) + f"-{port}.json")


def _read_lease(path: str) -> dict[str, t.Any] | None:
    """The lease, None when there is none or its time is over."""
    try:
        with open(path, encoding="ascii") as file:
            lease = json.load(file)
        return lease if lease["expires"] > time.time() + LAST_MOMENT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_lease(path: str, expires: float, pid: int) -> None:
    write_private(path, json.dumps({"expires": expires, "pid": pid}).encode())


def _ask(address: str, port: int, token: str) -> str | None:
    """What the address serves for a token, None when nothing listens there."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
    connection = http.client.HTTPConnection(reachable, port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", _responder.PREFIX + token)
        return connection.getresponse().read(1024).decode("latin-1")
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _listening(address: str, port: int) -> bool:
    return _ask(address, port, "probe") is not None


def answers(address: str, port: int, thumbprint: str) -> bool:
    """Whether a responder for this thumbprint serves there."""
    token = secrets.token_urlsafe(32)
    return _ask(address, port, token) == f"{token}.{thumbprint}"


def running(address: str, port: int, thumbprint: str | None = None) -> Started | None:
    """Our responder for this thumbprint (or for any), if it runs there."""
    path = lease_file(address, port)
    lease = _read_lease(path)
    if lease is None or (thumbprint and not answers(address, port, thumbprint)) or not _listening(address, port):
        return None
    return Started(False, int(lease.get("pid", 0)), path, float(lease["expires"]))


def start(address: str, port: int, thumbprint: str, lease_seconds: float, clock: Clock | None = None) -> Started:
    """Make sure that a responder for the thumbprint listens there, for the next lease_seconds at least.

    CertfleetError (stage "responder") when something else has the port, or it cannot start.
    """
    if not _responder.THUMBPRINT.fullmatch(thumbprint):
        raise _error(f"{thumbprint!r} is not a thumbprint", "Take the one that acme_account returns.")
    expires = time.time() + lease_seconds
    path = lease_file(address, port)
    with _alone(path):
        present = running(address, port)
        if present is not None:
            return _extend(present, expires, address, port, thumbprint)
        if os.path.exists(path):
            # What is in its last moment, must not come back to life by the new lease.
            os.unlink(path)
            _wait_until_free(address, port, clock or Clock(), LAST_MOMENT)
        _write_lease(path, expires, 0)
        try:
            pid = _spawn(address, port, thumbprint, path)
        except CertfleetError:
            os.unlink(path)
            raise
        _write_lease(path, expires, pid)
    return Started(True, pid, path, expires)


def _extend(present: Started, expires: float, address: str, port: int, thumbprint: str) -> Started:
    if not answers(address, port, thumbprint):
        raise _error(
            f"the responder on {_endpoint(address, port)} serves another ACME account",
            "Stop it first, or choose another port.",
        )
    extended = dataclasses.replace(present, expires=max(expires, present.expires))
    _write_lease(extended.lease_file, extended.expires, extended.pid)
    return extended


@contextlib.contextmanager
def _alone(path: str) -> t.Iterator[None]:
    """One process at a time starts and stops a responder at one address."""
    with open(f"{path}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _spawn(address: str, port: int, thumbprint: str, path: str) -> int:
    """Start the process, return its id once it listens. Its program comes by stdin, so it needs no file anywhere."""
    # Isolated, lest modules in the working directory get imported.
    command = [sys.executable, "-I", "-", "--detach", "--listen", _endpoint(address, port)]
    # One word, because a thumbprint may begin with a hyphen.
    command += [f"--thumbprint={thumbprint}", "--lease-file", path]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=inspect.getsource(_responder).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            timeout=START_TIMEOUT,
            check=False,
        )
        said = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise _error(f"the responder does not start: {error}", "Check the Python of this host.") from error
    if "error" in said:
        raise _error(
            f"the responder cannot listen on {_endpoint(address, port)}: {said['error']}",
            "Choose another address or port, or stop what uses it.",
        )
    return int(said["pid"])


def stop(address: str, port: int, clock: Clock | None = None) -> bool:
    """End our responder at this address by taking its lease away; wait until the port is free.

    False when none was running. CertfleetError when it does not end.
    """
    path = lease_file(address, port)
    with _alone(path):
        present = running(address, port)
        if os.path.exists(path):
            os.unlink(path)
        if present is None:
            return False
        if not _wait_until_free(address, port, clock or Clock(), STOP_TIMEOUT):
            raise _error(
                f"something still listens on {_endpoint(address, port)} after {STOP_TIMEOUT:g} s", "Stop it by hand."
            )
    return True


def _wait_until_free(address: str, port: int, clock: Clock, seconds: float) -> bool:
    tries = Deadline(clock, seconds).tries(itertools.repeat(POLL))
    return any(not _listening(address, port) for _try in tries)


__all__ = ("Started", "answers", "lease_file", "running", "start", "stop")
