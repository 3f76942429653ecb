# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Start and stop the responder on the host where this runs. Standard library only, for Python 3.6 and newer.

Addresses are IP addresses, ports TCP ports.
"""

import contextlib
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
POLL = 0.02
# A lease with less than this left may be found over at any moment: it is not extended any more.
LAST_MOMENT = 2 * _responder.LEASE_CHECK


class Started(t.NamedTuple):
    """A running responder. `changed`: it was started now; `expires`: seconds since 1970.

    `holders`: until when who needs it, by ids, the same way; it is there for the last of them.
    """

    changed: bool
    pid: int
    lease_file: str
    holders: t.Dict[str, float]
    # Who asked now.
    holder: str = ""

    @property
    def expires(self) -> float:
        """When its lease ends."""
        return max(self.holders.values())


def endpoint(address: str, port: int) -> str:
    """ADDRESS:PORT, as one writes it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _error(problem: str, remedy: str) -> CertfleetError:
    return CertfleetError(problem, remedy=remedy, stage="responder")


def lease_file(address: str, port: int) -> str:
    """Where the lease of the responder at this address is; its directory is made if need be.

    CertfleetError (stage "responder") when somebody else has that directory.
    """
    directory = os.path.join(tempfile.gettempdir(), f"certfleet-{os.getuid()}")
    try:
        make_private_directory(directory)
    except CertfleetError as error:
        error.locate(stage="responder")
        raise
    return os.path.join(directory, "responder-" + re.sub(r"[^0-9a-f]", "_", address) + f"-{port}.json")


def _read_lease(path: str) -> t.Optional[t.Dict[str, t.Any]]:
    """The lease, None when there is none or its time is over."""
    try:
        with open(path, encoding="ascii") as file:
            lease = json.load(file)
        return lease if max(lease["holders"].values()) > time.time() + LAST_MOMENT else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _write_lease(started: Started) -> None:
    lease = {"expires": started.expires, "pid": started.pid, "holders": started.holders}
    write_private(started.lease_file, json.dumps(lease).encode())


def reachable(address: str) -> str:
    """Where on this host to reach what listens on the address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104


def _ask(address: str, port: int, path: str) -> t.Optional[str]:
    """What the address serves for a path, None when nothing listens there."""
    connection = http.client.HTTPConnection(reachable(address), port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(1024).decode("latin-1")
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _listening(address: str, port: int) -> bool:
    return _ask(address, port, _responder.READY) is not None


def answers(address: str, port: int, thumbprint: str) -> bool:
    """Whether a responder for this thumbprint serves there."""
    token = secrets.token_urlsafe(32)
    return _ask(address, port, _responder.PREFIX + token) == f"{token}.{thumbprint}"


def running(address: str, port: int, thumbprint: t.Optional[str] = None) -> t.Optional[Started]:
    """Our responder for this thumbprint (or for any), if it runs there."""
    path = lease_file(address, port)
    lease = _read_lease(path)
    if lease is None or (thumbprint and not answers(address, port, thumbprint)) or not _listening(address, port):
        return None
    holders = {holder: until for holder, until in lease["holders"].items() if until > time.time()}
    return Started(False, int(lease["pid"]), path, holders)


def start(
    address: str,
    port: int,
    thumbprint: str,
    lease_seconds: float,
    *,
    redirect: bool = True,
    log_path: t.Optional[str] = None,
    clock: t.Optional[Clock] = None,
) -> Started:
    """Make sure that a responder for the thumbprint listens there, for the next lease_seconds at least.

    redirect, log_path: how a new one behaves; one that runs stays as it is.
    CertfleetError (stage "responder") when something else has the port, or it cannot start.
    """
    if not _responder.THUMBPRINT.fullmatch(thumbprint):
        raise _error(f"{thumbprint!r} is not a thumbprint", "Take the one that acme_account returns.")
    path, holder = lease_file(address, port), secrets.token_hex(4)
    wanted = Started(True, 0, path, {holder: time.time() + lease_seconds}, holder)
    with _alone(path):
        present = running(address, port)
        if present is not None:
            return _join(present, wanted, address, port, thumbprint)
        if os.path.exists(path):
            # What is in its last moment, must not come back to life by the new lease.
            os.unlink(path)
            _wait_until_free(address, port, clock or Clock(), LAST_MOMENT)
        _write_lease(wanted)
        try:
            pid = _spawn(endpoint(address, port), _command(thumbprint, path, redirect, log_path))
        except CertfleetError:
            os.unlink(path)
            raise
        started = wanted._replace(pid=pid)
        _write_lease(started)
    return started


def _join(present: Started, wanted: Started, address: str, port: int, thumbprint: str) -> Started:
    if not answers(address, port, thumbprint):
        raise _error(
            f"the responder on {endpoint(address, port)} serves another ACME account",
            "Stop it first, or choose another port.",
        )
    joined = present._replace(holders=dict(present.holders, **wanted.holders), holder=wanted.holder)
    _write_lease(joined)
    return joined


@contextlib.contextmanager
def _alone(path: str) -> t.Iterator[None]:
    """One process at a time starts and stops a responder at one address."""
    with open(f"{path}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _command(thumbprint: str, path: str, redirect: bool, log_path: t.Optional[str]) -> t.List[str]:
    """The program, which comes by stdin, and its arguments."""
    # Isolated, lest modules in the working directory get imported. A thumbprint may begin with a hyphen: one word.
    command = [sys.executable, "-I", "-", "--detach", f"--thumbprint={thumbprint}", "--lease-file", path]
    if not redirect:
        command.append("--no-redirect")
    return [*command, "--log", log_path] if log_path else command


def _spawn(listen: str, command: t.List[str]) -> int:
    """Start the process, return its id once it listens. Its program comes by stdin, so it needs no file anywhere."""
    try:
        # Not run_command: without a module, in the controller, this runs as well.
        done = subprocess.run(  # noqa: S603  # pylint: disable=ansible-bad-function
            [*command, "--listen", listen],
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
            f"the responder cannot start on {listen}: {said['error']}",
            "Choose another address, port or log_path, or stop what uses the port.",
        )
    return int(said["pid"])


def stop(address: str, port: int, holder: t.Optional[str] = None, clock: t.Optional[Clock] = None) -> bool:
    """End our responder at this address: take its lease away, and knock until the port is free.

    holder: who needs it no more; then it stays for as long as somebody else does.
    False when none was running, or it stays. CertfleetError when it does not end.
    """
    path = lease_file(address, port)
    with _alone(path):
        present = running(address, port)
        others = others_of(present, holder)
        if present is not None and others:
            _write_lease(present._replace(holders=others))
            return False
        if os.path.exists(path):
            os.unlink(path)
        if present is None:
            return False
        if not _wait_until_free(address, port, clock or Clock(), STOP_TIMEOUT):
            raise _error(
                f"something still listens on {endpoint(address, port)} after {STOP_TIMEOUT:g} s", "Stop it by hand."
            )
    return True


def others_of(present: t.Optional[Started], holder: t.Optional[str]) -> t.Dict[str, float]:
    """Who else needs a responder; nobody counts where no holder is named."""
    if present is None or not holder:
        return {}
    return {other: until for other, until in present.holders.items() if other != holder}


def _wait_until_free(address: str, port: int, clock: Clock, seconds: float) -> bool:
    tries = Deadline(clock, seconds).tries(itertools.repeat(POLL))
    return any(not _listening(address, port) for _try in tries)


__all__ = ("Started", "answers", "endpoint", "lease_file", "others_of", "reachable", "running", "start", "stop")
