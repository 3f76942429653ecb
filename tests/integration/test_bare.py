# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users have: the tarball, of which some keep four folders, and the libraries that README names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.entries import certificate, firewall, waf_rule
from lab.playbook import clean_environment, run_playbook

pytestmark = pytest.mark.any_firmware
CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "bare.example.com"
# Execution environments and distributions strip the rest.
KEPT = {"meta", "plugins", "roles", "playbooks"}


@pytest.fixture(scope="module")
def binaries():
    directory = CHECKOUT / "build" / "bare"
    script = [CHECKOUT / "scripts" / "bare-environment.sh", directory]
    done = subprocess.run(script, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return directory / "bin"


@pytest.fixture
def stripped(collection_path, tmp_path):
    """The installed collection without all folders but four."""
    shutil.copytree(collection_path, tmp_path / "collections")
    for path in (tmp_path / "collections/ansible_collections/certfleet/sophos_xgs").iterdir():
        if path.is_dir() and path.name not in KEPT:
            shutil.rmtree(path)
    return tmp_path / "collections"


def test_renews_with_nothing_but_the_documented_libraries(make_fleet, stripped, binaries, tmp_path):
    fleet = make_fleet([firewall(1, waf_rule("Site", NAME))], {NAME: "fw1"})
    hosts = {"fw1": {"xgs_letsencrypt_certificates": [certificate("site", NAME, consumers=["waf:Site"])]}}

    def run(playbook):
        return run_playbook(
            f"certfleet.sophos_xgs.{playbook}",
            collection_path=stripped,
            workdir=tmp_path / "run",
            inventory=fleet.inventory(hosts),
            machine=fleet.plane.control,
            binaries=binaries,
        ).check()

    renewed = run("renew")
    assert fleet.shown("fw1", 8443, NAME).trusted
    assert fleet.ca.issued() == 1
    assert "WARNING" not in renewed.stdout + renewed.stderr
    assert run("renew").changed == 0
    assert "OK" in run("check").stdout
    run("close_ports")


def test_its_documentation_is_complete(stripped, binaries, tmp_path):
    """ansible-doc shows every module, the role and what they share."""
    root = stripped / "ansible_collections/certfleet/sophos_xgs"
    names = [f"certfleet.sophos_xgs.{path.stem}" for path in (root / "plugins/modules").glob("[a-z]*.py")]
    environment = clean_environment(stripped, tmp_path / "run", binaries)
    for kind, wanted in (("module", names), ("role", ["certfleet.sophos_xgs.xgs_letsencrypt"])):
        command = [str(binaries / "ansible-doc"), "-t", kind, *wanted]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr
        for name in wanted:
            assert name in done.stdout
