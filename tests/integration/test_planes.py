# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What loopback cannot show: masquerading, return paths, zones, a responder on another site, silence.

The CA validates on the real port 80 of the WAN address, the kernel filters and translates as the rules on the emulated
firewalls say, and everything is seen from outside.
"""

from __future__ import annotations

import re

import pytest

from lab.entries import certificate, certificates, firewall, waf_rule
from lab.processes import wait_until

pytestmark = pytest.mark.no_check_run


def site(name):
    return waf_rule("site", f"{name}.example.com")


def renewal(name, **variables):
    return certificates(certificate("site", f"{name}.example.com", consumers=["waf:site"]), **variables)


def forward(fleet, **options):
    target = {"target": fleet.responder, "target_port": fleet.responder_port}
    task = {"certfleet.sophos_xgs.xgs_dnat_port": {**({} if "state" in options else target), **options}}
    return [{"name": "Forward", "hosts": "xgs", "gather_facts": False, "tasks": [task]}]


# Where the firewall stands, what the user sets, and whether the CA gets through.
WAYS = {
    "gateway": ({}, {"xgs_letsencrypt_masquerade": False}, True),
    "neighbour": ({}, {"xgs_letsencrypt_masquerade": False}, False),
    "hidden": ({}, {}, True),
    "zone": ({}, {"xgs_letsencrypt_responder_zone": "DMZ"}, False),
    "branch": ({"site": 2}, {"xgs_letsencrypt_responder_zone": "VPN"}, True),
    "branch-zone": ({"site": 3}, {"xgs_letsencrypt_responder_zone": "LAN"}, False),
    "branch-route": (
        {"site": 4},
        {"xgs_letsencrypt_responder_zone": "VPN", "xgs_letsencrypt_masquerade": False},
        False,
    ),
}


@pytest.mark.planes("namespaces")
def test_routes_zones_and_masquerading_decide_what_the_ca_reaches(make_fleet, play):
    """The responder is on the control node; only the gateway's way back leads through the firewall without help."""
    fleet = make_fleet(
        [{**firewall(number, site(name)), "name": name, **WAYS[name][0]} for number, name in enumerate(WAYS, 1)],
        {f"{name}.example.com": name for name in WAYS},
    )
    assert set(fleet.all_port80().values()) == {"silent"}
    result = play(fleet, {name: renewal(name, **variables) for name, (_place, variables, _valid) in WAYS.items()})
    trusted = {name: fleet.shown(name, 8443, f"{name}.example.com").trusted for name in WAYS}
    assert trusted == {name: valid for name, (_place, _variables, valid) in WAYS.items()}
    for name, (_place, _variables, valid) in WAYS.items():
        assert valid or re.search(rf"{name}: site: order: .*{name}\.example\.com.*Timeout", result.stdout), (
            result.stdout
        )
    assert set(fleet.all_port80().values()) == {"silent"}


@pytest.mark.planes("namespaces")
def test_who_the_responder_sees(make_fleet, play):
    """Masquerading hides the CA behind the firewall's address towards the responder."""
    fleet = make_fleet([firewall(1), {**firewall(2), "site": 2}], {})
    places = {"fw1": {"zone": "LAN", "masquerade": False}, "fw2": {"zone": "VPN", "masquerade": True}}
    opening = forward(fleet, zone="{{ zone }}", masquerade="{{ masquerade }}")
    play(fleet, places, opening).check()
    with fleet.plane.control.listen(fleet.responder_port) as responder:
        sources = {}
        for name in places:
            with fleet.plane.outside.connect((fleet.addresses[name], 80), 5), responder.accept()[0] as connection:
                sources[name] = connection.getpeername()[0]
    assert sources == {"fw1": fleet.plane.outside.address, "fw2": "198.19.255.2"}
    play(fleet, places, forward(fleet, state="absent")).check()
    assert set(fleet.all_port80().values()) == {"silent"}


@pytest.mark.planes("namespaces", "rootless")
def test_a_lease_ends_by_itself(make_fleet, play):
    """Nobody closes: the schedule is over, the kernel drops. What was connected before may end in peace."""
    fleet = make_fleet([firewall(1)], {})
    assert fleet.port80("fw1") == "silent"
    play(fleet, {"fw1": {}}, forward(fleet, lease=60)).check()
    with fleet.plane.control.listen(fleet.responder_port) as responder:
        with (
            fleet.plane.outside.connect((fleet.addresses["fw1"], 80), 5) as visitor,
            responder.accept()[0] as connection,
        ):
            fleet.emulator.settings("fw1", clock_offset=3600)
            wait_until(lambda: fleet.port80("fw1") == "silent", 20, lambda: "the lease is over and port 80 still open")
            visitor.sendall(b"still here")
            assert connection.recv(64) == b"still here"
        assert fleet.port80("fw1") == "silent"


@pytest.mark.planes("namespaces", "rootless")
def test_a_waf_redirect_on_port_80_comes_back(make_fleet, play):
    """DNAT goes before the firewall's own listener, and gives way to it again."""
    fleet = make_fleet([firewall(1, {**site("fw1"), "redirect_http": True})], {"fw1.example.com": "fw1"})

    def answer():
        with fleet.plane.outside.connect((fleet.addresses["fw1"], 80), 5) as visitor:
            visitor.sendall(b"GET / HTTP/1.1\r\nHost: fw1.example.com\r\n\r\n")
            return visitor.recv(64).splitlines()[0]

    assert answer() == b"HTTP/1.1 301 Moved Permanently"
    play(fleet, {"fw1": renewal("fw1")}).check()
    assert fleet.shown("fw1", 8443, "fw1.example.com").trusted
    assert answer() == b"HTTP/1.1 301 Moved Permanently"
