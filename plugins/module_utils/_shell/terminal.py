# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The text on a terminal: what came since the last thing that was sent."""

from __future__ import annotations

import codecs
import re
import typing as t

from .errors import ShellError

if t.TYPE_CHECKING:
    import paramiko

# CSI and OSC sequences (ECMA-48), among them the ESC [ 6 n by which busybox asks where the cursor is.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Characters that may come at all, that a screen is made of, and that a message shows of it.
LIMIT, KEPT, SHOWN = 64 << 20, 65536, 2000
# Seconds until whoever reads has to have made room for more.
PATIENCE = 60.0
_CHUNK = 65536
HIDDEN = "********"
# Shorter lines of a longer secret tell nothing, and are in everything.
LONG_ENOUGH = 8


def cleaned(text: str) -> str:
    """Without what moves a cursor (ECMA-48)."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def without(text: str, secrets: t.Iterable[str]) -> str:
    """The text with HIDDEN for the secrets. Those of several lines go line by line: somebody may have indented them."""
    parts: set[str] = set()
    for secret in secrets:
        lines = secret.strip().splitlines()
        parts.update(lines if len(lines) < 2 else (line.strip() for line in lines if len(line.strip()) >= LONG_ENOUGH))
    for part in sorted(filter(None, parts), key=len, reverse=True):
        text = text.replace(part, HIDDEN)
    return text


def excerpt(text: str, secrets: t.Iterable[str]) -> str:
    """The end of it, SHOWN characters at most, fit for a message."""
    told = without(cleaned(text), secrets).strip()
    return told if len(told) <= SHOWN else "[…]" + told[-SHOWN:]


class Terminal:
    """Around a channel. secrets: what a message may not have."""

    def __init__(self, channel: paramiko.Channel, secrets: t.Iterable[str] = ()) -> None:
        self.secrets = list(secrets)
        self.closed = False
        self._channel = channel
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._last = ""

    @property
    def text(self) -> str:
        """What came since the last `send`, as it is."""
        return self._text

    @property
    def screen(self) -> str:
        """The end of the same for people and patterns, without cursor movements."""
        return cleaned(self._text[-KEPT:])

    def excerpt(self, *, before: bool = False) -> str:
        """For a message: what came last; `before`: with what came before the last `send`."""
        return excerpt(((self._last if before else "") + self._text)[-KEPT:], self.secrets)

    def send(self, data: str) -> None:
        """Raises ShellError when the connection is gone or nobody reads."""
        self._last, self._text = (self._last + self._text)[-KEPT:], ""
        self._channel.settimeout(PATIENCE)
        try:
            self._channel.sendall(data.encode())
        except (OSError, EOFError) as error:
            raise ShellError(
                f"the firewall does not take what is sent to its console: {error or type(error).__name__}",
                screen=self.excerpt(before=True),
            ) from error

    def read(self, seconds: float) -> bool:
        """Wait so many seconds for more text; False when none came. At the end of the session `closed` is set.

        Raises ShellError when more than LIMIT characters came since the last `send`.
        """
        if self.closed:
            return False
        self._channel.settimeout(max(0.001, seconds))
        try:
            data = self._channel.recv(_CHUNK)
        except TimeoutError:
            return False
        self.closed = not data
        self._text += self._decoder.decode(data, final=self.closed)
        if len(self._text) > LIMIT:
            raise ShellError("the firewall's console does not stop sending", screen=self.excerpt())
        return not self.closed


__all__ = ("Terminal", "cleaned", "excerpt", "without")
