# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many firewalls in one task: each is planned for as if it were alone, and whoever has nothing to do costs one read."""

from __future__ import annotations

import json
import re

import pytest

from lab.entries import certificate, certificates, firewall, waf_rule
from lab.held import have, wanted

pytestmark = pytest.mark.any_firmware

ACTION = "certfleet.sophos_xgs.xgs_cert_plan"
# As somebody would write it who uses the module without the role.
OPTIONS = {
    "renewal": {
        "certificates": "{{ xgs_letsencrypt_certificates }}",
        "acme_directory": "{{ xgs_letsencrypt_directory }}",
        "acme_ca_path": "{{ xgs_letsencrypt_directory_ca_path }}",
        "state_dir": "{{ my_state | default(omit) }}",
    }
}


def planning(**task):
    """Plan for all, and write down what came of it; then a task for each host, which must still be there."""
    tasks = [
        {
            ACTION: {"hosts": "{{ ansible_play_hosts }}", "host_options": "renewal"},
            "run_once": True,
            "register": "fleet",
            **task,
        },
        {
            "ansible.builtin.copy": {"content": "{{ fleet | to_json }}", "dest": "{{ playbook_dir }}/fleet.json"},
            "delegate_to": "localhost",
            "run_once": True,
            "check_mode": False,
            "changed_when": False,
        },
        {"ansible.builtin.debug": {"msg": "alive"}},
    ]
    return [{"name": "Plan", "hosts": "xgs", "gather_facts": False, "vars": OPTIONS, "tasks": tasks}]


def result_of(tmp_path):
    return json.loads((tmp_path / "run/fleet.json").read_text())


@pytest.mark.parametrize("flags", [[], ["--check"]], ids=["run", "check"])
def test_each_host_has_a_plan_of_its_own(make_fleet, play, tmp_path, flags):
    """Wherever something is wrong with a host, it is told there; the other hosts and the task do not notice."""
    fleet = make_fleet([firewall(number) for number in range(1, 10)], {})
    for number in (1, 5, 7):
        have(fleet, f"fw{number}", "web", f"fleet{number}.example.com")
    fleet.emulator.settings("fw8", api_enabled=False)
    hosts = {
        "fw1": wanted("web", "fleet1.example.com"),
        "fw2": wanted("web", "fleet2.example.com", ansible_password="wrong"),
        "fw3": wanted("web", "*.example.com"),
        "fw4": {"xgs_letsencrypt_certificates": "{{ nowhere_defined }}"},
        "fw5": wanted("web", "fleet5.example.com", "more5.example.com"),
        "fw6": {"xgs_letsencrypt_certificates": [{"name": "web"}]},
        "fw7": wanted("web", "fleet7.example.com", xgs_fingerprint="{{ pin }}", pin="ab" * 32),
        "fw8": wanted("web", "fleet8.example.com"),
        "fw9": wanted("web", "fleet9.example.com", ansible_httpapi_port=fleet.responder_port),
    }
    result = play(fleet, hosts, planning(), flags=flags).check()
    assert result.changed == 0
    assert all(result.host(name)["ok"] for name in hosts), "no host is lost"
    found = result_of(tmp_path)
    assert found["changed"] is False
    assert found["due"] is True
    assert found["due_hosts"] == ["fw5"]
    assert sorted(found["failed_hosts"]) == ["fw2", "fw3", "fw4", "fw6", "fw7", "fw8", "fw9"]
    says = {
        "fw2": r"fw2: plan: the firewall does not accept user name and password",
        "fw3": r"fw3: web: plan: .*\*\.example\.com",
        "fw4": r"fw4: plan: .*nowhere_defined",
        "fw6": r"fw6: plan: .*domains",
        "fw7": r"fw7: plan: .*not trusted",
        "fw8": r"fw8: plan: the API is off \(status 532",
        "fw9": r"fw9: plan: no connection to 127\.22\.",
    }
    for name, text in says.items():
        entry = found["hosts"][name]
        assert re.search(text, entry["msg"]), entry
        assert (entry["failed"], entry["stage"], entry["firewall"]) == (True, "plan", name)
    assert found["hosts"]["fw3"]["certificate"] == "web"
    assert found["hosts"]["fw1"]["certificates"][0]["action"] == "none"
    assert found["hosts"]["fw5"]["certificates"][0]["reason"] == "its names are fleet5.example.com"
    assert fleet.writes() == 0
    assert fleet.counters()["fw1"]["reads"] == 1
    assert fleet.counters()["fw2"]["auth_failures"] == 1
    assert fleet.ca.requests().count(("GET", "/dir")) == 1
    assert not [request for request in fleet.ca.requests() if request[0] == "POST"]
    assert "correct horse" not in json.dumps(found) + result.stdout


def test_defaults_are_those_of_each_host(make_fleet, play, tmp_path):
    """module_defaults with a host's own variables, an option of the task, a state directory for some."""
    fleet = make_fleet([firewall(number) for number in (1, 2)], {})
    for number in (1, 2):
        have(fleet, f"fw{number}", "web", f"default{number}.example.com", age=40)
    hosts = {
        "fw1": wanted("web", "default1.example.com", ansible_user="nobody", my_user="acme-api"),
        "fw2": wanted("web", "default2.example.com", ansible_user="nobody", my_user="acme-api", my_force=True),
    }
    defaults = {
        "group/certfleet.sophos_xgs.xgs": {"username": "{{ my_user }}", "timeout": 30},
        ACTION: {"force": "{{ my_force | default(false) }}"},
    }
    playbook = planning()
    playbook[0]["module_defaults"] = defaults
    play(fleet, hosts, playbook).check()
    found = result_of(tmp_path)
    assert found["failed_hosts"] == []
    assert found["due_hosts"] == ["fw2"]

    playbook = planning(module_defaults={ACTION: {"parallel": 1}})
    playbook[0]["module_defaults"] = defaults
    playbook[0]["tasks"][0][ACTION]["force"] = True
    play(fleet, hosts, playbook).check()
    assert result_of(tmp_path)["due_hosts"] == ["fw1", "fw2"]


def test_the_user_of_the_command_line(make_fleet, play, tmp_path):
    """It is for the hosts that have none of their own."""
    fleet = make_fleet([firewall(number) for number in (1, 2)], {})
    hosts = {f"fw{number}": wanted("web", f"user{number}.example.com") for number in (1, 2)}
    hosts["fw1"]["ansible_user"] = "nobody"
    inventory = fleet.inventory(hosts)
    user = inventory["all"]["children"]["xgs"]["vars"].pop("ansible_user")
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    flags = ["-i", str(tmp_path / "inventory.json"), "-u", user]
    play(fleet, {}, planning(), flags=flags).check()
    found = result_of(tmp_path)
    assert found["failed_hosts"] == ["fw1"]
    assert found["due_hosts"] == ["fw2"]


def test_what_is_wrong_with_the_task_itself(make_fleet, play):
    fleet = make_fleet([firewall(1)], {})
    hosts = {"fw1": wanted("web", "task.example.com")}
    for options, text in (
        ({"hosts": "{{ ansible_play_hosts }}", "parallel": "many"}, "parallel"),
        ({}, "one of the following is required: certificates, hosts"),
    ):
        playbook = planning()
        playbook[0]["tasks"][0][ACTION] = options
        result = play(fleet, hosts, playbook)
        assert result.rc != 0
        assert text in result.stdout
    playbook = planning(delegate_to="jump")
    result = play(fleet, hosts, playbook, others={"jump": {"ansible_connection": "local"}})
    assert "which only the control node knows" in result.stdout
    playbook = planning()
    playbook[0]["tasks"][0][ACTION] = {"hosts": ["fw1", "unheard-of"], "host_options": "missing"}
    result = play(fleet, hosts, playbook, verbosity=1).check()
    assert "unheard-of: plan: there is no such host in the inventory" in result.stdout
    assert "fw1: plan: the variable missing, which host_options names, is not defined" in result.stdout
    assert fleet.counters()["fw1"]["requests"] == 0


def test_a_quiet_night(make_fleet, play):
    """One read a firewall, no write, and no task for anybody."""
    fleet = make_fleet([firewall(number) for number in range(1, 6)], {})
    hosts = {}
    for number in range(1, 6):
        have(fleet, f"fw{number}", "web", f"quiet{number}.example.com")
        hosts[f"fw{number}"] = wanted("web", f"quiet{number}.example.com")
    result = play(fleet, hosts).check()
    assert [(each["reads"], each["writes"]) for each in fleet.counters().values()] == [(1, 0)] * 5
    assert result.stdout.count("unchanged") == 5
    assert list(result.recap) == ["fw1"], "the tasks that stand for all run in the name of the first"
    assert "[WARNING]: Could not match" not in result.stdout + result.stderr
    asked = [path for method, path in fleet.ca.requests() if method == "GET"]
    assert asked.count("/dir") == 1

    limited = play(fleet, hosts, flags=["--limit", "fw3,fw4"]).check()
    assert limited.stdout.count("unchanged") == 2
    assert {name: each["reads"] for name, each in fleet.counters().items()} == {
        "fw1": 1,
        "fw2": 1,
        "fw3": 2,
        "fw4": 2,
        "fw5": 1,
    }


def test_one_is_due_and_the_first_is_out_of_order(make_fleet, play):
    rule = waf_rule("Three", "due3.example.com")
    fleet = make_fleet([firewall(1), firewall(2), firewall(3, rule)], {"due3.example.com": "fw3"})
    have(fleet, "fw2", "web", "due2.example.com")
    hosts = {
        "fw1": wanted("web", "due1.example.com", ansible_password="wrong"),
        "fw2": wanted("web", "due2.example.com"),
        "fw3": certificates(certificate("web", "due3.example.com", consumers=["waf:Three"])),
    }
    result = play(fleet, hosts)
    assert result.rc != 0
    assert [name for name in result.recap if result.host(name)["failed"]] == ["fw1"]
    assert "fw2" not in result.recap
    assert fleet.shown("fw3", 8443, "due3.example.com").trusted
    for status in (r"fw1 +- +failed .*user name and password", r"fw2 +web +unchanged", r"fw3 +web +renewed"):
        assert re.search(status, result.stdout), result.stdout
    assert fleet.counters()["fw2"] == {**fleet.counters()["fw2"], "reads": 1, "writes": 0}


@pytest.mark.parametrize("role", [False, True], ids=["playbook", "role"])
def test_what_a_firewall_tells_is_no_template(make_fleet, play, role):
    """Whoever may put a certificate on a firewall must not run anything on the control node."""
    fleet = make_fleet([firewall(1)], {})
    trap = "{{ 7 * 191 }}.example.com"
    have(fleet, "fw1", "web", trap)
    playbook = [
        {
            "name": "As a role",
            "hosts": "xgs",
            "gather_facts": False,
            "roles": [{"role": "certfleet.sophos_xgs.xgs_letsencrypt"}],
        }
    ]
    options = {"playbook": playbook} if role else {}
    result = play(fleet, {"fw1": wanted("web", "trap.example.com")}, flags=["--check"], **options).check()
    assert f"its names are {trap}" in result.stdout
    assert "1337" not in result.stdout
    assert "would be renewed" in result.stdout
