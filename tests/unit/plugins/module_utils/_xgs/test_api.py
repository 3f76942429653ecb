# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the firewall's answers mean, and what is tried again."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import PAUSES, Firewall, Write
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import (
    XgsAccessError,
    XgsApiError,
    XgsConnectionError,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport

from unit.plugins.module_utils._xgs.firewalls import Box, Impatient, response

HOST = "<IPHost><Name>{}</Name><IPFamily>IPv4</IPFamily><HostType>IP</HostType><IPAddress>{}</IPAddress></IPHost>"
SLOT = "<ScheduleDetail><Days>Monday</Days><StartTime>12:07</StartTime><StopTime>13:00</StopTime></ScheduleDetail>"
SCHEDULE = f"<Schedule><Name>s</Name><Type>Recurring</Type><ScheduleDetails>{SLOT}</ScheduleDetails></Schedule>"


def host(operation: str, address: str = "192.0.2.1", **more: object) -> Write:
    return Write(operation, ET.XML(HOST.format("h", address)), **more)


def addresses(box: Box) -> list[str | None]:
    return [found.findtext("IPAddress") for found in box.ask("<Get><IPHost/></Get>") if found.findtext("Name") == "h"]


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [lambda fw: fw.get("Zone"), lambda fw: fw.send(host("add"))])
def test_a_wrong_password_is_tried_once(box: Box, request_: Callable[[Firewall], object]) -> None:
    with pytest.raises(XgsAccessError, match="does not accept user name and password") as caught:
        request_(box.firewall(password="not-it"))
    assert box.state["counters"]["auth_failures"] == 1
    assert "not-it" not in str(caught.value)


def test_a_wrong_password_is_tried_twice_a_task_at_most(box: Box) -> None:
    """The second time is to take back what the first left undone."""
    firewall = box.firewall(password="not-it")
    for _ in range(4):
        with pytest.raises(XgsAccessError, match="does not accept user name and password"):
            firewall.get("Zone")
    assert box.state["counters"]["auth_failures"] == 2


def test_what_did_not_arrive_whole_is_sent_again(box: Box) -> None:
    box.faults({"kind": "envelope", "code": 529, "text": "Input request file is Invalid"})
    box.firewall().send(host("add"))
    assert addresses(box) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"api_enabled": False}, "status 532.*Switch it on"), ({"allowed_sources": ["192.0.2.0/24"]}, "status 534.*Add")],
)
def test_the_api_is_closed(box: Box, settings: dict[str, object], text: str) -> None:
    box.settings(**settings)
    with pytest.raises(XgsAccessError, match=text):
        box.firewall().send(host("add"))
    assert box.writes == 0
    assert box.state["counters"]["requests"] == 1


def test_an_account_without_the_right(box: Box) -> None:
    with pytest.raises(XgsApiError, match=r"refused to add IPHost h: status 599.*lacks the right") as caught:
        box.firewall(username="reader", password="x").send(host("add"))
    assert caught.value.code == 599
    assert addresses(box) == []


def test_reading_without_the_right_is_not_nothing(box: Box) -> None:
    box.faults({"kind": "status", "operation": "get", "code": 599, "text": "no"})
    with pytest.raises(XgsApiError, match="refused to read Zone: status 599"):
        box.firewall().get("Zone")


def test_a_bad_value_is_named(box: Box) -> None:
    with pytest.raises(XgsApiError, match=r"status 501.*\(/Schedule/ScheduleDetails/ScheduleDetail/StartTime\)"):
        box.firewall().send(Write("add", ET.XML(SCHEDULE)))


def test_a_duplicate_is_refused_unless_it_is_wanted_so(box: Box) -> None:
    firewall = box.firewall()
    firewall.send(host("add"))
    with pytest.raises(XgsApiError) as caught:
        firewall.send(host("add", "192.0.2.2"))
    assert caught.value.code == 502
    firewall.send(host("add", "192.0.2.2", satisfied_by=(502,)))
    assert addresses(box) == ["192.0.2.1"]


@pytest.mark.parametrize("code", [200, 201, 202, 216, 217, 222])
def test_done_with_a_remark_is_done(box: Box, code: int) -> None:
    box.faults({"kind": "status", "operation": "add", "code": code})
    box.firewall().send(host("add"))


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", ["NATRule", "HAConfigure"])
def test_nothing_there(box: Box, entity: str) -> None:
    """`No. of records Zero.` and `Transaction fail`."""
    assert box.firewall().get(entity) == []


def test_a_filter_that_the_firewall_ignores(serve: Callable) -> None:
    both = b"".join(b"<Zone><Name>%s</Name><Type>x</Type></Zone>" % name for name in (b"LAN", b"WAN"))
    transport = Transport(Endpoint("127.0.0.1", serve(response(both)).port, validate_certs=False))
    firewall = Firewall(transport, "admin", "secret", Impatient())
    assert [zone.findtext("Name") for zone in firewall.get("Zone", "WAN")] == ["WAN"]
    assert firewall.get("Zone", "DMZ") == []


@pytest.mark.parametrize("kind", ["truncated", "empty", "reset_before", "reset_after"])
def test_a_spoilt_answer_is_asked_for_again(box: Box, kind: str) -> None:
    box.faults({"kind": kind, "operation": "get", "count": 2})
    clock = Impatient()
    assert box.firewall(clock=clock).get("Zone")
    assert clock.slept == list(PAUSES[:2])


@pytest.mark.parametrize(
    ("kind", "text"),
    [("truncated", "cut off"), ("empty", "is empty"), ("html", "does not answer as the XML API"), ("auth", "password")],
)
def test_an_answer_that_stays_spoilt(box: Box, kind: str, text: str) -> None:
    box.faults({"kind": kind, "operation": "get", "count": 0})
    with pytest.raises((XgsConnectionError, XgsAccessError), match=text):
        box.firewall().get("Zone")


def test_the_answer_to_another_question_is_not_nothing(box: Box) -> None:
    box.faults({"kind": "wrong_entity", "operation": "get", "count": 0})
    with pytest.raises(XgsConnectionError):
        box.firewall().get("Zone")


# --- writing ---------------------------------------------------------------------------------------------------------

# Before, what to send, after; and how often the firewall carried it out.
LOST = [
    ([], host("add"), ["192.0.2.1"], 1),
    (["192.0.2.1"], host("update", "192.0.2.2"), ["192.0.2.2"], 2),
    (["192.0.2.1"], host("remove"), [], 1),
]


@pytest.mark.parametrize(("before", "write", "after", "carried_out"), LOST, ids=str)
@pytest.mark.parametrize("kind", ["reset_after", "truncated"])
def test_an_answer_lost_on_the_way(
    box: Box, before: list[str], write: Write, after: list[str], carried_out: int, kind: str
) -> None:
    for address in before:
        box.add(HOST.format("h", address))
    box.faults({"kind": kind, "operation": write.operation, "entity": "IPHost"})
    box.firewall().send(write)
    assert addresses(box) == after
    assert box.statuses(write.operation, "IPHost") == ["200"] * carried_out


@pytest.mark.parametrize(("before", "write", "after", "_"), LOST, ids=str)
@pytest.mark.parametrize("kind", ["reset_before", "empty"])
def test_a_request_lost_on_the_way(
    box: Box, before: list[str], write: Write, after: list[str], _: int, kind: str
) -> None:
    for address in before:
        box.add(HOST.format("h", address))
    box.emulator.reset(box.name)
    box.faults({"kind": kind, "operation": write.operation, "entity": "IPHost"})
    box.firewall().send(write)
    assert addresses(box) == after
    assert box.statuses(write.operation, "IPHost") == [f"fault {kind}", "200"]


def test_a_lost_answer_to_a_refusal_is_a_refusal(box: Box) -> None:
    """The second try says what the first could not."""
    box.faults(
        {"kind": "reset_before", "operation": "add"}, {"kind": "status", "operation": "add", "code": 503, "nth": 2}
    )
    with pytest.raises(XgsApiError, match="status 503"):
        box.firewall().send(host("add"))


def test_the_status_of_something_else_is_no_status(box: Box) -> None:
    """It was carried out all the same: reading shows that."""
    box.faults({"kind": "wrong_entity", "operation": "add", "count": 0})
    box.firewall().send(host("add"))
    assert box.statuses("add", "IPHost") == ["200"]


def test_a_login_page_is_no_answer(box: Box) -> None:
    box.faults({"kind": "html", "operation": "add", "count": 0})
    with pytest.raises(XgsConnectionError, match="does not answer as the XML API"):
        box.firewall().send(host("add"))
    assert addresses(box) == []


def test_nobody_listens(box: Box) -> None:
    firewall = box.firewall()
    box.faults({"kind": "refuse", "seconds": 0})
    with pytest.raises(XgsConnectionError, match="no connection") as caught:
        firewall.send(host("add"))
    assert not caught.value.sent
    box.emulator.clear_faults(box.name)


def test_what_is_counted_is_what_the_firewall_saw(box: Box) -> None:
    firewall = box.firewall()
    firewall.get("Zone")
    firewall.send(host("add"))
    firewall.send(host("remove"))
    assert (firewall.reads, firewall.writes) == (box.reads, box.writes) == (1, 2)


def test_one_connection_serves_many_requests(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    firewall = box.firewall()
    firewall.get("Zone")
    monkeypatch.setattr("socket.create_connection", lambda *_args, **_more: pytest.fail("a second connection"))
    monkeypatch.setattr("urllib3.util.connection.create_connection", lambda *_args, **_more: pytest.fail("a second"))
    firewall.get("Zone")


def test_any_characters_survive(box: Box) -> None:
    name = "Ä & <x> \"y\" 'z' €"
    firewall = box.firewall(username="ä<&>\"'", password="p&w<d>\"'ä€")
    entity = ET.XML(HOST.format("x", "192.0.2.1"))
    entity.find("Name").text = name
    firewall.send(Write("add", entity))
    assert name in box.names("IPHost")
    assert [found.findtext("Name") for found in firewall.get("IPHost", name)] == [name]
    firewall.send(Write("remove", entity))
    assert name not in box.names("IPHost")
