# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark has to know of a tool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from place import Place


@dataclass(frozen=True)
class Tool:
    """`prepare` is done before and not measured; `command` returns a command and its environment.

    chains: where the certificates are then, below `Place.out`; most_runs: no more runs of it, because it is slow.
    """

    name: str
    prepare: Callable[[Place], None]
    command: Callable[[Place], tuple[list[str], dict[str, str]]]
    chains: str
    most_runs: int = 1000
    needs_peers: bool = False
    needs_collection: bool = False
