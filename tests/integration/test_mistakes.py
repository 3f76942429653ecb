# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong is told once, with firewall, certificate, stage and remedy, and touches nobody else."""

from __future__ import annotations

import re

import pytest

from lab.entries import certificate, certificates, firewall, waf_rule

OWA = waf_rule("OWA rule", "owa.example.com")
RULE = ["waf:OWA rule"]

# host: (what the user wrote, what the error says)
MISTAKES = {
    "wildcard": (certificates(certificate("web", "*.example.com")), r"wildcard: web: plan: .*\*\.example\.com"),
    "no_domains": (certificates(certificate("web")), r"no_domains: web: plan: "),
    "no_certificates": (certificates(), r"no_certificates: plan: there is no certificate"),
    "too_many": (
        certificates(certificate("web", *(f"n{i}.example.com" for i in range(101)))),
        r"too_many: web: plan: .*100",
    ),
    "underscore": (certificates(certificate("web", "my_host.example.com")), r"underscore: web: plan: .*my_host"),
    "scheme": (certificates(certificate("web", "https://www.example.com")), r"scheme: web: plan: .*https://www"),
    "twice": (
        certificates(certificate("web", "a.example.com"), certificate("web", "b.example.com")),
        r"twice: web: plan: two certificates have this name",
    ),
    "consumer": (
        certificates(certificate("web", "a.example.com", consumers=["proxy"])),
        r"consumer: web: plan: 'proxy' is not a consumer",
    ),
    "reuse": (
        certificates(certificate("web", "a.example.com", reuse_key=True)),
        r"reuse: web: plan: reuse_key needs a place",
    ),
    "no_responder": (
        certificates(certificate("web", "a.example.com"), xgs_letsencrypt_responder_address=""),
        r"no_responder: plan: there is no responder address",
    ),
}


@pytest.mark.any_firmware
def test_wrong_input_is_refused_before_any_request(make_fleet, play):
    firewalls = [{**firewall(number), "name": name} for number, name in enumerate(MISTAKES, 1)]
    fleet = make_fleet(firewalls, {})
    result = play(fleet, {name: own for name, (own, _says) in MISTAKES.items()})
    assert result.rc != 0
    assert result.failed == len(MISTAKES)
    for name, (_own, says) in MISTAKES.items():
        lines = [line for line in result.stdout.splitlines() if re.search(says, line)]
        assert lines, f"{name}: nothing says {says}\n{result.stdout}"
    assert fleet.ca.requests() == []
    assert not any(counters["requests"] for counters in fleet.counters().values())


@pytest.mark.any_firmware
def test_one_firewall_fails_and_the_others_do_not_notice(make_fleet, play):
    names = {"owa.example.com": "fw1", "four.example.com": "fw4", "five.example.com": "fw5"}
    rules = {1: OWA, 5: waf_rule("Five", "five.example.com")}
    fleet = make_fleet(
        [firewall(number, *([rules[number]] if number in rules else [])) for number in (1, 3, 4, 5)], names
    )
    hosts = {
        "fw1": certificates(certificate("OWA", "owa.example.com", consumers=RULE)),
        "fw3": certificates(certificate("three", "nowhere.example.com")),
        "fw4": certificates(certificate("four", "four.example.com", consumers=["waf:Missing"])),
        "fw5": certificates(
            certificate("bad", "other.example.com"), certificate("five", "five.example.com", consumers=["waf:Five"])
        ),
    }
    result = play(fleet, hosts)
    assert result.rc != 0
    assert {name for name in fleet.addresses if result.host(name)["failed"]} == {"fw3", "fw4", "fw5"}
    assert fleet.shown("fw1", 8443, "owa.example.com").trusted
    assert fleet.shown("fw5", 8443, "five.example.com").trusted, "one certificate fails alone"
    for says in (
        r"fw3: three: order: .*nowhere\.example\.com",
        r"fw4: four: plan: the firewall has no consumer 'waf:Missing'",
        r"fw5: bad: order: .*other\.example\.com",
    ):
        assert re.search(says, result.stdout), f"nothing says {says}\n{result.stdout}"


# The levels of docs/firewall.md for a web server protection rule, and those that let the profile itself be read.
LEAST = {
    "Objects": "Read-Write",
    "Firewall": "Read-Write",
    "System/OtherCertificateConfiguration": "Read-Write",
    "System/DownloadCertificates": "Read-Only",
    "System/OtherSystemConfiguration": "Read-Only",
    "WAF/OtherWAFConfiguration": "Read-Write",
    "System/Profile": "Read-Only",
    "Identity/Authentication": "Read-Only",
}


@pytest.mark.any_firmware
def test_a_right_that_is_missing_is_told_before_anything_is_ordered(make_fleet, play):
    """And it costs the one who has it two questions: one with the plan, one before consumers are switched."""
    accounts = [
        {"username": "least", "password": "another horse", "profile": LEAST},
        {"username": "less", "password": "another horse", "profile": {**LEAST, "Firewall": "Read-Only"}},
    ]
    names = {"least.example.com": "fw1", "less.example.com": "fw2"}
    fleet = make_fleet(
        [firewall(n, waf_rule("Web", name), accounts=accounts) for n, name in enumerate(names, 1)], names
    )
    hosts = {
        box: certificates(
            certificate("web", name, consumers=["waf:Web"]),
            ansible_user=name.partition(".")[0],
            ansible_password="another horse",
        )
        for name, box in names.items()
    }
    checked = play(fleet, hosts, flags=["--check"])
    result = play(fleet, hosts)
    for said in (checked.stdout, result.stdout):
        assert re.search(r"fw2: plan: the profile 'less profile' of .* 'less' has Firewall on Read-Only", said)
    assert fleet.counters()["fw2"]["writes"] == 0
    assert fleet.ca.requests().count(("POST", "/order-plz")) == 1
    assert fleet.shown("fw1", 8443, "least.example.com").trusted
    log = fleet.emulator.firewall("fw1")["log"]
    assert [entry["entity"] for entry in log].count("AdministrationProfile") == 2 * 2, "in check mode the same"


@pytest.mark.any_firmware
def test_a_port_that_cannot_be_opened_is_told_once_and_for_each_certificate(make_fleet, play):
    names = {f"n{number}.example.com": "fw1" for number in range(3)}
    fleet = make_fleet([firewall(1)], names)
    fleet.emulator.add_faults(
        "fw1", {"kind": "status", "code": 599, "operation": "add", "entity": "NATRule", "count": 9}
    )
    wanted = [certificate(name.partition(".")[0], name) for name in names]
    result = play(fleet, {"fw1": certificates(*wanted)})
    assert result.rc != 0
    for name in ("n0", "n1", "n2"):
        assert re.search(rf"fw1 +{name} +failed .*fw1: {name}: open: ", result.stdout)
    fatal = next(line for line in result.stdout.splitlines() if line.startswith("fatal:"))
    assert fatal.count("NATRule") == len(names) + 1, "in each certificate's result, and once in the task's message"
    assert ("POST", "/chalZ/") not in fleet.ca.requests()


def test_a_consumer_that_does_not_serve_is_put_back(make_fleet, play):
    fleet = make_fleet([firewall(1, OWA)], {"owa.example.com": "fw1"})
    before = fleet.shown("fw1", 8443, "owa.example.com")
    fleet.emulator.add_faults("fw1", {"kind": "stale_tls", "operation": "update", "entity": "FirewallRule", "count": 1})
    result = play(
        fleet,
        {"fw1": certificates(certificate("OWA", "owa.example.com", consumers=RULE))},
        variables={"xgs_letsencrypt_verify_timeout": 2},
    )
    assert result.rc != 0
    assert re.search(r"fw1: OWA-\S+: verify: waf:OWA rule does not serve the new certificate", result.stdout)
    assert fleet.shown("fw1", 8443, "owa.example.com") == before
    bindings = {binding["name"]: binding["certificate"] for binding in fleet.emulator.firewall("fw1")["bindings"]}
    assert bindings["OWA rule"] == "ApplianceCertificate"


@pytest.mark.no_check_run
@pytest.mark.any_firmware
def test_a_failure_with_time_left_is_reported_and_does_not_fail_the_run(make_fleet, play):
    fleet = make_fleet([firewall(1, OWA)], {"owa.example.com": "fw1"})
    hosts = {"fw1": certificates(certificate("OWA", "owa.example.com", consumers=RULE))}
    play(fleet, hosts).check()
    fleet.ca.clear("owa.example.com")
    # Pebble reuses one validation in a hundred, but never another account's.
    again = {"xgs_letsencrypt_force": True, "xgs_letsencrypt_account_key_path": str(fleet.workdir / "other.pem")}
    result = play(fleet, hosts, extra_vars=again).check()
    assert re.search(r"fw1 +OWA +failed ", result.stdout)
    assert fleet.shown("fw1", 8443, "owa.example.com").trusted
