# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told comes in its order, and never holds up who tells it."""

from __future__ import annotations

import threading

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._progress import some, tell
from ansible_collections.certfleet.sophos_xgs.plugins.plugin_utils._telling import telling


def test_lines_have_time_and_firewall_and_are_all_there_at_the_end():
    shown = []
    with telling("fw1", shown.append):
        for number in range(100):
            tell("order", str(number))
    assert [line[8:] for line in shown] == [f" fw1: order: {number}" for number in range(100)]
    tell("close", "nobody listens any more")
    assert len(shown) == 100


def test_a_screen_that_stands_still_holds_up_nobody():
    moves, shown = threading.Event(), []

    def show(line):
        moves.wait(60)
        shown.append(line)

    with telling("fw1", show):
        tell("open", "port 80")
        tell("close", "port 80")
        assert shown == []
        moves.set()
    assert len(shown) == 2


def test_a_failure_passes_and_what_was_told_is_shown():
    shown = []
    try:
        with telling("fw1", shown.append):
            tell("order", "OWA")
            raise KeyError
    except KeyError:
        assert len(shown) == 1


def test_a_line_has_an_end_however_many_names():
    assert some(["a"]) == "a"
    assert some("abc") == "a, b, c"
    assert some(str(number) for number in range(100)) == "0, 1, 2 and 97 more"
