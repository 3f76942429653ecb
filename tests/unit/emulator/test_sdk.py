# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vendor's own Python SDK can use the emulated firewall."""

from __future__ import annotations

import pytest
from sophosfirewall_python.api_client import (
    SophosFirewallAPIError,
    SophosFirewallAuthFailure,
    SophosFirewallZeroRecords,
)
from sophosfirewall_python.firewallapi import SophosFirewall

from emulator.personas import PERSONAS
from emulator.specimens import specimen

pytestmark = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")


@pytest.fixture
def sdk(box):
    return SophosFirewall("admin", "secret", box.address, 4444, verify=False)


def test_login(sdk):
    assert sdk.login()["Response"]["Login"]["status"] == "Authentication Successful"


def test_ip_host(sdk):
    sdk.create_ip_host("a", ip_address="192.0.2.1")
    names = [host["Name"] for host in sdk.get_ip_host()["Response"]["IPHost"]]
    assert names == ["#Port1", "#Port2", "a"]
    sdk.update("IPHost", {"IPAddress": "192.0.2.2"}, name="a")
    assert sdk.get_ip_host(ip_address="192.0.2.2")["Response"]["IPHost"]["Name"] == "a"
    sdk.remove("IPHost", "a")
    with pytest.raises(SophosFirewallZeroRecords):
        sdk.get_ip_host("a")


def test_service(sdk):
    sdk.create_service("s", "TCPorUDP", [{"dst_port": "8080", "protocol": "TCP"}])
    sdk.update_service("s", "TCPorUDP", [{"dst_port": "8081", "protocol": "TCP"}], action="add")
    details = sdk.get_service("s")["Response"]["Services"]["ServiceDetails"]["ServiceDetail"]
    assert [detail["DestinationPort"] for detail in details] == ["8080", "8081"]
    sdk.remove("Services", "s")
    with pytest.raises(SophosFirewallZeroRecords):
        sdk.get_service("s")


def test_firewall_rule(sdk):
    sdk.create_rule(
        {
            "rulename": "r",
            "status": "Enable",
            "position": "Top",
            "action": "Accept",
            "log": "Enable",
            "src_zones": ["WAN"],
            "dst_zones": ["LAN"],
            "service_list": ["HTTP"],
        }
    )
    sdk.update_rule("r", {"action": "Drop", "status": "Disable"})
    rule = sdk.get_rule("r")["Response"]["FirewallRule"]
    assert (rule["Status"], rule["NetworkPolicy"]["Action"]) == ("Disable", "Drop")
    assert rule["NetworkPolicy"]["Services"]["Service"] == "HTTP"
    sdk.create_rulegroup("g", "", ["r"], ["WAN"], ["LAN"], "Any")
    assert sdk.get_rulegroup("g")["Response"]["FirewallRuleGroup"]["SecurityPolicyList"]["SecurityPolicy"] == "r"
    sdk.remove("FirewallRule", "r")
    with pytest.raises(SophosFirewallZeroRecords):
        sdk.get_rule("r")


def test_admin_settings(sdk):
    settings = sdk.get_admin_settings()["Response"]["AdminSettings"]
    assert settings["WebAdminSettings"]["Certificate"] == "ApplianceCertificate"
    sdk.update_webadmin_settings(certificate="ApplianceCertificate")
    sdk.update_hostname_settings(hostname="new.test", description="")
    assert sdk.get_admin_settings()["Response"]["AdminSettings"]["HostnameSettings"]["HostName"] == "new.test"


def test_wrong_password(box):
    with pytest.raises(SophosFirewallAuthFailure):
        SophosFirewall("admin", "wrong", box.address, 4444, verify=False).get_ip_host()


def test_not_allowed(box, sdk):
    box.settings(api_enabled=False)
    with pytest.raises(SophosFirewallAPIError, match="not enabled"):
        sdk.login()


def test_duplicate_and_unknown_name(sdk):
    sdk.create_ip_host("a", ip_address="192.0.2.1")
    with pytest.raises(SophosFirewallAPIError, match="502"):
        sdk.create_ip_host("a", ip_address="192.0.2.2")
    with pytest.raises(SophosFirewallAPIError, match="504"):
        sdk.remove("IPHost", "missing")
    with pytest.raises(SophosFirewallAPIError, match="501"):
        sdk.create_rule(
            {"rulename": "r", "status": "Enable", "position": "Top", "action": "Accept", "src_zones": ["Nowhere"]}
        )


CONNECTION = "<VPNIPSecConnection><Configuration>{}</Configuration></VPNIPSecConnection>"
BY_NAME = '<Filter><key name="Name" criteria="=">{}</key></Filter>'


def test_ipsec_connection_as_the_vendors_collection_does(sdk):
    """Its module for these connections submits XML and looks for the status in the block."""

    def get(name):
        return sdk.submit_xml(f"<Get>{CONNECTION.format(BY_NAME.format(name))}</Get>", set_operation=None)["Response"]

    assert get("Branch")["VPNIPSecConnection"]["Configuration"]["Status"] == "No. of records Zero."
    for operation in ("add", "update"):
        answer = sdk.submit_xml(specimen("VPNIPSecConnection"), set_operation=operation)["Response"]
        assert "Configuration applied successfully" in answer["Configuration"]["Status"]["#text"]
    found = get("Branch")["VPNIPSecConnection"]["Configuration"]
    assert (found["LocalCertificate"], found["Status"]) == ("ApplianceCertificate", "Active")
    with pytest.raises(SophosFirewallAPIError, match="/VPNIPSecConnection/Configuration/LocalCertificate"):
        sdk.submit_xml(specimen("VPNIPSecConnection", "missing"), set_operation="update")
    remove = f"<Remove>{CONNECTION.format('<Name>Branch</Name>')}</Remove>"
    answer = sdk.submit_xml(remove, set_operation=None)["Response"]["VPNIPSecConnection"]
    assert "Configuration applied successfully" in answer["Configuration"]["Status"]["#text"]


@pytest.mark.parametrize("entity", ["SSLTunnelAccessSettings", "EmailConfiguration", "AdvancedConfiguration"])
def test_whole_settings(sdk, entity):
    sdk.submit_xml(specimen(entity), set_operation="update")
    shown = sdk.get_tag(entity)["Response"][entity]
    assert shown["NewSwitch"] == "Enable"
    assert shown["NewBlock"] == {"@kind": 'a "b"', "Entry": ["1 & 2", "Grüße <3"]}
    sdk.update(entity, {"NewSwitch": "Disable"})
    assert sdk.get_tag(entity)["Response"][entity] == {**shown, "NewSwitch": "Disable"}


@pytest.mark.parametrize("version", sorted(PERSONAS))
def test_every_version(of_version, version):
    box = of_version(version)
    sdk = SophosFirewall("admin", "secret", box.address, 4444, verify=False)
    sdk.create_ip_host("a", ip_address="192.0.2.1")
    assert sdk.get_ip_host("a")["Response"]["@APIVersion"] == PERSONAS[version].api_version
    # Named, because the SDK reads the port of the VPN portal otherwise, which older versions do not have.
    sdk.update_webadmin_settings(certificate="ApplianceCertificate", vpnportal_https_port="443")
    with pytest.raises(SophosFirewallAPIError, match="501"):
        sdk.update_webadmin_settings(certificate="missing", vpnportal_https_port="443")
