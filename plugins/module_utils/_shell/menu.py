# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The way through the console: from the login to the advanced shell's prompt, and out again.

Some firmwares read a line for a choice, others a single key, to which an Enter sent along is an empty choice in the
next screen: "Invalid Menu Selection", and back to the main menu [reports on SFOS 18.5 and 19.0]. So the key goes alone,
and Enter only where nothing came of it.
"""

from __future__ import annotations

import contextlib

from .._clock import Deadline
from . import screens
from .endpoint import Endpoint
from .errors import ShellError
from .screens import Question, question
from .terminal import Terminal

# Where the menus do not say it: Device Management, then Advanced Shell.
_MAIN, _DEVICE = "5", "3"
_EXIT = "0"
# Questions that are answered before the way counts as lost, and passwords among them.
ATTEMPTS, PASSWORDS = 24, 2
# Seconds that a prompt has to stand still, and what looks like a shell's although nothing led there.
QUIET, SURELY = 0.1, 1.0
# Seconds that a key may take to work, at first and at most.
GUARD, LONGEST_GUARD = 0.4, 6.4
# Seconds for leaving.
FAREWELL = 5.0


class Menu:
    """One terminal's way. Raises ShellError with the last screen."""

    def __init__(self, terminal: Terminal, endpoint: Endpoint, deadline: Deadline) -> None:
        self._terminal = terminal
        self._endpoint = endpoint
        self._deadline = deadline
        self._guard = GUARD
        # Whether a choice takes Enter: None until seen.
        self._lines: bool | None = None
        self._chosen = False
        self._passwords = 0
        self._named = False
        self._main: Question | None = None

    def enter(self) -> None:
        """Return when the shell's prompt is there."""
        for _attempt in range(ATTEMPTS):
            asked = self._wait()
            if asked.kind == screens.SHELL:
                return
            self._answer(asked)
        raise self._lost(f"no shell after {ATTEMPTS} answers to the console's menus")

    def leave(self) -> None:
        """Out of the shell and of the menus. What does not end in time is cut off by whoever closes the connection."""
        self._deadline = Deadline(self._deadline.clock, FAREWELL)
        with contextlib.suppress(ShellError):
            self._terminal.send("stty echo opost; exit\n")
            while not self._terminal.closed:
                if self._wait().kind == screens.MENU:
                    self._choose(_EXIT)
                else:
                    self._terminal.send("exit\r")

    def _wait(self) -> Question:
        """The next question, once it stands still."""
        while not self._deadline.over:
            asked = question(self._terminal.screen)
            if asked is None:
                self._terminal.read(self._deadline.remaining)
            elif not self._terminal.read(SURELY if asked.kind == screens.SHELL and not self._chosen else QUIET):
                return asked
            if self._terminal.closed:
                raise self._lost("the firewall ended the session")
        raise self._lost(f"the console led to no shell within {self._endpoint.timeout:g} s")

    def _answer(self, asked: Question) -> None:
        if asked.kind == screens.MENU:
            self._choose(self._number(asked))
        elif asked.kind == screens.TERMS and len(asked.answer) == 1:
            self._choose(asked.answer)
        elif asked.kind == screens.PASSWORD:
            self._terminal.send(self._password() + "\r")
        else:
            self._terminal.send({screens.CONSOLE: "exit"}.get(asked.kind, asked.answer) + "\r")

    def _number(self, asked: Question) -> str:
        """The number to choose. In a menu that is not one of ours: back."""
        if screens.refused(self._terminal.screen):
            # An Enter of ours may have come too late, to the next screen: give the key more time.
            self._guard = min(LONGEST_GUARD, 2 * self._guard)
            self._lines = None
            self._main = None
        if asked.known:
            self._named = True
            return asked.known
        if self._named:
            return _EXIT
        first = self._main is None or asked.items == self._main.items != {}
        number = _MAIN if first else _DEVICE
        if asked.harmful(number):
            raise self._lost(f"the console's menu has something else under {number}")
        self._main = asked if first else self._main
        return number

    def _choose(self, key: str) -> None:
        self._chosen = True
        if self._lines:
            self._terminal.send(key + "\r")
            return
        self._terminal.send(key)
        wait = Deadline(self._deadline.clock, self._guard)
        while not wait.over and not self._terminal.closed:
            self._terminal.read(wait.remaining)
            # A terminal shows the key itself.
            if self._terminal.screen.strip() not in ("", key):
                return
        if not self._terminal.closed:
            self._lines = True
            self._terminal.send("\r")

    def _password(self) -> str:
        self._passwords += 1
        if not self._endpoint.password or self._passwords > PASSWORDS:
            raise self._lost(
                "the console does not take the password" if self._passwords > 1 else "the console asks for a password"
            )
        return self._endpoint.password

    def _lost(self, problem: str) -> ShellError:
        return ShellError(
            problem,
            remedy="Log in by hand and look for the way to the advanced shell (5, then 3), and report the screens.",
            screen=self._terminal.excerpt(before=True),
        )


__all__ = ("Menu",)
