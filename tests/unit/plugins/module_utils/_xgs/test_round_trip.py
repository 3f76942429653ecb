# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The golden round trip: what we update comes back as it was, known or not, with one node changed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.consumers import (
    KINDS,
    Consumer,
    check_consumers,
    left_alone,
    read_consumers,
    select,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.pointing import groups_of, point

from emulator.personas import PERSONAS
from emulator.specimens import INVENTED, SPECIMENS, specimen
from unit.plugins.module_utils._xgs.firewalls import Box, authority, special

NAMES = ("*.specimen.example.com", "specimen.example.com")
SWITCHED = [kind for kind in KINDS.values() if not kind.by_hand]
# What the firewall itself calls the object.
NAME = {"FirewallRule": "Specimen rule", "VPNIPSecConnection": "Branch", "L2TPConnection": "Roadwarriors_L2TP"}
# Names that XML, quotes or an encoding could spoil, as long as the firewall allows.
ODD_NAMES = [
    """"R&D" <Büro> 'Köln' & ]]> &amp;""",
    "Größe: 100 % · «Ünïcödé» 証明書",
    "x" * 50,
    "ä" * 50,
    "\\ / % + ? # {{ 7 * 7 }} $(id) ; --",
]

Node = tuple[str, tuple[tuple[str, str], ...], str]


def nodes(xml: str) -> list[Node]:
    """Every node: path, attributes, text, in order. White space around elements means nothing."""

    def walk(element: ET.Element, path: str) -> list[Node]:
        here = f"{path}/{element.tag}"
        found = [(here, tuple(sorted(element.attrib.items())), (element.text or "").strip())]
        return found + [node for child in element for node in walk(child, here)]

    root = ET.fromstring(xml)
    if root.tag == "AdminSettings":
        # Its blocks are written one by one, and the emulator puts the last one at the end.
        root[:] = sorted(root, key=lambda block: block.tag)
    return walk(root, "")


def changes(before: str, after: str) -> list[tuple[str, str, str]]:
    """Path, old and new text of what differs; nothing may have come, gone or moved."""
    pairs = list(zip(nodes(before), nodes(after), strict=True))
    assert [old[:2] for old, _new in pairs] == [new[:2] for _old, new in pairs]
    return [(old[0], old[2], new[2]) for old, new in pairs if old != new]


def put(box: Box, entity: str, xml: str = "") -> None:
    answer = box.ask(f"<Set>{xml or specimen(entity)}</Set>")
    assert {status.get("code") for status in answer.iter("Status") if status.get("code")} <= {"200", "201"}


def find(box: Box, text: str) -> Consumer:
    (found,) = select(read_consumers(box.firewall()), [text], (), NAMES)
    return found


def switch(box: Box, consumer: Consumer, certificate: str = "new") -> None:
    firewall = box.firewall()
    point(firewall, consumer, certificate, groups_of(firewall, consumer))


@pytest.fixture
def ready(box: Box) -> Box:
    box.put("new", authority().issue(*NAMES))
    return box


@pytest.mark.parametrize("kind", SWITCHED, ids=lambda kind: kind.key)
def test_one_node_changes(ready: Box, kind: object) -> None:
    put(ready, kind.entity)
    name = NAME.get(kind.entity, "")
    others = {entity: ready.emulator.objects(ready.name, entity) for entity in SPECIMENS}
    before = others[kind.entity].pop(name)
    assert all(tag in before for tag in ("NewSwitch", "NewBlock", "NewEmpty")), "it has what nobody knows"

    switch(ready, find(ready, f"{kind.key}:{name}" if kind.named else kind.key))

    after = {entity: ready.emulator.objects(ready.name, entity) for entity in SPECIMENS}
    changed = changes(before, after[kind.entity].pop(name))
    assert changed == [(f"/{kind.entity}/{kind.paths[0]}", "ApplianceCertificate", "new")]
    assert after == others, "siblings stay as they were, and where they were"
    assert ready.writes == 2, "the specimen and the switch"


def test_every_entity_with_a_certificate_has_its_specimen_switched() -> None:
    assert {kind.entity for kind in SWITCHED} == set(SPECIMENS)
    assert INVENTED.count("<New") == 3


@pytest.mark.parametrize("version", sorted(PERSONAS))
def test_on_every_firmware(version: str) -> None:
    with special(
        firmware=version, objects=[specimen(entity) for entity in SPECIMENS if entity != "AdminSettings"]
    ) as box:
        box.put("new", authority().issue(*NAMES))
        settings = box.emulator.objects(box.name, "AdminSettings")[""]
        assert ("VPNPortalHTTPSPort" in settings) is PERSONAS[version].vpn_portal
        # The console last: from then on it is not the one that this test trusts.
        for kind in sorted(SWITCHED, key=lambda kind: kind.key == "webadmin"):
            name = NAME.get(kind.entity, "")
            before = box.emulator.objects(box.name, kind.entity)[name]
            switch(box, find(box, f"{kind.key}:{name}" if kind.named else kind.key))
            after = box.emulator.objects(box.name, kind.entity)[name]
            assert changes(before, after) == [(f"/{kind.entity}/{kind.paths[0]}", "ApplianceCertificate", "new")]


def test_positions_survive(ready: Box) -> None:
    for number in range(3):
        rule = specimen("FirewallRule").replace("Specimen rule", f"rule {number}")
        put(ready, "FirewallRule", rule.replace("specimen.example.com", f"s{number}.specimen.example.com"))
    order = ready.names("FirewallRule")
    before = ready.emulator.objects(ready.name, "FirewallRule")
    (middle,) = [one for one in read_consumers(ready.firewall(), ["waf"]) if one.name == "rule 1"]
    switch(ready, middle)
    assert ready.names("FirewallRule") == order
    after = ready.emulator.objects(ready.name, "FirewallRule")
    assert [name for name in before if before[name] != after[name]] == ["rule 1"]


def test_two_certificates_in_one_entity(ready: Box) -> None:
    """Both were read before the first was switched."""
    put(ready, "EmailConfiguration")
    before = ready.emulator.objects(ready.name, "EmailConfiguration")[""]
    for consumer in select(read_consumers(ready.firewall()), ["smtp", "popimap"], (), NAMES):
        switch(ready, consumer)
    after = ready.emulator.objects(ready.name, "EmailConfiguration")[""]
    assert [new for _path, _old, new in changes(before, after)] == ["new", "new"]


def test_what_an_administrator_changes_meanwhile_survives(ready: Box) -> None:
    put(ready, "SSLTunnelAccessSettings")
    consumer = find(ready, "sslvpn")
    put(ready, "SSLTunnelAccessSettings", specimen("SSLTunnelAccessSettings").replace("192.0.2.4", "192.0.2.99"))
    switch(ready, consumer)
    settings = ready.emulator.objects(ready.name, "SSLTunnelAccessSettings")[""]
    assert "192.0.2.99" in settings
    assert ">new<" in settings


def test_what_is_gone_is_told(ready: Box) -> None:
    put(ready, "FirewallRule")
    consumer = find(ready, "waf:Specimen rule")
    ready.ask("<Remove><FirewallRule><Name>Specimen rule</Name></FirewallRule></Remove>")
    with pytest.raises(CertfleetError, match="does not have waf:Specimen rule any more"):
        switch(ready, consumer)


def test_a_switch_that_somebody_else_has_made_is_not_made_again(ready: Box) -> None:
    put(ready, "FirewallRule")
    consumer = find(ready, "waf:Specimen rule")
    switch(ready, consumer)
    writes = ready.writes
    switch(ready, consumer)
    assert ready.writes == writes


# --- names -----------------------------------------------------------------------------------------------------------


def escaped(name: str) -> str:
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_of_rules_and_groups(ready: Box, name: str) -> None:
    put(ready, "FirewallRule", specimen("FirewallRule").replace("Specimen rule", escaped(name)))
    group = f"<Name>{escaped(name)}</Name><Description>{escaped(name)}</Description>"
    members = f"<SecurityPolicyList><SecurityPolicy>{escaped(name)}</SecurityPolicy></SecurityPolicyList>"
    ready.add(f"<FirewallRuleGroup>{group}{members}<Policytype>WAF rule</Policytype></FirewallRuleGroup>")
    rule = ready.emulator.objects(ready.name, "FirewallRule")[name]
    groups = ready.emulator.objects(ready.name, "FirewallRuleGroup")
    switch(ready, find(ready, f"waf:{name}"))
    changed = changes(rule, ready.emulator.objects(ready.name, "FirewallRule")[name])
    assert changed == [("/FirewallRule/HTTPBasedPolicy/Certificate", "ApplianceCertificate", "new")]
    assert ready.emulator.objects(ready.name, "FirewallRuleGroup") == groups


@pytest.mark.parametrize("name", ["a\"b'&<c>", "Büro & Söhne", "x" * 50])
def test_odd_names_of_certificates(box: Box, name: str) -> None:
    """Those of others: ours are plain, see check_name()."""
    box.settings(certificate_names="free")
    box.put(name, authority().issue(*NAMES))
    put(box, "FirewallRule")
    switch(box, find(box, "waf:Specimen rule"), name)
    assert name in box.bound("FirewallRule")
    switch(box, find(box, "waf:Specimen rule"), "ApplianceCertificate")
    assert name not in box.bound("FirewallRule")


# --- what is never switched ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["ipsec-peer:Branch", "remoteaccess-peer"])
def test_the_other_sides_certificate_is_refused(text: str) -> None:
    with pytest.raises(CertfleetError, match="is never switched: it is what the other side has to show") as caught:
        check_consumers([text])
    assert caught.value.stage == "plan"


def test_the_other_sides_certificate_is_told(ready: Box) -> None:
    connection = specimen("VPNIPSecConnection", "new").replace("ExternalCertificate", "new")
    put(ready, "VPNIPSecConnection", connection)
    consumers = read_consumers(ready.firewall())
    assert [str(one) for one in select(consumers, None, {"new"}, NAMES)] == ["ipsec:Branch"]
    assert list(left_alone(consumers, None, {"new"}, NAMES)) == ["ipsec-peer:Branch"]


def test_all_rules_that_the_certificate_covers(ready: Box) -> None:
    put(ready, "FirewallRule")
    consumers = read_consumers(ready.firewall())
    assert [str(one) for one in select(consumers, ["waf"], (), NAMES)] == ["waf:Specimen rule"]
    assert left_alone(consumers, ["waf"], (), NAMES) == {
        "waf:OWA": "answers for owa.example.com, mail.example.com, which the certificate does not cover"
    }
    assert select(consumers, ["waf"], (), NAMES[:1]) == []


@pytest.mark.parametrize("how", ["zero", "fail", "unknown"])
def test_what_a_firewall_does_not_have_uses_nothing(box: Box, how: str) -> None:
    entities = [entity for entity in SPECIMENS if entity not in ("AdminSettings", "FirewallRule")]
    box.settings(absent_entities=dict.fromkeys(entities, how))
    assert {str(consumer) for consumer in read_consumers(box.firewall())} == {"webadmin", "waf:OWA"}


def test_several_connections_in_one_answer(ready: Box) -> None:
    for name in ("one", "two", "three"):
        put(ready, "VPNIPSecConnection", specimen("VPNIPSecConnection").replace("Branch<", f"{name}<"))
    before = ready.emulator.objects(ready.name, "VPNIPSecConnection")
    switch(ready, find(ready, "ipsec:two"))
    after = ready.emulator.objects(ready.name, "VPNIPSecConnection")
    assert list(after) == list(before)
    assert [name for name in before if before[name] != after[name]] == ["two"]
