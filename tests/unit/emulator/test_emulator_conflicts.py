# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may stand in the way: rules of Sophos Central, WAF rules on port 80, rights; and more than one WAN address."""

from __future__ import annotations

import socket
import threading
import time
import xml.etree.ElementTree as ET
from http.server import ThreadingHTTPServer

import pytest
import requests

from emulator.client import EmulatorError
from emulator.specimens import specimen

from .conftest import Responder

HOST = (
    "<IPHost><Name>{name}</Name><IPFamily>{family}</IPFamily><HostType>IP</HostType>"
    "<IPAddress>{address}</IPAddress></IPHost>"
)
SERVICE = (
    "<Services><Name>responder-port</Name><Type>TCPorUDP</Type><ServiceDetails><ServiceDetail>"
    "<SourcePort>1:65535</SourcePort><DestinationPort>{}</DestinationPort><Protocol>TCP</Protocol>"
    "</ServiceDetail></ServiceDetails></Services>"
)
NAT = (
    "<NATRule><Name>{name}</Name><IPFamily>{family}</IPFamily><Position>{position}</Position>"
    "<TranslatedSource>MASQ</TranslatedSource>"
    "<OriginalDestinationNetworks><Network>{destination}</Network></OriginalDestinationNetworks>"
    "<TranslatedDestination>{target}</TranslatedDestination>"
    "<OriginalServices><Service>HTTP</Service></OriginalServices>"
    "<TranslatedService>{service}</TranslatedService></NATRule>"
)
RULE = (
    "<FirewallRule><Name>{name}</Name><IPFamily>{family}</IPFamily>{section}<Position>{position}</Position>"
    "<PolicyType>Network</PolicyType><NetworkPolicy><Action>{action}</Action>"
    "<SourceZones><Zone>WAN</Zone></SourceZones><DestinationZones><Zone>LAN</Zone></DestinationZones>"
    "<Services><Service>HTTP</Service></Services></NetworkPolicy></FirewallRule>"
)
WAF = (
    "<FirewallRule><Name>{name}</Name><Position>Bottom</Position><PolicyType>HTTPBased</PolicyType>"
    "<HTTPBasedPolicy><HostedAddress>{address}</HostedAddress><HTTPS>{https}</HTTPS>"
    "<RedirectHTTP>{redirect}</RedirectHTTP><ListenPort>{port}</ListenPort><Domains><Domain>{domain}</Domain></Domains>"
    "{certificate}</HTTPBasedPolicy></FirewallRule>"
)


def host(name, address):
    return HOST.format(name=name, address=address, family="IPv6" if ":" in address else "IPv4")


def nat(**fields):
    return NAT.format(
        **{
            "name": "nat",
            "family": "IPv4",
            "position": "Top",
            "destination": "#Port2",
            "target": "responder",
            "service": "responder-port",
            **fields,
        }
    )


def rule(**fields):
    return RULE.format(
        **{"name": "rule", "family": "IPv4", "section": "", "position": "Top", "action": "Accept", **fields}
    )


def waf(**fields):
    plain = str(fields.get("port")) == "80"
    return WAF.format(
        **{
            "name": "w",
            "address": "#Port2",
            "https": "Disable" if plain else "Enable",
            "redirect": "Disable",
            "port": 8443,
            "domain": "w.test",
            "certificate": "" if plain else "<Certificate>ApplianceCertificate</Certificate>",
            **fields,
        }
    )


def prepare(box, responder):
    assert box.add(host("responder", responder[0])) == "200"
    assert box.add(SERVICE.format(responder[1])) == "200"
    return box


class TestSophosCentral:
    objects = (host("elsewhere", "192.0.2.99"),)

    def names(self, box, entity):
        return [
            (found.findtext("Name"), found.findtext("Position"), found.findtext("Section")) for found in box.get(entity)
        ]

    def test_local_rules_stay_between_its_own(self, configured):
        central = [
            rule(name="central 1", section="<Section>Central_TOP</Section>"),
            rule(name="central 2", section="<Section>Central_TOP</Section>"),
            rule(name="last word", section="<Section>Central_Bottom</Section>", action="Drop"),
        ]
        box = configured(central_rules=central)
        for name, position in (("b", "Top"), ("a", "Top"), ("c", "Bottom")):
            assert box.add(rule(name=name, position=position)) == "200"
        assert self.names(box, "FirewallRule") == [
            ("central 1", "Top", "Central_TOP"),
            ("central 2", "After", "Central_TOP"),
            ("a", "After", "Local"),
            ("b", "After", "Local"),
            ("c", "After", "Local"),
            ("last word", "After", "Central_Bottom"),
        ]

    def test_nobody_else_changes_them(self, configured):
        box = configured(central_rules=[rule(name="central")])
        assert box.update(rule(name="central", action="Drop")) == "596"
        assert box.remove("FirewallRule", "central") == "596"
        assert box.add(rule(name="mine", section="<Section>Central_TOP</Section>")) == "596"
        assert box.add(rule(name="mine", section="<Section>Local</Section>")) == "200"

    def test_a_nat_rule_above_ours_takes_port_80(self, configured, responder):
        above = nat(name="central dnat", target="elsewhere", service="Original", destination="wan net")
        network = (
            "<IPHost><Name>wan net</Name><HostType>Network</HostType><IPAddress>127.0.0.0</IPAddress>"
            "<Subnet>255.0.0.0</Subnet></IPHost>"
        )
        box = prepare(configured(objects=[*self.objects, network], central_rules=[above]), responder)
        assert box.add(nat()) == "200"
        assert box.add(rule()) == "200"
        # Asked for the top, it stands below; and Central's target is in no zone that the rule allows.
        assert self.names(box, "NATRule") == [("central dnat", "Top", None), ("nat", "After", None)]
        assert not box.port_80_listens
        assert box.remove("NATRule", "central dnat") == "596"

    def test_a_drop_above_ours(self, configured, responder):
        box = prepare(configured(central_rules=[rule(name="no http", action="Drop")]), responder)
        box.add(nat())
        assert box.add(rule()) == "200"
        assert not box.port_80_listens


class TestWafOnPort80:
    def test_dnat_wins_over_a_plain_http_rule(self, box, responder):
        prepare(box, responder)
        assert box.add(waf(port=80)) == "200"
        assert box.fetch("/x", Host="w.test").text == "w\n"
        assert box.add(nat()) == "200"
        box.add(rule())
        assert box.fetch("/x", Host="w.test").text.endswith("asked for /x")

    @pytest.mark.parametrize("rule_", [waf(port=80), waf(redirect="Enable")])
    def test_or_forbids_the_dnat(self, box, responder, rule_):
        prepare(box, responder)
        box.settings(waf_blocks_dnat=True)
        box.add(rule_)
        assert box.add(nat()) == "504"
        assert box.add(nat(destination="#Port1")) == "200"
        box.remove("FirewallRule", "w")
        assert box.add(nat(name="other")) == "200"

    def test_one_rule_per_domain_on_port_80(self, box):
        redirect, plain = waf(name="redirect", redirect="Enable"), waf(name="plain", port=80)
        assert box.add(redirect) == "200"
        assert box.add(plain) == "544"
        assert box.add(waf(name="second", redirect="Enable", port=9443)) == "553"
        assert box.add(plain.replace("w.test", "other.test")) == "200"
        assert box.update(plain) == "543"
        assert box.update(redirect.replace("w.test", "other.test")) == "544"
        assert box.remove("FirewallRule", "redirect") == "200"
        assert box.update(plain) == "200"
        assert box.add(redirect) == "543"


def test_rights_for_waf_rules_are_two(box):
    def write(body):
        return box.code(f"<Set>{body}</Set>", username="no-waf", password="x")

    assert write(rule()) == "200"
    assert write(specimen("FirewallRule")) == "599"
    box.add(specimen("FirewallRule"))
    remove = "<Remove><FirewallRule><Name>Specimen rule</Name></FirewallRule></Remove>"
    assert box.code(remove, username="no-waf", password="x") == "599"
    assert len(box.ask("<Get><FirewallRule/></Get>", username="no-waf", password="x").findall("FirewallRule")) == 2


class ResponderV6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def responder_v6():
    server = ResponderV6(("::1", 0), Responder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "::1", server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def free_port():
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return probe.getsockname()[1]


def answer(address, port):
    shown = f"[{address}]" if ":" in address else address
    return requests.get(f"http://{shown}:{port}/x", timeout=3).text


def listens(address, port):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        return probe.connect_ex((address, port)) == 0


class TestAddresses:
    def test_second_wan_address(self, configured, responder):
        second = "127.79.250.250"
        box = prepare(configured(wan_hosts={"#Port2:0": second}), responder)
        alias = next(found for found in box.get("IPHost") if found.findtext("Name") == "#Port2:0")
        assert (alias.findtext("HostType"), alias.findtext("IPAddress")) == ("System Host", second)
        interface = "<InboundInterfaces><Interface>{}</Interface></InboundInterfaces></NATRule>"
        body = nat(destination="#Port2:0")
        assert box.add(body.replace("</NATRule>", interface.format("Port9"))) == "501"
        assert box.add(body.replace("</NATRule>", interface.format("Port2:0"))) == "200"
        box.add(rule())
        assert not box.port_80_listens
        # Masqueraded by the address that was asked.
        assert answer(second, 5080) == f"{second} asked for /x"
        (interval,) = box.state["open_intervals"]
        assert (interval["address"], interval["connections"]) == (second, 1)
        assert box.add(nat(name="first")) == "200"
        assert answer(box.address, 5080) == f"{box.address} asked for /x"
        box.remove("NATRule", "nat")
        assert not listens(second, 5080)
        assert box.state["port80_open"]

    def test_a_waf_redirect_is_on_its_own_address(self, configured):
        second = "127.79.250.249"
        box = configured(wan_hosts={"#Port2:0": second})
        assert box.add(waf(address="#Port2:0", redirect="Enable")) == "200"
        assert listens(second, 5080)
        assert not box.port_80_listens

    def test_ipv6(self, configured, responder_v6, free_port):
        box = configured(wan_hosts={"#Port2_v6": "::1"}, http_port=free_port)
        prepare(box, responder_v6)
        body = nat(family="IPv6", destination="#Port2_v6")
        assert box.add(body) == "200"
        assert box.add(rule(name="four")) == "200"
        assert not listens("::1", free_port)
        assert box.add(rule(family="IPv6")) == "200"
        assert answer("::1", free_port) == "::1 asked for /x"
        assert not listens(box.address, free_port)
        box.remove("FirewallRule", "rule")
        assert not listens("::1", free_port)

    def test_families_do_not_mix(self, configured, responder):
        box = prepare(configured(wan_hosts={"#Port2_v6": "::1"}, http_port=5081), responder)
        for body in (nat(family="IPv6"), nat(destination="#Port2_v6"), nat(family="IPv6", destination="#Port2_v6")):
            assert box.add(body) == "501"
        wrong = host("six", "2001:db8::1").replace("IPv6", "IPv4")
        assert box.add(wrong) == "501"
        assert box.add(host("six", "2001:db8::1")) == "200"
        network = (
            "<IPHost><Name>net</Name><IPFamily>IPv6</IPFamily><HostType>Network</HostType>"
            "<IPAddress>2001:db8::</IPAddress><Subnet>{}</Subnet></IPHost>"
        )
        assert [box.add(network.format(mask)) for mask in ("255.0.0.0", "64")] == ["501", "200"]

    def test_system_hosts_are_named_so(self, configured):
        with pytest.raises(EmulatorError, match="starts with #"):
            configured(wan_hosts={"Port2:0": "127.79.250.248"})


def test_real_latency_to_scale(box):
    box.settings(latency={"real": 0.02})

    def seconds(body):
        started = time.monotonic()
        box.code(f"<Set>{body}</Set>")
        return time.monotonic() - started

    assert seconds(host("a", "192.0.2.1")) >= 0.1
    assert seconds(specimen("FirewallRule")) >= 0.3
    with pytest.raises(EmulatorError, match="400"):
        box.settings(latency={"real": "fast"})


def test_noise_in_names_survives(box):
    name = "Größe \"A\" & 'B' <C>; 50% ü" + "x" * 24
    assert len(name) == 50
    body = host("plain", "192.0.2.1")
    whole = ET.fromstring(body)
    whole.find("Name").text = name
    assert box.add(ET.tostring(whole, encoding="unicode")) == "200"
    assert [found.findtext("Name") for found in box.get("IPHost")][-1] == name
