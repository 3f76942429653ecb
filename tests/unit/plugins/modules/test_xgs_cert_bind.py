# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as a task sees it: changed, diff, results, what a visitor is shown, and how many writes that took."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._x509 import facts
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.certificates import version_name
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_cert_bind

from emulator.personas import PERSONAS
from emulator.specimens import specimen
from lab.ports import is_open
from unit.plugins.module_utils._xgs.firewalls import WAF_PORT, Box, Issued, authority, special
from unit.plugins.modules import xgs_tasks
from unit.plugins.modules.xgs_tasks import documented

NAMES = ("owa.example.com", "mail.example.com")
APPLIANCE = "ApplianceCertificate"
RULE = {"name": "OWA", "domains": list(NAMES), "listen_port": WAF_PORT, "group": "Web"}
SSL_VPN_PORT = 9446
VPN_PORTAL_PORT = 9447


@pytest.fixture(scope="module")
def ca_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a user has who trusts the authority."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_text(authority().root_pem)
    return str(path)


def run(box: Box, certificate: str, *consumers: str, check_mode: bool = False, **options: Any) -> Outcome:
    options = {"verify_timeout": 5, "consumers": list(consumers) or None, **options}
    return xgs_tasks.run(xgs_cert_bind, box, check_mode, certificate=certificate, **options)


def both(box: Box, certificate: str, *consumers: str, **options: Any) -> tuple[Outcome, int]:
    options = {"verify_timeout": 5, "consumers": list(consumers) or None, **options}
    return xgs_tasks.both(xgs_cert_bind, box, certificate=certificate, **options)


def put(box: Box, *names: str, name: str = "", **options: Any) -> tuple[str, Issued]:
    """On the firewall, as one of our versions."""
    issued = authority().issue(*(names or NAMES), **options)
    name = name or version_name("owa", facts(issued.chain[0]))
    box.put(name, issued)
    return name, issued


def groups(box: Box) -> dict[str, str]:
    return box.emulator.objects(box.name, "FirewallRuleGroup")


def members(box: Box) -> dict[str, list[str]]:
    return {name: sorted(re.findall("<SecurityPolicy>(.*?)</", xml)) for name, xml in groups(box).items()}


# --- check, do, do again, change, remove, remove again ---------------------------------------------------------------


def test_six_steps(box: Box) -> None:
    """To remove a certificate from a consumer is to give it the appliance's back."""
    first, issued = put(box, age=1)
    in_groups = groups(box)

    did, writes = both(box, first, "waf:OWA")
    assert (did.changed, writes) == (True, 2)
    assert (did.before, did.after) == ({"waf:OWA": APPLIANCE}, {"waf:OWA": first})
    (bound,) = did.facts["consumers"]
    served_by = [f"{box.address}:{WAF_PORT} for {name}" for name in NAMES]
    assert bound == {
        "consumer": "waf:OWA",
        "previous": APPLIANCE,
        "certificate": first,
        "verified": True,
        "served_by": served_by,
        "reason": None,
    }
    assert box.shown(WAF_PORT, NAMES[0]).fingerprint == issued.fingerprint

    again, writes = both(box, first, "waf:OWA")
    assert (again.changed, writes, again.before, again.after) == (False, 0, {}, {})
    assert again.warnings == []

    second, issued = put(box)
    changed, writes = both(box, second)
    assert (changed.changed, writes) == (True, 2), "whatever used the version before"
    assert (changed.before, changed.after) == ({"waf:OWA": first}, {"waf:OWA": second})
    assert box.shown(WAF_PORT, NAMES[1]).fingerprint == issued.fingerprint

    with pytest.raises(CertfleetError, match="which the certificate does not cover"):
        run(box, APPLIANCE, "waf:OWA")
    assert groups(box) == in_groups

    run(box, second, "sslvpn")
    gone, writes = both(box, APPLIANCE, "sslvpn")
    assert (gone.changed, writes, gone.before, gone.after) == (True, 1, {"sslvpn": second}, {"sslvpn": APPLIANCE})
    again, writes = both(box, APPLIANCE, "sslvpn")
    assert (again.changed, writes, again.before) == (False, 0, {})


def test_the_readme_counts_right(box: Box, ca_path: str) -> None:
    for entity in ("EmailConfiguration", "SophosConnectClient", "VPNIPSecConnection", "L2TPConnection"):
        box.ask(f"<Set>{specimen(entity)}</Set>")
    name, _issued = put(box)
    alone = "waf:Specimen rule"
    box.ask(f"<Set>{specimen('FirewallRule').replace('<Domain>*.specimen.example.com</Domain>', '')}</Set>")
    wide, _issued = put(box, *NAMES, "specimen.example.com", name="wide")
    _outcome, in_group = both(box, wide, "waf:OWA")
    _outcome, in_none = both(box, wide, alone)
    assert (in_none, in_group) == documented("bind waf:NAME")
    others = "sslvpn, smtp, popimap, hotspot, remoteaccess, ipsec:NAME, l2tp:NAME"
    least, most = documented(f"bind {others}")
    for text in others.replace("ipsec:NAME", "ipsec:Branch").replace("l2tp:NAME", "l2tp:Roadwarriors_L2TP").split(", "):
        _outcome, writes = both(box, name, text)
        assert least <= writes <= most, text
    _outcome, writes = both(
        box, name, "webadmin", ca_path=ca_path, fingerprint=box.fingerprint, tls_server_name=NAMES[0]
    )
    assert (writes, writes) == documented("bind webadmin")


# --- which ones ------------------------------------------------------------------------------------------------------


def test_all_rules_that_it_covers(box: Box) -> None:
    box.ask(f"<Set>{specimen('FirewallRule')}</Set>")
    name, _issued = put(box, "*.example.com", "example.com")
    for consumers in (["waf"], ["waf", "waf:OWA"]):
        did = run(box, name, *consumers, check_mode=True)
        assert did.after == {"waf:OWA": name}
        told = "answers for *.specimen.example.com, which the certificate does not cover"
        assert did.facts["left_alone"] == {"waf:Specimen rule": told}
        assert did.warnings == [f"waf:Specimen rule is left as it is: it {told}."]
    assert run(box, name, "waf").facts["consumers"][0]["verified"] is True
    with pytest.raises(CertfleetError, match=re.escape(f"waf:Specimen rule {told}")):
        run(box, name, "waf:Specimen rule")
    assert not run(box, name, "waf").changed


def test_before_the_upload_check_mode_goes_by_the_version_before(box: Box) -> None:
    old, _issued = put(box, age=1)
    run(box, old, "waf")
    would = run(box, "owa-20990101-01234567", "waf", check_mode=True)
    assert would.after == {"waf:OWA": "owa-20990101-01234567"}
    with pytest.raises(CertfleetError, match="holds no such certificate"):
        run(box, "owa-20990101-01234567", "waf")


def test_the_rule_of_the_version_before_that_is_not_covered_any_more(box: Box) -> None:
    old, _issued = put(box, age=1)
    run(box, old, "waf:OWA")
    new, _issued = put(box, NAMES[0])
    writes = box.writes
    for check_mode in (True, False):
        with pytest.raises(CertfleetError, match=r"answers for mail\.example\.com, which the certificate does not"):
            run(box, new, check_mode=check_mode)
    assert box.writes == writes


def test_what_has_to_be_changed_by_hand_is_told(box: Box) -> None:
    old, _issued = put(box, age=1)
    box.ask(f"<Set>{specimen('VPNIPSecConnection', old).replace('ExternalCertificate', old)}</Set>")
    new, _issued = put(box)
    did, writes = both(box, new)
    assert (writes, did.after) == (1, {"ipsec:Branch": new})
    assert list(did.facts["left_alone"]) == ["ipsec-peer:Branch"]
    assert "change it when the other side has its new certificate" in did.warnings[0]


# --- what a visitor is shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", sorted(PERSONAS))
def test_console_and_portals_of_every_firmware(version: str, ca_path: str) -> None:
    vpn = {"vpn_portal_port": VPN_PORTAL_PORT, "serve_vpn_portal": True} if PERSONAS[version].vpn_portal else {}
    with special(firmware=version, waf_rules=[RULE], **vpn) as box:
        name, issued = put(box)
        options = {"ca_path": ca_path, "fingerprint": box.fingerprint, "tls_server_name": NAMES[0]}
        did = run(box, name, "webadmin", "waf", **options)
        console, rule = did.facts["consumers"]
        ports = [4444, 4443, *([VPN_PORTAL_PORT] if vpn else [])]
        assert console["served_by"] == [f"{box.address}:{port} for {NAMES[0]}" for port in ports]
        assert (console["verified"], rule["verified"], did.warnings) == (True, True, [])
        for port in ports:
            assert box.shown(port).fingerprint == issued.fingerprint
        assert not run(box, name, "webadmin", "waf", ca_path=ca_path, tls_server_name=NAMES[0]).changed


def test_a_portal_whose_port_is_somebody_elses(ca_path: str) -> None:
    """The VPN portal is off, and its port is that of a rule."""
    rule = {**RULE, "listen_port": VPN_PORTAL_PORT}
    with special(waf_rules=[rule], vpn_portal_port=VPN_PORTAL_PORT) as box:
        own, _issued = put(box, name="own")
        run(box, own, "waf:OWA")
        name, _issued = put(box)
        options = {"ca_path": ca_path, "fingerprint": box.fingerprint, "tls_server_name": NAMES[0]}
        (bound,) = run(box, name, "webadmin", **options).facts["consumers"]
        assert bound["served_by"] == [f"{box.address}:{port} for {NAMES[0]}" for port in (4444, 4443)]


@pytest.mark.parametrize("kind", ["refuse", "reset_before", "reset_after"])
def test_a_console_that_is_away_for_a_moment(box: Box, ca_path: str, kind: str) -> None:
    name, issued = put(box)
    box.settings(webadmin_drop=True)
    fault = {"kind": kind, "operation": "update", "entity": "AdminSettings", "seconds": 1.0}
    box.faults(fault)
    options = {"ca_path": ca_path, "fingerprint": box.fingerprint, "tls_server_name": NAMES[0], "verify_timeout": 20}
    (bound,) = run(box, name, "webadmin", **options).facts["consumers"]
    assert bound["verified"] is True
    assert box.shown(4444).fingerprint == issued.fingerprint


def test_the_ssl_vpn_where_it_answers() -> None:
    with special(ssl_vpn_port=SSL_VPN_PORT) as box:
        name, issued = put(box)
        (bound,) = run(box, name, "sslvpn").facts["consumers"]
        assert (bound["verified"], bound["served_by"]) == (True, [f"{box.address}:{SSL_VPN_PORT}"])
        assert box.shown(SSL_VPN_PORT).fingerprint == issued.fingerprint


def test_the_ssl_vpn_that_answers_no_handshake(box: Box) -> None:
    """As OpenVPN's own framing over TCP may have it, and UDP must."""
    settings = specimen("SSLTunnelAccessSettings").replace(f">{WAF_PORT}<", ">9999<")
    name, _issued = put(box)
    for protocol, reason in (("TCP", "9999 failed: "), ("UDP", "over UDP there is no TLS handshake")):
        box.ask(f"<Set>{settings.replace('>TCP<', f'>{protocol}<')}</Set>")
        did = run(box, name, "sslvpn")
        (bound,) = did.facts["consumers"]
        assert (bound["verified"], bound["served_by"]) == (None, [])
        assert reason in bound["reason"]
        assert bound["reason"] in did.warnings[0]


@pytest.mark.parametrize(
    "entity", ["EmailConfiguration", "AdvancedConfiguration", "VPNIPSecConnection", "L2TPConnection"]
)
def test_what_shows_no_handshake_is_read_back(box: Box, entity: str) -> None:
    texts = {
        "EmailConfiguration": "smtp",
        "AdvancedConfiguration": "hotspot",
        "VPNIPSecConnection": "ipsec:Branch",
        "L2TPConnection": "l2tp:Roadwarriors_L2TP",
    }
    box.ask(f"<Set>{specimen(entity)}</Set>")
    name, _issued = put(box)
    box.faults({"kind": "lie", "operation": "update", "entity": entity})
    failed = run(box, name, texts[entity])
    assert "accepted the switch" in str(failed.failure)
    assert "did not carry it out. ApplianceCertificate is still in place" in str(failed.failure)
    did = run(box, name, texts[entity])
    assert did.failure is None
    (bound,) = did.facts["consumers"]
    assert bound["verified"] is None
    assert bound["reason"]
    assert name in box.bound(entity)


def test_an_address_that_leads_elsewhere_says_nothing(box: Box) -> None:
    """A proxy in front: it shows its own certificate before and after."""
    with special(waf_rules=[RULE]) as other:
        own, _issued = put(other, name="own")
        run(other, own, "waf:OWA")
        name, issued = put(box)
        did = run(box, name, "waf:OWA", verify_address=other.address)
    (bound,) = did.facts["consumers"]
    assert bound["verified"] is None
    assert f"{other.address}:{WAF_PORT} for {NAMES[0]} showed another certificate" in bound["reason"]
    assert box.shown(WAF_PORT, NAMES[0]).fingerprint == issued.fingerprint


def test_a_wildcard_domain_is_asked_for_by_one_of_its_hosts() -> None:
    with special(waf_rules=[{**RULE, "domains": ["*.shop.example.com"]}]) as box:
        name, _issued = put(box, "*.shop.example.com")
        (bound,) = run(box, name, "waf").facts["consumers"]
        assert bound["served_by"] == [f"{box.address}:{WAF_PORT} for certfleet-probe.shop.example.com"]


def test_a_rule_that_is_switched_off(box: Box) -> None:
    rule = box.emulator.objects(box.name, "FirewallRule")["OWA"]
    status = "<Status>Disable</Status>"
    rule = (
        re.sub("<Status>.*?</Status>", status, rule)
        if "<Status>" in rule
        else rule.replace("</Name>", f"</Name>{status}", 1)
    )
    box.ask(f'<Set operation="update">{rule}</Set>')
    name, _issued = put(box)
    (bound,) = run(box, name, "waf:OWA").facts["consumers"]
    assert (bound["verified"], bound["reason"]) == (None, "the rule is switched off")
    assert box.bound("FirewallRule") == [name]


def test_the_intermediate_has_to_be_served(box: Box) -> None:
    name, issued = put(box)
    box.settings(leaf_only=True)
    failed = run(box, name, "waf:OWA")
    text = str(failed.failure)
    assert f"{box.address}:{WAF_PORT} for {NAMES[0]} without CN=Lab Issuing CA" in text
    assert "set verify_chain to false" in text
    assert f"{APPLIANCE} is still in place" in text
    assert box.shown(WAF_PORT, NAMES[0]).fingerprint == box.fingerprint
    did = run(box, name, "waf:OWA", verify_chain=False)
    assert did.facts["consumers"][0]["verified"] is True
    assert box.shown(WAF_PORT, NAMES[0]).fingerprint == issued.fingerprint


def test_one_that_fails_does_not_keep_the_others(box: Box) -> None:
    box.ask(f"<Set>{specimen('EmailConfiguration')}</Set>")
    name, _issued = put(box)
    box.faults({"kind": "status", "operation": "update", "entity": "FirewallRule", "text": "no"})
    did = run(box, name, "smtp", "waf:OWA", "popimap")
    assert [bound["consumer"] for bound in did.facts["consumers"]] == ["smtp", "popimap"]
    assert "status 500, no" in str(did.failure)
    assert box.bound("EmailConfiguration") == [name, name]
    assert box.bound("FirewallRule") == [APPLIANCE]


# --- rule groups -----------------------------------------------------------------------------------------------------


def test_a_rule_goes_back_into_its_group(box: Box) -> None:
    """Among others; the emulated firewall puts what comes back at the end."""
    for number in range(3):
        rule = specimen("FirewallRule").replace("Specimen rule", f"rule {number}")
        box.ask(
            f"<Set>{re.sub('<Domains>.*</Domains>', f'<Domains><Domain>r{number}.test</Domain></Domains>', rule)}</Set>"
        )
    inside = "".join(f"<SecurityPolicy>rule {number}</SecurityPolicy>" for number in range(3))
    box.add(
        "<FirewallRuleGroup><Name>Three &amp; more</Name><Description>x</Description>"
        f"<SecurityPolicyList>{inside}</SecurityPolicyList><Policytype>WAF rule</Policytype></FirewallRuleGroup>"
    )
    before = members(box)
    name, _issued = put(box, "r0.test", "r1.test", "r2.test")
    for number in (1, 0, 2):
        run(box, name, f"waf:rule {number}")
        assert members(box) == before


def test_a_firewall_that_falls_silent_does_not_lose_the_group(box: Box) -> None:
    """The rule and its group are one request, so that nothing has to come after it."""
    before = groups(box)
    name, _issued = put(box)
    box.faults(
        {"kind": "reset_after", "operation": "update", "entity": "FirewallRule", "count": 4},
        {"kind": "reset_before", "operation": "get", "entity": "FirewallRuleGroup", "nth": 3, "count": 0},
    )
    assert "Putting ApplianceCertificate back failed too" in str(run(box, name, "waf:OWA").failure)
    box.emulator.clear_faults(box.name)
    assert groups(box) == before
    assert box.bound("FirewallRule") == [name]


def test_a_busy_firewall_does_not_lose_the_group(box: Box) -> None:
    """The rule was switched and fell out; nothing goes until the previous certificate is put back."""
    before = groups(box)
    name, _issued = put(box)
    box.faults({"kind": "status", "operation": "update", "entity": "FirewallRuleGroup", "text": "busy", "count": 2})
    did = run(box, name, "waf:OWA")
    assert "status 500, busy" in str(did.failure)
    assert f"{APPLIANCE} is still in place" in str(did.failure)
    assert groups(box) == before
    assert box.bound("FirewallRule") == [APPLIANCE]


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_certificate_that_is_not_shown(box: Box, check_mode: bool) -> None:
    box.settings(certificate_names="free")
    odd, _issued = put(box, name="odd", san=b"\x01\x02")
    with pytest.raises(CertfleetError, match="has it, but does not show the certificate itself"):
        run(box, odd, "waf:OWA", check_mode=check_mode)
    plain, _issued = put(box, name="a\"b'&<c>" + "x" * 42)
    assert run(box, plain, "waf:OWA", check_mode=check_mode).failure is None


def test_nothing_uses_it(box: Box) -> None:
    name, _issued = put(box)
    did, writes = both(box, name)
    assert (did.changed, writes) == (False, 0)
    assert "set consumers" in did.warnings[0]
    assert is_open(box.address, 4444)
