# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an on-box shell tool to this collection: what its config.csv becomes."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from lab.playbook import BIN, clean_environment

pytestmark = pytest.mark.any_firmware

IMPORT = "certfleet.sophos_xgs.import_config_csv"
OLD = {
    "fw1": b"\xef\xbb\xbf# main\r\nOWA;owa.example.com,exchange.example.com\r\nmy vpn;v.example.com,*.example.com\r\n",
    "fw2": b"OWA;owa2.example.com",
}
NEW = {
    "fw1": [
        {"name": "OWA", "domains": ["owa.example.com", "exchange.example.com"]},
        {"name": "my-vpn", "domains": ["v.example.com"]},
    ],
    "fw2": [{"name": "OWA", "domains": ["owa2.example.com"]}],
}


@pytest.fixture
def run_import(playbook, tmp_path):
    """`run_import(firewall variables, …)`: the playbook on two firewalls whose files lie beside the inventory."""
    for name, data in OLD.items():
        (tmp_path / f"{name}.csv").write_bytes(data)

    def run(*flags, hosts=None, **variables):
        inventory = tmp_path / "run/inventory.yml"
        inventory.parent.mkdir(exist_ok=True)
        inventory.write_text(yaml.safe_dump({"all": {"children": {"xgs": {"hosts": hosts or dict.fromkeys(OLD)}}}}))
        path = f"{tmp_path}/{{{{ inventory_hostname }}}}.csv"
        return playbook(IMPORT, inventory=inventory, flags=flags, extra_vars={"xgs_import_path": path, **variables})

    return run


def inventory_says(collection_path, workdir):
    """What Ansible makes of the inventory with its files, host by host."""
    command = [str(BIN / "ansible-inventory"), "-i", str(workdir / "inventory.yml"), "--list"]
    environment = clean_environment(collection_path, workdir)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    variables = json.loads(done.stdout)["_meta"]["hostvars"]
    return {name: each["xgs_letsencrypt_certificates"] for name, each in variables.items()}


def test_what_is_shown_can_be_pasted_and_nothing_is_written(run_import, tmp_path):
    result = run_import("--limit", "fw1").check()
    shown = result.stdout.partition('"msg": {')[2].partition("\n    }\n")[0]
    assert yaml.safe_load(shown)["xgs_letsencrypt_certificates"] == NEW["fw1"]
    for part in ('"what": "\'*.example.com\' is left out"', "is named 'my-vpn'", '"line": 3', "'main' is left out"):
        assert part in result.stdout
    assert result.changed == 0
    assert not (tmp_path / "run/host_vars").exists()


def test_it_writes_what_ansible_then_reads_and_again_changes_nothing(run_import, collection_path, tmp_path):
    checked = run_import("--check", xgs_import_write=True).check()
    assert checked.changed == 2
    assert not (tmp_path / "run/host_vars").exists()
    result = run_import(xgs_import_write=True).check()
    assert "+- name: OWA" in result.stdout
    assert inventory_says(collection_path, tmp_path / "run") == NEW
    text = (tmp_path / "run/host_vars/fw1/xgs_letsencrypt.yml").read_text()
    assert "# line 3: '*.example.com' is left out." in text
    assert run_import(xgs_import_write=True).check().changed == 0


def test_what_somebody_edited_is_shown_and_left_alone_unless_told(run_import, tmp_path):
    file = tmp_path / "run/host_vars/fw2/xgs_letsencrypt.yml"
    run_import("--limit", "fw2", xgs_import_write=True).check()
    edited = file.read_text() + "  consumers: [webadmin]\n"
    file.write_text(edited)
    refused = run_import("--limit", "fw2", xgs_import_write=True)
    assert refused.host("fw2")["failed"] == 1
    assert "-  consumers: [webadmin]" in refused.stdout
    assert "xgs_import_overwrite=true" in refused.stdout
    assert file.read_text() == edited
    run_import("--limit", "fw2", xgs_import_write=True, xgs_import_overwrite=True).check()
    assert "consumers" not in file.read_text()


def test_no_variables_of_the_host_are_hidden(run_import, tmp_path):
    """Ansible reads no fw2.yml beside a directory fw2; and what is written would win over the inventory's own."""
    directory = tmp_path / "run/host_vars"
    directory.mkdir(parents=True)
    (directory / "fw2.yml").write_text("kept: 1\n")
    there = [{"name": "other", "domains": ["other.example.com"]}]
    hosts = {"fw1": {"xgs_letsencrypt_certificates": there}, "fw2": None}
    result = run_import(hosts=hosts, xgs_import_write=True)
    assert {name: counts["failed"] for name, counts in result.recap.items()} == {"fw1": 1, "fw2": 1}
    assert "other.example.com" in result.stdout
    assert "fw2.yml would not be read any more" in result.stdout
    assert [path.name for path in directory.iterdir()] == ["fw2.yml"]
    elsewhere = {"xgs_import_write": True, "xgs_import_file": f"{tmp_path}/taken/{{{{ inventory_hostname }}}}.yml"}
    run_import("--limit", "fw2", hosts=hosts, **elsewhere).check()
    assert yaml.safe_load((tmp_path / "taken/fw2.yml").read_text())["xgs_letsencrypt_certificates"] == NEW["fw2"]


def test_a_file_that_is_not_there_is_named(run_import, tmp_path):
    (tmp_path / "fw2.csv").unlink()
    result = run_import(xgs_import_write=True)
    assert {name: counts["failed"] for name, counts in result.recap.items()} == {"fw1": 0, "fw2": 1}
    assert f"fw2: plan: cannot read {tmp_path}/fw2.csv: No such file or directory" in result.stdout
    unnamed = run_import("--limit", "fw2", xgs_import_path="")
    assert "no password and no private key is known for the firewall's SSH login" in unnamed.stdout
