# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What there is of a shell tool that renews certificates on the firewall itself. Nothing is written here.

The tools (public sources): DIRECTORY/renew.sh is an endless loop that a boot script starts. For each certificate it
starts `python3 -m http.server 8000 -d DIRECTORY/http`, appends one rule to PREROUTING, runs DIRECTORY/acme.sh, and
takes both away again; killed meanwhile, it leaves them. Some versions have config.csv and account in another directory.
"""

from __future__ import annotations

import base64
import dataclasses
import itertools
import posixpath
import typing as t

from .._errors import CertfleetError
from .._shell.session import Shell
from .config_csv import read_config

DIRECTORIES = ("/var/acme", "/conf/acme")
BOOT_SCRIPTS = ("/etc/rc.d/S01acme", "/etc/rc.d/S01lets")
CERTIFICATES = "/conf/certificate"
CHAIN = "PREROUTING"
RULE = "-p tcp --dport 80 -j DNAT --to-destination :8000"
LOOP, CLIENT, CONFIG = "renew.sh", "acme.sh", "config.csv"
_CONFIGS = tuple(f"{directory}/{CONFIG}" for directory in DIRECTORIES)
# What the CA knows the account by, and what the loop went by.
_WORTH_SAVING = {CONFIG, "account.key", "account.json", "account.conf", "ca.conf"}
_SHELLS = {"sh", "ash", "bash", "dash", "busybox"}
# pid and the like, arguments, directory: base64, as anything may be in them. What has no program is the kernel's.
_PROCESSES = r"""line() { base64 | tr -d '\n'; }
for p in /proc/[0-9]*; do
  [ -e "$p/exe" ] || continue
  echo "$(line <"$p/stat") $(line <"$p/cmdline") $(readlink "$p/cwd" | line)"
done 2>/dev/null"""


@dataclasses.dataclass(frozen=True)
class Process:
    """start: in ticks since boot. With the pid it stands for one process, even when the pid is used again."""

    pid: int
    parent: int
    start: int
    arguments: tuple[str, ...]
    cwd: str

    @property
    def script(self) -> str:
        """The file whose commands a shell carries out, as an absolute path; "" for all else."""
        words = list(self.arguments)
        name = posixpath.basename(words.pop(0)).lstrip("-") if words else ""
        if name == "busybox" and words:
            name = words.pop(0)
        options = list(itertools.takewhile(lambda word: word.startswith("-"), words))
        # With -c the commands are an argument.
        if name not in _SHELLS or words == options or any("c" in option for option in options):
            return ""
        return posixpath.normpath(posixpath.join(self.cwd, words[len(options)]))

    @property
    def serves(self) -> str:
        """The directory that Python's web server serves; "" for all else."""
        words = self.arguments
        if "http.server" not in words or "-d" not in words[:-1]:
            return ""
        return posixpath.normpath(posixpath.join(self.cwd, words[words.index("-d") + 1]))

    def __str__(self) -> str:
        return f"{self.pid}: {' '.join(self.arguments)}"


@dataclasses.dataclass(frozen=True)
class Found:
    """rules: how often the tool's rule is there. boot_scripts: path and contents. files: by directory. foreign: boot
    scripts of these names that start something else. certificates: names of config.csv, as they are on the firewall.
    """

    processes: tuple[Process, ...] = ()
    rules: int = 0
    boot_scripts: dict[str, str] = dataclasses.field(default_factory=dict)
    files: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    root_writable: bool = False
    foreign: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether there is anything to take off."""
        return bool(self.processes or self.rules or self.boot_scripts or self.files)

    @property
    def worth_saving(self) -> list[str]:
        """Paths of the tool's ACME account and its config.csv."""
        return [file for files in self.files.values() for file in files if posixpath.basename(file) in _WORTH_SAVING]

    def as_diff(self) -> dict[str, t.Any]:
        """One side of the task's diff."""
        return {
            "processes": list(map(str, self.processes)),
            "nat rules": [f"-A {CHAIN} {RULE}"] * self.rules,
            "boot scripts": self.boot_scripts,
            "files": self.files,
            "root file system": "writable" if self.root_writable else "read-only",
        }

    def without_tool(self) -> Found:
        """What is to come of it."""
        return Found(foreign=self.foreign) if self.anything else self


def look(shell: Shell) -> Found:
    """What there is. Raises CertfleetError where the tool is at work, or the web server uses its directories' files."""
    files = {directory: _files(shell, directory) for directory in DIRECTORIES}
    # Somebody else's, or empty, unless one of these is there.
    own = {f"{directory}/{name}" for directory in DIRECTORIES for name in (LOOP, CONFIG)}
    files = {directory: found for directory, found in files.items() if own.intersection(found)}
    boot_scripts, foreign = _boot_scripts(shell)
    found = Found(
        processes=processes_of_tool(shell),
        rules=_rules(shell.run(f"iptables -t nat -S {CHAIN}").output),
        boot_scripts=boot_scripts,
        files=files,
        root_writable=_root_writable(shell.run("cat /proc/mounts").output),
        foreign=foreign,
        certificates=_certificates(shell, files),
    )
    _refuse_if_in_use(shell)
    _refuse_if_at_work(found)
    return found


def _files(shell: Shell, directory: str) -> list[str]:
    """Everything in it but directories, and the empty ones. A link to a directory is not the directory."""
    command = f"[ -d {directory} ] && [ ! -h {directory} ] && find {directory}/ || :"
    paths = {posixpath.normpath(path) for path in shell.run(command).output.splitlines()}
    return sorted(path for path in paths.difference(map(posixpath.dirname, paths)) if path.startswith(f"{directory}/"))


def _boot_scripts(shell: Shell) -> tuple[dict[str, str], tuple[str, ...]]:
    scripts, foreign = {}, []
    for path in BOOT_SCRIPTS:
        if shell.run(f"[ -f {path} ]", check=False).status:
            continue
        text = shell.read_file(path).decode(errors="replace")
        if any(f"{directory}/" in text for directory in DIRECTORIES):
            scripts[path] = text
        else:
            foreign.append(path)
    return scripts, tuple(foreign)


def processes_of_tool(shell: Shell, seen: t.Container[tuple[int, int]] = ()) -> tuple[Process, ...]:
    """The loop by its script, its web server by what it serves, and all that they started; parents first.

    seen: pid and start of such as were known before; what lost its parent is not known otherwise.
    """
    processes = _processes(shell)
    found = [each for each in processes if _is_tools(each) or (each.pid, each.start) in seen]
    pids = {each.pid for each in found}
    for parent in found:
        children = [each for each in processes if each.parent == parent.pid and each.pid not in pids]
        # Those are looked at in their turn.
        found += children
        pids.update(each.pid for each in children)
    return tuple(found)


def _is_tools(process: Process) -> bool:
    scripts = [f"{directory}/{name}" for directory in DIRECTORIES for name in (LOOP, CLIENT)]
    return process.script in scripts or process.serves in [f"{directory}/http" for directory in DIRECTORIES]


def _processes(shell: Shell) -> list[Process]:
    found = []
    for line in shell.run(_PROCESSES).output.splitlines():
        stat, arguments, cwd = (base64.b64decode(field).decode(errors="replace") for field in line.split(" "))
        # The name in parentheses may have anything in it (proc(5)).
        name, _end, rest = stat.rpartition(")")
        if rest and arguments:
            numbers = rest.split()
            words = tuple(arguments.rstrip("\0").split("\0"))
            found.append(Process(int(name.split()[0]), int(numbers[1]), int(numbers[19]), words, cwd.rstrip("\n")))
    return found


def _rules(listed: str) -> int:
    """How often the tool's rule is in the chain; a loop that was killed leaves one each time."""
    rules = [line.replace("-p tcp -m tcp ", "-p tcp ").strip() for line in listed.splitlines()]
    return rules.count(f"-A {CHAIN} {RULE}")


def _root_writable(mounts: str) -> bool:
    """By /proc/mounts; what was mounted last counts."""
    roots = [fields[3] for fields in map(str.split, mounts.splitlines()) if len(fields) > 3 and fields[1] == "/"]
    return bool(roots) and "rw" in roots[-1].split(",")


def read_config_csv(shell: Shell) -> bytes:
    """The file as it is. Raises CertfleetError where there is none, or one in each directory."""
    there = [path for path in _CONFIGS if not shell.run(f"[ -f {path} ]", check=False).status]
    if len(there) != 1:
        raise CertfleetError(
            f"the firewall has both {' and '.join(there)}"
            if there
            else f"the firewall has no {' and no '.join(_CONFIGS)}",
            remedy="Copy the right one to the control node, and give its path.",
            stage="shell",
        )
    return shell.read_file(there[0])


def _certificates(shell: Shell, files: dict[str, list[str]]) -> tuple[str, ...]:
    paths = [file for found in files.values() for file in found if file in _CONFIGS]
    configs = [read_config(shell.read_file(path)) for path in paths]
    return tuple(dict.fromkeys(each.written for config in configs for each in config.certificates if each.written))


def _refuse_if_in_use(shell: Shell) -> None:
    """The tools copy certificates to where the web server has them. Somebody may have made links instead."""
    command = f"find {CERTIFICATES}/ -type l -exec readlink -f {{}} \\; 2>/dev/null || :"
    targets = shell.run(command).output.splitlines()
    used = [target for target in targets if target.startswith(tuple(f"{each}/" for each in DIRECTORIES))]
    if used:
        raise CertfleetError(
            f"{CERTIFICATES} has links to the tool's own files, such as {used[0]!r}",
            remedy="Nothing was changed. Replace the links by the files, or switch what uses them to other certificates"
            " and remove the links.",
            stage="shell",
        )


def _refuse_if_at_work(found: Found) -> None:
    """Stopped in the middle, it could leave half a certificate to the web server."""
    working = [each for each in found.processes if posixpath.basename(each.script) == CLIENT]
    if working:
        raise CertfleetError(
            f"the tool is obtaining a certificate right now (process {working[0]})",
            remedy="Nothing was changed. Run again in some minutes; if it hangs, end that process first.",
            stage="shell",
        )


__all__ = (
    "BOOT_SCRIPTS",
    "CHAIN",
    "DIRECTORIES",
    "RULE",
    "Found",
    "Process",
    "look",
    "processes_of_tool",
    "read_config_csv",
)
