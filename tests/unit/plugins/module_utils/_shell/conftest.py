# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A console of the test's own, and who may log in there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.endpoint import Endpoint

from lab.console import PASSWORD, Console, Ways

Make = Callable[..., tuple[Console, Endpoint]]


@pytest.fixture
def console(consoles: None, tmp_path: Path) -> Iterator[Make]:
    """`console(keys="single")`: an emulated firewall, and an endpoint that gets in by password."""
    with ExitStack() as stack:

        def make(server: dict[str, Any] | None = None, **ways: Any) -> tuple[Console, Endpoint]:
            made = stack.enter_context(Console(tmp_path / "console", Ways(**ways), **(server or {})))
            return made, endpoint_of(made)

        yield make


def endpoint_of(console: Console, **options: Any) -> Endpoint:
    plain = Endpoint(
        console.address, console.port, password=PASSWORD, fingerprints=(console.fingerprint,), timeout=30.0
    )
    return dataclasses.replace(plain, **options)
