# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data plane, from outside: what is forwarded, what is served."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import time
from zoneinfo import ZoneInfo

import pytest
import requests

pytestmark = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")

HOST = "<IPHost><Name>responder</Name><HostType>IP</HostType><IPAddress>{}</IPAddress></IPHost>"
SERVICE = (
    "<Services><Name>responder-port</Name><Type>TCPorUDP</Type><ServiceDetails><ServiceDetail>"
    "<SourcePort>1:65535</SourcePort><DestinationPort>{}</DestinationPort><Protocol>TCP</Protocol>"
    "</ServiceDetail></ServiceDetails></Services>"
)
NAT = (
    "<NATRule><Name>{name}</Name><Status>{status}</Status><Position>Top</Position>"
    "<TranslatedSource>{source}</TranslatedSource>"
    "<OriginalDestinationNetworks><Network>{destination}</Network></OriginalDestinationNetworks>"
    "<TranslatedDestination>responder</TranslatedDestination>"
    "<OriginalServices><Service>{service}</Service></OriginalServices>"
    "<TranslatedService>responder-port</TranslatedService></NATRule>"
)
RULE = (
    "<FirewallRule><Name>{name}</Name><Status>{status}</Status><Position>{position}</Position>"
    "<PolicyType>Network</PolicyType><NetworkPolicy><Action>{action}</Action>"
    "<SourceZones><Zone>WAN</Zone></SourceZones><DestinationZones><Zone>{zone}</Zone></DestinationZones>"
    "<Schedule>{schedule}</Schedule><Services><Service>{service}</Service></Services>"
    "</NetworkPolicy></FirewallRule>"
)
SCHEDULE = (
    "<Schedule><Name>{name}</Name><Type>OneTime</Type><ScheduleDetails><StartDate>{start}</StartDate>"
    "<EndDate>{end}</EndDate><ScheduleDetail><Days>{days}</Days><StartTime>{begin}</StartTime>"
    "<StopTime>{stop}</StopTime></ScheduleDetail></ScheduleDetails></Schedule>"
)
WAF = (
    "<FirewallRule><Name>{name}</Name><Position>Bottom</Position><PolicyType>HTTPBased</PolicyType>"
    "<HTTPBasedPolicy><HostedAddress>#Port2</HostedAddress><HTTPS>Enable</HTTPS><RedirectHTTP>{redirect}</RedirectHTTP>"
    "<ListenPort>8443</ListenPort><Domains><Domain>{domain}</Domain></Domains>"
    "<Certificate>{certificate}</Certificate></HTTPBasedPolicy></FirewallRule>"
)


def nat(**fields):
    return NAT.format(
        **{"name": "nat", "status": "Enable", "source": "MASQ", "destination": "#Port2", "service": "HTTP", **fields}
    )


def rule(**fields):
    return RULE.format(
        **{
            "name": "rule",
            "status": "Enable",
            "position": "Top",
            "action": "Accept",
            "zone": "LAN",
            "schedule": "All The Time",
            "service": "HTTP",
            **fields,
        }
    )


def waf(**fields):
    return WAF.format(
        **{"name": "w", "redirect": "Disable", "domain": "w.test", "certificate": "ApplianceCertificate", **fields}
    )


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def objects(box, responder):
    """Host and service exist; no rule yet."""
    assert box.add(HOST.format(responder[0])) == "200"
    assert box.add(SERVICE.format(responder[1])) == "200"
    return box


@pytest.fixture
def opened(objects):
    assert objects.add(nat()) == "200"
    assert objects.add(rule()) == "200"
    return objects


class TestForwarding:
    def test_needs_both_rules(self, objects):
        assert not objects.port_80_listens
        objects.add(nat())
        assert not objects.port_80_listens
        objects.add(rule())
        assert objects.fetch("/x").text == f"{objects.address} asked for /x"
        assert objects.state["port80_open"]

    @pytest.mark.parametrize(
        "close",
        [
            lambda box: box.remove("NATRule", "nat"),
            lambda box: box.remove("FirewallRule", "rule"),
            lambda box: box.update(nat(status="Disable")),
            lambda box: box.update(rule(status="Disable")),
            lambda box: box.update(rule(action="Drop")),
            lambda box: box.update(rule(zone="DMZ")),
            lambda box: box.update(rule(service="HTTPS")),
            lambda box: box.update(nat(service="HTTPS")),
            lambda box: box.update(nat(destination="#Port1")),
            lambda box: box.add(rule(name="above", action="Drop")),
        ],
    )
    def test_stops(self, opened, close):
        assert opened.port_80_listens
        assert close(opened) == "200"
        assert not opened.port_80_listens

    def test_translated_service_in_the_rule_is_enough(self, objects):
        objects.add(nat())
        objects.add(rule(service="responder-port"))
        assert objects.fetch().status_code == 200

    def test_rule_below_a_drop_does_not_count(self, objects):
        objects.add(nat())
        objects.add(rule(name="drop", action="Drop"))
        objects.add(rule(position="Bottom"))
        assert not objects.port_80_listens

    def test_host_object_with_the_address(self, objects):
        address = f"<IPHost><Name>wan</Name><HostType>IP</HostType><IPAddress>{objects.address}</IPAddress></IPHost>"
        assert objects.add(address) == "200"
        objects.add(nat(destination="wan"))
        objects.add(rule())
        assert objects.fetch().status_code == 200

    def test_without_masquerading_the_answer_is_lost(self, objects):
        objects.add(nat(source="Original"))
        objects.add(rule())
        with pytest.raises(requests.exceptions.ReadTimeout):
            objects.fetch(timeout=0.5)
        objects.settings(lan_gateway_for=["127.0.0.0/24"])
        # The responder sees the client itself.
        assert objects.fetch().text.startswith("127.0.0.1 ")

    def test_established_connections_outlive_the_rule(self, opened):
        with socket.create_connection((opened.address, 5080), 5) as connection:
            request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            connection.sendall(request)
            assert connection.recv(100)
            opened.remove("NATRule", "nat")
            assert not opened.port_80_listens
            connection.sendall(request)
            assert connection.recv(1000)

    def test_intervals(self, opened):
        opened.fetch()
        opened.fetch()
        opened.remove("NATRule", "nat")
        opened.add(nat())
        first, second = opened.state["open_intervals"]
        assert (first["connections"], first["nat_rule"], first["firewall_rule"]) == (2, "nat", "rule")
        assert first["opened_at"] < first["closed_at"] < second["opened_at"]
        assert first["closed_monotonic"] - first["opened_monotonic"] == pytest.approx(first["seconds"])
        assert second["closed_at"] is None


class TestRules:
    def test_second_dnat_on_the_same_destination_and_port(self, opened):
        assert opened.add(nat(name="other")) == "503"
        assert opened.add(nat(name="other", service="HTTPS")) == "200"

    @pytest.mark.parametrize(
        "bad",
        [
            nat(destination="192.0.2.1"),
            nat(service="nothing"),
            nat(source="nobody"),
            nat().replace("<TranslatedDestination>responder", "<TranslatedDestination>192.0.2.1"),
            nat().replace("<Position>Top</Position>", ""),
            nat().replace(">Top<", ">top<"),
            nat().replace(">Top</Position>", ">After</Position><After><Name>nothing</Name></After>"),
            rule(zone="Nowhere"),
            rule(schedule="Never"),
            rule(service="nothing"),
        ],
    )
    def test_unknown_names_and_bad_positions(self, objects, bad):
        assert objects.add(bad) == "501"

    def test_order_and_how_it_reads_back(self, objects):
        for name, position in (
            ("b", "Top"),
            ("a", "Top"),
            ("c", "Bottom"),
            ("d", "After</Position><After><Name>a</Name></After><Position>"),
        ):
            body = rule(name=name, position=position).replace("<Position></Position>", "")
            assert objects.add(body) == "200"
        read = [
            (found.findtext("Name"), found.findtext("Position"), found.findtext("After/Name"))
            for found in objects.get("FirewallRule")
        ]
        assert read == [("a", "Top", None), ("d", "After", "a"), ("b", "After", "d"), ("c", "After", "b")]

    def test_removal_only_in_reverse_order(self, opened):
        assert opened.remove("IPHost", "responder") == "504"
        assert opened.remove("Services", "responder-port") == "504"
        for entity, name in (
            ("NATRule", "nat"),
            ("FirewallRule", "rule"),
            ("Services", "responder-port"),
            ("IPHost", "responder"),
        ):
            assert opened.remove(entity, name) == "200"

    def test_service_in_use_is_not_updated(self, opened):
        assert opened.update(SERVICE.format(8081)) == "503"


class TestSchedules:
    zone = ZoneInfo("Europe/Berlin")

    def lease(self, start, quarters=2):
        """From the quarter that has begun at `start`, in the firewall's own time."""
        begin = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0)
        end = begin + datetime.timedelta(minutes=15 * quarters)
        if end.date() != begin.date():
            pytest.skip("the lease would cross midnight")
        fields = {
            "start": begin.strftime("%Y-%m-%d %H:%M:%S"),
            "end": end.strftime("%Y-%m-%d %H:%M:%S"),
            "days": begin.strftime("%A"),
            "begin": begin.strftime("%H:%M"),
            "stop": end.strftime("%H:%M"),
        }
        return end, SCHEDULE.format(name="lease", **fields)

    def test_rule_ends_with_its_schedule(self, objects):
        # Noon of the firewall, so that no lease of this test crosses midnight.
        real = datetime.datetime.now(self.zone)
        noon = real.replace(hour=12, minute=0, second=0)
        offset = (noon - real).total_seconds()
        objects.settings(clock_offset=offset)
        end, schedule = self.lease(noon)
        assert objects.add(schedule) == "200"
        objects.add(nat())
        assert objects.add(rule(schedule="lease")) == "200"
        assert objects.fetch().status_code == 200
        assert objects.remove("Schedule", "lease") == "504"
        left = (end - datetime.datetime.now(self.zone)).total_seconds() - offset
        objects.settings(clock_offset=offset + left - 1.5)
        assert objects.port_80_listens
        wait_until(lambda: not objects.port_80_listens)
        assert objects.state["open_intervals"][0]["closed_at"]

    def test_the_time_zone_counts(self, objects):
        real = datetime.datetime.now(self.zone)
        noon = real.replace(hour=12, minute=0, second=0)
        objects.settings(clock_offset=(noon - real).total_seconds())
        objects.add(self.lease(noon)[1])
        objects.add(nat())
        objects.add(rule(schedule="lease"))
        assert objects.port_80_listens
        objects.update("<Time><TimeZone>Asia/Tokyo</TimeZone></Time>")
        assert not objects.port_80_listens

    def test_rules(self, box):
        good = {
            "start": "2026-11-21 10:00:00",
            "end": "2026-11-21 12:00:00",
            "days": "All Days of week",
            "begin": "10:00",
            "stop": "10:45",
        }
        assert box.add(SCHEDULE.format(name="a", **good)) == "200"
        assert box.add(SCHEDULE.format(name="b", **good)) == "503"
        assert box.add(SCHEDULE.format(name="b", **{**good, "stop": "23:59"})) == "200"
        for wrong in (
            {"begin": "10:05"},
            {"stop": "10:50"},
            {"stop": "09:00"},
            {"days": "WeekDays"},
            {"start": "2026-11-21"},
            {"end": "2026-11-21 09:00:00"},
        ):
            assert box.add(SCHEDULE.format(name="c", **{**good, **wrong})) == "501", wrong
        assert box.remove("Schedule", "a") == "200"


class TestServing:
    def test_waf_by_server_name(self, box, issue):
        one, two = issue("one.test"), issue("two.test", "*.two.test", kind="rsa")
        box.upload(one, "one")
        box.upload(two, "two")
        assert box.add(waf(name="1", domain="one.test", certificate="one")) == "200"
        assert box.add(waf(name="2", domain="*.two.test", certificate="two")) == "200"
        assert box.served(8443, "one.test") == one.fingerprint
        assert box.served(8443, "www.two.test") == two.fingerprint
        for unknown in ("three.test", None):
            with pytest.raises(ssl.SSLError):
                box.served(8443, unknown)
        box.update(waf(name="1", domain="one.test", certificate="two"))
        assert box.served(8443, "one.test") == two.fingerprint
        assert box.state["served"]["8443"]["certificates"]["one.test"] == two.fingerprint
        box.remove("FirewallRule", "1")
        box.remove("FirewallRule", "2")
        with pytest.raises(ConnectionRefusedError):
            box.served(8443, "one.test")

    def test_waf_clashes(self, box):
        assert box.add(waf()) == "200"
        assert box.add(waf(name="other")) == "546"
        assert box.add(waf(name="other", domain="x.test").replace("8443", "4444")) == "545"
        assert box.add(waf(name="other", domain="x.test").replace("8443", "4443")) == "550"

    def test_page_names_the_rule(self, box):
        box.add(waf(domain=box.address))
        box.add(waf(name="named", domain="w.test"))
        with socket.create_connection((box.address, 8443), 5) as plain:
            context = ssl._create_unverified_context()
            with context.wrap_socket(plain, server_hostname="w.test") as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nHost: w.test\r\nConnection: close\r\n\r\n")
                assert b"WAF rule named" in secure.makefile("rb").read()

    def test_redirect_and_dnat_before_it(self, objects):
        objects.add(waf(redirect="Enable"))
        answer = objects.fetch("/p", Host="w.test")
        assert (answer.status_code, answer.headers["Location"]) == (301, "https://w.test:8443/p")
        assert objects.fetch("/p", Host="unknown.test").status_code == 404
        objects.add(nat())
        objects.add(rule())
        assert objects.fetch("/p", Host="w.test").text.endswith("asked for /p")
        objects.remove("NATRule", "nat")
        assert objects.fetch("/p", Host="w.test").status_code == 301

    def test_web_admin_switch_takes_a_moment(self, box, issue):
        pair = issue("admin.test")
        box.upload(pair, "admin")
        appliance = box.state["appliance_fingerprint"]
        body = (
            "<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>4443"
            "</UserPortalHTTPSPort><VPNPortalHTTPSPort>443</VPNPortalHTTPSPort><Certificate>admin</Certificate>"
            "</WebAdminSettings></AdminSettings>"
        )
        answer = box.ask(f'<Set operation="update">{body}</Set>')
        assert answer.find("WebAdminSettings/Status").get("code") == "200"
        assert box.served(4444) == appliance
        wait_until(lambda: box.served(4444) == pair.fingerprint)
        assert box.served(4443) == pair.fingerprint
        assert box.update(body.replace("<HTTPSport>4444</HTTPSport>", "")) == "501"
        assert box.update(body.replace(">4443<", ">4444<")) == "541"

    def test_portal_moves_to_another_port(self, box):
        body = (
            "<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>6443"
            "</UserPortalHTTPSPort><VPNPortalHTTPSPort>443</VPNPortalHTTPSPort>"
            "<Certificate>ApplianceCertificate</Certificate></WebAdminSettings></AdminSettings>"
        )
        assert box.update(body) == "200"
        wait_until(lambda: "6443" in box.state["served"])
        assert box.served(6443) == box.state["appliance_fingerprint"]
        with pytest.raises(ConnectionRefusedError):
            box.served(4443)

    def test_switch_may_cut_the_connection(self, box, issue):
        box.settings(webadmin_drop=True)
        box.upload(issue("admin.test"), "admin")
        with requests.Session() as session:
            session.post(box.url, data={"reqxml": "<Request/>"}, verify=False, timeout=5)
            pools = session.get_adapter(box.url).poolmanager.pools
            box.update(
                "<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>4443"
                "</UserPortalHTTPSPort><VPNPortalHTTPSPort>443</VPNPortalHTTPSPort>"
                "<Certificate>admin</Certificate></WebAdminSettings></AdminSettings>"
            )
            connection = pools[next(iter(pools.keys()))].pool.get()
            wait_until(lambda: connection is None or not connection.is_connected)

    def test_exactly_the_uploaded_blocks(self, box, issue):
        pair, chain = issue("w.test"), issue("ca", authority=True)
        box.upload(pair, "w", cert=pair.cert + chain.cert)
        box.add(waf(certificate="w"))
        command = ["openssl", "s_client", "-connect", f"{box.address}:8443", "-servername", "w.test", "-showcerts"]
        assert _run(command).count("BEGIN CERTIFICATE") == 2
        box.settings(leaf_only=True)
        assert _run(command).count("BEGIN CERTIFICATE") == 1

    def test_certificate_put_by_the_administrator(self, box, issue):
        pair, other = issue("w.test"), issue("w.test")
        box.emulator.put_certificate(box.name, "w", pair.cert.decode(), pair.key.decode())
        box.add(waf(certificate="w"))
        assert box.served(8443, "w.test") == pair.fingerprint
        box.emulator.put_certificate(box.name, "w", other.cert.decode(), other.key.decode())
        assert box.served(8443, "w.test") == other.fingerprint


def _run(command):
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=10).stdout
