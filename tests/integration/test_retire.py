# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way off an on-box tool that runs: its certificates are imported, renewed by us, and then it goes."""

from __future__ import annotations

import subprocess

import pytest

from lab.console import PASSWORD, Console
from lab.entries import certificate, certificates, firewall, waf_rule
from lab.held import made
from lab.onbox import ACCOUNT_KEY, BOOT_SCRIPT, RULE, START_LOOP, Appliance
from lab.ports import free_port
from lab.reader import Reader

pytestmark = [pytest.mark.any_firmware, pytest.mark.timeout(600)]

RETIRE = "certfleet.sophos_xgs.retire_onbox_tool"
BOX = "fw-helsinki"
NAME = "moves.example.com"
WRITE = "-e xgs_import_write=true"
FORCED = (
    "ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml --limit fw-helsinki -e xgs_letsencrypt_force=true"
)
CONFIG = f"OWA;{NAME}\n"
OTHER_RULE = "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.20:8080"


@pytest.fixture
def box(consoles, tmp_path_factory):
    """The inside of the firewall, with the tool on it. Elsewhere, for each login leaves a line in its log."""
    with Appliance(tmp_path_factory.mktemp("inside")) as box:
        box.install_tool(CONFIG)
        box.run(f"iptables -t nat {RULE}; iptables -t nat {OTHER_RULE}")
        yield box


@pytest.fixture
def console(box):
    """The way in, on which somebody has started the tool."""
    with Console(box.home / "ssh", prefix=box.prefix) as console:
        typed = (
            f"5\n3\n{START_LOOP.format(home=box.home)}\nuntil [ -s /var/acme/turns ]; do sleep 1; done\nexit\n0\n0\n"
        )
        trusting = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(console.key)]
        ssh = ["ssh", "-tt", *trusting, "-p", str(console.port), f"admin@{console.address}"]
        subprocess.run(ssh, input=typed, capture_output=True, text=True, check=True, timeout=120)
        assert loops(console)
        yield console


@pytest.fixture
def fleet(make_fleet, tmp_path):
    """Its API: the certificate of the tool is in use by a rule."""
    stored = {"name": "OWA"}
    for kind, text in zip(("cert_file", "key_file"), made(NAME), strict=True):
        (tmp_path / kind).write_text(text)
        stored[kind] = str(tmp_path / kind)
    rule = waf_rule("OWA rule", NAME, certificate="OWA")
    return make_fleet([{**firewall(1, rule, certificates=[stored]), "name": BOX}], {NAME: BOX})


def loops(console):
    return [line for line in console.processes() if "renew.sh" in line]


def login(console):
    return {
        "xgs_ssh_host": console.address,
        "xgs_ssh_port": console.port,
        "xgs_ssh_password": PASSWORD,
        "xgs_ssh_fingerprint": console.fingerprint,
    }


@pytest.fixture
def reader(fleet, console, collection_path, tmp_path):
    """Has what docs/migration.md wants: the API set up, and SSH as docs/onbox.md has it."""
    reader = Reader(tmp_path / "reader", collection_path)
    reader.values = {
        "fw.helsinki.example.com": fleet.addresses[BOX],
        "SHA256:9m0W…": console.fingerprint,
        "~/.ssh/xgs ": f"{console.key} ",
    }
    known = fleet.inventory({BOX: {}})["all"]["children"]["xgs"]
    login = {"xgs_ssh_host": console.address, "xgs_ssh_port": console.port}
    staging = {"xgs_letsencrypt_staging_directory": fleet.ca.directory_url}
    reader.knows(**known["vars"], **known["hosts"][BOX], **login, **staging)
    reader.copies("inventory.yml", "docs/onbox.md", "# or xgs_ssh_password")
    return reader


def test_imported_renewed_retired(fleet, box, console, reader):
    reader.types("ansible-playbook certfleet.sophos_xgs.import_config_csv -i inventory.yml", WRITE).check()

    retire = "ansible-playbook certfleet.sophos_xgs.retire_onbox_tool -i inventory.yml --limit fw-helsinki"
    early = reader.runs(retire)
    assert early.host(BOX)["failed"] == 1
    assert "waf:OWA rule would go on with a certificate that nobody renews" in early.stdout
    by_ssh = reader.runs(f"""{retire} -e '{{"xgs_letsencrypt_method": "ssh", "xgs_letsencrypt_certificates": []}}'""")
    assert "Nobody would renew OWA, which xgs_letsencrypt_certificates does not have" in by_ssh.stdout
    assert loops(console)
    assert sorted(box.rules()) == sorted([RULE, OTHER_RULE])

    told = reader.types(
        "ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml --limit fw-helsinki --check --diff"
    ).check()
    assert "An on-box tool is still there" in told.stdout
    reader.types("ansible-playbook certfleet.sophos_xgs.rehearse -i inventory.yml --limit fw-helsinki").check()
    assert not fleet.shown(BOX, 8443, NAME).trusted
    reader.types(FORCED).check()
    assert fleet.shown(BOX, 8443, NAME).trusted

    checked = reader.types(
        "ansible-playbook certfleet.sophos_xgs.retire_onbox_tool -i inventory.yml --limit fw-helsinki --check"
    ).check()
    for part in ("/var/acme/renew.sh", BOOT_SCRIPT, "--to-destination :8000", "account.key"):
        assert part in checked.stdout
    assert loops(console)
    assert box.exists(BOOT_SCRIPT)

    save = (
        "ansible-playbook certfleet.sophos_xgs.retire_onbox_tool -i inventory.yml --limit fw-helsinki"
        " -e xgs_retire_save_to=old"
    )
    retired = reader.types(save).check()
    assert "changed: [fw-helsinki]" in retired.stdout
    assert not loops(console)
    assert box.rules() == [OTHER_RULE]
    assert not box.exists(BOOT_SCRIPT)
    assert not box.exists("/var/acme")
    assert box.run("cat /conf/certificate/OWA.pem") == f"certificate of {NAME}\n"
    saved = reader.home / "xgs/old/fw-helsinki/var/acme"
    assert (saved / "config.csv").read_text() == CONFIG
    assert (saved / "ca/acme.example/directory/account.key").read_text() == ACCOUNT_KEY
    assert ACCOUNT_KEY.strip() not in retired.stdout

    assert reader.types(save).check().changed == 0
    assert fleet.shown(BOX, 8443, NAME).trusted
    assert "on-box tool is" not in reader.types(FORCED).check().stdout


def test_a_login_that_fails_is_told_and_keeps_nothing_from_being_renewed(play, make_fleet):
    fleet = make_fleet([firewall(1, waf_rule("OWA rule", "nologin.example.com"))], {"nologin.example.com": "fw1"})
    entry = certificate("OWA", "nologin.example.com", consumers=["waf:OWA rule"])
    result = play(
        fleet, {"fw1": certificates(entry, xgs_ssh_password="x", xgs_ssh_port=free_port("127.0.0.1"))}
    ).check()
    assert "Whether an on-box tool is still there could not be seen" in result.stdout
    assert "no SSH connection to" in result.stdout
    assert fleet.shown("fw1", 8443, "nologin.example.com").trusted


def test_who_confirms_needs_no_api(playbook, box, console):
    inventory = {"all": {"children": {"xgs": {"hosts": {"fw1": login(console)}}}}}
    playbook(RETIRE, inventory=inventory, extra_vars={"xgs_retire_confirmed": True}).check()
    assert not loops(console)
    assert not box.exists("/var/acme")
