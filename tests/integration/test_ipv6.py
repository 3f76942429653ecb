# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renewal where the CA comes by IPv6: it takes a name's AAAA record before the A record, and never falls back.

Web server protection itself is IPv4 only, so what is served in the end is looked at there.
"""

from __future__ import annotations

import re

import pytest

from lab.entries import certificate, certificates, firewall, waf_rule

pytestmark = pytest.mark.no_check_run

WAN6 = "#Port2_v6"


def names_of(name):
    """Of IPv6 alone, of both, and of IPv4 alone."""
    return [f"{kind}.{name}.example.com" for kind in ("six", "both", "four")]


def box(number, name, **more):
    site = waf_rule("site", *names_of(name))
    return {**firewall(number, site), "name": name, "wan_hosts": {WAN6: "::1"}, **more}


def renewal(name, *wan_hosts, **variables):
    entry = certificate("site", *names_of(name), consumers=["waf:site"])
    return certificates(entry, xgs_letsencrypt_wan_host=list(wan_hosts), **variables)


def publish(fleet, name):
    """The names' records in the CA's DNS."""
    six, both, four = names_of(name)
    fleet.ca.add_aaaa(six, fleet.addresses6[name])
    fleet.ca.add_aaaa(both, fleet.addresses6[name])
    for each in (both, four):
        fleet.ca.add_a(each, fleet.addresses[name])


def responder(fleet):
    """It listens on all addresses of both families."""
    return {"xgs_letsencrypt_responder_address6": fleet.responder6, "xgs_letsencrypt_responder_bind": "::"}


def states(fleet, name):
    return fleet.port80(name), fleet.port80_of_ipv6(name)


def addresses_opened(fleet, name):
    return {interval["address"] for interval in fleet.emulator.firewall(name)["open_intervals"]}


@pytest.mark.any_firmware
@pytest.mark.planes("loopback", "namespaces", "rootless")
@pytest.mark.parametrize("as_host", [True, False], ids=["by-host", "by-address"])
def test_a_name_of_ipv6_alone_and_one_of_both(make_fleet, play, as_host):
    """WAN addresses are told by their host objects, or as such."""
    fleet = make_fleet([box(1, "fw")], {})
    publish(fleet, "fw")
    closed = states(fleet, "fw")
    both = {fleet.addresses["fw"], fleet.addresses6["fw"]}
    wan_hosts = ("#Port2", WAN6) if as_host else sorted(both)
    play(fleet, {"fw": renewal("fw", *wan_hosts)}, variables=responder(fleet)).check()
    for name in names_of("fw"):
        assert fleet.shown("fw", 8443, name).trusted, name
        assert [validation.outcome for validation in fleet.ca.validations(name)] == ["valid"]
    assert addresses_opened(fleet, "fw") == both
    assert states(fleet, "fw") == closed
    left = fleet.emulator.firewall("fw")["objects"]
    assert not [name for names in left.values() for name in names if name.startswith("certfleet")]


# Where the firewall stands, what the user sets, and whether the CA gets through.
WAYS = {
    "gateway": ({}, {"xgs_letsencrypt_masquerade": False}, True),
    "neighbour": ({}, {"xgs_letsencrypt_masquerade": False}, False),
    "hidden": ({}, {}, True),
    "branch": ({"site": 2}, {"xgs_letsencrypt_responder_zone": "VPN"}, True),
    "zone": ({}, {"xgs_letsencrypt_responder_zone": "DMZ"}, False),
    "half": ({}, {"xgs_letsencrypt_wan_host": ["#Port2"], "xgs_letsencrypt_responder_address6": ""}, False),
}


@pytest.mark.planes("namespaces")
def test_routes_zones_and_masquerading_of_ipv6(make_fleet, play):
    """As with IPv4; and where only IPv4 is forwarded, the A record does not help a name that has an AAAA record."""
    fleet = make_fleet([box(number, name, **WAYS[name][0]) for number, name in enumerate(WAYS, 1)], {})
    hosts = {}
    for name, (_place, variables, _valid) in WAYS.items():
        publish(fleet, name)
        own = {"xgs_letsencrypt_wan_host": ["#Port2", WAN6], **variables}
        hosts[name] = certificates(certificate("both", f"both.{name}.example.com"), **own)
    result = play(fleet, hosts, variables=responder(fleet))
    issued = {name: len(fleet.emulator.firewall(name)["certificates"]) > 1 for name in WAYS}
    assert issued == {name: valid for name, (_place, _variables, valid) in WAYS.items()}
    for name, (_place, _variables, valid) in WAYS.items():
        problem = rf"{name}: both: order: .*both\.{name}\.example\.com.*Timeout"
        assert valid or re.search(problem, result.stdout), result.stdout
    assert {states(fleet, name) for name in WAYS} == {("silent", "silent")}
