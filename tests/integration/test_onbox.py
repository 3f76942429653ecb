# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firewall without the XML API: the port is opened through its shell."""

from __future__ import annotations

import pytest

from lab.console.box import LAN, WAN
from lab.console.server import PASSWORD
from lab.pebble import AcmeCa

pytestmark = pytest.mark.any_firmware
CONTROL = "198.19.1.200"
NAME = "onbox.example.com"


@pytest.fixture
def run(shell_box, playbook):
    """A play with these tasks on the control node, which knows the firewall from the inventory alone."""

    def once(tasks, flags=(), **variables):
        known = {"ansible_host": LAN, "ansible_user": "acme-api", "ansible_password": "the-API's-own"}
        known["xgs_ssh_password"] = PASSWORD
        known["xgs_ssh_fingerprint"] = shell_box.console.fingerprint
        return playbook(
            [{"hosts": "xgs", "gather_facts": False, "tasks": tasks}],
            inventory={"xgs": {"hosts": {"fw1": {**known, **variables}}}},
            machine=shell_box.plane.control,
            flags=["--diff", *flags],
            verbosity=3,
        )

    return once


def port(**options):
    return {"name": "Port", "certfleet.sophos_xgs.xgs_dnat_port": {"method": "iptables", **options}}


def test_open_and_closed_by_a_later_playbook(shell_box, run, firmware):
    before = shell_box.rules()
    wanted = [port(wan_host=WAN, target=CONTROL)]
    with shell_box.answering(shell_box.plane.control, 8080, "inside"):
        foreseen = run(wanted, ["--check"]).check()
        assert (shell_box.seen(), shell_box.rules()) == ("silent", before)
        done = run(wanted).check()
        assert shell_box.seen() == f"inside {LAN}"
        closed = run([port(state="absent")]).check()
    for result in (foreseen, done, closed):
        assert result.host("fw1")["changed"] == 1
        assert PASSWORD not in result.stdout + result.stderr
    assert '+    "PREROUTING certfleet-http01-' in done.stdout
    assert (shell_box.seen(), shell_box.rules()) == ("silent", before)
    assert run([port(state="absent")]).check().changed == 0


def test_a_stranger_and_a_missing_password(shell_box, run, firmware):
    """The API's password is not sent to whoever answers by SSH, nor anything to a stranger."""
    unknown = run([port(state="swept")], xgs_ssh_fingerprint="SHA256:" + "A" * 43)
    assert f"fw1: shell: the host key of {LAN}:22 is not known" in unknown.stdout
    unset = run([port(state="swept")], xgs_ssh_password="")
    assert "no password and no private key is known" in unset.stdout
    assert (unknown.failed, unset.failed) == (1, 1)
    assert "Failed password" not in (shell_box.console.home / "sshd.log").read_text()


def test_a_ca_validates_through_it(shell_box, run, firmware, tmp_path):
    """A responder on the control node, a CA outside, and port 80 of a firewall without an API in between."""
    before = shell_box.rules()
    with AcmeCa(tmp_path / "ca", machine=shell_box.plane.outside, http_port=80) as ca:
        ca.add_a(NAME, WAN)
        acme = {
            "acme_directory": ca.directory_url,
            "ca_path": ca.ca_file,
            "account_key_path": str(tmp_path / "account.pem"),
        }
        responder = {"address": CONTROL, "port": shell_box.plane.control.free_port(), "lease": 60}
        order = {**acme, "certificates": [{"name": "OWA", "domains": [NAME]}], "output_dir": str(tmp_path / "keys")}
        account = {**acme, "contact": ["ops@example.com"], "terms_agreed": True}
        tasks = [
            {"certfleet.sophos_xgs.acme_account": account, "register": "account"},
            {"certfleet.sophos_xgs.acme_http01_responder": {**responder, "thumbprint": "{{ account.thumbprint }}"}},
            {
                "block": [
                    port(wan_host="#wan", target=CONTROL, target_port=responder["port"]),
                    {"certfleet.sophos_xgs.acme_http01_order": order},
                ],
                "always": [
                    port(state="absent"),
                    {"certfleet.sophos_xgs.acme_http01_responder": {**responder, "state": "stopped"}},
                ],
            },
        ]
        run(tasks).check()
        assert ca.issued() == 1
    assert (shell_box.seen(), shell_box.rules()) == ("silent", before)
