# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX is given: the image's description, what awx_setup.yml makes, and what a job gets from the credentials.

AWX itself cannot run here. The modules of awx.awx are the real ones and talk to what lab/awx.py says of itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dateutil.rrule import rrulestr

from lab.awx import Awx, awx_template, injected
from lab.collection import CHECKOUT
from lab.entries import certificate, certificates, firewall, waf_rule
from lab.fleet import PASSWORD, USERNAME
from lab.playbook import BIN
from lab.reader import Reader

pytestmark = pytest.mark.any_firmware

SETUP = "certfleet.sophos_xgs.awx_setup"
RENEW = "Firewall certificates: renew"
KEY = "-----BEGIN PRIVATE KEY-----\n{{ not a template }}\n-----END PRIVATE KEY-----\n"
SETTINGS = {
    "xgs_awx_image": "images.example/certfleet:1",
    "xgs_awx_inventory": "Firewalls Default",
    "xgs_awx_username": "acme-api",
    "xgs_awx_password": "s3cret {{ not a template }}",
    "xgs_awx_account_key": KEY,
    "xgs_awx_notification": {"type": "slack", "configuration": {"token": "t0ken", "channels": ["#certificates"]}},
}


@pytest.fixture
def awx():
    with Awx(CHECKOUT) as made:
        yield made


@pytest.fixture
def set_up(playbook, awx_collection, collection_path, awx):
    """`set_up(**settings)`: awx_setup.yml at the stand-in. Secrets are marked, or Ansible would fill them in."""

    def run(*flags, **settings):
        given = {**SETTINGS, **settings}
        for name in ("xgs_awx_password", "xgs_awx_account_key"):
            given[name] = {"__ansible_unsafe": given[name]}
        paths = f"{collection_path}:{awx_collection}"
        return playbook(
            SETUP, flags=flags, extra_vars=given, env={**awx.environment, "ANSIBLE_COLLECTIONS_PATH": paths}
        )

    return run


# The image


def test_the_execution_environment_gets_the_collection_and_what_it_needs(collection_path, tmp_path):
    context = tmp_path / "context"
    command = [BIN / "ansible-builder", "create", "-f", CHECKOUT / "execution-environment.yml", "-c", context]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    wanted = yaml.safe_load((context / "_build" / "requirements.yml").read_text())
    assert [each["name"] for each in wanted["collections"]] == ["certfleet.sophos_xgs"]
    (containerfile,) = (path.read_text() for path in context.iterdir() if path.suffix == "" and path.is_file())
    for step in ("ansible-galaxy collection install", "introspect.py introspect", "ansible-core>=2.19,<2.20"):
        assert step in containerfile

    # The step of the image's build that looks what the installed collections need, done here.
    found = tmp_path / "requirements.txt"
    script = context / "_build" / "scripts" / "introspect.py"
    arguments = [
        "introspect",
        str(collection_path),
        "--write-pip",
        str(found),
        "--write-bindep",
        str(tmp_path / "bindep"),
    ]
    subprocess.run([sys.executable, script, *arguments], check=True, capture_output=True, timeout=60)
    names = {
        re.split(r"[<>=\s]", line)[0] for line in found.read_text().splitlines() if line and not line.startswith("#")
    }
    assert names == {"acme", "cryptography", "dnspython", "jmespath", "paramiko"}


# awx_setup.yml


@pytest.fixture
def reader(awx, awx_collection, collection_path, tmp_path):
    """Has AWX's own collection too, and the settings of docs/awx.md with his own values."""
    reader = Reader(tmp_path / "reader", collection_path)
    reader.sets(**awx.environment, ANSIBLE_COLLECTIONS_PATH=f"{collection_path}:{awx_collection}")
    reader.values = {
        "registry.example.com/certfleet:1": SETTINGS["xgs_awx_image"],
        "Firewalls\n": f"{SETTINGS['xgs_awx_inventory']}\n",
        "Network\n": "Default\n",
        '!unsafe "…"': f'!unsafe "{SETTINGS["xgs_awx_password"]}"',
        '"…"': '"t0ken"',
        "#network": "#certificates",
    }
    reader.copies("awx.yml", "docs/awx.md", "xgs_awx_image")
    return reader


def test_awx_is_set_up(set_up, awx, reader):
    reader.types("ansible-playbook certfleet.sophos_xgs.awx_setup -e @awx.yml").check()
    assert_complete(awx, "Firewall certificates")
    types = {each["name"]: each["injectors"] for each in awx.objects["credential_types"]}
    assert types["Sophos XGS firewall"]["env"]["XGS_PASSWORD"] == "{{ password }}"
    assert types["ACME account"]["file"]["template.key"] == "{{ account_key }}"
    inputs = awx.one("credentials", "Firewall certificates: administrator")["inputs"]
    assert inputs == {"username": "acme-api", "password": SETTINGS["xgs_awx_password"]}
    assert awx.one("execution_environments", "Firewall certificates")["image"] == SETTINGS["xgs_awx_image"]

    # Again: nothing but the secrets, which AWX does not show, is written.
    awx.writes.clear()
    set_up().check()
    secret = {each["url"] for each in awx.objects["credentials"]}
    assert {path for _method, path in awx.writes} == secret
    assert awx.one("credentials", "Firewall certificates: ACME account")["inputs"] == {"account_key": KEY}

    # Beside it, for another organization.
    other = {
        "xgs_awx_name": "Branches",
        "xgs_awx_organization": "Elsewhere",
        "xgs_awx_inventory": "Firewalls Elsewhere",
    }
    set_up(**other, xgs_awx_interval_hours=8).check()
    assert_complete(awx, "Branches")
    assert_complete(awx, "Firewall certificates")
    assert_spread(
        [awx.one("schedules", f"{name}: renew")["rrule"] for name in ("Firewall certificates", "Branches")], (6, 8)
    )


def assert_complete(awx, name):
    renew, close, check = (f"{name}: {what}" for what in ("renew", "close ports", "check"))
    playbooks = {each["name"]: each["playbook"] for each in awx.objects["job_templates"]}
    assert (playbooks[renew], playbooks[close], playbooks[check]) == (
        "playbooks/renew.yml",
        "playbooks/close_ports.yml",
        "playbooks/check.yml",
    )
    for template in (renew, close, check):
        assert awx.associated("job_templates", template, "notification_templates_error") == [f"{name}: alarm"]
        assert f"{name}: administrator" in awx.associated("job_templates", template, "credentials")
    assert f"{name}: ACME account" in awx.associated("job_templates", renew, "credentials")
    workflow = awx.one("workflow_job_templates", name)["id"]
    nodes = [each for each in awx.objects["workflow_job_template_nodes"] if each["workflow_job_template"] == workflow]
    run = {each["identifier"]: each["unified_job_template"] for each in nodes}
    assert run == {"renew": awx.one("job_templates", renew)["id"], "close": awx.one("job_templates", close)["id"]}
    assert awx.hanging(next(each for each in nodes if each["identifier"] == "renew"), "always_nodes") == ["close"]
    assert awx.one("schedules", renew)["unified_job_template"] == workflow
    assert awx.one("schedules", check)["unified_job_template"] == awx.one("job_templates", check)["id"]


def assert_spread(rules, intervals):
    """Over the day in equal steps, each at a minute of its own that is not the full hour."""
    minutes = set()
    for rule, hours in zip(rules, intervals, strict=True):
        day = datetime(2026, 11, 21, tzinfo=timezone.utc)
        times = rrulestr(rule.replace(" ", "\n")).between(day, day.replace(day=22))
        assert len(times) == 24 // hours
        minutes |= {time.minute for time in times}
    assert len(minutes) == len(rules)
    assert 0 not in minutes


@pytest.mark.parametrize("missing", ["xgs_awx_image", "xgs_awx_inventory"])
def test_what_has_no_default_is_asked_for(set_up, awx, missing):
    refused = set_up(**{missing: ""})
    assert refused.rc != 0
    assert f"-e {missing}=" in " ".join(refused.stdout.split())
    assert awx.writes == []


def test_without_notification_and_without_secrets(set_up, awx):
    bare = set_up(xgs_awx_notification={}, xgs_awx_password="", xgs_awx_account_key="")
    assert bare.rc != 0, "the credentials are not there"
    assert "returned 0 items, expected 1" in bare.stdout
    assert awx.objects["credentials"] == []
    owner = awx.one("organizations", "Default")["id"]
    for name, kind, inputs in (
        ("Firewall certificates: administrator", "Sophos XGS firewall", {"username": "u", "password": "p"}),
        ("Firewall certificates: ACME account", "ACME account", {"account_key": KEY}),
    ):
        number = awx.one("credential_types", kind)["id"]
        awx.create("credentials", {"name": name, "organization": owner, "credential_type": number, "inputs": inputs})
    set_up(xgs_awx_notification={}, xgs_awx_password="", xgs_awx_account_key="").check()
    assert awx.objects["notification_templates"] == []


# What a job gets, and what it tells


@pytest.fixture(scope="module")
def definitions():
    """playbooks/vars/awx.yml, its templates as they stand there."""

    class Loader(yaml.SafeLoader):
        """Knows !unsafe."""

    Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    return yaml.load((CHECKOUT / "playbooks" / "vars" / "awx.yml").read_text(), Loader)


def told(result):
    """What set_stats leaves to later jobs."""
    (stats,) = re.findall(r"^\s*RUN: (\{.*\})$", result.stdout, re.MULTILINE)
    return json.loads(stats)


def credentials(definitions, fleet, directory):
    """What a job's environment gets from them; and the account's key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    types = {each["name"]: each for each in definitions["controller_credential_types"]}
    authorities = Path(fleet.ca.ca_file).read_text()
    environment = {
        **injected(types["Sophos XGS firewall"], {"username": USERNAME, "password": PASSWORD}, directory),
        **injected(types["ACME account"], {"account_key": key.decode(), "ca_certificates": authorities}, directory),
    }
    return environment, key.decode()


def without_credentials(inventory):
    """The inventory, but no user, password or key in it."""
    settings = inventory["all"]["children"]["xgs"]["vars"]
    for given in ("user", "password", "httpapi_ca_path"):
        del settings[f"ansible_{given}"]
    for given in ("directory_ca_path", "account_key_path"):
        del settings[f"xgs_letsencrypt_{given}"]
    return inventory


def test_a_job_has_all_it_needs_from_the_credentials(make_fleet, playbook, definitions, tmp_path):
    """No user, password or key in the inventory; stale results of an earlier job of the workflow as extra variables."""
    names = ["owa.awx.test", "moved.awx.test"]
    rules = [waf_rule(name.partition(".")[0], name) for name in names]
    fleet = make_fleet([firewall(1, *rules)], {names[0]: "fw1"})
    environment, key = credentials(definitions, fleet, tmp_path)
    host = certificates(
        *(certificate(name.partition(".")[0], name, consumers=[f"waf:{name.partition('.')[0]}"]) for name in names)
    )
    inventory = without_credentials(fleet.inventory({"fw1": host}))
    stale = {
        "xgs_letsencrypt_report": [],
        "xgs_letsencrypt_summary": {"line": "stale"},
        "xgs_letsencrypt_check": {"line": "stale"},
    }

    def job(name):
        env = {**environment, "ANSIBLE_SHOW_CUSTOM_STATS": "1"}
        return playbook(f"certfleet.sophos_xgs.{name}", inventory=inventory, env=env, extra_vars=stale)

    renewal = job("renew")
    assert renewal.rc != 0, "one name leads nowhere, and there was no certificate before"
    assert fleet.shown("fw1", 8443, names[0]).trusted
    stats = told(renewal)
    assert {row["certificate"]: row["status"] for row in stats["xgs_letsencrypt_report"]} == {
        "owa": "renewed",
        "moved": "failed",
    }
    summary = stats["xgs_letsencrypt_summary"]
    assert (summary["firewalls"], summary["certificates"], summary["alarms"]) == (1, 2, 1)
    assert summary["line"].startswith("2 certificates on 1 firewalls: ")
    assert "Somebody has to look: fw1: moved: " in summary["line"]
    message = definitions["xgs_awx_alarm"]["messages"]["error"]["message"]
    names_of_job = {
        "job": {"name": RENEW, "status": "failed", "artifacts": stats},
        "url": "https://awx.example/#/jobs/7",
    }
    assert awx_template(message, names_of_job) == f"{RENEW}: {summary['line']} https://awx.example/#/jobs/7"

    checked = told(job("check"))
    assert checked["xgs_letsencrypt_check"]["line"].startswith("CRITICAL - 1 critical")
    job("close_ports").check()
    for secret in (PASSWORD, key.splitlines()[1]):
        assert secret not in renewal.stdout + renewal.stderr
