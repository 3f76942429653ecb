# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What check mode hands from task to task in place of files that only a run makes."""

from __future__ import annotations

import os

# A folder that is never made.
NOT_ISSUED = "not-issued-yet"


def place(path: str) -> str:
    """Where check mode says that a file would be."""
    directory, name = os.path.split(path)
    return os.path.join(directory, NOT_ISSUED, name)


def is_foreseen(path: str) -> bool:
    """Whether it is a place() of check mode."""
    return os.path.basename(os.path.dirname(path)) == NOT_ISSUED


__all__ = ("is_foreseen", "place")
