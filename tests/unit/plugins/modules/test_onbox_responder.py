# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that has a firewall answer the CA by itself, and ends that."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.modules import onbox_responder

from lab.console import PASSWORD, Console
from lab.ports import free_port, is_open

PRINT = "t" * 43
TOKEN = "abcdefghijklmnopqrstuvwxyz_-0123456789"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def task(consoles: None, tmp_path: Path, port: int) -> Iterator[Callable[..., Outcome]]:
    with Console(tmp_path / "console") as console:
        pin = [console.fingerprint]
        ssh = {"host": console.address, "port": console.port, "password": PASSWORD, "fingerprint": pin}

        def run(check: bool = False, **options: Any) -> Outcome:
            arguments = onbox_responder.ARGUMENTS
            given = {"ssh": ssh, "port": port, "run_id": "run1", "thumbprint": PRINT, **options}
            checked = ArgumentSpecValidator(arguments.spec, **arguments.rules()).validate(given)
            assert checked.error_messages == []
            return onbox_responder.run(checked.validated_parameters, check)

        yield run
        assert not is_open("127.0.0.1", port)


def answer(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/.well-known/acme-challenge/{TOKEN}", timeout=5) as reply:
        return str(reply.read().decode())


def test_started_once_and_stopped_once(task: Callable[..., Outcome], port: int) -> None:
    foreseen = task(check=True)
    assert (foreseen.changed, foreseen.facts["pid"], is_open("127.0.0.1", port)) == (True, 0, False)
    started = task()
    assert (started.changed, answer(port)) == (True, f"{TOKEN}.{PRINT}")
    assert (started.before, started.after) == ({"state": "stopped"}, {"state": "started"})
    for check in (True, False):
        again = task(check=check)
        assert (again.changed, again.facts["pid"]) == (False, started.facts["pid"])
    assert not task(check=True, state="stopped", run_id="run2").changed
    assert task(check=True, state="stopped").changed
    assert answer(port) == f"{TOKEN}.{PRINT}"
    assert task(state="stopped").changed
    assert not task(state="stopped").changed


def test_stopped_whoever_needs_it(task: Callable[..., Outcome], port: int) -> None:
    task()
    task(run_id="run2")
    assert not task(state="stopped").changed
    assert answer(port) == f"{TOKEN}.{PRINT}"
    assert task(state="stopped", run_id="*").changed


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"thumbprint": "short"}, "'short' is not a thumbprint"),
        ({"port": 0}, "0 is not a port"),
        ({"lease": 0}, "a lease of 0 s is none"),
        ({"run_id": "*"}, r"the run_id is '\*'"),
    ],
)
def test_what_cannot_be(task: Callable[..., Outcome], options: dict[str, Any], told: str) -> None:
    with pytest.raises(CertfleetError, match=told):
        task(**options)
