# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A session in the firewall's advanced shell: commands, and files.

Everything goes over the terminal as base64 within here-documents, in lines of 76: a terminal takes 4096 bytes a line at
most, and no byte of a command or file can mean something to it. So nothing is in a process argument, and, since the
shell edits no lines without echo (busybox, measured), nothing in its history.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import secrets
import shlex
import typing as t

from .._clock import Clock, Deadline
from .endpoint import Endpoint
from .errors import CommandFailed, ShellError
from .login import log_in, open_terminal
from .menu import Menu
from .terminal import Terminal, excerpt

_INTERRUPT = "\x03"
# Characters of an end mark with status, at most.
LONGEST_MARK = 64


class Ran(t.NamedTuple):
    """A command that ended. output: what it wrote to standard output and error."""

    status: int
    output: str


class Shell:
    """What `shell()` gives. Not for several threads."""

    def __init__(self, terminal: Terminal, timeout: float, clock: Clock) -> None:
        """Raises ShellError where the prompt is no shell's, or lacks what is needed."""
        self.broken = False
        self._terminal = terminal
        self._timeout = timeout
        self._clock = clock
        self._prepare()

    def run(self, command: str, *, stdin: bytes = b"", check: bool = True, timeout: float | None = None) -> Ran:
        """Run shell commands in a subshell of the session, and wait for the end.

        timeout: seconds, the endpoint's unless given. Raises CommandFailed for a status other than 0 if `check`;
        ShellError when there is no end in time, after which the session is of no use any more. Neither has `stdin`.
        """
        mark = _mark()
        given = f"base64 -d <<'{mark}' |\n{_lines(stdin)}{mark}\n" if stdin else ""
        into = "" if stdin else " </dev/null"
        script = f"c=$(base64 -d <<'{mark}'\n{_lines(command.encode())}{mark}\n)\n{given}(eval \"$c\"){into} 2>&1\n"
        with self._hiding(stdin) as secrets:
            text, status = self._carry_out(script, mark, self._timeout if timeout is None else timeout)
            if check and status:
                raise CommandFailed(f"'{excerpt(command, secrets)}'", status, excerpt(text, secrets))
        return Ran(status, text)

    @contextlib.contextmanager
    def _hiding(self, stdin: bytes) -> t.Iterator[list[str]]:
        """No message has it, even if the command shows it."""
        secrets = self._terminal.secrets
        secrets.append(stdin.decode(errors="replace"))
        try:
            yield secrets
        finally:
            secrets.pop()

    def read_file(self, path: str) -> bytes:
        """The file's content. Raises CommandFailed when it cannot be read."""
        output = self.run(f"base64 <{shlex.quote(path)}").output
        try:
            return base64.b64decode("".join(output.split()), validate=True)
        except binascii.Error as error:
            raise ShellError(f"what came of {path} is no base64: {error}") from error

    def write_file(self, path: str, content: bytes, mode: int | None = None) -> None:
        """Written beside and renamed, so that nobody ever sees half of it.

        mode: as for chmod; without one, mode and owner of what it replaces are kept, and a new file is its owner's.
        Raises CommandFailed, with the old file as it was.
        """
        new = shlex.quote(f"{path}.{secrets.token_hex(4)}.new")
        old = shlex.quote(path)
        kept = f"if [ -e {old} ]; then cp -p {old} {new}; fi" if mode is None else ":"
        chmod = "" if mode is None else f" && chmod {mode:o} {new}"
        self.run(
            f"umask 077; {kept} && cat >{new}{chmod} && [ $(wc -c <{new}) -eq {len(content)} ] && mv -f {new} {old}"
            f" || {{ rm -f {new}; exit 1; }}",
            stdin=content,
        )

    def _prepare(self) -> None:
        """No echo, no translated line ends, no prompts, no history."""
        mark = _mark()
        self._terminal.send("stty -echo -opost; unset HISTFILE; PS1=; PS2=\n")
        try:
            proof, status = self._carry_out('(printf "%s" "aGVsbG8=" | base64 -d)\n', mark, self._timeout)
        except ShellError as late:
            late.advise("Behind the menu is no shell that answers.")
            raise
        if status or proof != "hello":
            raise ShellError("the firewall's shell lacks stty or base64", screen=excerpt(proof, self._terminal.secrets))

    def _carry_out(self, script: str, mark: str, seconds: float) -> tuple[str, int]:
        """Output and status. The mark is random, and put together by printf alone: no echo of the script has it."""
        if self.broken:
            raise ShellError("the session in the firewall's shell is of no use since a command did not end")
        self.broken = True
        start, end = f"<{mark}", f"{mark}>"
        self._terminal.send(f"printf '<%s' {mark}\n{script}printf '%s> %d;' {mark} $?\n")
        found = self._wait(re.compile(f"{end} (\\d+);"), Deadline(self._clock, seconds))
        self.broken = False
        text = self._terminal.text[: found.start()]
        return text.rpartition(start)[2], int(found[1])

    def _wait(self, pattern: re.Pattern[str], deadline: Deadline) -> re.Match[str]:
        looked = 0
        while True:
            text = self._terminal.text
            found = pattern.search(text, max(0, looked - LONGEST_MARK))
            if found:
                return found
            looked = len(text)
            if self._terminal.closed:
                raise ShellError("the firewall ended the session", screen=self._terminal.excerpt())
            if not self._terminal.read(deadline.remaining) and deadline.over:
                late = ShellError("a command on the firewall did not end in time", screen=self._terminal.excerpt())
                with contextlib.suppress(ShellError):
                    self._terminal.send(_INTERRUPT)
                raise late


def _mark() -> str:
    return f"certfleet{secrets.token_hex(12)}"


def _lines(data: bytes) -> str:
    return base64.encodebytes(data).decode()


@contextlib.contextmanager
def shell(endpoint: Endpoint, clock: Clock | None = None) -> t.Iterator[Shell]:
    """A session from login to logout. Raises ShellError (stage "shell"), whose message has the last screen.

    with shell(endpoint) as sh:
        sh.run("uptime").output
    """
    clock = clock or Clock()
    deadline = Deadline(clock, endpoint.timeout)
    client = log_in(endpoint, deadline)
    try:
        terminal = Terminal(open_terminal(client, deadline), endpoint.secrets)
        menu = Menu(terminal, endpoint, deadline)
        menu.enter()
        session = Shell(terminal, endpoint.timeout, clock)
        try:
            yield session
        finally:
            if not session.broken:
                menu.leave()
    finally:
        client.close()


__all__ = ("Ran", "Shell", "shell")
