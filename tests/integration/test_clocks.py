# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks that disagree or change to summer time, leases that end too early: the port opens, and shuts by itself."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from lab import proxy as fault
from lab.entries import certificate, certificates, firewall, waf_rule
from lab.proxy import FaultProxy
from lab.waits import Undecided

# Several runs one after the other, on a machine that may be busy.
pytestmark = [pytest.mark.no_check_run, pytest.mark.any_firmware, pytest.mark.timeout(600)]

PATIENCE = 300
NAME = "owa.example.com"
HOSTS = {"fw1": certificates(certificate("OWA", NAME, consumers=["waf:OWA rule"]))}
HOUR = 3600
# ansible-playbook's own time, in which all of the collection runs, as on a machine whose clock is wrong.
WRONG_CLOCK = """
import datetime
import os
import sys
import time

_AHEAD = float(os.environ["LAB_CLOCK_AHEAD"])
_time = time.time


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=_AHEAD)

    @classmethod
    def utcnow(cls):
        return super().utcnow() + datetime.timedelta(seconds=_AHEAD)


# Ansible writes it into modules by its repr().
_Datetime.__name__ = "datetime.datetime"

if any(word.endswith("ansible-playbook") for word in sys.orig_argv):
    datetime.datetime = _Datetime
    time.time = lambda: _time() + _AHEAD
"""


@pytest.fixture
def fleet(make_fleet):
    return make_fleet([firewall(1, waf_rule("OWA rule", NAME))], {NAME: "fw1"})


@pytest.fixture
def ca_proxy(fleet, tmp_path):
    with FaultProxy(fleet.ca.directory_url.rpartition("/")[0], fleet.ca.ca_file, tmp_path / "ca-proxy") as proxy:
        yield proxy


@pytest.fixture
def wrong_clock(tmp_path):
    """The environment of a control node that is so many seconds ahead."""

    def make(ahead):
        (tmp_path / "wrong").mkdir(exist_ok=True)
        (tmp_path / "wrong/sitecustomize.py").write_text(WRONG_CLOCK)
        return {"PYTHONPATH": str(tmp_path / "wrong"), "LAB_CLOCK_AHEAD": str(ahead)}

    return make


def through(proxy, **more):
    return {
        "xgs_letsencrypt_directory": proxy.directory_url,
        "xgs_letsencrypt_directory_ca_path": proxy.ca_file,
        # The responder's process does not see the wrong clock: it takes no environment.
        "xgs_letsencrypt_responder_lease": 86400,
        **more,
    }


def schedule(fleet):
    """Start and end of the lease on the firewall, in its own time."""
    (found,) = [
        ElementTree.fromstring(text)
        for name, text in fleet.emulator.objects("fw1", "Schedule").items()
        if name.startswith("certfleet")
    ]
    return [datetime.fromisoformat(found.findtext(f".//{tag}")) for tag in ("StartDate", "EndDate")]


def nothing_of_ours(fleet):
    objects = fleet.emulator.firewall("fw1")["objects"].values()
    return not [name for names in objects for name in names if name.startswith("certfleet")]


# Seconds by which control node and firewall are ahead of the CA.
@pytest.mark.parametrize(("here", "there"), [(5 * HOUR, 0), (-5 * HOUR, 0), (0, 5 * HOUR), (0, -5 * HOUR)])
def test_a_clock_that_is_hours_wrong(fleet, play, ca_proxy, wrong_clock, here, there):
    """The lease goes by the firewall's clock, certificates by the CA's: whose is wrong does not matter, and is said."""
    fleet.emulator.settings("fw1", clock_offset=there)
    orders = Undecided()
    ca_proxy.on(fault.ORDER, orders, times=None)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(play, fleet, HOSTS, variables=through(ca_proxy), env=wrong_clock(here) if here else {})
        assert orders.wait(1)
        assert fleet.port80("fw1") == "open"
        start, end = schedule(fleet)
        now = (datetime.now(timezone.utc) + timedelta(seconds=there)).astimezone(ZoneInfo("Europe/Berlin"))
        now = now.replace(tzinfo=None)
        assert start <= now <= end <= now + timedelta(seconds=900 + 900)
        # Whoever looks after the run was killed finds the port shut when the lease is over.
        fleet.emulator.settings("fw1", clock_offset=there + HOUR)
        assert fleet.port80("fw1") == "refused"
        fleet.emulator.settings("fw1", clock_offset=there)
        orders.decide(0)
        result = run.result(PATIENCE).check()
    said = " ".join((result.stdout + result.stderr).split())
    assert re.search(r"the clock of this machine is \d+ s (behind|ahead of) the firewall's", said)
    assert fleet.shown("fw1", 8443, NAME).trusted
    assert fleet.port80("fw1") == "refused"
    assert nothing_of_ours(fleet)


def offset_to(moment):
    return (datetime.fromisoformat(moment).replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)).total_seconds()


# Ten minutes before the clocks of Berlin are set, both ways.
@pytest.mark.parametrize("moment", ["2027-03-28T00:50:00", "2027-10-31T00:50:00"], ids=["spring", "autumn"])
def test_the_firewalls_clocks_are_set_within_a_lease(fleet, launch, play, ca_proxy, moment):
    """The port stays open over the change and shuts with the lease, though nobody closes it: the run is killed."""
    begun = offset_to(moment)
    fleet.emulator.settings("fw1", clock_offset=begun)
    orders = Undecided()
    ca_proxy.on(fault.ORDER, orders, times=None)
    run = launch(fleet, HOSTS, variables=through(ca_proxy))
    assert orders.wait(1)
    for minutes in (0, 9, 11, 14):
        fleet.emulator.settings("fw1", clock_offset=begun + 60 * minutes)
        assert fleet.port80("fw1") == "open", minutes
    run.kill_all()
    orders.decide(0)
    # An hour is added where the clocks change.
    fleet.emulator.settings("fw1", clock_offset=begun + 2.75 * HOUR)
    assert fleet.port80("fw1") == "refused"
    play(fleet, {"fw1": {}}, "certfleet.sophos_xgs.close_ports").check()
    assert nothing_of_ours(fleet)
    fleet.emulator.settings("fw1", clock_offset=begun + 24 * HOUR)
    play(fleet, HOSTS).check()
    assert fleet.shown("fw1", 8443, NAME).trusted


@pytest.mark.parametrize("swept", [False, True], ids=["", "and the janitor comes"])
def test_a_lease_that_ends_during_an_order(fleet, play, ca_proxy, swept):
    """The validation fails, nothing stays open, and the message says what to raise. The next run succeeds."""
    orders = Undecided()
    ca_proxy.on(fault.ORDER, orders, times=None)

    def an_hour_later(exchange):
        fleet.emulator.settings("fw1", clock_offset=HOUR)
        return exchange.forward()

    ca_proxy.on(fault.CHALLENGE, an_hour_later)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(play, fleet, HOSTS, variables=through(ca_proxy))
        assert orders.wait(1)
        assert fleet.port80("fw1") == "refused"
        if swept:
            play(fleet, {"fw1": {}}, "certfleet.sophos_xgs.close_ports", place="janitor").check()
            assert nothing_of_ours(fleet)
        orders.decide(0)
        result = run.result(PATIENCE)
    assert result.rc != 0
    assert re.search(r"fw1: OWA: order: .*raise\s+lease \(in the role: xgs_letsencrypt_lease\)", result.stdout)
    assert nothing_of_ours(fleet)
    ca_proxy.reset()
    play(fleet, HOSTS, variables=through(ca_proxy)).check()
    assert fleet.shown("fw1", 8443, NAME).trusted
