# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves for people and machines to read, and what a monitoring system is told."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from lab.entries import certificate, certificates, firewall, waf_rule
from lab.held import have, wanted

pytestmark = pytest.mark.any_firmware

CHECK = "certfleet.sophos_xgs.check"
DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA = json.loads((DOCS / "report.schema.json").read_text())


def files(directory):
    """Where the report goes; directories are made."""
    return {
        "xgs_letsencrypt_report_json": str(directory / "a/b/report.json"),
        "xgs_letsencrypt_report_html": str(directory / "a/report.html"),
        "xgs_letsencrypt_report_prometheus": str(directory / "metrics/xgs.prom"),
    }


def read(directory):
    document = json.loads((directory / "a/b/report.json").read_text())
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    return document, {row["firewall"]: row for row in document["certificates"]}


def metric(directory, name):
    families = text_string_to_metric_families((directory / "metrics/xgs.prom").read_text())
    (family,) = (each for each in families if each.name == name)
    return {sample.labels.get("firewall"): sample.value for sample in family.samples}


def two(prefix):
    """A firewall that works, one whose name the DNS does not know, and one that does not let us in."""
    name, wrong = f"{prefix}.example.com", f"{prefix}-wrong.example.com"
    firewalls = [firewall(1, waf_rule("Web", name)), firewall(2, waf_rule("Web", wrong)), firewall(3)]
    hosts = {
        "fw1": certificates(certificate("web", name, consumers=["waf:Web"])),
        "fw2": certificates(certificate("web", wrong, consumers=["waf:Web"])),
        "fw3": certificates(certificate("web", f"{prefix}3.example.com"), ansible_password="wrong"),
    }
    return firewalls, {name: "fw1"}, hosts


def test_files_of_a_real_run(make_fleet, play, tmp_path):
    firewalls, names, hosts = two("report")
    fleet = make_fleet(firewalls, names)
    # Check mode would write the files as well.
    result = play(fleet, hosts, variables=files(tmp_path), foreseen=False)
    assert [name for name in sorted(result.recap) if result.host(name)["failed"]] == ["fw2", "fw3"], result.stdout
    document, rows = read(tmp_path)
    assert document["mode"] == "run"
    assert document["totals"] == {
        **document["totals"],
        "firewalls": 3,
        "alarms": 2,
        "statuses": {"renewed": 1, "failed": 2},
    }

    served = fleet.shown("fw1", 8443, "report.example.com")
    renewed = rows["fw1"]
    end = x509.load_der_x509_certificate(served.der).not_valid_after_utc
    assert renewed["not_after"] == f"{end:%Y-%m-%dT%H:%M:%SZ}"
    assert renewed["object"][-8:-4].lower() == served.fingerprint[:4]
    assert (renewed["alarm_below_days"], round(renewed["lifetime_days"])) == (15, 90)
    (opened,) = fleet.emulator.firewall("fw1")["open_intervals"]
    assert renewed["port_open_seconds"] == pytest.approx(opened["seconds"], abs=2)
    (switched,) = renewed["consumers"]
    assert (switched["consumer"], switched["previous"]) == ("waf:Web", "ApplianceCertificate")
    assert (switched["certificate"], switched["verified"]) == (renewed["object"], True)
    assert (rows["fw2"]["stage"], rows["fw2"]["alarm"], rows["fw2"]["object"]) == ("order", True, None)
    assert (rows["fw3"]["stage"], rows["fw3"]["certificate"]) == ("plan", None)

    assert metric(tmp_path, "xgs_certificate_not_after_seconds") == {"fw1": end.timestamp()}
    assert metric(tmp_path, "xgs_certificate_renewal_failed") == {"fw1": 0, "fw2": 1, "fw3": 1}
    page = (tmp_path / "a/report.html").read_text()
    assert json.dumps(rows["fw1"]["object"]) in page
    for path in files(tmp_path).values():
        assert Path(path).stat().st_mode & 0o777 == 0o644
        assert [each.suffix for each in Path(path).parent.iterdir() if each.is_file()] == [Path(path).suffix]


def test_check_mode_writes_them_but_for_the_metrics(make_fleet, play, tmp_path):
    firewalls, names, hosts = two("checked")
    fleet = make_fleet(firewalls, names)
    play(fleet, hosts, variables=files(tmp_path), flags=["--check", "--diff", "--limit", "fw1,fw2"]).check()
    document, rows = read(tmp_path)
    assert document["mode"] == "check"
    assert {row["status"] for row in rows.values()} == {"would be renewed"}
    assert not (tmp_path / "metrics").exists()
    assert fleet.writes() == 0


@pytest.mark.parametrize("fails", [False, True], ids=["renewed", "failed"])
def test_a_file_that_cannot_be_written_is_told_and_hides_nothing(make_fleet, play, tmp_path, fails):
    name = f"unwritten{fails:d}.example.com"
    fleet = make_fleet([firewall(1, waf_rule("Web", name))], {} if fails else {name: "fw1"})
    (tmp_path / "in-the-way").write_text("")
    wanted = {**files(tmp_path), "xgs_letsencrypt_report_html": str(tmp_path / "in-the-way/report.html")}
    hosts = {"fw1": certificates(certificate("web", name, consumers=["waf:Web"]))}
    result = play(fleet, hosts, variables=wanted, foreseen=False)
    assert (result.rc != 0) is fails
    assert f"cannot write {tmp_path}/in-the-way/report.html: " in result.stdout
    assert ("Somebody has to look at this firewall" in result.stdout) is fails
    _document, rows = read(tmp_path)
    assert rows["fw1"]["status"] == ("failed" if fails else "renewed"), "the other files are there"


def test_a_report_of_ones_own(playbook, tmp_path):
    """The module by itself: what it refuses, and what it would do."""
    rows = [{"firewall": "fw1"}]
    tasks = [
        {
            "certfleet.sophos_xgs.xgs_report": {"rows": [], "html": "{{ playbook_dir }}/new/page.html"},
            "check_mode": True,
        },
        {"certfleet.sophos_xgs.xgs_report": {"rows": [], "json": "{{ playbook_dir }}/report.json"}},
        {"certfleet.sophos_xgs.xgs_report": {"rows": rows, "mode": "joke"}},
    ]
    result = playbook([{"name": "Report", "hosts": "localhost", "gather_facts": False, "tasks": tasks}], verbosity=1)
    assert result.rc != 0
    assert f'"written": ["{tmp_path}/run/new/page.html"]' in result.stdout
    assert "value of mode must be one of: run, check, rehearsal" in result.stdout
    assert not (tmp_path / "run/new").exists()
    jsonschema.validate(json.loads((tmp_path / "run/report.json").read_text()), SCHEMA)


def monitored(result, tmp_path):
    """(exit status, output) of the plugin in the docs, which is given what ansible-playbook said."""
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", (DOCS / "report.md").read_text(), re.DOTALL)
    (tmp_path / "stdout").write_text(result.stdout)
    fake = tmp_path / "bin/ansible-playbook"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(f"#!/bin/sh\ncat {tmp_path}/stdout\nexit {result.rc}\n")
    fake.chmod(0o755)
    environment = {"PATH": f"{fake.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.strip()


def test_a_monitoring_system_is_told(make_fleet, play, tmp_path):
    fleet = make_fleet([firewall(number) for number in (1, 2, 3)], {})
    for number, age in ((1, 10), (2, 72), (3, 80)):
        have(fleet, f"fw{number}", "web", f"nagios{number}.example.com", age=age)
    hosts = {f"fw{number}": wanted("web", f"nagios{number}.example.com") for number in (1, 2, 3)}
    state = {"xgs_letsencrypt_state_dir": str(tmp_path / "state")}
    cases = {
        "fw1": (
            0,
            r"OK - 1 certificates on 1 firewalls, the first: fw1 web expires in 80 days \| days_left_min=80;20:;15:",
        ),
        "fw1,fw2": (1, r"WARNING - 0 critical, 1 warning: fw2 web expires in 18 days \|"),
        "all": (2, r"CRITICAL - 1 critical, 1 warning: fw3 web expires in 10 days; fw2 web expires in 18 days \|"),
    }
    for limit, (code, says) in cases.items():
        result = play(
            fleet, hosts, CHECK, variables=state, flags=["--limit", limit], env={"ANSIBLE_SHOW_CUSTOM_STATS": "1"}
        )
        assert (result.rc != 0) is (code == 2)
        message, _, stats = result.stdout.partition("CUSTOM STATS")
        assert re.search(says, message)
        assert re.search(says, stats)
        told, line = monitored(result, tmp_path)
        assert (told, bool(re.fullmatch(says + r"[^\n]*due=\d", line))) == (code, True), line
    flags = ["-e", "xgs_letsencrypt_check_critical_days=9", "-e", "xgs_letsencrypt_check_warning_days=12"]
    result = play(fleet, hosts, CHECK, variables=state, flags=flags).check()
    assert "WARNING - 0 critical, 1 warning: fw3 web" in result.stdout
    assert monitored(play(fleet, hosts, CHECK, flags=["--limit", "nobody"]), tmp_path)[0] == 3
    assert fleet.writes() == 0
    assert not (tmp_path / "state").exists()
    assert fleet.counters()["fw1"]["reads"] == 4, "one each time, where nothing is due"


def test_a_quiet_run_of_many_says_little(make_fleet, play):
    """What is unchanged does not fill the screen, however much it is."""
    fleet = make_fleet([firewall(number) for number in range(1, 46)], {})
    for number in range(1, 46):
        have(fleet, f"fw{number}", "web", f"little{number}.example.com")
    hosts = {f"fw{number}": wanted("web", f"little{number}.example.com") for number in range(1, 46)}
    result = play(fleet, hosts).check()
    assert "and 45 unchanged, on 45 firewalls; the first of them to expire: fw1 web, " in result.stdout
    assert len([line for line in result.stdout.splitlines() if line.strip()]) < 45
