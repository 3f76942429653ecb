# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFOS 22: who may use the API is an IP host each, apiconfig_ADDRESS, so our addresses may have one already.

A second host of the same address is refused (503), and one that is an API source cannot be removed (504).
"""

from __future__ import annotations

import pytest

from lab.entries import certificate, certificates, firewall, waf_rule

WAN6 = "#Port2_v6"
NAME = "sources.example.com"


@pytest.fixture
def fleet(make_fleet):
    """Its API sources are the control node, where the responder is, and its own WAN addresses."""
    box = firewall(1, waf_rule("site", NAME), firmware="22.0", wan_hosts={WAN6: "::1"})
    made = make_fleet([box], {NAME: "fw1"})
    sources = {made.responder, made.responder6, made.addresses["fw1"], made.addresses6["fw1"]}
    made.emulator.settings("fw1", allowed_sources=sorted(sources))
    assert {f"apiconfig_{source}" for source in sources} < set(hosts(made))
    return made


def hosts(fleet):
    return fleet.emulator.objects("fw1", "IPHost")


def writes_of_hosts(fleet):
    log = fleet.emulator.firewall("fw1")["log"]
    return [entry for entry in log if entry["entity"] == "IPHost" and entry["operation"] != "get"]


def both_addresses(fleet):
    return [fleet.addresses["fw1"], fleet.addresses6["fw1"]]


@pytest.mark.any_firmware
@pytest.mark.planes("loopback", "namespaces")
def test_a_port_is_opened_and_closed_by_hosts_that_are_api_sources(fleet, play):
    before = hosts(fleet)
    forward = {
        "target": fleet.responder,
        "target6": fleet.responder6,
        "target_port": fleet.responder_port,
        "wan_host": both_addresses(fleet),
    }

    def run(*tasks):
        """How many of them changed something."""
        names = ["first", "then", "at last"]
        tasks = [
            {"name": name, "certfleet.sophos_xgs.xgs_dnat_port": options}
            for name, options in zip(names, tasks, strict=False)
        ]
        plays = [{"hosts": "xgs", "gather_facts": False, "tasks": tasks}]
        return play(fleet, {"fw1": {}}, plays, unforeseen=names[1:]).check().changed

    assert run(forward, forward) == 1
    control = fleet.plane.control
    with control.listen(fleet.responder_port), control.listen(fleet.responder_port, fleet.responder6):
        assert (fleet.port80("fw1"), fleet.port80_of_ipv6("fw1")) == ("open", "open")
    rules = "".join(fleet.emulator.objects("fw1", "NATRule").values())
    for responder in (fleet.responder, fleet.responder6):
        assert f"<TranslatedDestination>apiconfig_{responder}</TranslatedDestination>" in rules
    assert run({"state": "absent"}, {"state": "absent"}, {"state": "swept"}) == 1
    assert (hosts(fleet), writes_of_hosts(fleet)) == (before, [])
    assert fleet.port80("fw1") != "open"
    assert fleet.port80_of_ipv6("fw1") != "open"


@pytest.mark.any_firmware
@pytest.mark.planes("loopback", "namespaces")
def test_a_renewal_leaves_api_sources_alone(fleet, play):
    before = hosts(fleet)
    entry = certificate("site", NAME, consumers=["waf:site"])
    variables = {
        "xgs_letsencrypt_wan_host": both_addresses(fleet),
        "xgs_letsencrypt_responder_address6": fleet.responder6,
        "xgs_letsencrypt_responder_bind": "::",
    }
    play(fleet, {"fw1": certificates(entry, **variables)}).check()
    assert fleet.shown("fw1", 8443, NAME).trusted
    assert (hosts(fleet), writes_of_hosts(fleet)) == (before, [])
