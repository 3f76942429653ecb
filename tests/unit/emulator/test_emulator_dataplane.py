# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data plane, from outside: what is forwarded, and when."""

from __future__ import annotations

import datetime
import socket
from zoneinfo import ZoneInfo

import pytest
import requests

from lab.processes import wait_until
from unit.emulator.forwarding import SERVICE, nat, rule

SCHEDULE = (
    "<Schedule><Name>{name}</Name><Type>OneTime</Type><ScheduleDetails><StartDate>{start}</StartDate>"
    "<EndDate>{end}</EndDate><ScheduleDetail><Days>{days}</Days><StartTime>{begin}</StartTime>"
    "<StopTime>{stop}</StopTime></ScheduleDetail></ScheduleDetails></Schedule>"
)


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
        wait_until(lambda: not objects.port_80_listens, 5, lambda: "the port is still open")
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
