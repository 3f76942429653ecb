# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Under ansible-runner, the engine of AWX: jobs that find nothing of earlier ones, cut into slices, and cancelled."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import new_account_key

from lab import proxy as fault
from lab.entries import certificate, certificates, firewall, waf_rule
from lab.fleet import PASSWORD
from lab.jobs import slices
from lab.leaks import Secrets
from lab.ports import free_port
from lab.proxy import FaultProxy
from lab.waits import Undecided

pytestmark = [pytest.mark.any_firmware, pytest.mark.timeout(600)]


@pytest.fixture
def account():
    """What the injector of the account's credential type makes of it."""
    return {"ACME_ACCOUNT_KEY": new_account_key().decode()}


@pytest.fixture
def sites(make_fleet):
    """`sites(prefix, count)`: that many firewalls with a site each, and their part of an inventory."""

    def make(prefix, count):
        names = {f"fw{number}": f"{prefix}{number}.example.com" for number in range(1, count + 1)}
        boxes = [firewall(number, waf_rule("Web", names[f"fw{number}"])) for number in range(1, count + 1)]
        fleet = make_fleet(boxes, {name: host for host, name in names.items()})
        hosts = {host: certificates(certificate("web", name, consumers=["waf:Web"])) for host, name in names.items()}
        return fleet, names, hosts

    return make


def nothing_of_ours(fleet, host):
    objects = fleet.emulator.firewall(host)["objects"]
    return not [name for names in objects.values() for name in names if name.startswith("certfleet")]


def test_jobs_that_find_nothing_of_earlier_ones(sites, job, account):
    """No file, no state, no account's address: what the firewalls hold decides, and the account is found by its key."""
    fleet, names, hosts = sites("job", 3)
    (inventory,) = slices(fleet.inventory(hosts), 1)
    jobs = []

    def run(playbook):
        with job(playbook, inventory, account) as started:
            jobs.append(started.result())
        return jobs[-1]

    fleet.emulator.settings("fw3", api_enabled=False)
    first = run("renew")
    assert first.status == "failed", first.stdout
    assert first.outcomes == {"fw1": ["renewed"], "fw2": ["renewed"], "fw3": ["failed"]}
    (failed,) = first.of_kind("runner_on_failed")
    assert failed["event_data"]["host"] == "fw3"
    assert "fw3: plan: the API is off" in failed["event_data"]["res"]["msg"]
    assert list(first.stats["failures"]) == ["fw3"]
    assert fleet.ca.issued() == 2
    assert all(fleet.shown(host, 8443, names[host]).trusted for host in ("fw1", "fw2"))

    fleet.emulator.settings("fw3", api_enabled=True)
    second = run("renew").check()
    assert second.outcomes == {"fw1": ["unchanged"], "fw2": ["unchanged"], "fw3": ["renewed"]}
    assert fleet.ca.issued() == 3
    assert fleet.shown("fw3", 8443, names["fw3"]).trusted

    writes = fleet.writes()
    quiet = run("renew").check()
    assert quiet.outcomes == {host: ["unchanged"] for host in hosts}
    assert quiet.stages == {}, "nothing is told of a quiet night"
    assert run("check").check().stats["artifact_data"]["xgs_letsencrypt_check"]["code"] == 0
    run("close_ports").check()
    assert fleet.ca.issued() == 3
    assert fleet.writes() == writes
    assert all(nothing_of_ours(fleet, host) for host in hosts)
    secrets = Secrets({"password": PASSWORD, "account key": account["ACME_ACCOUNT_KEY"]})
    assert [secrets.within(each.stdout) | secrets.within(each.raw) for each in jobs] == [set()] * 5


@pytest.mark.parametrize(("count", "firewalls"), [(2, 3), (5, 5)])
def test_slices_that_share_account_and_control_node(sites, job, account, scratch, count, firewalls):
    fleet, names, hosts = sites(f"slices{count}-", firewalls)
    parts = slices(fleet.inventory(hosts), count)
    with ExitStack() as stack:
        started = [stack.enter_context(job("renew", part, account, temporary=scratch)) for part in parts]
        results = [each.result().check() for each in started]
        assert not fleet.responder_open(), "the last one ends it"
    for number, result in enumerate(results):
        assert result.outcomes == {host: ["renewed"] for host in list(hosts)[number::count]}
    assert fleet.ca.issued() == firewalls
    for host, name in names.items():
        assert fleet.shown(host, 8443, name).trusted
        assert len(fleet.emulator.firewall(host)["open_intervals"]) == 1
        assert nothing_of_ours(fleet, host)


def test_a_slice_without_firewalls(sites, job, account):
    """One whose inventory has none is done at once; a limit that fits none of them is an error of ansible-core."""
    fleet, _names, hosts = sites("empty", 2)
    first, _second, empty = slices(fleet.inventory(hosts), 3)
    with ExitStack() as stack:
        idle = stack.enter_context(job("renew", empty, account))
        outside = stack.enter_context(job("renew", first, account, limit="fw2"))
        idle, outside = idle.result().check(), outside.result()
    assert idle.of_kind("runner_on_start") == []
    assert "skipping: no hosts matched" in idle.stdout
    assert outside.status == "failed"
    assert "no hosts to target" in outside.stdout
    assert outside.of_kind("playbook_on_stats") == []
    assert [counters["reads"] for counters in fleet.counters().values()] == [0, 0]


def test_the_cancelled_slices_of_a_job(sites, job, account, tmp_path):
    """Of one the workers go on, of another the container goes as well; the third ends as if nothing had been."""
    fleet, names, hosts = sites("cancel", 3)
    orders = Undecided()
    with FaultProxy(fleet.ca.directory_url.rpartition("/")[0], fleet.ca.ca_file, tmp_path / "ca-proxy") as proxy:
        proxy.on(fault.ORDER, orders, times=None)
        through = {
            "xgs_letsencrypt_directory": proxy.directory_url,
            "xgs_letsencrypt_directory_ca_path": proxy.ca_file,
        }
        parts = slices(fleet.inventory(hosts, **through), 3)
        for part in parts:
            # Each in a container of its own.
            part["all"]["children"]["xgs"]["vars"]["xgs_letsencrypt_responder_port"] = free_port()
        with ExitStack() as stack:
            going_on, gone, other = (stack.enter_context(job("renew", part, account)) for part in parts)
            assert orders.wait(3)
            assert set(fleet.all_port80().values()) == {"open"}
            assert [going_on.cancel().status, gone.cancel().status] == ["canceled"] * 2
            gone.vanish()
            for order in range(3):
                orders.decide(order)
            assert other.result().check().outcomes == {"fw3": ["renewed"]}
            going_on.wait_for_workers()
    assert fleet.port80("fw3") == "refused"
    assert fleet.shown("fw3", 8443, names["fw3"]).trusted
    # Its lease, by the firewall's clock: the next quarter of an hour after 15 minutes.
    for host in ("fw1", "fw2"):
        fleet.emulator.settings(host, clock_offset=1800)
        assert fleet.port80(host) == "refused"
        fleet.emulator.settings(host, clock_offset=0)
    (inventory,) = slices(fleet.inventory(hosts), 1)
    with job("close_ports", inventory, {}) as janitor:
        janitor.result().check()
    assert set(fleet.all_port80().values()) == {"refused"}
    assert all(nothing_of_ours(fleet, host) for host in hosts)
