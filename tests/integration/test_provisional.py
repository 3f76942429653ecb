# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that needs a certificate before a CA issues one."""

from __future__ import annotations

import pytest

from lab.entries import certificate, certificates, firewall, waf_rule

NAME = "early.example.com"
HOSTS = {"fw1": certificates(certificate("early", NAME, provisional=True))}


def bind(version):
    """What an administrator does with it meanwhile."""
    task = {"certfleet.sophos_xgs.xgs_cert_bind": {"certificate": version, "consumers": ["waf:Early"]}}
    return [{"hosts": "xgs", "gather_facts": False, "tasks": [{"name": "Use it", **task}]}]


@pytest.mark.any_firmware
def test_provisional_until_the_first_issuance(make_fleet, play):
    fleet = make_fleet([firewall(1, waf_rule("Early", NAME)), firewall(2)], {NAME: "fw2"})

    assert play(fleet, HOSTS).rc != 0, "there is no certificate, and that is told"
    (first,) = set(fleet.emulator.firewall("fw1")["certificates"]) - {"ApplianceCertificate"}
    assert first.startswith("early-")
    again = play(fleet, HOSTS)
    assert again.rc != 0
    assert set(fleet.emulator.firewall("fw1")["certificates"]) == {first, "ApplianceCertificate"}
    play(fleet, HOSTS, playbook=bind(first)).check()
    shown = fleet.shown("fw1", 8443, NAME)
    assert (shown.names, shown.trusted) == ([NAME], False)

    fleet.ca.clear(NAME)
    fleet.ca.add_a(NAME, fleet.addresses["fw1"])
    play(fleet, HOSTS).check()
    assert fleet.shown("fw1", 8443, NAME).trusted
    state = fleet.emulator.firewall("fw1")
    (real,) = set(state["certificates"]) - {"ApplianceCertificate"}
    assert real != first, "the provisional one is gone"
    assert {binding["name"]: binding["certificate"] for binding in state["bindings"]}["Early"] == real

    fleet.emulator.reset("fw1")
    assert play(fleet, HOSTS).check().changed == 0
    assert fleet.counters()["fw1"]["writes"] == 0
