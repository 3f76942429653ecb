# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Misbehaviour on request, and the process itself."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest
import requests

from emulator.client import Emulator, EmulatorError
from lab.processes import wait_until

from .conftest import Box

HOST = "<IPHost><Name>{}</Name><HostType>IP</HostType><IPAddress>192.0.2.1</IPAddress></IPHost>"


def exists(box, name="a"):
    return name in box.state["objects"]["IPHost"]


@pytest.mark.parametrize(("kind", "applied"), [("reset_before", False), ("reset_after", True)])
def test_reset(box, kind, applied):
    box.faults({"kind": kind, "entity": "IPHost", "operation": "add"})
    with pytest.raises(requests.exceptions.ConnectionError):
        box.add(HOST.format("a"))
    assert exists(box) is applied
    state = box.state
    assert state["counters"]["writes"] == 1
    assert state["log"][-1]["status"] == ("200" if applied else "fault reset_before")


@pytest.mark.parametrize("applied", [True, False])
def test_timeout(box, applied):
    box.faults({"kind": "timeout", "applied": applied})
    with pytest.raises(requests.exceptions.ReadTimeout):
        box.post(f'<Set operation="add">{HOST.format("a")}</Set>', timeout=0.5)
    assert exists(box) is applied


@pytest.mark.parametrize("applied", [True, False])
def test_hold(box, applied):
    """It goes on when the faults are cleared, though nobody waits any more."""
    box.faults({"kind": "hold", "applied": applied})
    with pytest.raises(requests.exceptions.ReadTimeout):
        box.post(f'<Set operation="add">{HOST.format("a")}</Set>', timeout=0.5)
    assert (exists(box), box.state["held"]) == (applied, 1)
    box.emulator.clear_faults(box.name)
    wait_until(lambda: exists(box) and not box.state["held"], 10, lambda: "it is held on")


def test_status_on_the_second_matching_step_only(box):
    box.faults({"kind": "status", "entity": "IPHost", "operation": "set", "nth": 2, "code": 511, "text": "no"})
    body = HOST.format("a")
    assert [box.add(body), box.update(body), box.update(body)] == ["200", "511", "200"]


def test_count_zero_means_always_and_clearing_ends_it(box):
    box.faults({"kind": "lie", "name": "a", "count": 0})
    assert [box.add(HOST.format("a")) for _ in range(2)] == ["200", "200"]
    assert not exists(box)
    box.emulator.clear_faults(box.name)
    box.add(HOST.format("a"))
    assert exists(box)


def test_spoilt_answers(box):
    get = "<Get><IPHost/></Get>"
    whole = box.post(get).content
    box.faults(
        {"kind": "truncated"},
        {"kind": "wrong_entity", "nth": 2},
        {"kind": "html", "nth": 3},
        {"kind": "empty", "nth": 4},
        {"kind": "auth", "nth": 5},
        {"kind": "noise", "nth": 6},
    )
    assert box.post(get).content == whole[: len(whole) // 2]
    assert {child.tag for child in box.ask(get)} == {"Login", "Unexpected"}
    assert box.post(get).headers["Content-Type"].startswith("text/html")
    assert box.post(get).content == b""
    assert box.ask(get).findtext("Login/status") == "Authentication Failure"
    noisy = box.post(get).content
    assert b"\0" in noisy
    assert not noisy.startswith(b"<?xml")
    assert box.post(get).content == whole


def test_slow_and_latency(box):
    box.faults({"kind": "slow", "seconds": 0.4})
    start = time.monotonic()
    box.get("IPHost")
    slow = time.monotonic() - start
    box.settings(latency={"write": 0.4})
    start = time.monotonic()
    box.get("IPHost")
    quick = time.monotonic() - start
    box.add(HOST.format("a"))
    assert slow > 0.4 > quick
    assert time.monotonic() - start > 0.4


def test_refuse(box):
    box.faults({"kind": "refuse", "seconds": 0.5})
    with pytest.raises(requests.exceptions.ConnectionError):
        box.get("IPHost")
    time.sleep(0.7)
    assert len(box.get("IPHost")) == 2


def test_leave(box):
    """The request after it is refused, and not cut off."""
    box.faults({"kind": "leave", "operation": "add", "seconds": 0})
    assert box.add(HOST.format("a")) == "200"
    with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
        box.get("IPHost")
    box.emulator.clear_faults(box.name)
    assert exists(box)
    assert len(box.get("IPHost")) == 3


def test_envelope(box):
    box.faults({"kind": "envelope", "operation": "add", "code": 534, "text": "not from there"})
    answer = box.ask(f'<Set operation="add">{HOST.format("a")}</Set>')
    assert [(child.tag, child.get("code"), child.text) for child in answer] == [("Status", "534", "not from there")]
    assert not exists(box)


def test_stale_tls(box, issue):
    pair = issue("admin.test")
    box.upload(pair, "admin")
    box.faults({"kind": "stale_tls"})
    box.update(
        "<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>4443"
        "</UserPortalHTTPSPort><VPNPortalHTTPSPort>443</VPNPortalHTTPSPort>"
        "<Certificate>admin</Certificate></WebAdminSettings></AdminSettings>"
    )
    time.sleep(0.5)
    assert box.served(4443) == box.state["appliance_fingerprint"]
    box.emulator.clear_faults(box.name)
    time.sleep(0.5)
    assert box.served(4443) == pair.fingerprint


@pytest.mark.parametrize("fault", [{"kind": "nonsense"}, {"kind": "slow", "colour": "red"}])
def test_unknown_faults_are_refused(box, fault):
    with pytest.raises(EmulatorError, match="400"):
        box.faults(fault)


@pytest.mark.parametrize("settings", [{"nonsense": 1}, {"key_mode": "loose"}, {"latency": "soon"}])
def test_unknown_settings_are_refused(box, settings):
    with pytest.raises(EmulatorError, match="400"):
        box.settings(**settings)


class TestProcess:
    # Apart from the addresses of the shared fleet.
    address = f"127.76.{os.getpid() % 250}.1"

    def config(self, **values):
        return {"firewalls": [{"name": "fw", "address": self.address, **values}]}

    def test_a_port_in_use_is_one_clear_line(self):
        with socket.create_server((self.address, 4444)), pytest.raises(EmulatorError) as caught:
            Emulator(self.config()).start()
        assert "4444" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1

    def test_a_bad_configuration_is_one_clear_line(self):
        bad_object = "<IPHost><Name>a</Name></IPHost>"
        for values in ({"colour": "red"}, {"timezone": "Nowhere/Land"}, {"objects": [bad_object]}):
            with pytest.raises(EmulatorError) as caught:
                Emulator(self.config(**values)).start()
            assert len(str(caught.value).splitlines()) == 1

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ends_cleanly(self, number):
        emulator = Emulator(self.config())
        with emulator:
            process = emulator._process
            os.kill(emulator.pid, number)
            assert process.wait(5) == 0
            assert emulator.errors() == ""

    def test_what_is_kept_when_the_power_is_cut(self, tmp_path):
        with Emulator(self.config(keep=str(tmp_path))) as emulator:
            before = emulator.firewall("fw")
            Box(emulator, "fw", self.address).add(HOST.format("a"))
            emulator.cut_power()
            emulator.start()
            after = emulator.firewall("fw")
        assert after["objects"]["IPHost"] == [*before["objects"]["IPHost"], "a"]
        assert after["appliance_fingerprint"] == before["appliance_fingerprint"]
        assert after["served"] == before["served"]
        assert after["counters"]["requests"] == 0

    def test_seeds(self, issue, tmp_path):
        pair = issue("owa.test")
        (tmp_path / "c.pem").write_bytes(pair.cert)
        (tmp_path / "c.key").write_bytes(pair.key)
        config = self.config(
            certificates=[
                {"name": "OWA-old", "cert_file": str(tmp_path / "c.pem"), "key_file": str(tmp_path / "c.key")}
            ],
            waf_rules=[
                {
                    "name": "OWA rule",
                    "domains": ["owa.test"],
                    "listen_port": 8443,
                    "certificate": "OWA-old",
                    "redirect_http": True,
                    "group": "WAFs",
                }
            ],
            ssl_vpn_port=9443,
            objects=["<IPHost><Name>a</Name><HostType>IP</HostType><IPAddress>192.0.2.1</IPAddress></IPHost>"],
        )
        with Emulator(config) as emulator:
            state = emulator.firewall("fw")
        assert state["served"]["8443"] == {"role": "WAF", "certificates": {"owa.test": pair.fingerprint}}
        assert state["served"]["9443"]["role"] == "SSL VPN"
        assert state["objects"]["FirewallRuleGroup"] == ["WAFs"]
        assert "a" in state["objects"]["IPHost"]
        assert state["counters"]["requests"] == 0
