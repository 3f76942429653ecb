# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role tells in the end, from what its tasks registered."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.plugin_utils._report import (
    COLUMNS,
    PREFIX,
    Row,
    fleet_report,
    renewal_news,
    renewal_report,
    renewal_table,
    to_install,
    to_order,
)
from hypothesis import given, settings
from hypothesis import strategies as st

FILES = {"certificate_path": "/run/a/fullchain.pem", "private_key_path": "/run/a/privkey.pem"}
SERVED = {"consumer": "waf:OWA", "served_by": ["192.0.2.1:443 for owa.example.com"]}


def planned(name: str = "a", action: str = "renew", days_left: float | None = 20.0, **more: Any) -> Row:
    return {
        "name": name,
        "domains": [f"{name}.example.com"],
        "key_type": "ec256",
        "consumers": ["waf:OWA"],
        "action": action,
        "reason": "because",
        "current": f"{name}-20270101-01234567",
        "fingerprint": "ab" * 32,
        "not_after": "2026-12-11T00:00:00Z",
        "days_left": days_left,
        "lifetime_days": 90.0,
        "profile": None,
        "reuse_key": False,
        "preferred_chain": None,
        "replaces": "aki.serial",
        **more,
    }


def installed(days: float = 90) -> Row:
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days, minutes=1)
    return {
        "object": "a-20270219-1a2b3c4d",
        "not_after": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "lifetime_days": float(days),
        "consumers": [SERVED],
        "foreseen": False,
    }


def order(*names: str, seconds: float = 4.2, **more: Any) -> Row:
    return {"certificates": [{"name": name, **FILES} for name in names], "window": {"seconds": seconds}, **more}


def report(*certificates: Row, alarm_days: float = 15, rehearsal: bool = False, **registered: Any) -> list[Row]:
    plan = {"certificates": list(certificates)}
    variables = {PREFIX + key: value for key, value in {"plan": plan, **registered}.items()}
    return renewal_report({"inventory_hostname": "fw1", **variables}, alarm_days, rehearsal)


def only(*certificates: Row, **registered: Any) -> Row:
    (row,) = report(*certificates, **registered)
    return row


# --- between the tasks -----------------------------------------------------------------------------------------------


def test_what_has_to_be_ordered() -> None:
    assert to_order([planned("a"), planned("b", "bind"), planned("c", "none")]) == [
        {
            "name": "a",
            "domains": ["a.example.com"],
            "key_type": "ec256",
            "profile": None,
            "reuse_key": False,
            "preferred_chain": None,
            "replaces": "aki.serial",
            "fingerprint": "ab" * 32,
        }
    ]


def test_a_rehearsal_does_not_tell_the_ca_what_it_would_replace() -> None:
    (entry,) = to_order([planned("a")], rehearsal=True)
    assert entry.keys() == {"name", "domains", "key_type", "profile", "reuse_key", "preferred_chain"}


def test_what_can_be_installed() -> None:
    plan = [planned("a"), planned("b"), planned("c", "bind"), planned("d", "none")]
    obtained = {"certificates": [{"name": "a", "extra": 1, **FILES}, {"name": "b", "failed": True, "msg": "no"}]}
    assert to_install(plan, obtained) == [{**plan[0], **FILES}, plan[2]]


@pytest.mark.parametrize("obtained", [{}, {"skipped": True}, {"failed": True}])
def test_what_can_be_installed_without_an_order(obtained: Row) -> None:
    assert to_install([planned("a"), planned("c", "bind")], obtained) == [planned("c", "bind")]


# --- outcomes --------------------------------------------------------------------------------------------------------


def test_nothing_to_do() -> None:
    row = only(planned(action="none", days_left=80.5))
    assert (row["status"], row["alarm"], row["days_left"], row["reason"]) == ("unchanged", False, 80.5, "because")
    assert row["port_open_seconds"] is None


def test_renewed() -> None:
    row = only(planned(), order=order("a"), installed={"a": installed()})
    assert (row["status"], row["alarm"], row["error"]) == ("renewed", False, None)
    assert (row["days_left"], row["port_open_seconds"], row["consumers"]) == (90.0, 4.2, [SERVED])
    assert (row["previous"], row["object"]) == ("a-20270101-01234567", "a-20270219-1a2b3c4d")


def test_repointed() -> None:
    row = only(planned(action="bind"), installed={"a": installed(40)})
    assert (row["status"], row["days_left"], row["port_open_seconds"]) == ("repointed", 40.0, None)


@pytest.mark.parametrize(
    ("action", "consumers", "status", "used"),
    [
        ("renew", ["webadmin", "smtp"], "would be renewed", "webadmin, smtp"),
        ("bind", ["webadmin"], "would be repointed", "webadmin"),
        ("renew", [], "would be renewed", "nobody: set consumers"),
    ],
)
def test_check_mode(action: str, consumers: list[str], status: str, used: str) -> None:
    foreseen = {"object": "a-YYYYMMDD-FFFFFFFF", "not_after": None, "consumers": [], "foreseen": True}
    row = only(planned(action=action, consumers=consumers), order=order("a"), installed={"a": foreseen})
    assert (row["status"], row["reason"]) == (status, f"because; used by {used}")
    assert row["alarm"] is False


def test_a_plan_that_failed() -> None:
    plan = {"failed": True, "certificate": "a", "msg": "fw1: a: plan: no"}
    row = only(plan=plan)
    assert (row["status"], row["stage"], row["certificate"]) == ("failed", "plan", "a")
    assert (row["error"], row["alarm"]) == ("fw1: a: plan: no", True)


@pytest.mark.parametrize("plan", [{}, None, {"unreachable": True, "msg": "gone"}])
def test_no_plan_at_all(plan: Row | None) -> None:
    row = only(plan=plan)
    assert (row["firewall"], row["certificate"], row["status"], row["alarm"]) == ("fw1", None, "failed", True)


def test_a_fleet_of_which_little_is_due() -> None:
    """Whoever has nothing to do is not asked for variables; who broke off on the way is not forgotten."""
    row = only(planned("b"), order=order("b"), installed={"b": installed()})
    plans = {
        "quiet": {"certificates": [planned(action="none")], "due": False},
        "done": {"certificates": [planned("b")], "due": True},
        "lost": {"certificates": [planned("c")], "due": True},
        "silent": {"failed": True, "msg": "silent: plan: no connection", "stage": "plan"},
    }
    rows = fleet_report(plans, {"done": {f"{PREFIX}rows": [{**row, "firewall": "done"}]}, "lost": {}}, 15)
    assert [(row["firewall"], row["status"], row["alarm"]) for row in rows] == [
        ("quiet", "unchanged", False),
        ("done", "renewed", False),
        ("lost", "failed", True),
        ("silent", "failed", True),
    ]
    assert "broke off" in rows[2]["error"]
    assert rows[3]["error"] == "silent: plan: no connection"
    assert len(renewal_table(rows)) == 5


def test_one_order_that_failed() -> None:
    failed = {"name": "b", "failed": True, "stage": "order", "msg": "fw1: b: order: no such name"}
    both = {**order("a"), "failed": True, "stage": "order", "msg": "fw1: b: order: no such name"}
    both["certificates"].append(failed)
    good, bad = report(planned("a"), planned("b"), order=both, installed={"a": installed()})
    assert (good["status"], good["error"]) == ("renewed", None)
    assert (bad["status"], bad["stage"], bad["error"]) == ("failed", "order", "fw1: b: order: no such name")


def test_a_window_that_did_not_open() -> None:
    row = only(planned(), order={"failed": True, "stage": "open", "msg": "no"})
    assert (row["status"], row["stage"], row["error"]) == ("failed", "open", "fw1: no")


@pytest.mark.parametrize("done", [True, False])
def test_a_window_that_did_not_close(done: bool) -> None:
    """Renewed or not, somebody has to hear of it."""
    failed = {**order("a"), "failed": True, "stage": "close", "msg": "still open"}
    row = only(planned(days_left=1), order=failed, installed={"a": installed()} if done else {})
    assert (row["status"], row["stage"], row["error"]) == ("failed", "close", "fw1: still open")
    assert row["alarm"] is not done


def test_a_window_that_did_not_close_is_told_whatever_comes_after_it() -> None:
    failed = {**order("a"), "failed": True, "stage": "close", "msg": "still open"}
    row = only(planned(), order=failed, failed={"a": {"stage": "upload", "msg": "fw1: upload: no connection."}})
    assert (row["stage"], row["error"]) == ("upload", "fw1: upload: no connection. Besides: still open")


def test_a_certificate_that_was_not_installed() -> None:
    failed = {"a": {"stage": "verify", "msg": "fw1: a: verify: not served"}}
    row = only(planned(), order=order("a"), failed=failed)
    assert (row["status"], row["stage"], row["error"]) == ("failed", "verify", "fw1: a: verify: not served")


def test_installed_but_not_pruned() -> None:
    row = only(planned(days_left=1), order=order("a"), installed={"a": installed()}, failed={"a": {"msg": "no"}})
    assert (row["status"], row["alarm"], row["days_left"]) == ("failed", False, 90.0)


def test_switched_before_another_one_failed() -> None:
    failed = {"a": {"stage": "verify", "msg": "fw1: a: verify: not served", "consumers": [SERVED]}}
    assert only(planned(), order=order("a"), failed=failed)["consumers"] == [SERVED]


def test_no_account() -> None:
    rows = report(planned("a"), planned("b", "none"), unprepared={"failed": True, "stage": "account", "msg": "no"})
    assert [(row["status"], row["stage"]) for row in rows] == [("failed", "account"), ("unchanged", None)]


FINDING = {"name": "a.example.com", "severity": "warning", "problem": "it leads elsewhere", "remedy": "Correct it."}


def test_findings_go_to_the_certificate_that_they_are_about() -> None:
    general = {**FINDING, "name": ""}
    a, b = report(planned("a"), planned("b"), order={**order("a", "b"), "findings": [FINDING, general]})
    assert a["findings"] == [FINDING, general]
    assert b["findings"] == [general]


# --- rehearsals ------------------------------------------------------------------------------------------------------


def rehearsed(*certificates: Row, **registered: Any) -> list[Row]:
    return report(*certificates, rehearsal=True, **registered)


def test_rehearsed() -> None:
    done = order("a", "b")
    done["certificates"][0]["validated"], done["certificates"][1]["validated"] = True, False
    a, b = rehearsed(planned("a"), planned("b"), order=done)
    assert (a["status"], a["alarm"], a["port_open_seconds"]) == ("rehearsed", False, 4.2)
    assert (a["validated"], a["reason"]) == (["a.example.com"], "validated: a.example.com")
    assert (b["status"], b["validated"]) == ("rehearsed", [])
    assert "nothing" in b["reason"]


def test_a_rehearsal_that_fails_is_an_alarm_whatever_time_is_left() -> None:
    failed = {"name": "a", "failed": True, "stage": "preflight", "msg": "fw1: a: preflight: no"}
    (row,) = rehearsed(planned(days_left=80), order={"certificates": [failed], "failed": True, "msg": "no"})
    assert (row["status"], row["stage"], row["alarm"]) == ("failed", "preflight", True)
    assert row["error"] == "fw1: a: preflight: no"
    (row,) = rehearsed(planned(), unprepared={"failed": True, "stage": "account", "msg": "no"})
    assert (row["status"], row["alarm"]) == ("failed", True)
    (row,) = rehearsed(plan={"failed": True, "msg": "no"})
    assert (row["status"], row["alarm"]) == ("failed", True)


def test_a_rehearsal_in_check_mode() -> None:
    (row,) = rehearsed(planned(), order=order("a"))
    assert (row["status"], row["alarm"]) == ("would be rehearsed", False)


# --- the alarm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days_left", "lifetime", "alarm"),
    [
        (None, None, True),
        (14.9, 90, True),
        (15, 90, False),
        (20, 90, False),
        (7.4, 45, True),
        (7.5, 45, False),
        (1.1, 6, False),
        (0.9, 6, True),
        (-3, 90, True),
        (15.1, 398, False),
        (14, 398, True),
    ],
)
def test_the_alarm(days_left: float | None, lifetime: float | None, alarm: bool) -> None:
    certificate = planned(days_left=days_left, lifetime_days=lifetime)
    row = only(certificate, order={"failed": True, "stage": "open", "msg": "no"})
    assert row["alarm"] is alarm


def test_the_threshold_that_applied() -> None:
    """Of the certificate that is there in the end."""
    assert only(planned(action="none"))["alarm_below_days"] == 15
    assert only(planned(action="none"), alarm_days=40)["alarm_below_days"] == 15
    assert only(planned(action="none", lifetime_days=6))["alarm_below_days"] == 1
    assert only(planned(days_left=None, lifetime_days=None))["alarm_below_days"] == 15
    row = only(planned(), order=order("a"), installed={"a": installed(6)})
    assert (row["lifetime_days"], row["alarm_below_days"]) == (6, 1)


@pytest.mark.parametrize("kind", ["self_signed", "staging"])
def test_one_that_nobody_trusts_leaves_no_time(kind: str) -> None:
    row = only(planned(**{kind: True}), order={"failed": True, "stage": "open", "msg": "no"})
    assert row["alarm"] is True


numbers = st.floats(-100, 400, allow_nan=False)


@settings(deadline=None)
@given(st.sampled_from(["renew", "bind", "none"]), numbers, st.floats(1, 400), st.floats(0, 60), st.booleans())
def test_only_failures_raise_an_alarm(
    action: str, days_left: float, lifetime: float, alarm_days: float, failed: bool
) -> None:
    registered = {"unprepared": {"failed": True, "msg": "no"}} if failed else {}
    (row,) = report(
        planned(action=action, days_left=days_left, lifetime_days=lifetime), alarm_days=alarm_days, **registered
    )
    assert row["alarm"] is (row["status"] == "failed" and days_left < min(alarm_days, lifetime / 6))


# --- the table -------------------------------------------------------------------------------------------------------


def test_the_table() -> None:
    rows = [
        *report(planned(), order=order("a"), installed={"a": installed()}),
        *report(planned("a-long-name", "none")),
        *report(plan={"msg": "no"}),
    ]
    lines = renewal_table(rows)
    assert [line.split("  ")[0] for line in lines] == ["firewall", "fw1", "fw1", "fw1"]
    assert "renewed" in lines[1]
    assert "4.2 s" in lines[1]
    assert lines[1].endswith("192.0.2.1:443 for owa.example.com")
    assert lines[2].endswith("because")
    assert lines[3].endswith("no")


words = st.text("abcäß .:-", max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(words, st.sampled_from(["renew", "bind", "none"]), numbers, words), max_size=5))
def test_columns_are_aligned(certificates: list[tuple[str, str, float, str]]) -> None:
    plan = [planned(name, action, days, reason=f"!{text}") for name, action, days, text in certificates]
    lines = renewal_table(report(*plan))
    assert len(lines) == len(plan) + 1
    last = lines[0].index(COLUMNS[-1])
    for line in lines[1:]:
        assert line[last] == "!"
        assert line[last - 2 : last] == "  "


def test_what_a_large_fleet_hands_on_has_no_quiet_rows() -> None:
    """A small one hands on all."""
    quiet = [{"firewall": f"fw{number}", "status": "unchanged"} for number in range(1000)]
    news = [{"firewall": "fw7", "status": "renewed"}, {"firewall": "fw8", "status": "failed"}]
    assert renewal_news([quiet[0], news[0], *quiet[1:], news[1]]) == news
    assert renewal_news([*quiet[:40], *news]) == [*quiet[:40], *news]
    assert renewal_news(quiet) == []


def test_a_thousand_quiet_firewalls_are_one_line() -> None:
    rows = [row for _number in range(1000) for row in report(planned(action="none"))]
    rows[500] = {**rows[500], "firewall": "fw7", "not_after": "2026-12-01T00:00:00Z"}
    rows += report(plan={"msg": "no"})
    _head, failed, rest = renewal_table(rows)
    assert "failed" in failed
    assert rest == "and 1000 unchanged, on 2 firewalls; the first of them to expire: fw7 a, 2026-12-01"


def test_a_message_of_several_lines_stays_in_its_row() -> None:
    lines = renewal_table(report(plan={"msg": "first\nsecond"}))
    assert len("\n".join(lines).splitlines()) == 2
