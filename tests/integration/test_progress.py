# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told while a job works: each stage of each firewall that something is due on, and nothing of the others."""

from __future__ import annotations

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import new_account_key

from lab.entries import certificate, certificates, firewall, waf_rule
from lab.fleet import PASSWORD
from lab.held import have, wanted
from lab.jobs import slices
from lab.leaks import Secrets

pytestmark = [pytest.mark.any_firmware, pytest.mark.timeout(600)]

ORDER = ["order", "open", "validate", "close", "issue"]
INSTALL = ["upload", "bind", "verify"]


def test_a_job_tells_each_stage_of_the_firewalls_that_are_due(make_fleet, job):
    names = {f"fw{number}": f"progress{number}.example.com" for number in (1, 2, 3)}
    boxes = [firewall(1, waf_rule("Web", names["fw1"])), firewall(2), firewall(3), firewall(4)]
    fleet = make_fleet(boxes, {name: host for host, name in names.items()})
    have(fleet, "fw4", "web", "progress4.example.com")
    hosts = {
        "fw1": certificates(certificate("web", names["fw1"], consumers=["waf:Web"])),
        "fw2": certificates(
            certificate("admin", names["fw2"], consumers=["webadmin"]), xgs_tls_server_name=names["fw2"]
        ),
        "fw3": certificates(certificate("spare", names["fw3"])),
        "fw4": wanted("web", "progress4.example.com"),
    }
    account = {"ACME_ACCOUNT_KEY": new_account_key().decode()}
    secrets = Secrets({"password": PASSWORD, "account key": account["ACME_ACCOUNT_KEY"]})

    def run(**variables):
        (inventory,) = slices(fleet.inventory(hosts, **variables), 1)
        with job("renew", inventory, account) as started:
            result = started.result().check()
        assert secrets.within(result.stdout) | secrets.within(result.raw) == set()
        return result

    due = run()
    assert due.stages == {"fw1": ORDER + INSTALL, "fw2": ORDER + INSTALL, "fw3": [*ORDER, "upload"]}
    assert " fw1: bind: waf:Web to web-" in due.stdout
    told = [event["stdout"] for event in due.of_kind("verbose")]
    assert len([line for line in told if " fw2: " in line]) == len(ORDER + INSTALL), "each is an event"

    again = run(xgs_letsencrypt_force=True, xgs_letsencrypt_progress=False)
    assert again.outcomes["fw1"] == ["renewed"]
    assert again.stages == {}
