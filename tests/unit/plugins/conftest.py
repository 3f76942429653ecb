# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulated firewalls: a fleet for each module, one of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unit.plugins.module_utils._xgs.firewalls import Box, fleet


@pytest.fixture(scope="module")
def boxes() -> Iterator[Iterator[Box]]:
    with fleet() as all_of_them:
        yield all_of_them


@pytest.fixture
def box(boxes: Iterator[Box]) -> Box:
    return next(boxes)
