# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ten mistakes that a new user is most likely to make, one firewall each, and what he is told of them."""

from __future__ import annotations

import re

import pytest

from lab.entries import certificate, certificates, firewall, waf_rule
from lab.proxy import NEW_ORDER, FaultProxy, http_date, problem
from lab.tls import issue, make_issuer

ELSEWHERE, NOBODY = "127.99.99.99", "127.88.88.88"
# Where the firewall is, what is wrong, and what to do: by menu, variable or record.
SAYS = {
    "port": r"port: plan: \S+ does not answer as the XML API does, .* port of the web admin console \(4444 unless",
    "off": r"off: plan: the API is off \(status 532.* API \(SFOS 22: Administration > API access\).* that is [\d.]+\.",
    "source": r"source: plan: the API is not open to this source \(status 534.* Backup & firmware > API .* is [\d.]+\.",
    "password": r"password: plan: the firewall does not accept user name and password\. Use a local administrator",
    "moved": r"moved: web: order: the CA could not validate moved\.mistake\.test .* asked 127\.99\.99\.99: if that"
    r" is not this firewall, correct the A record of moved\.mistake\.test",
    "strayed": r"strayed: web: preflight: strayed\.mistake\.test leads to 127\.99\.99\.99, not to .* Correct its A"
    r" record.*xgs_letsencrypt_wan_addresses",
    "six": r"six: web: order: .*asked the IPv6 address 2001:db8::9: remove the AAAA record of six\.mistake\.test",
    "only6": r"only6: web: preflight: only6\.mistake\.test has the IPv6 address 2001:db8::9, .* IPv4 only\. Remove the"
    r" AAAA record; .*xgs_letsencrypt_responder_address6",
    "responder": r"responder: web: preflight: the responder is to be at 127\.88\.88\.88 port \d+: .* Start it there",
    "waf": r"waf: web: open: the web server protection rule 'Shop' serves a site on #Port2:80, .*\(Rules and policies >"
    r" Firewall rules.*xgs_letsencrypt_interrupt_waf",
    "rate": r"rate: web: order: the CA refused: too many certificates .*\(not before 20\d\d-.* UTC\)\. This is a rate"
    r" limit",
}
# What was right until the CA was asked.
OPENED = {"moved", "six"}
STAGED = "staged"


def name(host):
    return f"{host}.mistake.test"


@pytest.fixture
def fleet(make_fleet):
    shop = waf_rule("Shop", "shop.mistake.test", listen_port=80, https=False)
    hosts = [*SAYS, STAGED]
    rules = {host: [waf_rule("Web", name(host)), *([shop] if host == "waf" else [])] for host in hosts}
    boxes = [{**firewall(number, *rules[host]), "name": host} for number, host in enumerate(hosts, 1)]
    made = make_fleet(boxes, {name(host): host for host in ("six", "responder", "waf", "rate", STAGED)})
    for host in ("moved", "strayed"):
        made.ca.add_a(name(host), ELSEWHERE)
    for host in ("six", "only6"):
        made.ca.add_aaaa(name(host), "2001:db8::9")
    made.emulator.settings("off", api_enabled=False)
    made.emulator.settings("source", allowed_sources=["192.0.2.9"])
    return made


@pytest.fixture
def limited(fleet, tmp_path):
    """The CA, which takes no orders any more."""
    with FaultProxy(fleet.ca.directory_url.rpartition("/")[0], fleet.ca.ca_file, tmp_path / "proxy") as proxy:
        said = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"
        proxy.on(NEW_ORDER, problem(429, "rateLimited", said, Retry_After=http_date(86400)), times=None)
        yield proxy


@pytest.fixture
def hosts(fleet, limited, tmp_path):
    """What each has of its own."""
    looks = {
        "xgs_letsencrypt_preflight": True,
        "xgs_letsencrypt_resolvers": [fleet.ca.dns_address],
        "xgs_letsencrypt_probe_port": fleet.http_port,
        "xgs_letsencrypt_responder_probe": "require",
    }
    mistakes = {
        # That of the user portal.
        "port": {"ansible_httpapi_port": 4443},
        "password": {"ansible_password": "wrong"},
        "strayed": {**looks, "xgs_letsencrypt_wan_addresses": [fleet.addresses["strayed"]]},
        "only6": {**looks, "xgs_letsencrypt_wan_addresses": [fleet.addresses["only6"]]},
        "responder": {**looks, "xgs_letsencrypt_responder_address": NOBODY},
        "rate": {
            "xgs_letsencrypt_directory": limited.directory_url,
            "xgs_letsencrypt_directory_ca_path": limited.ca_file,
        },
        STAGED: {"xgs_letsencrypt_directory": f"{fleet.ca.directory_url}?staging"},
    }
    wanted = {host: certificate("web", name(host), consumers=["waf:Web"]) for host in SAYS}
    # What is there already, and used by nobody.
    wanted[STAGED] = certificate("web", name(STAGED), key_type="ec256")
    staging = tmp_path / "staging"
    made = issue(make_issuer(staging, "(STAGING) Riddling Rhubarb"), staging, [name(STAGED)])
    fleet.emulator.put_certificate(STAGED, "web", made.certificate.read_text(), made.key.read_text())
    return {host: certificates(entry, **mistakes.get(host, {})) for host, entry in wanted.items()}


@pytest.mark.any_firmware
def test_the_most_likely_mistakes(fleet, hosts, play):
    """And what a monitoring system is told of the one with the staging certificate."""
    check = {"name": "certfleet.sophos_xgs.xgs_letsencrypt", "tasks_from": "check"}
    checked = {"ansible.builtin.import_role": check, "ignore_errors": True}
    playbooks = [
        {"hosts": STAGED, "gather_facts": False, "tasks": [checked]},
        {"ansible.builtin.import_playbook": "certfleet.sophos_xgs.renew"},
    ]
    result = play(fleet, hosts, playbooks)
    assert result.rc != 0
    assert {host for host in result.recap if result.host(host)["failed"]} == set(SAYS)
    for host, says in SAYS.items():
        row = next(line for line in result.stdout.splitlines() if re.match(rf' +"{host} ', line))
        assert re.match(rf' +"{host} +(web|-) +failed ', row)
        assert re.search(says, row), f"{row}\ndoes not say\n{says}"
    nobody_trusts = (
        "web is of a staging CA, which nobody trusts; when your trials are over, take xgs_letsencrypt_staging out"
    )
    assert f"{STAGED}: {nobody_trusts}" in " ".join(result.stderr.split())
    assert re.search(rf'"{STAGED} +web +unchanged .*; it is of a staging CA, which nobody trusts"', result.stdout)
    assert f"CRITICAL - 1 critical, 0 warning: {STAGED} web is of a staging CA |" in result.stdout

    for host in hosts:
        state = fleet.emulator.firewall(host)
        assert not [made for names in state["objects"].values() for made in names if made.startswith("certfleet")]
        assert len(state["open_intervals"]) == (host in OPENED), host
        assert (state["counters"]["writes"] > 0) == (host in OPENED), host
    assert fleet.counters()["password"]["auth_failures"] == 1, "a wrong password is not tried again: it locks accounts"
    # That there is something to validate, for which a port is needed, only the CA knows.
    assert fleet.ca.requests().count(("POST", "/order-plz")) == len(OPENED | {"waf"})
