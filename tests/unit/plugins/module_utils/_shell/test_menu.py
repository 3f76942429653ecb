# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the login through the console's menu to the shell, whatever the menu is like."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.session import shell

from lab.console import PASSWORD
from lab.processes import wait_until
from unit.plugins.module_utils._shell.conftest import Make

BANNER = """
##############################################
# Authorised use only. Enter your number: #1 #
# 1. Be careful   3. Be polite               #
##############################################
Do not continue if you may not. #
"""
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "banner": {"banner": BANNER},
    "terms": {"terms": "y/n"},
    "terms spelt out": {"terms": "yes/no"},
    "terms by key": {"terms": "y/n", "keys": "single"},
    "a pause": {"pause": True},
    "slow": {"slow": "0.15"},
    "other numbers": {"wording": "numbers"},
    "other language": {"wording": "foreign"},
    "other language by key": {"wording": "foreign", "keys": "single"},
    "no list": {"wording": "bare"},
    "single keys": {"keys": "single"},
    "slow single keys": {"keys": "single", "slow": "0.08"},
    "leads back": {"returns": 2},
    "leads back by key": {"returns": 2, "keys": "single"},
    "not understood": {"invalid": 2},
    "not understood by key": {"invalid": 2, "keys": "single"},
    "high availability": {"ha": True},
    "password again": {"password": PASSWORD},
    "everything": {
        "banner": BANNER,
        "terms": "yes/no",
        "pause": True,
        "ha": True,
        "returns": 1,
        "invalid": 1,
        "password": PASSWORD,
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_the_way_in_and_out(console: Make, way: str) -> None:
    made, endpoint = console(**WAYS[way])
    with shell(endpoint) as session:
        assert session.run("echo here").output == "here\n"
        assert made.events()[-1] == "shell"
    assert "shell left" in made.events()
    chosen = {event.removeprefix("chose ") for event in made.events() if event.startswith("chose ")}
    assert chosen <= {"5", "3", "0", "y", ""} | ({"4", "2"} if way == "other numbers" else set())
    wait_until(lambda: made.processes() == [], 10, lambda: f"left behind: {made.processes()}")


def test_out_even_if_the_block_fails(console: Make) -> None:
    made, endpoint = console()
    with pytest.raises(ZeroDivisionError), shell(endpoint):
        raise ZeroDivisionError
    assert made.events()[-2:] == ["shell left", "chose 0"]


def lost(console: Make, **ways: Any) -> tuple[str, list[str]]:
    made, endpoint = console(**ways)
    with pytest.raises(CertfleetError) as caught, shell(dataclasses.replace(endpoint, timeout=6.0)):
        pass
    assert caught.value.stage == "shell"
    assert PASSWORD not in str(caught.value) + repr(caught.value.details)
    wait_until(lambda: made.processes() == [], 10, lambda: f"left behind: {made.processes()}")
    return str(caught.value), made.events()


def test_a_menu_that_never_answers(console: Make) -> None:
    said, _ = lost(console, silent="updating \x1b[5mdatabase\x1b[0m\x07")
    assert "led to no shell within 6 s" in said
    assert "Please wait: updating database\n" in said


def test_a_menu_that_never_lets_go(console: Make) -> None:
    said, events = lost(console, returns=10000)
    assert "Select Menu Number" in said
    assert len(events) < 40


def test_a_reset_where_the_shell_should_be(console: Make) -> None:
    said, events = lost(console, wording="harmful")
    assert "something else under 3" in said
    assert "chose 3" not in events


def test_a_password_that_the_console_refuses(console: Make) -> None:
    """It shows what was typed; the message does not."""
    said, _ = lost(console, password="another one")
    assert "Access denied for '********'" in said
