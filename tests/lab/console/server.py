# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenSSH server whose user `admin` gets an emulated console: a menu, and a real busybox behind it.

The user exists in the server's own mount namespace alone; nothing of this machine's /etc is changed. The server and all
of its sessions have process ids of their own and end with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.pebble import TOOLS
from lab.plane.namespaces import IPTABLES
from lab.ports import Connect, free_port
from lab.processes import Daemon

__all__ = ["PASSWORD", "Console", "Ways", "missing"]

CONSOLE = TOOLS / "console"
MENU = Path(__file__).with_name("menu.sh")
FETCH = Path(__file__).resolve().parents[3] / "scripts" / "fetch-console.sh"
PASSWORD = 'lab-Admin\'s "pass" 7'
SIZE = {"rsa": ("-b", "2048")}
# In the server's mount namespace. /run is its own because sshd wants an empty directory of root's there.
START = """
mount --bind {home}/passwd /etc/passwd && mount --bind {home}/shadow /etc/shadow &&
mount -t tmpfs tmpfs /run && mkdir -p /run/sshd && exec {sshd} -D -e -f {home}/sshd_config
"""
CONFIG = """
ListenAddress {address}:{port}
PidFile none
AuthorizedKeysFile {home}/authorized_keys
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
PermitRootLogin yes
PasswordAuthentication yes
HostKey {home}/{host_key}
{more}
"""


@dataclasses.dataclass(frozen=True)
class Ways:
    """How the console differs from the plainest one.

    keys: "line" or "single". terms: "y/n" or "yes/no". slow: seconds before each line. wording: "numbers" (other ones),
    "foreign" (other language), "bare" (a prompt and no list), "harmful" (a reset where the shell should be).
    pause: "Press Enter to continue". returns, invalid: how often the first choice leads back, or is not understood.
    password: asked for once more. silent: a text, and then nothing ever.
    """

    keys: str = "line"
    banner: str = ""
    terms: str = ""
    slow: str = ""
    wording: str = ""
    pause: bool = False
    ha: bool = False
    returns: int = 0
    invalid: int = 0
    password: str = ""
    silent: str = ""

    def variables(self) -> dict[str, str]:
        """What is not asked for is empty."""
        return {name.upper(): str(value or "") for name, value in dataclasses.asdict(self).items()}


def missing() -> str:
    """Why this machine cannot have one; "" when it can."""
    if os.geteuid() != 0:
        return "an SSH server that gives its users a shell needs root"
    absent = [tool for tool in ("unshare", "mount", "ssh-keygen") if not shutil.which(tool)]
    if absent:
        return f"not installed: {', '.join(absent)}"
    done = subprocess.run([FETCH, TOOLS], capture_output=True, text=True, timeout=110)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no OpenSSH server"])[-1]


class Console:
    """`with Console(directory, Ways()) as console:` an SSH server on `console.port`.

    path: where the shell looks for commands before anywhere else.
    prefix: a command that runs others in another network namespace; connect: a connection from where it is reached.
    """

    def __init__(
        self,
        home: Path,
        ways: Ways | None = None,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        host_key: str = "ed25519",
        more: str = "",
        path: str = "",
        prefix: Sequence[str] = (),
        connect: Connect | None = None,
    ) -> None:
        self.home = home
        self.address = address
        self.port = port or free_port(address)
        self.host_key = home / f"host_{host_key}"
        self.key = home / "id_ed25519"
        self.log = home / "console.log"
        home.mkdir(parents=True, exist_ok=True)
        self._make_keys()
        self._make_user(ways or Ways(), path)
        config = CONFIG.format(address=address, port=self.port, home=home, host_key=self.host_key.name, more=more)
        (home / "sshd_config").write_text(config)
        start = START.format(home=home, sshd=CONSOLE / "sshd")
        own = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._daemon = Daemon(
            "sshd",
            [*prefix, *own, "sh", "-ec", start],
            log=home / "sshd.log",
            answers=(address, self.port),
            **({"connect": connect} if connect else {}),
        )

    def __enter__(self) -> Console:
        self._daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        # unshare passes no SIGTERM on; with it everything on the firewall ends.
        self._daemon.stop(grace=0.0)

    @property
    def known_hosts(self) -> str:
        """A line for the file, as ssh-keyscan writes it."""
        name = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
        return f"{name} {self.host_key.with_suffix('.pub').read_text()}"

    @property
    def fingerprint(self) -> str:
        """By OpenSSH's own reckoning."""
        shown = subprocess.run(
            ["ssh-keygen", "-l", "-f", self.host_key.with_suffix(".pub")], capture_output=True, text=True, check=True
        )
        return shown.stdout.split()[1]

    def events(self) -> list[str]:
        """What happened on the console: login, each choice, shell, shell left."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def processes(self) -> list[str]:
        """Command lines of what runs on the firewall besides the server that waits for logins."""
        return [line for _pid, line in self._all() if line and "[listener]" not in line]

    def _all(self) -> Iterator[tuple[int, str]]:
        """By their ids on this machine."""
        assert self._daemon.pid
        waiting = [self._daemon.pid]
        while waiting:
            children = _children(waiting.pop())
            waiting += children
            yield from ((child, _command_line(child)) for child in children)

    def hang_up(self) -> None:
        """End all sessions, as when the connection is lost."""
        for pid, line in self._all():
            if "admin@pts" in line:
                os.kill(pid, signal.SIGKILL)

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command as it is to be run among the firewall's processes; in this network."""
        assert self._daemon.pid
        (first,) = _children(self._daemon.pid)
        return ["nsenter", f"--target={first}", "--mount", "--pid", "--", *command]

    def _make_keys(self) -> None:
        for path in (self.host_key, self.key):
            kind = path.name.partition("_")[2]
            subprocess.run(["ssh-keygen", "-q", "-t", kind, *SIZE.get(kind, ()), "-N", "", "-f", path], check=True)
        (self.home / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())

    def _make_user(self, ways: Ways, path: str) -> None:
        busybox = CONSOLE / "busybox"
        hashed = subprocess.run(
            [busybox, "mkpasswd", "-m", "sha512", PASSWORD], capture_output=True, text=True, check=True
        ).stdout.strip()
        given = {
            **ways.variables(),
            "BUSYBOX": str(busybox),
            "CONSOLE_LOG": str(self.log),
            "CONSOLE_PATH": f"{path}:{IPTABLES}" if path else str(IPTABLES),
        }
        exports = [f"export {name}={shlex.quote(value)}" for name, value in given.items()]
        shell = self.home / "console"
        shell.write_text("\n".join([f"#!{busybox} sh", *exports, f"exec {busybox} sh {MENU}", ""]))
        shell.chmod(0o755)
        (self.home / "home").mkdir(exist_ok=True)
        nobody = "sshd:x:65533:65533::/run/sshd:/bin/false"
        (self.home / "passwd").write_text(
            f"{Path('/etc/passwd').read_text()}{nobody}\nadmin:x:0:0::{self.home}/home:{shell}\n"
        )
        (self.home / "shadow").write_text(f"admin:{hashed}:19000:0:99999:7:::\n")


def _children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):  # it may have ended meanwhile
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
