# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Side by side with the vendor's own Python SDK: it reads what our modules wrote, and they handle what it wrote."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_cert_bind, xgs_cert_upload, xgs_dnat_port
from sophosfirewall_python.api_client import SophosFirewallZeroRecords
from sophosfirewall_python.firewallapi import SophosFirewall

from emulator.specimens import specimen
from unit.plugins.module_utils._xgs.firewalls import WAF_PORT, Box, authority
from unit.plugins.modules.xgs_tasks import run

pytestmark = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
NAMES = ("owa.example.com", "mail.example.com", "specimen.example.com", "*.specimen.example.com")
# The console changes its certificate in these tests, and who is trusted is not their question.
ANYONE: dict[str, Any] = {"validate_certs": False}
TARGET = "127.0.0.1"


@pytest.fixture
def sdk(box: Box) -> Any:
    return SophosFirewall("admin", "secret", box.address, 4444, verify=False)


def upload(box: Box) -> str:
    issued = authority().issue(*NAMES)
    material = {"certificate_content": issued.chain_pem.decode(), "private_key_content": issued.key_pem.decode()}
    return str(run(xgs_cert_upload, box, name="owa", **material, **ANYONE).facts["certificate"])


def bind(box: Box, certificate: str, *consumers: str) -> None:
    options = {"certificate": certificate, "consumers": list(consumers), "verify_timeout": 5, **ANYONE}
    assert run(xgs_cert_bind, box, **options).failure is None


# --- it reads what our modules wrote ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("consumer", "entity", "path"),
    [
        ("sslvpn", "SSLTunnelAccessSettings", ["SSLServerCertificate"]),
        ("smtp", "EmailConfiguration", ["SMTPTLSConfiguration", "TLSCertificate"]),
        ("popimap", "EmailConfiguration", ["POPSIMAPTLSConfiguration", "TLSCertificate"]),
        ("hotspot", "AdvancedConfiguration", ["LoginPageCertificate", "Certificate"]),
        ("remoteaccess", "SophosConnectClient", ["LocalCertificate"]),
        ("ipsec:Branch", "VPNIPSecConnection", ["Configuration", "LocalCertificate"]),
        ("l2tp:Roadwarriors_L2TP", "L2TPConnection", ["Configuration", "LocalCertificate"]),
    ],
)
def test_it_sees_one_node_changed(box: Box, sdk: Any, consumer: str, entity: str, path: list[str]) -> None:
    sdk.submit_xml(specimen(entity))
    before = sdk.get_tag(entity)["Response"][entity]
    name = upload(box)
    bind(box, name, consumer)
    after = sdk.get_tag(entity)["Response"][entity]
    place = before
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = name
    assert after == before


def test_it_reads_rules_groups_and_admin_settings(box: Box, sdk: Any) -> None:
    sdk.submit_xml(specimen("FirewallRule"))
    sdk.create_rulegroup("Müller & Söhne", "", ["Specimen rule"], [], [], "WAF rule")
    name = upload(box)
    before = sdk.get_rule("Specimen rule")["Response"]["FirewallRule"]
    settings = sdk.get_admin_settings()["Response"]["AdminSettings"]
    bind(box, name, "waf:Specimen rule", "webadmin")
    before["HTTPBasedPolicy"]["Certificate"] = settings["WebAdminSettings"]["Certificate"] = name
    assert sdk.get_rule("Specimen rule")["Response"]["FirewallRule"] == before
    assert sdk.get_admin_settings()["Response"]["AdminSettings"] == settings
    group = sdk.get_rulegroup("Müller & Söhne")["Response"]["FirewallRuleGroup"]
    assert group["SecurityPolicyList"]["SecurityPolicy"] == "Specimen rule"


def test_it_sees_the_intermediate(box: Box, sdk: Any) -> None:
    upload(box)
    assert any(name.startswith("Lab_Issuing_CA") for name in box.names("CertificateAuthority"))
    assert sdk.login()["Response"]["Login"]["status"] == "Authentication Successful"


def test_it_reads_the_forward_and_misses_what_is_removed(box: Box, sdk: Any) -> None:
    run(xgs_dnat_port, box, target=TARGET, target_port=8080, **ANYONE)
    (rule,) = set(box.names("FirewallRule")) - {"OWA"}
    policy = sdk.get_rule(rule)["Response"]["FirewallRule"]["NetworkPolicy"]
    assert (policy["Action"], policy["SourceZones"]["Zone"], policy["DestinationZones"]["Zone"]) == (
        "Accept",
        "WAN",
        "LAN",
    )
    assert sdk.get_ip_host(ip_address=TARGET)["Response"]["IPHost"]["HostType"] == "IP"
    services = [
        sdk.get_service(name)["Response"]["Services"] for name in set(box.names("Services")) - {"HTTP", "HTTPS"}
    ]
    details = [service["ServiceDetails"]["ServiceDetail"] for service in services]
    assert ("8080", "TCP") in [(detail["DestinationPort"], detail["Protocol"]) for detail in details]
    run(xgs_dnat_port, box, state="absent", **ANYONE)
    with pytest.raises(SophosFirewallZeroRecords):
        sdk.get_rule(rule)


# --- our modules handle what it wrote --------------------------------------------------------------------------------


def test_its_hosts_and_services_are_used_and_left(box: Box, sdk: Any) -> None:
    sdk.create_ip_host('"Responder" & Büro', ip_address=TARGET)
    sdk.create_service("Responder port", "TCPorUDP", [{"dst_port": "8080", "protocol": "TCP"}])
    run(xgs_dnat_port, box, target=TARGET, target_port=8080, **ANYONE)
    assert [name for name in box.names("IPHost") if name.startswith("certfleet")] == []
    assert box.forwards
    run(xgs_dnat_port, box, state="absent", **ANYONE)
    assert not box.forwards
    assert sdk.get_ip_host('"Responder" & Büro')["Response"]["IPHost"]["IPAddress"] == TARGET
    assert sdk.get_service("Responder port")["Response"]["Services"]["Name"] == "Responder port"


def test_its_rules_stay_where_they_are(box: Box, sdk: Any) -> None:
    for name, position in (("above", "Top"), ("below", "Bottom")):
        sdk.create_rule(
            {
                "rulename": name,
                "status": "Enable",
                "position": position,
                "action": "Accept",
                "log": "Enable",
                "src_zones": ["WAN"],
                "dst_zones": ["DMZ"],
                "service_list": ["HTTPS"],
            }
        )
    order = box.names("FirewallRule")
    shown = box.emulator.objects(box.name, "FirewallRule")
    name = upload(box)
    bind(box, name, "waf:OWA")
    run(xgs_dnat_port, box, target=TARGET, **ANYONE)
    run(xgs_dnat_port, box, state="absent", **ANYONE)
    assert box.names("FirewallRule") == order
    after = box.emulator.objects(box.name, "FirewallRule")
    assert [rule for rule in order if after[rule] != shown[rule]] == ["OWA"]


def test_its_admin_settings_are_kept(box: Box, sdk: Any) -> None:
    sdk.update_hostname_settings(hostname="fw-ü.example.com", description="a & b")
    settings = {"https_port": "4444", "userportal_https_port": "4443", "vpnportal_https_port": "9448"}
    sdk.update_webadmin_settings(certificate="ApplianceCertificate", **settings)
    name = upload(box)
    bind(box, name, "webadmin")
    after = sdk.get_admin_settings()["Response"]["AdminSettings"]
    assert after["HostnameSettings"] == {"HostName": "fw-ü.example.com", "HostNameDesc": "a & b"}
    assert after["WebAdminSettings"]["VPNPortalHTTPSPort"] == "9448"
    assert after["WebAdminSettings"]["Certificate"] == name
    sdk.update_webadmin_settings(certificate="ApplianceCertificate", **settings)
    would = run(xgs_cert_bind, box, True, certificate=name, consumers=["webadmin"], **ANYONE)
    assert would.before == {"webadmin": "ApplianceCertificate"}


def test_a_rule_that_it_pointed_elsewhere_is_pointed_back(box: Box, sdk: Any) -> None:
    name = upload(box)
    sdk.submit_xml(specimen("FirewallRule"))
    bind(box, name, "waf:OWA", "waf:Specimen rule")
    sdk.submit_xml(specimen("FirewallRule"), set_operation="update")
    would = run(xgs_cert_bind, box, True, certificate=name, consumers=["waf"], **ANYONE)
    assert would.after == {"waf:Specimen rule": name}
    bind(box, name, "waf")
    assert box.shown(WAF_PORT, "specimen.example.com").names == list(NAMES)
