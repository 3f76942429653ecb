# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The long matrices of `make test-faults`: on the fleets of the integration tests, with their results noted."""

from __future__ import annotations

import pytest

from integration.conftest import launch, make_fleet, play, scratch
from lab.ledger import Ledger

__all__ = ("launch", "make_fleet", "play", "scratch")


@pytest.fixture
def ledger() -> Ledger:
    """`ledger.note(table, column=…)`: a row of a table of docs/reliability.md."""
    return Ledger()
