# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs at once: no port opened twice or closed under another run, no certificate lost. The order is forced."""

from __future__ import annotations

import itertools
import stat
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import new_account_key

from lab import proxy as fault
from lab.entries import certificate, certificates, firewall, waf_rule
from lab.ports import free_port
from lab.processes import wait_until
from lab.proxy import FaultProxy
from lab.waits import Hold, Undecided, meet

# Several runs one after the other, on a machine that may be busy.
pytestmark = [pytest.mark.no_check_run, pytest.mark.any_firmware, pytest.mark.timeout(900)]

PATIENCE = 300
NAMES = ("owa.example.com", "mail.example.com")
OWA = waf_rule("OWA rule", *NAMES)
HOSTS = {"fw1": certificates(certificate("OWA", *NAMES, consumers=["waf:OWA rule"]))}
CLOSE = "certfleet.sophos_xgs.close_ports"


@pytest.fixture
def fleet(make_fleet):
    return make_fleet([firewall(1, OWA)], dict.fromkeys(NAMES, "fw1"))


@pytest.fixture
def ca_proxy(fleet, tmp_path):
    with FaultProxy(fleet.ca.directory_url.rpartition("/")[0], fleet.ca.ca_file, tmp_path / "ca-proxy") as proxy:
        yield proxy


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as made:
        yield made


def through(proxy, **more):
    return {
        "xgs_letsencrypt_directory": proxy.directory_url,
        "xgs_letsencrypt_directory_ca_path": proxy.ca_file,
        **more,
    }


def nat_rules(fleet, name="fw1"):
    return [rule for rule in fleet.emulator.firewall(name)["objects"]["NATRule"] if rule.startswith("certfleet")]


def versions(fleet):
    return [name for name in fleet.emulator.firewall("fw1")["certificates"] if name.startswith("OWA-")]


def assert_served_and_settled(fleet, play, variables):
    """What is bound is there, valid and covers its names; one more run finds or makes it the only version."""
    for name in NAMES:
        shown = fleet.shown("fw1", 8443, name)
        assert shown.trusted
        assert shown.names == list(NAMES)
    state = fleet.emulator.firewall("fw1")
    (bound,) = [use["certificate"] for use in state["bindings"] if use["name"] == "OWA rule"]
    assert bound in state["certificates"]
    assert not [name for names in state["objects"].values() for name in names if name.startswith("certfleet")]
    issued = fleet.ca.issued()
    play(fleet, HOSTS, variables=variables).check()
    assert len(versions(fleet)) == 1
    assert play(fleet, HOSTS, variables=variables).check().changed == 0
    assert fleet.ca.issued() == issued
    assert fleet.shown("fw1", 8443, NAMES[0]).trusted


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first-in-first-out", "last-in-first-out"])
def test_two_runs_have_the_port_open_and_neither_closes_it_for_the_other(fleet, play, ca_proxy, pool, scratch, order):
    """Both wait for the CA at the same time; the port, the NAT rule and the responder last for the second to end."""
    variables = through(ca_proxy)
    play(fleet, HOSTS, variables=variables).check()
    fleet.emulator.reset("fw1")
    before = len(fleet.emulator.firewall("fw1")["open_intervals"])
    orders = Undecided()
    ca_proxy.on(fault.ORDER, orders, times=None)
    runs = []
    for number in range(2):
        forced = {**variables, "xgs_letsencrypt_force": True}
        # One machine: its users share what lies in TMPDIR.
        options = {"place": f"run{number}", "env": {"TMPDIR": str(scratch)}}
        runs.append(pool.submit(play, fleet, HOSTS, variables=forced, **options))
        assert orders.wait(number + 1)
        assert len(nat_rules(fleet)) == 1
        assert fleet.port80("fw1") == "open"
    orders.decide(order[0])
    first = runs[order[0]].result(PATIENCE).check()
    assert fleet.port80("fw1") == "open", "the other's window is still open"
    assert fleet.responder_open()
    assert len(nat_rules(fleet)) == 1
    orders.decide(order[1])
    second = runs[order[1]].result(PATIENCE).check()
    for result in (first, second):
        assert "renewed" in result.stdout
        assert result.failed == 0
    assert not fleet.responder_open()
    intervals = fleet.emulator.firewall("fw1")["open_intervals"][before:]
    for earlier, later in itertools.pairwise(intervals):
        assert earlier["closed_monotonic"] <= later["opened_monotonic"], "never forwarded twice"
    adds = [entry for entry in fleet.emulator.firewall("fw1")["log"] if entry["entity"] == "NATRule"]
    assert [entry["status"] for entry in adds if entry["operation"] == "add"] == ["200"], "one rule for both"
    assert fleet.ca.issued() == 3
    assert_served_and_settled(fleet, play, variables)


# Where the first run stands still, while the second does all of its work: the request's text, and whether it is carried
# out before.
PLACES = {
    "before its upload": ("UploadCertificate", False),
    "before its switch": ('<Set operation="update"><FirewallRule>', False),
    "after its switch, before it has seen it served": ('<Set operation="update"><FirewallRule>', True),
    "before it prunes": ("<Remove><Certificate>", False),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_later_of_two_renewals_is_not_undone(fleet, play, pool, scratch, tmp_path, place):
    """The first run is of another machine: it takes no turns with the second."""
    play(fleet, HOSTS).check()
    state = fleet.emulator.firewall("fw1")
    text, after = PLACES[place]
    hold = Hold(after=after)

    def act(exchange):
        asked = urllib.parse.unquote_plus(exchange.body.decode("latin-1"))
        return hold(exchange) if text in asked and not hold.arrived.is_set() else exchange.forward()

    forced = {"xgs_letsencrypt_force": True}
    url = f"https://{fleet.addresses['fw1']}:{state['admin_port']}"
    with FaultProxy(url, None, tmp_path / "fw-proxy") as proxy:
        proxy.on("/", act, times=None)
        elsewhere = {
            **HOSTS["fw1"],
            "xgs_timeout": 600,
            "ansible_host": proxy.host,
            "ansible_httpapi_port": proxy.port,
            "xgs_fingerprint": proxy.fingerprint,
        }
        options = {"variables": {**forced, "xgs_letsencrypt_verify_timeout": 3}, "env": {"TMPDIR": str(scratch)}}
        slow = pool.submit(play, fleet, {"fw1": elsewhere}, place="slow", **options)
        wait_until(lambda: hold.arrived.is_set() or slow.done(), PATIENCE, lambda: "the first run does not get there")
        assert hold.arrived.is_set(), slow.result().stdout
        quick = play(fleet, HOSTS, variables=forced, place="quick", env={"TMPDIR": str(scratch)}).check()
        assert "renewed" in quick.stdout, quick.stdout
        newest = fleet.shown("fw1", 8443, NAMES[0])
        hold.released.set()
        result = slow.result(PATIENCE)
    shown = fleet.shown("fw1", 8443, NAMES[0])
    assert shown.trusted
    if after:
        assert shown == newest, "what the other run switched to stays"
        assert "somebody else switched it from OWA-" in result.stdout + result.stderr
    if result.rc:
        assert "another run" in result.stdout
    assert_served_and_settled(fleet, play, {})


def test_close_ports_leaves_a_living_run_alone(fleet, play, ca_proxy, pool, scratch):
    orders = Undecided()
    ca_proxy.on(fault.ORDER, orders, times=None)
    run = pool.submit(play, fleet, HOSTS, variables=through(ca_proxy), env={"TMPDIR": str(scratch)})
    assert orders.wait(1)
    play(fleet, {"fw1": {}}, CLOSE, place="janitor").check()
    assert fleet.port80("fw1") == "open"
    orders.decide(0)
    run.result(PATIENCE).check()
    assert fleet.shown("fw1", 8443, NAMES[0]).trusted


def test_a_state_directory_is_one_runs_at_a_time(fleet, play, ca_proxy, pool, scratch, tmp_path):
    """The second says so, opens nothing and orders nothing; the next one finds all done."""
    variables = through(ca_proxy, xgs_letsencrypt_state_dir=str(tmp_path / "state"))
    options = {"variables": variables, "env": {"TMPDIR": str(scratch)}}
    orders = Undecided()
    ca_proxy.on(fault.ORDER, orders, times=None)
    run = pool.submit(play, fleet, HOSTS, place="first", **options)
    assert orders.wait(1)
    writes = fleet.writes()
    second = play(fleet, HOSTS, place="second", **options)
    assert second.rc != 0, "there is no certificate yet: an alarm"
    assert "is at work in" in second.stdout
    assert fleet.writes() == writes
    assert fleet.port80("fw1") == "open"
    assert fleet.responder_open()
    orders.decide(0)
    run.result(PATIENCE).check()
    assert play(fleet, HOSTS, **options).check().changed == 0
    assert fleet.ca.issued() == 1
    assert ca_proxy.count(fault.NEW_ORDER) == 1


def test_two_runs_that_make_the_account_key_at_once(fleet, play, ca_proxy, pool, scratch):
    """One key, one account; with two, the responder of the one would refuse the other."""
    ca_proxy.on("/dir", meet(2), method="GET", times=2)
    ca_proxy.on(fault.NEW_ACCOUNT, meet(2), times=2)
    variables = through(ca_proxy)
    options = {"variables": variables, "env": {"TMPDIR": str(scratch)}}
    # Of one certificate the one run would prune what the other has just uploaded.
    other = {"fw1": certificates(certificate("spare", *NAMES))}
    runs = [pool.submit(play, fleet, hosts, place=f"run{at}", **options) for at, hosts in enumerate((HOSTS, other))]
    for run in runs:
        run.result(PATIENCE).check()
    assert ca_proxy.statuses(fault.NEW_ACCOUNT).count(201) == 1
    key = fleet.workdir / "account.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not [path for path in key.parent.iterdir() if path.name.startswith(".certfleet-")]
    assert_served_and_settled(fleet, play, variables)


@pytest.fixture
def slices(make_fleet):
    return make_fleet(
        [firewall(number, waf_rule("Web", f"slice{number}.example.com")) for number in range(1, 5)],
        {f"slice{number}.example.com": f"fw{number}" for number in range(1, 5)},
    )


def test_two_slices_of_a_job_share_nothing_but_the_account(slices, play, pool, tmp_path):
    """As AWX cuts an inventory: each slice in a container of its own, and both register the account at once."""
    fleet = slices
    hosts = {
        f"fw{number}": certificates(certificate("web", f"slice{number}.example.com", consumers=["waf:Web"]))
        for number in range(1, 5)
    }
    key = new_account_key().decode()
    parts = [
        ("fw1,fw2", {"xgs_letsencrypt_account_key_content": key}, {}),
        ("fw3,fw4", {}, {"ACME_ACCOUNT_KEY": key}),
    ]
    url = fleet.ca.directory_url.rpartition("/")[0]
    with FaultProxy(url, fleet.ca.ca_file, tmp_path / "ca-proxy") as proxy:
        proxy.on(fault.NEW_ACCOUNT, meet(2), times=2)
        # All four validations at once.
        proxy.on(fault.CHALLENGE, meet(4), times=4)
        runs = []
        for limit, variables, env in parts:
            own = {"xgs_letsencrypt_responder_port": free_port(), **variables}
            options = {"place": f"slice-{limit}", "flags": ["--limit", limit], "env": env}
            runs.append(pool.submit(play, fleet, hosts, variables=through(proxy, **own), **options))
        results = [run.result(PATIENCE).check() for run in runs]
        assert proxy.statuses(fault.NEW_ACCOUNT).count(201) == 1
    for (limit, _variables, _env), result in zip(parts, results, strict=True):
        assert sorted(result.recap) == limit.split(",")
        assert result.stdout.count(" renewed") == 2
    for number in range(1, 5):
        state = fleet.emulator.firewall(f"fw{number}")
        assert len(state["open_intervals"]) == 1
        assert fleet.shown(f"fw{number}", 8443, f"slice{number}.example.com").trusted
    assert fleet.ca.issued() == 4
    kept = [path for place in tmp_path.glob("slice-*") for path in place.rglob("*account*")]
    assert kept == [], "a key that came from outside stays there"
