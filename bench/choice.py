# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the command line that are a list of known names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence


def chosen(known: Sequence[str], what: str) -> Callable[[str], list[str]]:
    """For argparse's `type`: "a,b" to a list, refused when one of them is not known."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {what} {', '.join(unknown)}; there are {', '.join(known)}")
        return names

    return parse
