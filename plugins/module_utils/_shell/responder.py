# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The responder on the firewall itself, run by its own python3: in memory and /tmp, for as long as its lease says.

Ports are TCP ports.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing as t

from .. import _responder
from .errors import ShellError
from .session import Shell

# What its own python3 has to be at least.
PYTHON = (3, 7)
_REMEDY = "Have the responder run on another host, and set target to its address."
_LOOK = """
date +%s
[ ! -f {file} ] || {{ cat {file}; echo; }}
"""
_HAS_PYTHON = """
command -v python3 >/dev/null || {{ echo "the firewall has no python3"; exit 1; }}
python3 -I -c 'import sys; sys.exit(sys.version_info < {least})' ||
  {{ echo "the firewall has $(python3 -V 2>&1), which is too old"; exit 1; }}
"""
# The program comes by its standard input, so it is no file anywhere. Whatever ends it, its lease goes after it.
_START = """
exec 3<&0
apart=$(command -v setsid || command -v nohup) || {{ echo "there is neither setsid nor nohup"; exit 1; }}
{{ "$apart" sh -c {serve} 2>/dev/null & }} | {{ read -r shell; read -r said; echo "$shell $said"; }}
"""
_SERVE = """
trap "" HUP
echo "$$"
python3 -I - --listen 0.0.0.0:{port} --thumbprint={thumbprint} --lease-file {file} <&3
rm -f {file}
"""
# Its shell is gone when the file is, and so nothing of the old one touches that of a new one.
_STOP = """
rm -f {file}
kill {pid} 2>/dev/null
for each in 1 2 3 4 5; do [ -d /proc/{shell} ] || exit 0; sleep 1; done
echo "process {pid} does not end"; exit 1
"""


@dataclasses.dataclass(frozen=True)
class Running:
    """expires: seconds since 1970, by the firewall's clock. runs: who needs it; it ends with the last of them.

    pid, shell: its process, and the one that clears away after it.
    """

    thumbprint: str
    expires: int
    runs: tuple[str, ...]
    pid: int = 0
    shell: int = 0

    @property
    def lease(self) -> bytes:
        """The same as its lease file has it, in JSON; the responder itself reads no more than `expires`."""
        return json.dumps(dataclasses.asdict(self)).encode()


def lease_file(port: int) -> str:
    """Where the lease is on the firewall of what listens on the port."""
    return f"/tmp/certfleet-responder-{port}.json"  # noqa: S108


def look(shell: Shell, port: int) -> tuple[int, Running | None]:
    """The firewall's time (seconds since 1970), and our responder on this port, if there is one. Raises ShellError."""
    clock, _end, text = shell.run(_LOOK.format(file=lease_file(port))).output.partition("\n")
    if not clock.strip().isdigit():
        raise ShellError(f"the firewall's clock says {clock!r}")
    try:
        known = json.loads(text)
        running = Running(**{**known, "runs": tuple(known["runs"])})
    except (ValueError, TypeError, LookupError):
        return int(clock), None
    alive = running.pid and shell.run(f"[ -d /proc/{running.pid:d} ]", check=False).status == 0
    return int(clock), running if alive and running.expires > int(clock) + 1 else None


def check_python(shell: Shell) -> None:
    """Raises ShellError where the firewall's is too old, or there is none."""
    done = shell.run(_HAS_PYTHON.format(least=PYTHON), check=False)
    if done.status:
        raise ShellError(f"{done.output.strip()}; {PYTHON[0]}.{PYTHON[1]} is needed", remedy=_REMEDY)


def start(shell: Shell, port: int, thumbprint: str, lease: int, run: str) -> tuple[bool, Running]:
    """Have one serve for the next `lease` seconds at least. Whether it was started now, and what there is.

    Raises ShellError where the port is taken, be it by a responder of another account, or the firewall has no python3.
    """
    now, present = look(shell, port)
    if present is None:
        check_python(shell)
        return True, _started(shell, port, Running(thumbprint, now + lease, (run,)))
    if present.thumbprint != thumbprint:
        raise ShellError(
            f"the responder on port {port} of the firewall serves another ACME account",
            remedy="Wait until it ends, or choose another target_port.",
        )
    runs = tuple(dict.fromkeys((*present.runs, run)))
    joined = dataclasses.replace(present, runs=runs, expires=max(present.expires, now + lease))
    if joined != present:
        shell.write_file(lease_file(port), joined.lease)
    return False, joined


def _started(shell: Shell, port: int, wanted: Running) -> Running:
    file = lease_file(port)
    shell.write_file(file, wanted.lease, 0o600)
    serve = _SERVE.format(port=port, thumbprint=wanted.thumbprint, file=file)
    program = inspect.getsource(_responder).encode()
    done = shell.run(_START.format(serve=f"'{serve}'"), stdin=program, check=False)
    first, _blank, said = done.output.strip().rpartition("\n")[2].partition(" ")
    try:
        answer: dict[str, t.Any] = json.loads(said)
        running = dataclasses.replace(wanted, pid=int(answer["pid"]), shell=int(first))
    except (ValueError, KeyError, TypeError) as error:
        shell.run(f"rm -f {file}", check=False)
        why = answer.get("error") if said.startswith("{") else done.output.strip()
        raise ShellError(
            f"the responder does not start on port {port} of the firewall: {why}", remedy="Choose another target_port."
        ) from error
    shell.write_file(file, running.lease)
    return running


def stop(shell: Shell, port: int, run: str | None = None) -> bool:
    """End it, unless another run than this one needs it too. Whether it was there, and has ended.

    run: None for all. Raises ShellError where it does not end.
    """
    _now, present = look(shell, port)
    if present is None:
        return False
    others = tuple(one for one in present.runs if one != run) if run else ()
    if others:
        shell.write_file(lease_file(port), dataclasses.replace(present, runs=others).lease)
        return False
    shell.run(_STOP.format(file=lease_file(port), pid=present.pid, shell=present.shell))
    return True


__all__ = ("Running", "check_python", "look", "start", "stop")
