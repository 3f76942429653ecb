# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entities that name a certificate: whole objects survive, missing parts are named, VPN connections sit in blocks."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from emulator.specimens import SPECIMENS, specimen

CERTIFICATE = "ApplianceCertificate"
SINGLETONS = ("AdminSettings", "SSLTunnelAccessSettings", "EmailConfiguration", "AdvancedConfiguration")


def flat(element):
    """Every node below: (path, attributes, text), in order."""

    def walk(node, path):
        for child in node:
            here = f"{path}/{child.tag}"
            yield here, tuple(sorted(child.attrib.items())), (child.text or "").strip()
            yield from walk(child, here)

    return list(walk(element, ""))


class TestWholeObjects:
    @pytest.mark.parametrize("entity", sorted(SPECIMENS))
    def test_come_back_child_by_child(self, box, entity):
        sent = ET.fromstring(specimen(entity))
        assert box.code(f"<Set>{specimen(entity)}</Set>") in ("200", "201")
        placing = ("/Position", "/Section", "/After", "/After/Name")
        found = [node for node in flat(box.get(entity)[0]) if node[0] not in placing]
        wanted = [node for node in flat(sent) if node[0] not in placing]
        if entity == "AdminSettings":
            found = [node for node in found if node[0].startswith("/WebAdminSettings")]
        assert found == wanted

    @pytest.mark.parametrize("entity", sorted(SPECIMENS))
    def test_a_test_sees_them_without_asking_the_api(self, box, entity):
        box.code(f"<Set>{specimen(entity)}</Set>")
        before = box.state["counters"]
        stored = box.emulator.objects(box.name, entity)
        (name,) = [found for found in stored if "NewBlock" in stored[found]]
        whole = ET.fromstring(stored[name])
        assert bool(name) is not ("Settings" in entity or "Configuration" in entity or entity == "SophosConnectClient")
        assert flat(whole) == flat(box.get(entity)[0])
        assert before == {**box.state["counters"], "requests": before["requests"], "reads": before["reads"]}

    def test_stand_in_the_configuration(self, configured):
        box = configured(objects=[specimen(entity) for entity in SPECIMENS])
        bound = {binding["entity"] for binding in box.state["bindings"]}
        assert bound == set(SPECIMENS)
        assert "NewSwitch" in box.emulator.objects("own", "FirewallRule")["Specimen rule"]

    def test_a_round_trip_keeps_the_place_of_a_rule(self, box):
        for number in range(3):
            rule = specimen("FirewallRule").replace("Specimen rule", f"rule {number}")
            assert box.add(rule.replace("specimen.example.com", f"s{number}.example.com")) == "200"
        shown = box.emulator.objects(box.name, "FirewallRule")
        assert box.update(shown["rule 1"]) == "200"
        assert box.emulator.objects(box.name, "FirewallRule") == shown

    def test_what_an_update_omits_is_gone(self, box):
        box.update(specimen("SSLTunnelAccessSettings"))
        box.update(specimen("SSLTunnelAccessSettings", invented=False))
        assert "NewSwitch" not in box.emulator.objects(box.name, "SSLTunnelAccessSettings")[""]

    @pytest.mark.parametrize(
        ("entity", "path"),
        [
            ("SSLTunnelAccessSettings", "LeaseMode"),
            ("SSLTunnelAccessSettings", "IPv6Prefix"),
            ("SSLTunnelAccessSettings", "IPLeaseRange/StartIP"),
            ("EmailConfiguration", "POPIMAPSettings/RecipientHeaders/Header"),
            ("EmailConfiguration", "POPSIMAPTLSConfiguration/TLSCertificate"),
            ("SophosConnectClient", "PolicyID"),
            ("SophosConnectClient", "RemoteCertificate"),
            ("VPNIPSecConnection", "Configuration/RemoteHost"),
            ("VPNIPSecConnection", "Configuration/LocalCertificate"),
            ("L2TPConnection", "Configuration/LocalCertificate"),
            ("L2TPConnection", "Configuration/LocalPort"),
            ("FirewallRule", "HTTPBasedPolicy/ListenPort"),
        ],
    )
    def test_a_missing_mandatory_child_is_named(self, box, entity, path):
        whole = ET.fromstring(specimen(entity))
        inner, _, tag = path.rpartition("/")
        parent = whole.find(inner) if inner else whole
        for child in parent.findall(tag):
            parent.remove(child)
        answer = box.ask(f"<Set>{ET.tostring(whole, encoding='unicode')}</Set>")
        assert [param.text for param in answer.iter("Params")] == [f"/{entity}/{path}"]
        assert {status.get("code") for status in answer.iter("Status")} == {"501"}


@pytest.mark.parametrize("entity", ["VPNIPSecConnection", "L2TPConnection"])
class TestConnections:
    """As the vendor's own collection speaks to them."""

    def get(self, box, entity, name):
        where = f'<Configuration><Filter><key name="Name" criteria="=">{name}</key></Filter></Configuration>'
        return box.ask(f"<Get><{entity}>{where}</{entity}></Get>").find(entity)

    def test_life(self, box, entity):
        name = ET.fromstring(specimen(entity)).findtext("Configuration/Name")
        assert self.get(box, entity, name).findtext("Configuration/Status") == "No. of records Zero."
        assert box.ask(f"<Get><{entity}/></Get>").findtext(f"{entity}/Status") == "No. of records Zero."
        code = "201" if entity == "L2TPConnection" else "200"
        for operation in ("add", "update"):
            answer = box.ask(f'<Set operation="{operation}">{specimen(entity)}</Set>')
            assert answer.find("Configuration/Status").get("code") == code
        answer = box.ask(f'<Set operation="add">{specimen(entity)}</Set>')
        assert answer.find("Configuration/Status").get("code") == "502"
        assert self.get(box, entity, name).findtext("Configuration/LocalCertificate") == CERTIFICATE
        remove = f"<Remove><{entity}><Configuration><Name>{name}</Name></Configuration></{entity}></Remove>"
        for expected in ("200", "504"):
            assert box.ask(remove).find(f"{entity}/Configuration/Status").get("code") == expected

    def test_all_of_them_in_one_element(self, box, entity):
        name = ET.fromstring(specimen(entity)).findtext("Configuration/Name")
        for number in range(3):
            box.add(specimen(entity).replace(name, f"tunnel{number}"))
        (whole,) = box.ask(f"<Get><{entity}/></Get>").findall(entity)
        assert [found.text for found in whole.findall("Configuration/Name")] == ["tunnel0", "tunnel1", "tunnel2"]
        assert len(self.get(box, entity, "tunnel1").findall("Configuration")) == 1
        # A filter outside of the block is one that the device does not support.
        where = '<Filter><key name="Name" criteria="=">tunnel1</key></Filter>'
        assert len(box.ask(f"<Get><{entity}>{where}</{entity}></Get>").findall(f"{entity}/Configuration")) == 3

    def test_nothing_without_the_block(self, box, entity):
        body = specimen(entity).replace("<Configuration>", "").replace("</Configuration>", "")
        assert box.add(body) == "501"

    def test_a_certificate_without_key_is_of_no_use_here(self, box, issue, entity):
        box.emulator.put_certificate(box.name, "keyless", issue("a.test").cert.decode())
        assert box.add(specimen(entity, "keyless")) == "508"


def test_ipsec_and_l2tp_share_their_names(box):
    box.add(specimen("VPNIPSecConnection"))
    assert box.add(specimen("L2TPConnection").replace("Roadwarriors_L2TP", "Branch")) == "502"


def test_other_blocks_of_the_admin_settings_stay(box):
    box.update("<AdminSettings><NewSettings><Entry>1</Entry></NewSettings></AdminSettings>")
    box.update(specimen("AdminSettings"))
    settings = box.get("AdminSettings")[0]
    assert settings.findtext("NewSettings/Entry") == "1"
    assert settings.find("HostnameSettings") is not None
