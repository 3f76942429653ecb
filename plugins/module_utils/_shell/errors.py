# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What a user reads when the way to the shell, or a command there, failed."""

from __future__ import annotations

from .._errors import CertfleetError


class ShellError(CertfleetError):
    """Of the stage "shell". screen: what the firewall showed last, without secrets."""

    def __init__(self, problem: str, *, remedy: str = "", screen: str = "") -> None:
        shown = f"{problem}; the firewall showed last:\n{screen}\n" if screen else problem
        super().__init__(shown, remedy=remedy, stage="shell", details={"screen": screen} if screen else None)


class LoginRefused(ShellError):
    """Not to be tried again: that may lock the account."""


class CommandFailed(ShellError):
    """A command in the shell had another exit status than 0. status: that."""

    def __init__(self, what: str, status: int, output: str) -> None:
        super().__init__(f"on the firewall, {what} ended with status {status}: {output.strip() or 'no output'}")
        self.status = status


__all__ = ("CommandFailed", "LoginRefused", "ShellError")
