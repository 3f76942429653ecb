# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What can go wrong between us and a firewall."""

from __future__ import annotations

import re

from .._errors import CertfleetError
from .status_codes import NO_RIGHT, in_words


class XgsError(CertfleetError):
    """Any failure of the firewall's side."""


class XgsConnectionError(XgsError):
    """No answer, or none that can be trusted. `sent` tells whether the firewall may have acted on the request."""

    def __init__(self, problem: str, *, remedy: str = "", sent: bool) -> None:
        super().__init__(problem, remedy=remedy)
        self.sent = sent


class XgsAccessError(XgsError):
    """The firewall refuses the API, the source address or the account (532, 534, Authentication Failure)."""


class XgsLoginError(XgsAccessError):
    """It refuses user name and password; repeated, that may lock the account."""


class XgsApiError(XgsError):
    """The firewall refuses one operation: a status code of 500 or more (API document, status table of the entity).

    text: the firewall's own words; parameters: paths of the values that it does not like.
    """

    def __init__(
        self, code: int, text: str, *, operation: str, entity: str = "", parameters: tuple[str, ...] = ()
    ) -> None:
        meaning, remedy = in_words(code, entity)
        detail = f" ({legible(', '.join(parameters))})" if parameters else ""
        super().__init__(
            f"the firewall refused to {operation}: status {code}, {legible(text)}{detail}: {meaning}", remedy=remedy
        )
        self.code = code
        self.text = text


# Our request, said back: its login, or a key that went up with it.
_REPEATED = re.compile(r"Password\s*(?:>|&gt;|%3E)|PRIVATE KEY|(?=[A-Za-z/]*[0-9+])[A-Za-z0-9+/]{60}")


def legible(text: str, longest: int = 300) -> str:
    """What somebody else wrote, fit for a terminal: one line, no escape sequences, no request of ours, and no more than
    `longest` characters."""
    if _REPEATED.search(text):
        return "in words that are not shown, since they may repeat the request"
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest])
    line = " ".join(line.split())
    return f"{line[:longest]}…" if len(line) > longest else line


__all__ = ("NO_RIGHT", "XgsAccessError", "XgsApiError", "XgsConnectionError", "XgsError", "XgsLoginError", "legible")
