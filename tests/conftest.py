# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that unit and integration tests share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from emulator.personas import LATEST, PERSONAS
from lab import collection
from lab.console import Box, Httpd
from lab.console import missing as no_console
from lab.island import Island, NoIsland
from lab.pebble import TOOLS, AcmeCa
from lab.plane import Loopback, Namespaces, Plane, has_ipv6, kernel_without_ipv6, missing
from lab.playbook import PlaybookResult, run_playbook
from lab.ports import free_port

# A busy machine must not fail a test, and what passed once must pass again.
# HYPOTHESIS_PROFILE=search looks for new cases.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--firmware",
        default=",".join(PERSONAS) if os.environ.get("CI") else LATEST,
        metavar="A,B",
        help=f"on which the end-to-end tests run, of {', '.join(PERSONAS)} (default: %(default)s; with CI set, all)",
    )
    parser.addoption(
        "--foresee",
        choices=("newest", "all", "none"),
        default="newest",
        help="on which firmware each run of a playbook is preceded by one with --check, which must announce the same"
        " (default: %(default)s)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`@pytest.mark.planes("loopback", "namespaces")`: the test runs on each."""
    marker = metafunc.definition.get_closest_marker("planes")
    if marker:
        metafunc.parametrize("plane", marker.args, indirect=True)
    if "firmware" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("firmware").split(",")
        metafunc.parametrize(
            "firmware", chosen[-1:] if metafunc.definition.get_closest_marker("any_firmware") else chosen
        )


@pytest.fixture
def plane(request: pytest.FixtureRequest) -> Callable[[Sequence[Mapping[str, Any]]], Plane]:
    """Makes the plane for these firewalls; loopback unless the test is marked. What cannot run here says why."""
    name = getattr(request, "param", "loopback")
    if name == "loopback":
        return lambda firewalls: Loopback()
    # Where root may not, as in most containers, its own user namespace may do.
    rootless = name == "rootless" or bool(missing(rootless=False))
    reason = missing(rootless)
    if reason and os.environ.get("CI"):
        pytest.fail(f"in CI the plane '{name}' must run: {reason}")
    if reason:
        pytest.skip(f"no network namespaces: {reason}")

    def make(firewalls: Sequence[Mapping[str, Any]]) -> Plane:
        """The tools are there: what IPv6 lacks now is the kernel's, which nobody can install, in CI neither."""
        if any(map(has_ipv6, firewalls)) and kernel_without_ipv6(rootless):
            pytest.skip(f"no IPv6 in network namespaces of this kernel: {kernel_without_ipv6(rootless)}")
        return Namespaces(firewalls, rootless)

    return make


@pytest.fixture(scope="module")
def ca() -> Iterator[AcmeCa]:
    """A fresh CA for each module: Pebble can lock up, more likely the more it remembers.

    It validates at `ca.http_port`: give that port to whatever stands for port 80.
    """
    with AcmeCa(http_port=free_port()) as authority:
        yield authority


@pytest.fixture(scope="session")
def acme2certifier_installed() -> None:
    """Where it cannot be had, tests that need it are skipped."""
    _fetch("acme2certifier")


@pytest.fixture(scope="session")
def caddy_installed() -> None:
    _fetch("caddy")


@pytest.fixture(scope="session")
def awx_collection() -> Path:
    """Where ANSIBLE_COLLECTIONS_PATH finds awx.awx, the real one."""
    _fetch("awx-collection")
    return TOOLS / "awx-collection"


def _fetch(what: str) -> None:
    script = Path(__file__).resolve().parents[1] / "scripts" / f"fetch-{what}.sh"
    done = subprocess.run([script, TOOLS], capture_output=True, text=True, timeout=110)
    if done.returncode:
        pytest.skip(f"no {what} here: {done.stderr.strip().splitlines()[-1:]}")


@pytest.fixture(scope="session")
def consoles() -> None:
    """Emulated consoles of firewalls behind SSH. Skips where there can be none; in CI they must run."""
    _must_be_had("an emulated console", no_console())


@pytest.fixture(scope="session")
def nginx_installed() -> None:
    """A real web server to be had as lab.console.Httpd. Skips where there is none; in CI it must be had."""
    _must_be_had("nginx", Httpd.fetch())


@pytest.fixture(scope="module")
def shell_box(consoles: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A firewall that is reached by SSH alone."""
    _must_be_had("a network namespace", missing(rootless=False))
    with Box(tmp_path_factory.mktemp("box") / "console") as made:
        yield made


def _must_be_had(what: str, reason: str) -> None:
    if reason and os.environ.get("CI"):
        pytest.fail(f"in CI {what} must be had: {reason}")
    if reason:
        pytest.skip(f"not {what} here: {reason}")


@pytest.fixture(scope="module")
def island() -> Iterator[Island]:
    """A network with a port 80 to give away; skips where the kernel allows none."""
    try:
        with Island() as made:
            yield made
    except NoIsland as error:
        pytest.skip(f"no network of our own here: {error}")


@pytest.fixture(scope="session")
def collection_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as a user gets it: built, and installed by ansible-galaxy."""
    return collection.install(tmp_path_factory.mktemp("galaxy"))


@pytest.fixture
def playbook(collection_path: Path, tmp_path: Path) -> Callable[..., PlaybookResult]:
    """`run_playbook` with the installed collection, in a directory of the test's own."""

    def run(plays: Any, **options: Any) -> PlaybookResult:
        return run_playbook(plays, **{"collection_path": collection_path, "workdir": tmp_path / "run", **options})

    return run
