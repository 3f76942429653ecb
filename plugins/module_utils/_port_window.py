# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What an order wants of the firewall's port, whichever way it is opened."""

from __future__ import annotations

import abc
import datetime
import typing as t

from ._errors import CertfleetError

if t.TYPE_CHECKING:
    from ._xgs.forward import Forward


class Opening(t.Protocol):
    """What opening would do."""

    @property
    def after(self) -> t.Any:
        """What there would be, for the diff of check mode."""


class PortWindow(abc.ABC):
    """The port is open inside `with window():`, and closed again however that ends.

    opened_at, closed_at: of the last opening, aware, UTC, by the firewall's clock. until: when its lease ends.
    seconds: how long the port was open, all in all. interrupts: web server protection rules without port 80 meanwhile.
    """

    forward: Forward
    opened_at: datetime.datetime | None = None
    closed_at: datetime.datetime | None = None
    until: datetime.datetime | None = None
    seconds: float = 0.0
    interrupts: tuple[str, ...] = ()
    # Whether the firewall is the one that answers, and nobody else.
    answers_itself: bool = False

    @property
    def outlasted(self) -> bool:
        """Whether what needed the port took longer than its lease."""
        return bool(self.until and self.closed_at and self.closed_at > self.until)

    @abc.abstractmethod
    def __call__(self) -> t.ContextManager[None]:
        """Raises CertfleetError of stage "open" or "close"; the first of the two where both fail."""

    @abc.abstractmethod
    def plan(self) -> Opening:
        """What opening would do. Raises CertfleetError where it cannot be opened."""

    @abc.abstractmethod
    def sweep(self) -> CertfleetError | None:
        """Remove what runs that are over left behind, where nothing had to be opened: else that saw to it.

        Gives the error, of stage "close", where that fails.
        """

    @abc.abstractmethod
    def addresses(self, wan_host: str) -> list[str]:
        """The firewall's addresses of this name or interface, as far as it tells."""

    @property
    @abc.abstractmethod
    def writes(self) -> int:
        """How many it took so far."""

    @property
    @abc.abstractmethod
    def told(self) -> list[str]:
        """Warnings: what a user should know of the openings, and what the firewall remarked."""


__all__ = ("Opening", "PortWindow")
