# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between firmware versions, and what an administrator may have set otherwise."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from emulator.client import EmulatorError
from emulator.personas import PERSONAS
from emulator.specimens import specimen

VERSIONS = sorted(PERSONAS)
HOST = "<IPHost><Name>{}</Name><HostType>IP</HostType><IPAddress>{}</IPAddress></IPHost>"
WITHOUT_VPN_PORTAL = (
    "<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>4443</UserPortalHTTPSPort>"
    "<Certificate>ApplianceCertificate</Certificate></WebAdminSettings></AdminSettings>"
)


@pytest.fixture(params=VERSIONS)
def versioned(request, of_version):
    return request.param, of_version(request.param)


class TestVersions:
    def test_schema_version_is_everywhere(self, versioned):
        version, box = versioned
        expected = PERSONAS[version].api_version
        assert expected[:2] == version[:2]
        for body, password in (("", "secret"), ("", "wrong"), ("<Get><IPHost/></Get>", "secret")):
            assert box.ask(body, password=password).get("APIVersion") == expected
        archive = dict(box.archive("Certificate"))
        assert archive["./version"].decode().strip() == expected
        assert ET.fromstring(archive["./Entities.xml"]).get("APIVersion") == expected
        box.settings(api_enabled=False)
        assert box.ask("").get("APIVersion") == expected

    def test_port_of_the_vpn_portal(self, versioned):
        version, box = versioned
        has_portal = version >= "20.0"
        shown = box.get("AdminSettings")[0].find("WebAdminSettings/VPNPortalHTTPSPort") is not None
        assert shown is has_portal
        assert box.update(WITHOUT_VPN_PORTAL) == ("501" if has_portal else "200")
        # What came from a newer version is kept where it means nothing.
        assert box.update(specimen("AdminSettings")) == "200"

    def test_update_of_a_certificate_that_a_waf_rule_uses(self, versioned, issue):
        version, box = versioned
        old, new = issue("a.test"), issue("a.test")
        box.upload(old, "a")
        box.add(specimen("FirewallRule", "a"))
        assert box.upload(new, "a", "update") == ("542" if version == "18.0" else "500")
        assert box.state["certificates"]["a"] == old.fingerprint
        box.settings(allow_update_in_use=True)
        assert box.upload(new, "a", "update") == "200"

    def test_allowed_sources_are_hosts_from_22_on(self, versioned):
        version, box = versioned
        box.settings(allowed_sources=["127.0.0.1", "192.0.2.0/24"])
        hosts = {host.findtext("Name"): host for host in box.get("IPHost")}
        names = ["apiconfig_127.0.0.1", "apiconfig_192.0.2.0/24"]
        if version < "22.0":
            assert sorted(hosts) == ["#Port1", "#Port2"]
            assert box.add(HOST.format("control node", "127.0.0.1")) == "200"
            return
        assert sorted(hosts) == ["#Port1", "#Port2", *names]
        assert hosts[names[1]].findtext("Subnet") == "255.255.255.0"
        assert box.add(HOST.format("control node", "127.0.0.1")) == "503"
        assert box.remove("IPHost", names[0]) == "504"
        box.settings(allowed_sources=[])
        assert box.remove("IPHost", names[0]) == "200"

    def test_schedules_know_quarters_of_an_hour_in_all(self, versioned):
        _, box = versioned
        schedule = (
            "<Schedule><Name>s</Name><Type>Recurring</Type><ScheduleDetails><ScheduleDetail><Days>Monday</Days>"
            "<StartTime>10:00</StartTime><StopTime>{}</StopTime></ScheduleDetail></ScheduleDetails></Schedule>"
        )
        assert [box.add(schedule.format(stop)) for stop in ("10:20", "10:15")] == ["501", "200"]

    def test_every_consumer_can_be_written(self, versioned):
        _, box = versioned
        for entity in ("FirewallRule", "SSLTunnelAccessSettings", "VPNIPSecConnection", "L2TPConnection"):
            assert box.code(f"<Set>{specimen(entity)}</Set>") in ("200", "201")


class TestAdministratorsChoices:
    def test_unknown_firmware_and_a_portal_that_it_has_not(self, configured):
        with pytest.raises(EmulatorError, match=r"firmware: .17\.5."):
            configured(firmware="17.5")
        with pytest.raises(EmulatorError, match=r"19\.5 has no VPN portal"):
            configured(firmware="19.5", serve_vpn_portal=True)

    def test_at_most_64_sources_from_22_on(self, configured):
        sources = [f"192.0.2.{number}" for number in range(65)]
        with pytest.raises(EmulatorError, match="at most 64"):
            configured(allowed_sources=sources)
        configured(firmware="21.0", allowed_sources=sources)

    def test_waf_rules_before_18_0_mr4(self, of_version):
        box = of_version("18.0")
        box.settings(waf_updates=False)
        assert box.add(specimen("FirewallRule")) == "200"
        assert box.update(specimen("FirewallRule")) == "500"

    def test_the_auxiliary_node_reads_but_never_writes(self, box, issue):
        box.settings(auxiliary=True)
        writes = [specimen(entity) for entity in ("AdminSettings", "SSLTunnelAccessSettings", "VPNIPSecConnection")]
        for body in (HOST.format("a", "192.0.2.1"), "<Time><TimeZone>Asia/Tokyo</TimeZone></Time>", *writes):
            assert box.code(f"<Set>{body}</Set>") == "500"
        assert box.upload(issue("a.test"), "a") == "500"
        assert box.remove("IPHost", "#Port1") == "500"
        assert len(box.get("IPHost")) == 2
        assert box.state["objects"]["Certificate"] == ["ApplianceCertificate"]

    @pytest.mark.parametrize(
        ("kind", "text"), [("zero", "No. of records Zero."), ("fail", "Transaction fail"), ("unknown", None)]
    )
    def test_entities_that_are_not_there(self, box, kind, text):
        box.settings(absent_entities={"EmailConfiguration": kind})
        answer = box.ask("<Get><EmailConfiguration/></Get>").find("EmailConfiguration/Status")
        assert (answer.get("code"), answer.text if text else None) == (None if text else "529", text)
        assert box.update(specimen("EmailConfiguration")) == ("500" if text else "529")

    def test_elliptic_keys_may_be_refused_by_some(self, box, issue):
        box.upload(issue("ec.test"), "ec")
        box.upload(issue("rsa.test", kind="rsa"), "rsa")
        box.settings(reject_ec=["FirewallRule", "SophosConnectClient"])
        assert box.add(specimen("FirewallRule", "ec")) == "500"
        assert box.add(specimen("SophosConnectClient", "ec")) == "508"
        assert box.update(specimen("SSLTunnelAccessSettings", "ec")) == "200"
        assert box.add(specimen("FirewallRule", "rsa")) == "200"

    @pytest.mark.parametrize("wrong", [{"absent_entities": {"IPHost": "maybe"}}, {"certificate_names": "any"}])
    def test_wrong_values(self, box, wrong):
        with pytest.raises(EmulatorError, match="400"):
            box.settings(**wrong)
