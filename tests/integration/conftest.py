# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet for each test, and the playbook run on it as a user runs it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from emulator.personas import LATEST
from lab.ending import Run
from lab.fleet import Fleet
from lab.foresight import compare, foresee
from lab.jobs import Job
from lab.pebble import AcmeCa
from lab.plane import Plane
from lab.playbook import PlaybookResult, prepare, run_playbook

# Below a test's directory: what Ansible and the test itself write, and the logs of servers.
NOT_OURS = (
    ".ansible",
    "tmp",
    "ca",
    "proxy",
    "staging",
    "inventory.yml",
    "playbook.yml",
    "fleet.json",
    "extra_vars.json",
    "ansible.cfg",
)
RENEW = "certfleet.sophos_xgs.renew"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/integration" in str(item.path):
            item.add_marker(pytest.mark.integration)
            # Each run of a playbook is preceded by its check, on a machine that may be busy.
            item.add_marker(pytest.mark.timeout(300))
    # What a plane adds does not depend on the firmware.
    items[:] = [item for item in items if _chosen(getattr(item, "callspec", None))]


def _chosen(callspec: Any) -> bool:
    params = callspec.params if callspec else {}
    return params.get("plane", "loopback") == "loopback" or params.get("firmware", LATEST) == LATEST


@pytest.fixture
def make_fleet(tmp_path: Path, plane: Callable[..., Plane], firmware: str) -> Iterator[Callable[..., Fleet]]:
    """`make_fleet(firewalls, names)`; afterwards no port 80 and no responder may be left open.

    A port that the WAF redirects from is the test's own to look at.
    """
    with ExitStack() as stack:
        fleets = []

        def make(firewalls: Sequence[Mapping[str, Any]], names: Mapping[str, str], **options: Any) -> Fleet:
            workdir = tmp_path / f"fleet{len(fleets)}"
            boxes = [{"firmware": firmware, **firewall} for firewall in firewalls]
            fleets.append(stack.enter_context(Fleet(boxes, workdir, names, plane=plane(boxes), **options)))
            return fleets[-1]

        yield make
        for fleet in fleets:
            assert [name for name, state in fleet.all_port80().items() if state == "open"] == fleet.redirecting
            assert not fleet.responder_open()


@pytest.fixture
def add_staging(tmp_path: Path) -> Iterator[Callable[[Fleet, Iterable[str]], tuple[AcmeCa, dict[str, str]]]]:
    """`add_staging(fleet, names)`: a staging CA beside the fleet's own, and the variables that name it.

    It trusts what it validated once, as Let's Encrypt's does.
    """
    with ExitStack() as stack:

        def add(fleet: Fleet, names: Iterable[str]) -> tuple[AcmeCa, dict[str, str]]:
            ca = stack.enter_context(AcmeCa(tmp_path / "staging", http_port=fleet.http_port, authz_reuse=100))
            for name in names:
                ca.add_a(name, fleet.addresses["fw1"])
            # Both CAs' servers are verified by one file.
            both = tmp_path / "cas.pem"
            both.write_text("".join(Path(path).read_text() for path in (fleet.ca.ca_file, ca.ca_file)))
            return ca, {
                "xgs_letsencrypt_staging_directory": ca.directory_url,
                "xgs_letsencrypt_directory_ca_path": str(both),
            }

        yield add


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A place for temporary files that a test looks through. Its name is short: ansible-core makes sockets there."""
    with tempfile.TemporaryDirectory(prefix="cf-") as directory:
        yield Path(directory)


@pytest.fixture
def play(
    collection_path: Path, tmp_path: Path, firmware: str, request: pytest.FixtureRequest
) -> Callable[..., PlaybookResult]:
    """`play(fleet, hosts, playbook=…)`: run a playbook on hosts of a fleet; variables go to the group.

    Before that it is run with --check, on the newest firmware (`--foresee` says on which). `unforeseen` are the names
    of tasks that undo what an earlier task of the playbook does: to check mode there is nothing to undo.
    Runs in another `place` have another HOME, TMPDIR and inventory, as on another machine. They are made beside others,
    so that nothing could be said of what check mode left alone: they go without. So do runs that are not to be
    `foreseen`, because check mode would use up a fault that strikes once, or leave traces of its own to those that look
    for traces; and all of a test that is marked `no_check_run`.
    """
    on = "none" if request.node.get_closest_marker("no_check_run") else request.config.getoption("foresee")
    foreseen_on = {"newest": (LATEST,), "all": (firmware,), "none": ()}[on]

    def run(
        fleet: Fleet,
        hosts: Mapping[str, Mapping[str, Any]],
        playbook: Any = RENEW,
        others: Mapping[str, Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
        unforeseen: Container[str] = (),
        flags: Sequence[str] = (),
        place: str = "run",
        foreseen: bool = True,
        **options: Any,
    ) -> PlaybookResult:
        inventory = fleet.inventory(hosts, **(variables or {}))
        inventory["all"]["hosts"] = dict(others or {})

        def once(*more: str) -> PlaybookResult:
            return run_playbook(
                playbook,
                collection_path=collection_path,
                workdir=tmp_path / place,
                inventory=inventory,
                machine=fleet.plane.control,
                flags=[*flags, *more],
                **options,
            )

        if not foreseen or firmware not in foreseen_on or "--check" in flags or place != "run":
            return once()
        (tmp_path / place / "home").mkdir(parents=True, exist_ok=True)
        check = foresee(lambda: once("--check", "--diff"), fleet, tmp_path, NOT_OURS)
        result = once()
        compare(check, result, unforeseen)
        return result

    return run


@pytest.fixture
def job(collection_path: Path) -> Callable[..., Job]:
    """`job(playbook, inventory, env)`: a job of AWX; see there."""

    def make(*arguments: Any, **options: Any) -> Job:
        return Job(*arguments, collection_path=collection_path, **options)

    return make


@pytest.fixture
def launch(collection_path: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """`launch(fleet, hosts)`: the renewal, for tests that end it before it is done; as `play()` else."""
    with ExitStack() as stack:

        def start(
            fleet: Fleet, hosts: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any] | None = None
        ) -> Run:
            command, environment = prepare(
                RENEW,
                collection_path=collection_path,
                workdir=tmp_path / "run",
                inventory=fleet.inventory(hosts, **(variables or {})),
                machine=fleet.plane.control,
            )
            run = Run(command, environment, tmp_path / "launched.log")
            stack.callback(run.kill_all)
            return run

        yield start
