# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firewall without the XML API: the port is opened through its shell."""

from __future__ import annotations

import pytest
import yaml

from lab.console.box import LAN, WAN
from lab.console.httpd import Httpd
from lab.console.server import PASSWORD
from lab.pages import block
from lab.pebble import AcmeCa
from lab.ports import free_port
from lab.processes import wait_until
from lab.reader import Reader

pytestmark = pytest.mark.any_firmware
CONTROL = "198.19.1.200"
PAGE = "docs/onbox.md"
BACK = (
    "ansible fw-helsinki -i inventory.yml -m certfleet.sophos_xgs.onbox_cert"
    ' -a "name=OWA state=previous verify_address=203.0.113.5"'
)
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
    wanted = yaml.safe_load(block(PAGE, "method: iptables").replace("203.0.113.5", WAN).replace("10.0.0.20", CONTROL))
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


@pytest.fixture
def site(shell_box, nginx_installed, tmp_path):
    """A site on the firewall, whose certificate is a file."""
    where = {"address": WAN, "port": 443, "machine": shell_box.itself, "connect": shell_box.plane.control.connect}
    with Httpd(shell_box.console, tmp_path / "httpd", {"OWA": [NAME]}, **where) as httpd:
        yield httpd


@pytest.fixture
def renew(shell_box, site, playbook, tmp_path):
    """The role for a firewall of which nothing but its SSH login is known."""
    known = {
        "ansible_host": LAN,
        "xgs_ssh_password": PASSWORD,
        "xgs_ssh_fingerprint": shell_box.console.fingerprint,
        "xgs_letsencrypt_method": "ssh",
        "xgs_letsencrypt_account_key_path": str(tmp_path / "account.pem"),
        "xgs_letsencrypt_certificates": [{"name": "OWA", "domains": [NAME]}],
        "xgs_letsencrypt_wan_host": [WAN],
        "xgs_letsencrypt_responder_address": "127.0.0.1",
        "xgs_letsencrypt_responder_port": free_port(),
        "xgs_letsencrypt_responder_managed": False,
        "xgs_letsencrypt_onbox_directory": str(site.certificates),
        "xgs_letsencrypt_verify_address": WAN,
        "xgs_letsencrypt_verify_timeout": 5,
        "xgs_letsencrypt_alarm_days": 0,
    }

    def once(ca, *flags, name="renew", **variables):
        ours = {"xgs_letsencrypt_directory": ca.directory_url, "xgs_letsencrypt_directory_ca_path": ca.ca_file}
        return playbook(
            f"certfleet.sophos_xgs.{name}",
            inventory={"xgs": {"hosts": {"fw1": {**known, **ours, **variables}}}},
            machine=shell_box.plane.control,
            flags=flags,
            verbosity=3,
        )

    return once


@pytest.fixture
def ca(shell_box, tmp_path):
    with AcmeCa(tmp_path / "ca", machine=shell_box.plane.outside, http_port=80) as made:
        made.add_a(NAME, WAN)
        yield made


def left(box):
    return [line for line in box.console.processes() if "python" in line or "watching" in line]


@pytest.fixture
def reader(shell_box, site, ca, collection_path, tmp_path):
    """Knows what the page cannot: the lab's CA, port and directory."""
    reader = Reader(tmp_path / "reader", collection_path, shell_box.plane.control)
    reader.values = {
        "fw.helsinki.example.com": LAN,
        "-p 22": f"-p {shell_box.console.port}",
        "owa.example.com": NAME,
        "203.0.113.5": WAN,
        "~/.ssh/xgs": str(shell_box.console.key),
        "state=previous": f"state=previous directory={site.certificates}",
    }
    reader.knows(
        xgs_ssh_port=shell_box.console.port,
        xgs_letsencrypt_directory=ca.directory_url,
        xgs_letsencrypt_staging_directory=ca.directory_url,
        xgs_letsencrypt_directory_ca_path=ca.ca_file,
        xgs_letsencrypt_onbox_directory=str(site.certificates),
        xgs_letsencrypt_responder_port=free_port(),
        xgs_letsencrypt_verify_timeout=5,
    )
    return reader


def test_the_whole_renewal_by_ssh_as_its_page_has_it(shell_box, site, ca, reader, firmware):
    """The responder on the firewall, the port by iptables, the certificate as a file; and nothing left of all that."""
    keys = reader.types("ssh-keyscan -p 22 fw.helsinki.example.com | ssh-keygen -l -f -").check()
    assert shell_box.console.fingerprint in keys.stdout
    reader.values["SHA256:9m0W…"] = shell_box.console.fingerprint
    reader.copies("inventory.yml", PAGE, "by_ssh:")
    rules, files = shell_box.rules(), site.files()
    first = site.shown(NAME, ca.root_pem())

    foreseen = reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml --check --diff").check()
    assert "would be renewed" in foreseen.stdout
    assert (ca.issued(), site.files(), shell_box.rules()) == (0, files, rules)

    rehearsed = reader.types("ansible-playbook certfleet.sophos_xgs.rehearse -i inventory.yml").check()
    assert f"validated: {NAME}" in rehearsed.stdout
    assert (ca.issued(), site.files(), shell_box.rules()) == (1, files, rules)

    done = reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml").check()
    shown = site.shown(NAME, ca.root_pem())
    assert (ca.issued(), shown.trusted) == (2, True)
    assert shown.fingerprint != first.fingerprint
    assert f"{WAN}:443 for {NAME}" in done.stdout
    assert (shell_box.seen(), shell_box.rules()) == ("silent", rules)
    wait_until(lambda: not left(shell_box), 10, lambda: f"still there: {left(shell_box)}")

    after = site.files()
    again = reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml").check()
    assert (again.changed, ca.issued(), site.files()) == (0, 2, after)

    reader.types(BACK).check()
    assert site.shown(NAME, ca.root_pem()).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"name": "OWA", "consumers": ["webadmin"]}, "without the XML API nothing can be made to use it"),
        ({"name": "absent"}, "In the web admin console, upload any certificate as absent"),
    ],
)
def test_what_cannot_be_done_by_ssh_is_told_by_the_plan(site, renew, ca, firmware, entry, told):
    result = renew(ca, xgs_letsencrypt_certificates=[{"domains": [NAME], **entry}])
    assert result.failed == 1
    assert f"fw1: {entry['name']}: plan: " in result.stdout
    assert told in result.stdout
    assert ca.requests() == []


def test_a_certificate_that_is_not_served_by_ssh(shell_box, site, renew, ca, firmware):
    """The web server does not read it: the one of before is put back, and the next run installs what was issued."""
    rules, files, first = shell_box.rules(), site.files(), site.shown(NAME, ca.root_pem())
    state = {"xgs_letsencrypt_state_dir": str(site.certificates.parent / "state")}
    failed = renew(ca, xgs_letsencrypt_onbox_reload="true", xgs_letsencrypt_alarm_days=400, **state)
    assert "the new certificate is not served 5 s after" in failed.stdout
    assert "The files of before are in place" in failed.stdout
    assert {path: site.files()[path] for path in files} == files
    assert site.shown(NAME, ca.root_pem()).fingerprint == first.fingerprint
    assert shell_box.rules() == rules
    renew(ca, **state).check()
    assert (site.shown(NAME, ca.root_pem()).trusted, ca.issued()) == (True, 1)
