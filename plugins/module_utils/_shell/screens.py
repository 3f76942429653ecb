# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What a console's screen asks for, told by its last lines. Pure: text in, a question out.

Sources: transcripts in public tools. The prompt is `Select Menu Number [0-7]:` in all of them; 5 and then 3 leads to
the shell [vendor's HA FAQ]. Wordings vary with the firmware, so a menu is what lists numbers and waits on a line.
"""

from __future__ import annotations

import dataclasses
import re

MENU, TERMS, ENTER, PASSWORD, CONSOLE, SHELL = "menu", "terms", "enter", "password", "console", "shell"

_ASKS_NUMBER = re.compile(r"(select|enter|choose)[^\n]*(number|menu|option|choice)[^\n]*[:>?][ \t]*\Z", re.IGNORECASE)
_WAITS = re.compile(r"[^\s#][^\n]*[:>?][ \t]*\Z")
_ITEM = re.compile(r"^[ \t|*]*\(?(\d{1,2})[.):\]][ \t]+(\S[^\n]*?)[ \t|*]*$", re.MULTILINE)
# What else waits; the first match counts.
_QUESTIONS = (
    (PASSWORD, re.compile(r"passw(or)?d[^\n]*:[ \t]*\Z", re.IGNORECASE)),
    (TERMS, re.compile(r"(\(y/n\)|\[y/n\]|yes/no)[^\n]*\Z", re.IGNORECASE)),
    (ENTER, re.compile(r"((press[^\n]*(enter|return|any key)|enter to continue)[^\n]*|--more--)\s*\Z", re.IGNORECASE)),
    (CONSOLE, re.compile(r"^[ \t]*console>[ \t]*\Z", re.IGNORECASE | re.MULTILINE)),
)
_SHELL = re.compile(r"[^\s#$] ?[#$][ \t]*\Z")
_CONSENT = re.compile(r"accept|agree|continue|proceed", re.IGNORECASE)
_HARM = re.compile(r"reset|factory|shut|reboot|flush|delete|erase|upgrade|password", re.IGNORECASE)
_INVALID = re.compile(r"invalid|not valid|wrong (menu|choice|selection)", re.IGNORECASE)
_ADVANCED_SHELL = re.compile(r"advanced\s*shell", re.IGNORECASE)
_DEVICE_MANAGEMENT = re.compile(r"device\s*management", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Question:
    """kind: one of the above. items: a menu's labels by number. answer: what else has to be said, in one word."""

    kind: str
    items: dict[str, str] = dataclasses.field(default_factory=dict)
    answer: str = ""

    def number_of(self, label: re.Pattern[str]) -> str | None:
        """Under which number the menu has the label; None where it does not."""
        return next((number for number, text in self.items.items() if label.search(text)), None)

    @property
    def known(self) -> str | None:
        """The number that leads on, where the menu names it."""
        return self.number_of(_ADVANCED_SHELL) or self.number_of(_DEVICE_MANAGEMENT)

    def harmful(self, number: str) -> bool:
        """Whether the menu has something under this number that must not be chosen by mistake."""
        return bool(_HARM.search(self.items.get(number, "")))


def question(screen: str) -> Question | None:
    """What the screen's last lines ask for; None: nothing yet."""
    for kind, pattern in _QUESTIONS:
        if pattern.search(screen):
            return _consent(screen) if kind == TERMS else Question(kind)
    items = _last_list(screen)
    if _ASKS_NUMBER.search(screen) or (len(items) > 1 and _WAITS.search(screen)):
        return Question(MENU, items)
    return Question(SHELL) if _SHELL.search(screen) else None


def refused(screen: str) -> bool:
    """Whether a choice was not understood."""
    return bool(_INVALID.search(screen))


def _consent(screen: str) -> Question | None:
    """Only terms and banners are agreed to; whatever else may be asked is left alone."""
    paragraph = screen[-1500:]
    if not _CONSENT.search(paragraph) or _HARM.search(screen.rstrip().rpartition("\n")[2]):
        return None
    return Question(TERMS, answer="yes" if re.search("yes/no", paragraph, re.IGNORECASE) else "y")


def _last_list(screen: str) -> dict[str, str]:
    """A number that comes again, or a lower one but 0, begins another list."""
    items: dict[str, str] = {}
    for number, label in _ITEM.findall(screen):
        if number in items or (number != "0" and items and int(number) < int(next(reversed(items)))):
            items = {}
        items[number] = label
    return items


__all__ = ("CONSOLE", "ENTER", "MENU", "PASSWORD", "SHELL", "TERMS", "Question", "question", "refused")
