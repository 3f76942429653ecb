# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA behind the fault proxy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from lab import faults
from lab.pebble import AcmeCa
from lab.proxy import FaultProxy


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[tuple[AcmeCa, FaultProxy]]:
    """A CA of the module's own: it checks the names rather than remembering them, and says no Retry-After."""
    with faults.running(retry_after=None) as made:
        yield made


@pytest.fixture
def bench(behind_proxy: tuple[AcmeCa, FaultProxy]) -> faults.Bench:
    """A client whose time leaps, and a proxy that behaves until told otherwise."""
    return faults.Bench(*behind_proxy)


@pytest.fixture
def own_name(request: pytest.FixtureRequest) -> str:
    """A domain name that no other test has, nor this one with other parameters.

    Pebble validates a name anew in 99 of 100 orders only, even when told to reuse nothing (it compares the wrong way):
    so whoever injects faults into validation, or counts it, must not use a name that was validated before.
    """
    return f"{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}.example.com"
