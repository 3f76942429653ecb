# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What the role hands from task to task, and what it tells in the end. Plain data in, plain data out."""

from __future__ import annotations

import datetime
import typing as t

PREFIX = "__xgs_letsencrypt_"
# What became of a certificate, by what was planned for it.
DONE = {"renew": "renewed", "bind": "repointed", "prune": "pruned"}
COLUMNS = ("firewall", "certificate", "status", "expires", "days", "port 80 open", "served by, or what is wrong")

# What a row may leave open.
OPEN = (
    *("domains", "reason", "object", "previous", "not_after", "days_left", "lifetime_days", "alarm_below_days"),
    *("port_open_seconds", "stage", "error"),
)
# More rows of nothing than this are counted instead.
QUIET_LINES = 40

Row = t.Dict[str, t.Any]


def to_order(planned: t.Iterable[Row], rehearsal: bool = False) -> list[Row]:
    """The plan's certificates that have to be obtained, as acme_http01_order takes them.

    A rehearsal replaces nothing: told so, a CA would believe that the renewal is done.
    """
    asked_for = ("name", "domains", "key_type", "profile", "reuse_key", "preferred_chain")
    options = (*asked_for, *(() if rehearsal else ("replaces", "fingerprint")))
    return [{option: entry[option] for option in options} for entry in planned if entry["action"] == "renew"]


def to_install(planned: t.Iterable[Row], order: Row) -> list[Row]:
    """The plan's certificates that can be installed now: those obtained, with their files, and those there."""
    obtained = {entry["name"]: entry for entry in order.get("certificates", ()) if "certificate_path" in entry}
    return [
        {**entry, **{key: obtained[entry["name"]][key] for key in ("certificate_path", "private_key_path")}}
        if entry["action"] == "renew"
        else dict(entry)
        for entry in planned
        if entry["action"] in ("bind", "prune") or (entry["action"] == "renew" and entry["name"] in obtained)
    ]


def renewal_report(variables: t.Mapping[str, t.Any], alarm_days: float, rehearsal: bool = False) -> list[Row]:
    """One row for each certificate of one firewall, from what the role's tasks registered there.

    alarm_days: see alarm_threshold().
    """
    registered = {
        key: variables.get(PREFIX + key) or {} for key in ("plan", "unprepared", "order", "installed", "failed")
    }
    firewall = variables["inventory_hostname"]
    if "certificates" not in registered["plan"]:
        return [
            _row(
                firewall,
                registered["plan"].get("certificate"),
                "failed",
                stage="plan",
                error=registered["plan"].get("msg"),
            )
        ]
    planned = registered["plan"]["certificates"]
    if rehearsal:
        return [_rehearsed(firewall, entry, registered, alarm_days) for entry in planned]
    return [_outcome(firewall, entry, registered, alarm_days) for entry in planned]


def fleet_report(
    plans: t.Mapping[str, Row], variables: t.Mapping[str, t.Mapping[str, t.Any]], alarm_days: float
) -> list[Row]:
    """The rows of all firewalls, from the fleet's plan and, where something was due, from what came of it.

    variables: of all hosts. Those of a firewall with nothing to do are not looked at: that takes longer than its plan.
    So alarm_days is for those; the others have their own.
    """
    rows: list[Row] = []
    for firewall, plan in plans.items():
        if plan.get("due"):
            rows += variables[firewall].get(f"{PREFIX}rows") or [_lost(firewall)]
        else:
            rows += renewal_report({"inventory_hostname": firewall, f"{PREFIX}plan": plan}, alarm_days)
    return rows


def _lost(firewall: str) -> Row:
    return _row(firewall, None, "failed", error=f"{firewall}: its renewal broke off; see the task that failed")


def _ordered(name: str, registered: Row) -> Row:
    """What the order says of a certificate."""
    return {entry["name"]: entry for entry in registered["order"].get("certificates", ())}.get(name, {})


def _begun(firewall: str, planned: Row, registered: Row, status: str, alarm_days: float) -> Row:
    """A row with all that does not depend on what came of it."""
    told = {key: planned[key] for key in ("domains", "reason", "not_after", "days_left", "lifetime_days")}
    row = _row(firewall, planned["name"], status, **told, object=planned["current"])
    row["alarm_below_days"] = alarm_threshold(planned["lifetime_days"], alarm_days)
    if planned["action"] != "none":
        row["port_open_seconds"] = (registered["order"].get("window") or {}).get("seconds")
        names = ("", *planned["domains"])
        row["findings"] = [each for each in registered["order"].get("findings", ()) if each["name"] in names]
    return row


def _fail(row: Row, failure: Row, alarm: bool) -> None:
    error = _located(row["firewall"], failure.get("msg", ""))
    row.update(status="failed", stage=failure.get("stage"), error=error, alarm=alarm)
    # Those that were switched before another one failed.
    row["consumers"] = row["consumers"] or failure.get("consumers", [])


def _rehearsed(firewall: str, planned: Row, registered: Row, alarm_days: float) -> Row:
    """Any failure is an alarm: a rehearsal is there to find it."""
    ordered = _ordered(planned["name"], registered)
    status = "rehearsed" if "validated" in ordered else "would be rehearsed"
    row = _begun(firewall, planned, registered, status, alarm_days)
    row["reason"] = ""
    if "validated" in ordered:
        row["validated"] = planned["domains"] if ordered["validated"] else []
        row["reason"] = f"validated: {', '.join(row['validated']) or 'nothing, the CA trusts what it saw before'}"
    failure = _failure(planned["name"], registered, ordered)
    if failure:
        _fail(row, failure, alarm=True)
    return row


def _outcome(firewall: str, planned: Row, registered: Row, alarm_days: float) -> Row:
    name = planned["name"]
    ordered = _ordered(name, registered)
    row = _begun(firewall, planned, registered, "unchanged", alarm_days)
    if planned["action"] == "none":
        return row
    failure = _failure(name, registered, ordered)
    installed = registered["installed"].get(name)
    if installed and not installed["foreseen"]:
        row.update(
            {key: value for key, value in installed.items() if key != "foreseen"}, status=DONE[planned["action"]]
        )
        row.update(previous=planned["current"] if planned["action"] == "renew" else None)
        row.update(
            days_left=_days_until(installed["not_after"]),
            alarm_below_days=alarm_threshold(installed["lifetime_days"], alarm_days),
        )
    elif not failure:
        row["status"] = f"would be {DONE[planned['action']]}"
        row["reason"] += f"; used by {', '.join(planned['consumers']) or 'nobody: set consumers'}"
    if failure:
        _fail(row, failure, alarm=not installed and _alarming(planned, alarm_days))
    return row


def _days_until(not_after: str) -> float:
    end = datetime.datetime.strptime(not_after, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return round((end - datetime.datetime.now(datetime.timezone.utc)) / datetime.timedelta(days=1), 1)


def _failure(name: str, registered: Row, ordered: Row) -> Row | None:
    """The first thing that kept this certificate from being renewed; and that the port may be open, whatever it was."""
    order = registered["order"]
    unclosed = order if order.get("failed") and order.get("stage") == "close" else {}
    first = registered["failed"].get(name) or (ordered if ordered.get("failed") else {})
    if first and unclosed:
        return {**first, "msg": f"{first.get('msg', '')} Besides: {unclosed.get('msg', '')}"}
    if not first and order.get("failed") and (not ordered or unclosed):
        first = order
    return first or registered["unprepared"] or None


def _located(firewall: str, message: str) -> str:
    return message if message.startswith(f"{firewall}: ") else f"{firewall}: {message}"


def alarm_threshold(lifetime_days: float | None, alarm_days: float) -> float:
    """With fewer days left than this somebody has to look: the shorter of alarm_days and a sixth of the lifetime."""
    return alarm_days if lifetime_days is None else min(alarm_days, lifetime_days / 6)


def _alarming(planned: Row, alarm_days: float) -> bool:
    """Whether so little time is left. Nobody trusts what is self-signed or of a staging CA, however long it lasts."""
    if planned["days_left"] is None or planned.get("self_signed") or planned.get("staging"):
        return True
    return bool(planned["days_left"] < alarm_threshold(planned["lifetime_days"], alarm_days))


def _row(firewall: str, certificate: str | None, status: str, **more: t.Any) -> Row:
    row: Row = dict.fromkeys(OPEN)
    # Without a plan nobody knows how much time is left: somebody has to look.
    row.update(firewall=firewall, certificate=certificate, status=status, alarm=status == "failed", **more)
    row.update(consumers=[], findings=[], validated=[])
    return row


def renewal_table(rows: t.Iterable[Row]) -> list[str]:
    """The rows as lines of text, columns aligned. In a large fleet what is unchanged is one line."""
    rows = list(rows)
    told = renewal_news(rows)
    cells = [COLUMNS, *map(table_cells, told)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]
    return lines if len(told) == len(rows) else [*lines, _counted([row for row in rows if _is_quiet(row)])]


def renewal_news(rows: t.Iterable[Row]) -> list[Row]:
    """The rows; in a large fleet without what is unchanged, which nobody reads and AWX would keep for each job."""
    rows = list(rows)
    quiet = sum(map(_is_quiet, rows))
    return [row for row in rows if not _is_quiet(row)] if quiet > QUIET_LINES else rows


def _is_quiet(row: Row) -> bool:
    return bool(row["status"] == "unchanged")


def _counted(quiet: list[Row]) -> str:
    first = min(quiet, key=lambda row: row["not_after"] or "")
    where = f"on {len({row['firewall'] for row in quiet})} firewalls"
    end = f"{first['firewall']} {first['certificate']}, {(first['not_after'] or '-')[:10]}"
    return f"and {len(quiet)} unchanged, {where}; the first of them to expire: {end}"


def table_cells(row: Row) -> tuple[str, ...]:
    """What COLUMNS say of a row."""
    seconds = row["port_open_seconds"]
    served = [end for consumer in row["consumers"] for end in consumer["served_by"]]
    return (
        row["firewall"],
        row["certificate"] or "-",
        row["status"],
        (row["not_after"] or "-")[:10],
        "-" if row["days_left"] is None else f"{row['days_left']:g}",
        "-" if seconds is None else f"{seconds:g} s",
        " ".join((row["error"] or ", ".join(served) or row["reason"] or "").split()),
    )


__all__ = (
    "COLUMNS",
    "alarm_threshold",
    "fleet_report",
    "renewal_news",
    "renewal_report",
    "renewal_table",
    "table_cells",
    "to_install",
    "to_order",
)
