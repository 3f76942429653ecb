# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A fleet in one line: for a monitoring system, with performance data and one of three states; for a notification."""

from __future__ import annotations

import collections
import typing as t

from ._report import Row, alarm_threshold

OK, WARNING, CRITICAL = range(3)
STATES = ("OK", "WARNING", "CRITICAL")
# Renewal is due when a third of the lifetime is left (half of a short one): by a quarter it has failed for some time.
WARNING_SHARE = 1 / 4
# More problems are counted, and longer ones cut.
NAMED = 5
LONGEST = 160


class Finding(t.NamedTuple):
    """Of one certificate, or of a firewall that has no plan. left: days."""

    code: int
    left: float
    text: str


def check_verdict(plans: t.Mapping[str, Row], warning_days: float, critical_days: float) -> Row:
    """{"state", "code", "line", …} from the fleet's plan.

    warning_days: no more than a quarter of a lifetime, critical_days: no more than a sixth, as the role's alarm.
    Without a plan, without a certificate, and with one that is self-signed or of a staging CA: critical at any time.
    """
    entries = [(firewall, entry) for firewall, plan in plans.items() for entry in plan.get("certificates", ())]
    findings = [_judged(firewall, entry, warning_days, critical_days) for firewall, entry in entries]
    findings += [_unplanned(firewall, plan) for firewall, plan in plans.items() if "certificates" not in plan]
    findings.sort(key=lambda finding: (-finding.code, finding.left))
    code = findings[0].code if findings else OK
    counts = {
        "firewalls": len(plans),
        "certificates": len(entries),
        "critical": sum(finding.code == CRITICAL for finding in findings),
        "warning": sum(finding.code == WARNING for finding in findings),
        "due": sum(entry["action"] != "none" for _firewall, entry in entries),
    }
    shortest = min((entry["days_left"] for _firewall, entry in entries if entry["days_left"] is not None), default=None)
    # "20:" reads "alert below 20" in the monitoring plugins' guidelines.
    least = "U" if shortest is None else f"{shortest:g};{warning_days:g}:;{critical_days:g}:"
    performance = " ".join((f"days_left_min={least}", *(f"{name}={count}" for name, count in counts.items())))
    line = f"{STATES[code]} - {_summary(counts, findings)} | {performance}"
    return {"state": STATES[code], "code": code, "line": line, "days_left_min": shortest, **counts}


def _judged(firewall: str, entry: Row, warning_days: float, critical_days: float) -> Finding:
    where, left, lifetime = f"{firewall} {entry['name']}", entry["days_left"], entry["lifetime_days"]
    if left is None:
        return Finding(CRITICAL, float("-inf"), f"{where} is missing")
    if entry["self_signed"]:
        return Finding(CRITICAL, left, f"{where} is self-signed")
    if entry["staging"]:
        return Finding(CRITICAL, left, f"{where} is of a staging CA")
    text = f"{where} expires in {left:g} days" if left >= 0 else f"{where} expired {-left:g} days ago"
    if left < alarm_threshold(lifetime, critical_days):
        return Finding(CRITICAL, left, text)
    return Finding(WARNING if left < min(warning_days, lifetime * WARNING_SHARE) else OK, left, text)


def _unplanned(firewall: str, plan: Row) -> Finding:
    text = _short(plan.get("msg") or f"{firewall}: no plan").replace("|", "/")
    return Finding(CRITICAL, float("-inf"), text)


def _short(text: str) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _listed(texts: t.Sequence[str]) -> str:
    rest = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + rest


def _summary(counts: t.Mapping[str, int], findings: t.Sequence[Finding]) -> str:
    bad = [finding.text for finding in findings if finding.code != OK]
    if not bad:
        first = f", the first: {findings[0].text}" if findings else ""
        return f"{counts['certificates']} certificates on {counts['firewalls']} firewalls{first}"
    return f"{counts['critical']} critical, {counts['warning']} warning: {_listed(bad)}"


def renewal_summary(rows: t.Iterable[Row]) -> Row:
    """{"line", "statuses", …} of a report's rows. Alarms are named, the rest is counted."""
    rows = list(rows)
    statuses = dict(collections.Counter(row["status"] for row in rows).most_common())
    alarms = [_short(row["error"]) for row in rows if row["alarm"]]
    counts = {
        "firewalls": len({row["firewall"] for row in rows}),
        "certificates": sum(row["certificate"] is not None for row in rows),
        "alarms": len(alarms),
    }
    became = ", ".join(f"{count} {status}" for status, count in statuses.items())
    line = f"{counts['certificates']} certificates on {counts['firewalls']} firewalls" + (
        f": {became}" if became else ""
    )
    if alarms:
        line += f". Somebody has to look: {_listed(alarms)}"
    return {"line": line, **counts, "statuses": statuses}


__all__ = ("check_verdict", "renewal_summary")
