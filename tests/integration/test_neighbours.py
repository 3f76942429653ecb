# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad firewalls and a bad certificate among good ones: who is good has what he would have without them."""

from __future__ import annotations

import re
import socket
from datetime import datetime

import pytest

from lab.entries import certificate, certificates, firewall, waf_rule

# Two runs, and what hangs in the second.
pytestmark = [pytest.mark.no_check_run, pytest.mark.any_firmware, pytest.mark.timeout(600)]

GOOD = (6, 7, 8, 9, 10)
SLOW = 3
# Seconds: an exchange of the firewall that never answers.
TIMEOUT = 8
# What the CA, Ansible and a busy machine take beside, generously.
SLACK = 240


def name(number):
    return f"neighbour{number}.example.com"


def host(number, **more):
    return certificates(certificate("web", name(number), consumers=["waf:Web"]), **more)


def outcome(fleet, offset=0):
    """Of each good one: what is shown, how often the port was open, and what was written."""
    found = {}
    for number in GOOD:
        state = fleet.emulator.firewall(f"fw{number + offset}")
        writes = [
            (entry["operation"], entry["entity"], entry["status"])
            for entry in state["log"]
            if entry["operation"] not in ("get", "login")
        ]
        shown = fleet.shown(f"fw{number + offset}", 8443, name(number))
        found[number] = (shown.trusted, shown.names, len(state["open_intervals"]), writes)
    return found


def a_fleet(make_fleet, numbers, offset=0):
    boxes = [firewall(number + offset, waf_rule("Web", name(number))) for number in numbers]
    return make_fleet(boxes, {name(number): f"fw{number + offset}" for number in (SLOW, *GOOD) if number in numbers})


@pytest.fixture
def deaf():
    """A port that takes connections, and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def test_bad_neighbours_change_nothing_for_the_good(make_fleet, play, deaf):
    alone = a_fleet(make_fleet, GOOD, offset=20)
    play(alone, {f"fw{number + 20}": host(number) for number in GOOD}).check()
    wanted = outcome(alone, offset=20)

    fleet = a_fleet(make_fleet, range(1, 12))
    faults = {
        1: {"kind": "refuse", "seconds": 0},
        SLOW: {"kind": "slow", "seconds": 0.3, "count": 0},
        4: {"kind": "html", "count": 0},
        5: {"kind": "timeout", "count": 0},
    }
    for number, what in faults.items():
        fleet.emulator.add_faults(f"fw{number}", what)
    hosts = {f"fw{number}": host(number) for number in range(1, 12)}
    hosts["fw2"].update({"ansible_host": "127.0.0.1", "ansible_httpapi_port": deaf, "xgs_connect_timeout": 5})
    hosts["fw4"]["xgs_timeout"] = TIMEOUT
    hosts["fw5"]["xgs_timeout"] = TIMEOUT
    hosts["fw6"]["xgs_letsencrypt_certificates"] = [
        *hosts["fw6"]["xgs_letsencrypt_certificates"],
        certificate("lost", "nowhere.neighbours.test"),
    ]
    hosts["fw11"]["ansible_password"] = "wrong"
    result = play(fleet, hosts)
    assert result.rc != 0

    says = {
        "fw1": r"fw1: plan: no connection to ",
        "fw2": r"fw2: plan: no connection to .*no TLS handshake within 5 s",
        "fw4": r"fw4: plan: .*with HTTP status 200 and a page",
        "fw5": r"fw5: plan: no answer from .* within 8 s",
        "fw6": r"fw6: lost: order: .*nowhere\.neighbours\.test",
        "fw11": r"fw11: plan: the firewall does not accept user name and password",
    }
    assert {each for each in result.recap if result.host(each)["failed"]} == set(says)
    for text in says.values():
        assert re.search(text, result.stdout), f"nothing says {text}\n{result.stdout}"
    assert re.search(r"fw3 +web +renewed", result.stdout), "slow is not bad"
    assert fleet.shown("fw3", 8443, name(SLOW)).trusted

    found = outcome(fleet)
    for number in GOOD:
        assert found[number] == wanted[number], f"fw{number}"
        log = [entry for entry in fleet.emulator.firewall(f"fw{number}")["log"] if entry["operation"] != "login"]
        first, last = (datetime.fromisoformat(log[at]["time"]) for at in (0, -1))
        assert (last - first).total_seconds() < TIMEOUT + SLACK
