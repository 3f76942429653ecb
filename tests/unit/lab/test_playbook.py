# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook runner reads results as ansible prints them, and ends what hangs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab.playbook import PlaybookTimeout, clean_environment, run_playbook

PLAYS = [
    {
        "hosts": "all",
        "gather_facts": False,
        "connection": "local",
        "tasks": [
            {"ansible.builtin.debug": {"msg": "{{ greeting }} from {{ inventory_hostname }}"}, "changed_when": "loud"},
            {"ansible.builtin.fail": {"msg": "as asked"}, "when": "inventory_hostname == 'fw2'"},
        ],
    }
]
INVENTORY = {"all": {"hosts": {"fw1": {"loud": True}, "fw2": {"loud": False}}}}


def test_results_and_recap(tmp_path: Path) -> None:
    result = run_playbook(
        PLAYS, collection_path=tmp_path, workdir=tmp_path, inventory=INVENTORY, extra_vars={"greeting": "hello"}
    )
    assert result.rc == 2
    assert "hello from fw1" in result.stdout
    assert result.host("fw1") | {"ok": 1, "changed": 1, "failed": 0} == result.host("fw1")
    assert result.host("fw2") | {"ok": 1, "changed": 0, "failed": 1} == result.host("fw2")
    assert (result.changed, result.failed) == (1, 1)
    assert "\x1b[" not in result.stdout
    with pytest.raises(AssertionError, match="as asked"):
        result.check()


def test_a_hanging_playbook_is_ended(tmp_path: Path) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.pause": {"seconds": 60}}]}]
    inventory = {"all": {"hosts": {"localhost": {"ansible_connection": "local"}}}}
    started = time.monotonic()
    with pytest.raises(PlaybookTimeout, match="not done after 3 s"):
        run_playbook(plays, collection_path=tmp_path, workdir=tmp_path, inventory=inventory, timeout=3)
    assert time.monotonic() - started < 20


def test_no_setting_of_the_caller_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    monkeypatch.setenv("XGS_PASSWORD", "from outside")
    environment = clean_environment(tmp_path, tmp_path)
    assert not {"ANSIBLE_STRATEGY", "XGS_PASSWORD"} & environment.keys()
    assert environment["HOME"].startswith(str(tmp_path))
