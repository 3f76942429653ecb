# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchanges that would have no end are cut, each at its own time, whatever others are under way."""

from __future__ import annotations

import os
import socket
import threading
import time

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._watch import Watch

# Seconds for what must happen at once, on a machine that is busy.
AT_ONCE = 5.0


def reads_nothing(seconds: float, patience: float = 60.0) -> tuple[float, bool]:
    """How long a read took from a peer that never answers, and whether the watch says that it was cut."""
    here, there = socket.socketpair()
    watch = Watch(seconds)
    began = time.monotonic()
    with here, there, watch:
        here.settimeout(patience)
        watch.begin(here)
        assert here.recv(1) == b""
    return time.monotonic() - began, watch.over


def test_the_shorter_ends_first_though_it_began_later() -> None:
    longer = Watch(60)
    here, there = socket.socketpair()
    with here, there, longer:
        longer.begin(here)
        took, over = reads_nothing(0.2)
        assert over
        assert 0.2 <= took < AT_ONCE
        there.sendall(b"x")
        assert here.recv(1) == b"x", "the other goes on"
        assert not longer.over


def test_what_has_ended_is_not_cut() -> None:
    here, there = socket.socketpair()
    watch = Watch(0.2)
    with here, there:
        with watch:
            watch.begin(here)
        assert reads_nothing(0.4)[1], "the time of the first is over too"
        there.sendall(b"x")
        assert here.recv(1) == b"x"
        assert not watch.over


def test_many_at_once_need_one_thread() -> None:
    before = threading.active_count()
    pairs = [socket.socketpair() for _ in range(50)]
    watches = [Watch(0.5) for _ in pairs]
    for watch, (here, _there) in zip(watches, pairs, strict=True):
        watch.begin(here)
    assert threading.active_count() <= before + 1
    for here, there in pairs:
        here.settimeout(60)
        assert here.recv(1) == b""
        here.close()
        there.close()
    assert all(watch.over for watch in watches)


def test_a_child_process_watches_for_itself() -> None:
    """As Ansible's workers do, which are forked while others are at work."""
    here, there = socket.socketpair()
    parent = Watch(60)
    with here, there, parent:
        parent.begin(here)
        child = os.fork()
        if not child:
            os._exit(0 if reads_nothing(0.2, patience=10)[1] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not parent.over
