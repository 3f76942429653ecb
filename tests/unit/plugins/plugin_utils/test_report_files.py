# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as files: by what readers of such files make of them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.plugin_utils._report_files import (
    KINDS,
    STATUSES,
    report_document,
    report_text,
)
from prometheus_client.parser import text_string_to_metric_families

from lab.reports import NASTY, made_report

SCHEMA = json.loads((Path(__file__).resolve().parents[4] / "docs" / "report.schema.json").read_text())


def validate(document: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """{metric: {values of its labels: value}}, as Prometheus reads it."""
    families = list(text_string_to_metric_families(text))
    assert all(family.type == "gauge" and family.documentation for family in families)
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples} for family in families
    }


@pytest.mark.parametrize("firewalls", [0, 3, 1000])
def test_the_json_is_as_the_schema_says(firewalls: int) -> None:
    rows = made_report(firewalls)
    document = json.loads(report_text(report_document(rows), "json"))
    validate(document)
    assert document["certificates"] == rows
    assert document["totals"]["firewalls"] == firewalls
    assert sum(document["totals"]["statuses"].values()) == len(rows)


def test_the_schema_and_the_code_know_the_same_statuses() -> None:
    known = SCHEMA["properties"]["certificates"]["items"]["properties"]["status"]["enum"]
    assert tuple(known) == STATUSES


def test_the_totals() -> None:
    rows = made_report(40)
    totals = report_document(rows)["totals"]
    assert totals["first_not_after"] == min(row["not_after"] for row in rows if row["not_after"])
    assert totals["port_open_seconds_max"] == max(row["port_open_seconds"] or 0 for row in rows)
    assert totals["alarms"] == sum(row["alarm"] for row in rows)


class Page(HTMLParser):
    """What a browser without JavaScript would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.cells: list[str] = []
        self.addresses: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action"}]
        if tag == "script":
            self.scripts.append("")
        elif tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "td":
            self.cells[-1] += data


@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_of_a_name_is_markup(nasty: str) -> None:
    rows = made_report(3, named=nasty)
    document = report_document(rows)
    page = Page(report_text(document, "html"))
    data, _script = page.scripts
    assert json.loads(data) == document
    assert [cell for cell in page.cells if cell.strip() == nasty.strip()]
    assert not page.addresses, "nothing is fetched"
    validate(document)


@pytest.mark.parametrize("nasty", NASTY)
def test_metrics_bear_any_name(nasty: str) -> None:
    text = report_text(report_document(made_report(3, named=nasty)), "prometheus")
    assert (nasty, "OWA") in samples(text)["xgs_certificate_not_after_seconds"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_utf8_cannot_say(kind: str) -> None:
    """A file name's stray byte, as Python tells it."""
    report_text(report_document(made_report(3, named="fw\udce4")), kind).encode()


def test_the_metrics() -> None:
    rows = made_report(200)
    document = report_document(rows)
    text = report_text(document, "prometheus")
    assert text.endswith("\n")
    metrics = samples(text)
    for row in rows:
        key = row["firewall"], row["certificate"] or ""
        assert metrics["xgs_certificate_renewal_failed"][key] == (row["status"] == "failed")
        assert metrics["xgs_certificate_alarm"][key] == row["alarm"]
        if row["not_after"]:
            end = datetime.strptime(row["not_after"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
            assert metrics["xgs_certificate_not_after_seconds"][key] == end.timestamp()
            assert metrics["xgs_certificate_alarm_below_seconds"][key] == row["alarm_below_days"] * 86400
        if row["port_open_seconds"] is not None:
            assert metrics["xgs_port_open_seconds"][(row["firewall"],)] == row["port_open_seconds"]
    assert {status: count for (status,), count in metrics["xgs_letsencrypt_certificates"].items() if count} == (
        document["totals"]["statuses"]
    )
    assert len(metrics["xgs_letsencrypt_certificates"]) == len(STATUSES)
    made = datetime.fromisoformat(document["generated_at"])
    assert metrics["xgs_letsencrypt_run_timestamp_seconds"][()] == made.timestamp()
