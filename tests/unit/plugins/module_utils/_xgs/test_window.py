# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The forward and its window, judged by who gets through port 80."""

from __future__ import annotations

import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.dnat import ENTITIES
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.window import Window

from lab.ports import wait_closed
from unit.plugins.module_utils._xgs.firewalls import Box, Impatient
from unit.plugins.module_utils._xgs.forwards import (
    EXPIRED,
    GROUP,
    HOST,
    HOUR,
    MINUTE,
    NAME,
    NAT,
    RULE,
    SERVICE,
    absent,
    description,
    fetch,
    forward,
    ours,
    present,
    sweep,
)

# --- present and absent ----------------------------------------------------------------------------------------------


def test_it_forwards_and_is_gone_afterwards(box: Box, responder: int) -> None:
    before = {entity: box.names(entity) for entity in ENTITIES}
    firewall = box.firewall()
    assert not box.forwards
    assert present(firewall, forward(responder))
    assert fetch(box) == f"you are {box.address}"
    assert absent(firewall)
    assert not box.forwards
    assert {entity: box.names(entity) for entity in ENTITIES} == before
    (interval,) = box.state["open_intervals"]
    assert (interval["nat_rule"], interval["port"], interval["connections"]) == (RULE, responder, 1)


def test_the_nat_rule_comes_last_and_goes_first(box: Box, responder: int) -> None:
    firewall = box.firewall()
    present(firewall, forward(responder))
    absent(firewall)
    log = [entry["entity"] for entry in box.state["log"] if entry["operation"] in ("add", "remove")]
    assert log == [*reversed(ENTITIES), *ENTITIES]


def test_a_second_present_and_a_second_absent_write_nothing(box: Box, responder: int) -> None:
    firewall = box.firewall()
    present(firewall, forward(responder))
    writes = box.writes
    assert not present(firewall, forward(responder))
    assert box.writes == writes
    absent(firewall)
    writes = box.writes
    assert not absent(firewall)
    assert box.writes == writes


def test_a_lease_that_is_half_over_is_renewed_without_closing(box: Box, responder: int) -> None:
    """Schedule, firewall rule, old schedule: three writes, and since when it is open stands there still."""
    present(box.firewall(), forward(responder, lease=3600))
    before, writes = description(box), box.writes
    box.settings(clock_offset=3000)
    assert present(box.firewall(clock=Impatient(ahead=50 * MINUTE)), forward(responder, lease=3600))
    assert box.writes == writes + 3
    assert [len(names) for names in ours(box).values()] == [1, 1, 1, 1, 1]
    assert description(box).partition("expires=")[0] == before.partition("expires=")[0]
    assert description(box) > before
    assert len(box.state["open_intervals"]) == 1
    assert fetch(box)


@pytest.mark.parametrize("nth", range(1, 6))
def test_present_over_a_half_made_forward(box: Box, responder: int, nth: int) -> None:
    box.faults({"kind": "status", "operation": "add", "nth": nth})
    firewall = box.firewall()
    with pytest.raises(XgsError, match="status 500"):
        present(firewall, forward(responder))
    assert present(firewall, forward(responder))
    assert fetch(box)
    absent(firewall)
    assert ours(box) == {}


@pytest.mark.parametrize(
    "other",
    [{"target": "127.0.0.2"}, {"target_port": 1}, {"masquerade": False}, {"zone": "DMZ"}, {"port": 8081}],
    ids=str,
)
def test_present_over_a_different_forward_of_ours(box: Box, responder: int, other: dict[str, object]) -> None:
    firewall = box.firewall()
    present(firewall, forward(responder, **other))
    assert present(firewall, forward(responder))
    assert fetch(box)
    absent(firewall)
    assert ours(box) == {}


@pytest.mark.parametrize("status", ["Enable", "Disable"])
def test_a_rule_that_somebody_disabled_is_mended(box: Box, responder: int, status: str) -> None:
    firewall = box.firewall()
    present(firewall, forward(responder))
    rule = box.ask("<Get><NATRule/></Get>").find("NATRule")
    rule.find("Status").text = status
    box.ask(f'<Set operation="update">{ET.tostring(rule, encoding="unicode")}</Set>')
    assert present(firewall, forward(responder)) is (status == "Disable")
    assert fetch(box)


@pytest.mark.parametrize(
    "somebody_elses",
    [
        HOST.format(f"{NAME}-127.0.0.1", "", "192.0.2.7"),
        SERVICE.format(f"{NAME}-tcp-{{port}}", 9999),
        NAT.format(RULE, "", "Disable"),
    ],
    ids=lambda text: text.partition(">")[0][1:],
)
def test_what_somebody_else_made_is_never_touched(box: Box, responder: int, somebody_elses: str) -> None:
    box.add(HOST.format("web", "", "192.0.2.8"))
    box.add(somebody_elses.replace("{port}", str(responder)))
    writes, firewall = box.writes, box.firewall()
    with pytest.raises(XgsError, match="that this collection did not make"):
        present(firewall, forward(responder))
    assert not absent(firewall)
    assert box.writes == writes


def test_equal_objects_are_used_and_not_removed(box: Box, responder: int) -> None:
    box.add(HOST.format("theirs", "", "127.0.0.1"))
    box.add(SERVICE.format("their-port", responder))
    firewall = box.firewall()
    change = Window(firewall, forward(responder)).plan()
    (schedule,) = [write.entity for write in change.writes if write.entity.tag == "Schedule"]
    times = "".join(f"<{tag}>{schedule.findtext(f'.//{tag}')}</{tag}>" for tag in ("Days", "StartTime", "StopTime"))
    dates = "".join(f"<{tag}>{schedule.findtext(f'.//{tag}')}</{tag}>" for tag in ("StartDate", "EndDate"))
    box.add(
        f"<Schedule><Name>their-time</Name><Type>OneTime</Type><ScheduleDetails>{dates}"
        f"<ScheduleDetail>{times}</ScheduleDetail></ScheduleDetails></Schedule>"
    )
    present(firewall, forward(responder))
    assert ours(box) == {"NATRule": [RULE], "FirewallRule": [RULE]}
    assert fetch(box)
    absent(firewall)
    assert ours(box) == {}
    assert "theirs" in box.names("IPHost")
    assert "their-port" in box.names("Services")
    assert "their-time" in box.names("Schedule")


def test_a_helper_that_somebody_uses_meanwhile_is_no_obstacle(box: Box, responder: int) -> None:
    firewall = box.firewall()
    present(firewall, forward(responder))
    box.add(GROUP.format(f"{NAME}-127.0.0.1"))
    absent(firewall)
    assert ours(box) == {"IPHost": [f"{NAME}-127.0.0.1"]}
    tomorrow = box.firewall(clock=Impatient(ahead=24 * HOUR))
    box.settings(clock_offset=86400)
    assert present(tomorrow, forward(responder))
    assert fetch(box)


def test_a_service_that_somebodys_rule_uses_meanwhile_is_no_obstacle(box: Box, responder: int) -> None:
    """The firewall refuses to update a service that a NAT rule uses (503), be it to what it is."""
    firewall = box.firewall()
    present(firewall, forward(responder))
    box.add(HOST.format("web", "", "192.0.2.8"))
    box.add(NAT.format("their rule", "", "Enable").replace("HTTP", f"{NAME}-tcp-{responder}"))
    absent(firewall)
    assert ours(box) == {"Services": [f"{NAME}-tcp-{responder}"]}
    assert present(firewall, forward(responder))
    assert fetch(box)
    assert not present(firewall, forward(responder))
    absent(firewall)
    assert ours(box) == {"Services": [f"{NAME}-tcp-{responder}"]}


def test_an_unknown_interface(box: Box, responder: int) -> None:
    with pytest.raises(XgsError, match=r"no host object '#Port9'.*#Port1, #Port2"):
        present(box.firewall(), forward(responder, wan_hosts=("#Port9",)))
    assert box.writes == 0


@pytest.mark.parametrize("masquerade", [True, False])
def test_masquerading(box: Box, responder: int, masquerade: bool) -> None:
    box.settings(lan_gateway_for=["127.0.0.1"])
    present(box.firewall(), forward(responder, masquerade=masquerade))
    source = box.ask("<Get><NATRule/></Get>").findtext("NATRule/TranslatedSource")
    assert source == ("MASQ" if masquerade else "Original")
    assert fetch(box) == f"you are {box.address if masquerade else '127.0.0.1'}"


def test_the_lease_closes_what_nobody_closed(box: Box, responder: int) -> None:
    present(box.firewall(), forward(responder, lease=60))
    assert box.forwards
    box.settings(clock_offset=3600)
    wait_closed(box.address, 5080, timeout=5)


def test_a_sweep_removes_what_is_over_and_ours(box: Box, responder: int) -> None:
    box.add(HOST.format("over", EXPIRED, "192.0.2.1"))
    box.add(HOST.format("lasts", EXPIRED.replace("2020", "2099"), "192.0.2.2"))
    box.add(HOST.format("theirs", "certfleet expires=2020-01-01T00:00:00Z", "192.0.2.3"))
    firewall = box.firewall()
    present(firewall, forward(responder))
    sweep(firewall)
    assert {"over", "lasts", "theirs"} & set(box.names("IPHost")) == {"lasts", "theirs"}
    assert fetch(box)
    sweep(firewall, HOUR)
    assert ours(box) == {}
    assert not box.forwards


# --- the window ------------------------------------------------------------------------------------------------------


def test_a_window(box: Box, responder: int) -> None:
    window = Window(box.firewall(), forward(responder))
    box.add(HOST.format("over", EXPIRED, "192.0.2.1"))
    with window():
        assert fetch(box)
        assert "over" not in box.names("IPHost")
    assert not box.forwards
    assert ours(box) == {}
    assert 0 < window.seconds < 5


def _fail_inside(box: Box) -> None:
    assert box.forwards
    raise ZeroDivisionError


def test_an_exception_closes_it(box: Box, responder: int) -> None:
    with pytest.raises(ZeroDivisionError), Window(box.firewall(), forward(responder))():
        _fail_inside(box)
    assert not box.forwards
    assert ours(box) == {}


@pytest.mark.parametrize("fault", [{"kind": "status"}, {"kind": "reset_before"}, {"kind": "reset_after"}], ids=str)
@pytest.mark.parametrize("entity", ["NATRule", "FirewallRule", "Schedule"])
def test_a_first_close_that_fails(box: Box, responder: int, fault: dict[str, str], entity: str) -> None:
    box.faults({**fault, "operation": "remove", "entity": entity})
    with Window(box.firewall(), forward(responder))():
        assert box.forwards
    assert not box.forwards
    assert ours(box) == {}


@pytest.mark.parametrize("entity", ["IPHost", "Services", "Schedule", "FirewallRule", "NATRule"])
def test_an_opening_that_fails_leaves_nothing(box: Box, responder: int, entity: str) -> None:
    box.faults({"kind": "status", "operation": "add", "entity": entity})
    window = Window(box.firewall(), forward(responder))
    with pytest.raises(CertfleetError, match=f"refused to add {entity}") as caught, window():
        pytest.fail("it is not open")
    assert caught.value.stage == "open"
    assert ours(box) == {}
    assert window.seconds == 0


def test_a_window_that_cannot_be_closed_says_so(box: Box, responder: int) -> None:
    box.faults({"kind": "status", "operation": "remove", "entity": "NATRule", "count": 0})
    window = Window(box.firewall(), forward(responder))
    with (
        pytest.raises(CertfleetError, match=r"status 500.*Until the lease ends the port stays open") as caught,
        window(),
    ):
        pass
    assert caught.value.stage == "close"
    assert box.forwards
    box.emulator.clear_faults(box.name)
    absent(box.firewall(), window.run)
    assert not box.forwards


def test_a_firewall_that_only_says_that_it_closed_is_not_believed(box: Box, responder: int) -> None:
    box.faults({"kind": "lie", "operation": "remove", "count": 0})
    window = Window(box.firewall(), forward(responder))
    with (
        pytest.raises(CertfleetError, match=r"said that it removed .*Until the lease ends the port stays open"),
        window(),
    ):
        pass
    assert box.forwards


def test_neither_failure_is_lost(box: Box, responder: int) -> None:
    """What failed inside, and that the port is still open."""
    box.faults({"kind": "status", "operation": "remove", "entity": "NATRule", "count": 0})
    with pytest.raises(CertfleetError) as caught, Window(box.firewall(), forward(responder))():
        raise CertfleetError("the CA says no", stage="order")
    assert caught.value.stage == "order"
    assert "the CA says no" in str(caught.value)
    assert "Besides: close: " in str(caught.value)
    assert "port stays open" in str(caught.value)


def test_what_is_left_of_a_closed_port_is_not_called_open(box: Box, responder: int) -> None:
    box.faults({"kind": "status", "operation": "remove", "entity": "Schedule", "count": 0})
    window = Window(box.firewall(), forward(responder))
    with pytest.raises(CertfleetError, match=r"The port is closed; .* removes what is left") as caught, window():
        pass
    assert caught.value.stage == "close"
    assert "stays open" not in str(caught.value)
    assert not box.forwards


def test_closing_reads_who_else_is_there_and_nothing_else(box: Box, responder: int) -> None:
    """Before the NAT rule goes, and after."""
    window = Window(box.firewall(), forward(responder))
    with window():
        before = len(box.state["log"])
    log = [(entry["operation"], entry["entity"], entry["name"]) for entry in box.state["log"][before:]]
    assert [entry[1:] for entry in log if entry[0] == "get"] == [("FirewallRule", NAME)] * 2
    assert [entry[:2] for entry in log][:2] == [("get", "FirewallRule"), ("remove", "NATRule")]


def test_a_login_that_is_refused_at_the_end_is_not_tried_again(box: Box, responder: int) -> None:
    """That could lock the account."""
    with (
        pytest.raises(CertfleetError, match=r"does not accept.*the port stays open"),
        Window(box.firewall(), forward(responder))(),
    ):
        box.faults({"kind": "auth", "count": 0})
    assert box.state["counters"]["auth_failures"] == 1


def test_what_is_invalid_is_sent_once(box: Box, responder: int) -> None:
    """A refusal may come from another run at work; but not when nothing else has changed."""
    with pytest.raises(CertfleetError, match="status 501"), Window(box.firewall(), forward(responder, zone="Mars"))():
        pytest.fail("it is open")
    assert box.statuses("add", "FirewallRule") == ["501"]
    assert ours(box) == {}


SCRIPT = """
import sys, time
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.dnat import Forward
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint, Transport
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.window import Window
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._signals import orderly_end

host, fingerprint, port = sys.argv[1:]
firewall = Firewall(Transport(Endpoint(host, fingerprint=fingerprint)), "admin", "secret")
with orderly_end(), Window(firewall, Forward("certfleet-http01", "127.0.0.1", int(port)))():
    print("open", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM, signal.SIGINT)], ids=str)
def test_a_signal_closes_it(box: Box, responder: int, signals: tuple[signal.Signals, ...]) -> None:
    box.settings(latency=0.05)
    command = [sys.executable, "-c", SCRIPT, box.address, box.fingerprint, str(responder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_path()) as process:
        try:
            assert process.stdout.readline() == "open\n", process.stderr.read()
            assert box.forwards
            for number in signals:
                process.send_signal(number)
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.05)
            assert process.wait(20) != 0
        finally:
            process.kill()
    assert not box.forwards
    assert ours(box) == {}


def _path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(sys.path)}
