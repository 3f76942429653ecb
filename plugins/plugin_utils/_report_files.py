# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The report for others to read: a document (docs/report.schema.json), a page, and metrics. Nothing is written here."""

from __future__ import annotations

import base64
import collections
import datetime
import hashlib
import html
import json
import os
import re
import typing as t

from ._report import COLUMNS, Row, table_cells

SCHEMA = 1
STATUSES = (
    *("unchanged", "renewed", "repointed", "pruned", "would be renewed", "would be repointed", "would be pruned"),
    *("rehearsed", "would be rehearsed", "failed"),
)
# And how the page begins to tell of them.
MODES = {
    "run": "What the last run did, on",
    "check": "Check mode: what a run would have done on",
    "rehearsal": "A rehearsal at the staging CA, nothing was put on a firewall, on",
}
SOURCES = os.path.join(os.path.dirname(__file__), "..", "..", "roles", "xgs_letsencrypt", "files")


def report_document(rows: t.Sequence[Row], mode: str = "run") -> Row:
    """The rows with what is to be said of all of them. mode: one of MODES."""
    seconds = [row["port_open_seconds"] for row in rows if row["port_open_seconds"] is not None]
    ends = [row["not_after"] for row in rows if row["not_after"]]
    statuses = collections.Counter(row["status"] for row in rows)
    return {
        "schema": SCHEMA,
        "generated_at": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "mode": mode,
        "totals": {
            "firewalls": len({row["firewall"] for row in rows}),
            "certificates": sum(row["certificate"] is not None for row in rows),
            "alarms": sum(row["alarm"] for row in rows),
            "statuses": {status: statuses[status] for status in STATUSES if statuses[status]},
            "first_not_after": min(ends, default=None),
            "port_open_seconds_max": max(seconds, default=None),
        },
        "certificates": list(rows),
    }


def report_text(document: Row, kind: str) -> str:
    """The document as it goes into a file. kind: one of KINDS."""
    return KINDS[kind](document)


def _as_json(document: Row) -> str:
    return json.dumps(document, indent=1) + "\n"


def _as_page(document: Row) -> str:
    """One page that needs nothing else. Its policy lets it run its own script and nothing from anywhere."""
    style, script = _source("report.css"), _source("report.js")
    parts = {
        "POLICY": f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'",
        "STYLE": style,
        "SCRIPT": script,
        "MODE": MODES[document["mode"]],
        "GENERATED": document["generated_at"],
        "WHEN": document["generated_at"].replace("T", " ")[:16] + " UTC",
        "TOTALS": "".join(_tile(label, value, tone) for label, value, tone in _totals(document)),
        "TABLE": _table(document["certificates"]),
        "DATA": _embedded(document),
    }
    page = re.sub("%([A-Z]+)%", lambda found: parts[found.group(1)], _source("report.html"))
    # A name may hold what UTF-8 cannot say.
    return page.encode("utf-8", "replace").decode("utf-8")


def _source(name: str) -> str:
    with open(os.path.join(SOURCES, name), encoding="utf-8") as file:
        return file.read()


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _embedded(document: Row) -> str:
    """JSON that no parser of HTML takes for markup."""
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _totals(document: Row) -> t.Iterator[tuple[str, str, str]]:
    """(label, value, tone) of each tile."""
    totals, statuses = document["totals"], document["totals"]["statuses"]
    yield "firewalls", f"{totals['firewalls']:,}", ""
    yield "certificates", f"{totals['certificates']:,}", ""
    for status in STATUSES[:-1]:
        if statuses.get(status):
            yield status, f"{statuses[status]:,}", "quiet" if status == "unchanged" else "good"
    failed = statuses.get("failed", 0)
    yield "failed", f"{failed:,}", "warning" if failed else ""
    yield "alarms", f"{totals['alarms']:,}", "critical" if totals["alarms"] else ""
    if totals["first_not_after"]:
        yield "first to expire", totals["first_not_after"][:10], ""
    if totals["port_open_seconds_max"] is not None:
        yield "port 80 open, at the longest", f"{totals['port_open_seconds_max']:g} s", ""


def _tile(label: str, value: str, tone: str) -> str:
    return f'<div class="tile {tone}"><dt>{html.escape(label)}</dt><dd>{html.escape(value)}</dd></div>'


def _table(rows: t.Sequence[Row]) -> str:
    """For readers without JavaScript."""
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in COLUMNS)
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in table_cells(row)) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


# --- Prometheus ------------------------------------------------------------------------------------------------------


def _as_metrics(document: Row) -> str:
    """In the text format, for node_exporter's textfile collector."""
    rows = document["certificates"]
    dated = [row for row in rows if row["not_after"]]
    at = _seconds(document["generated_at"])
    windows = {row["firewall"]: row["port_open_seconds"] for row in rows if row["port_open_seconds"] is not None}
    statuses = document["totals"]["statuses"]
    return "".join(
        (
            _metric(
                "xgs_certificate_not_after_seconds",
                "When the certificate on the firewall expires, in Unix time.",
                ((_names(row), _seconds(row["not_after"])) for row in dated),
            ),
            _metric(
                "xgs_certificate_alarm_below_seconds",
                "With less time left than this somebody has to look.",
                ((_names(row), row["alarm_below_days"] * 86400) for row in dated),
            ),
            _metric(
                "xgs_certificate_renewal_failed",
                "1 if the last run failed on it. Without certificate: on the whole firewall.",
                ((_names(row), int(row["status"] == "failed")) for row in rows),
            ),
            _metric(
                "xgs_certificate_alarm",
                "1 if the last run failed on it and too little time is left.",
                ((_names(row), int(row["alarm"])) for row in rows),
            ),
            _metric(
                "xgs_port_open_seconds",
                "How long the last run had the port for the CA open. Missing if it did not open it.",
                (({"firewall": name}, seconds) for name, seconds in windows.items()),
            ),
            _metric(
                "xgs_letsencrypt_certificates",
                "Certificates by what the last run did.",
                (({"status": status}, statuses.get(status, 0)) for status in STATUSES),
            ),
            _metric("xgs_letsencrypt_run_timestamp_seconds", "When the last run ended, in Unix time.", (({}, at),)),
        )
    )


def _metric(name: str, told: str, samples: t.Iterable[tuple[t.Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {name} {told}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        named = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{named}}} {value:.15g}" if named else f"{name} {value:.15g}")
    return "\n".join(lines) + "\n"


def _names(row: Row) -> dict[str, str]:
    return {"firewall": row["firewall"], "certificate": row["certificate"] or ""}


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return text.encode("utf-8", "replace").decode("utf-8")


def _seconds(moment: str) -> float:
    end = datetime.datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")
    return end.replace(tzinfo=datetime.timezone.utc).timestamp()


KINDS: dict[str, t.Callable[[Row], str]] = {"json": _as_json, "html": _as_page, "prometheus": _as_metrics}

__all__ = ("KINDS", "MODES", "report_document", "report_text")
