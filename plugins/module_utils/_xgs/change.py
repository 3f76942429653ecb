# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A plan: what is, what shall be, and the writes that lead from one to the other.

The diff, `changed` and the requests come from one object, so check mode cannot disagree with the real run.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .api import Firewall, Write


@dataclasses.dataclass(frozen=True)
class Change:
    """before, after: what a user sees in the diff, without secrets. writes: in the order of sending."""

    before: dict[str, t.Any]
    after: dict[str, t.Any]
    writes: tuple[Write, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to be written."""
        return bool(self.writes)

    def apply(self, firewall: Firewall) -> None:
        """Send all writes. Raises XgsError at the first one that fails; those before it stay."""
        for write in self.writes:
            firewall.send(write)


__all__ = ("Change",)
