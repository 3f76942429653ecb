# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules without the role: chained by hand, on the controller and through a jump host."""

from __future__ import annotations

import re

import pytest

from lab.entries import firewall, waf_rule

NAME = "owa.example.com"


@pytest.fixture
def fleet(make_fleet):
    return make_fleet([firewall(1, waf_rule("OWA rule", NAME))], {NAME: "fw1"})


def acme(fleet, **more):
    return {
        "acme_directory": fleet.ca.directory_url,
        "ca_path": fleet.ca.ca_file,
        "account_key_path": str(fleet.workdir / "account.pem"),
        **more,
    }


def responder(fleet, **more):
    return {
        "certfleet.sophos_xgs.acme_http01_responder": {"address": fleet.responder, "port": fleet.responder_port, **more}
    }


def chain(fleet, output_dir, forward):
    """The tasks of a play that opens, orders, always closes, and installs."""
    order = {
        **acme(fleet),
        "certificates": [{"name": "OWA", "domains": [NAME]}],
        "output_dir": str(output_dir),
    }
    return [
        {
            "certfleet.sophos_xgs.acme_account": acme(fleet, contact=["ops@example.com"], terms_agreed=True),
            "register": "account",
        },
        responder(fleet, thumbprint="{{ account.thumbprint }}", lease=60),
        {
            "block": [
                *([{"certfleet.sophos_xgs.xgs_dnat_port": forward}] if forward else []),
                {"certfleet.sophos_xgs.acme_http01_order": order, "register": "order"},
            ],
            "always": [
                {"name": "Close", "certfleet.sophos_xgs.xgs_dnat_port": {"state": "absent"}},
                {"name": "Stop", **responder(fleet, state="stopped")},
            ],
        },
        {
            "certfleet.sophos_xgs.xgs_cert_upload": {
                "name": "OWA",
                "certificate_path": "{{ order.certificates[0].certificate_path }}",
                "private_key_path": "{{ order.certificates[0].private_key_path }}",
            },
            "register": "upload",
        },
        {
            "certfleet.sophos_xgs.xgs_cert_bind": {
                "certificate": "{{ upload.certificate }}",
                "consumers": ["waf:OWA rule"],
            }
        },
        {"certfleet.sophos_xgs.xgs_cert_info": {"name": "OWA"}, "register": "info"},
        {
            "ansible.builtin.debug": {"msg": "used by {{ info.certificates[0].used_by }}"},
            "when": "not ansible_check_mode",
        },
    ]


# What an earlier task of the same play opens.
UNDOING = ("Close", "Stop")


def a_play(tasks):
    return [{"name": "By hand", "hosts": "xgs", "gather_facts": False, "tasks": tasks}]


@pytest.mark.planes("loopback", "namespaces")
def test_chain_without_the_role(fleet, play, tmp_path):
    forward = {"target": fleet.responder, "target_port": fleet.responder_port}
    result = play(fleet, {"fw1": {}}, a_play(chain(fleet, tmp_path / "keys", forward)), unforeseen=UNDOING).check()
    assert fleet.shown("fw1", 8443, NAME).trusted
    assert fleet.ca.issued() == 1
    assert "used by ['waf:OWA rule']" in result.stdout


@pytest.mark.any_firmware
def test_without_the_forward_the_ca_refuses(fleet, play, tmp_path):
    result = play(fleet, {"fw1": {}}, a_play(chain(fleet, tmp_path / "keys", None)), unforeseen=UNDOING)
    assert result.rc != 0
    assert re.search(rf"fw1: OWA: order: .*{NAME}.*connection", result.stdout, re.IGNORECASE)
    (validation,) = fleet.ca.validations(NAME)
    assert validation.outcome == "invalid"
    assert fleet.ca.issued() == 0


@pytest.mark.no_check_run
@pytest.mark.any_firmware
def test_the_same_modules_on_a_jump_host(fleet, play, tmp_path):
    """delegate_to runs the real modules there; so the connection has to be given, or is taken from the inventory."""
    forward = {"target": fleet.responder, "target_port": fleet.responder_port}
    tasks = chain(fleet, tmp_path / "keys", forward)
    inside_blocks = [task for block in tasks for task in (*block.get("block", ()), *block.get("always", ()))]
    for task in (*tasks, *inside_blocks):
        if any(key.startswith("certfleet.") for key in task):
            task["delegate_to"] = "jump"
    others = {"jump": {"ansible_connection": "local"}}
    play(fleet, {"fw1": {}}, a_play(tasks), others=others, unforeseen=UNDOING).check()
    assert fleet.shown("fw1", 8443, NAME).trusted


@pytest.mark.any_firmware
@pytest.mark.planes("loopback", "namespaces")
def test_the_order_answers_for_itself(fleet, play, tmp_path):
    """`listen`: no responder anywhere else, and the firewall's port open for as long as it is needed."""
    order = {
        **acme(fleet),
        "certificates": [{"name": "OWA", "domains": [NAME]}],
        "output_dir": str(tmp_path / "keys"),
        "listen": f"{fleet.responder}:{fleet.responder_port}",
        "port_forward": {"target": fleet.responder, "target_port": fleet.responder_port},
    }
    tasks = [
        {"certfleet.sophos_xgs.acme_account": acme(fleet, terms_agreed=True)},
        {"certfleet.sophos_xgs.acme_http01_order": order, "register": "order"},
        {
            "ansible.builtin.debug": {"msg": "asked for {{ order.responder.hits | map(attribute='name') | unique }}"},
            "when": "not ansible_check_mode",
        },
    ]
    result = play(fleet, {"fw1": {}}, a_play(tasks)).check()
    assert f"asked for ['{NAME}']" in result.stdout
    assert [one.outcome for one in fleet.ca.validations(NAME)] == ["valid"]
    assert fleet.ca.issued() == 1


def test_action_group_defaults_and_the_janitor(fleet, play):
    """A forward whose lease is over is swept; one of somebody else is not."""
    opening = [
        {
            "name": "Leave it open",
            "hosts": "xgs",
            "gather_facts": False,
            "module_defaults": {"group/certfleet.sophos_xgs.xgs": {"timeout": 30}},
            "tasks": [
                {"certfleet.sophos_xgs.xgs_dnat_port": {"target": "127.0.0.1", "target_port": 9, "lease": 60}},
            ],
        }
    ]
    play(fleet, {"fw1": {}}, opening).check()
    play(fleet, {"fw1": {}}, "certfleet.sophos_xgs.close_ports").check()
    assert fleet.emulator.firewall("fw1")["port80_open"], "the lease is not over yet"
    play(fleet, {"fw1": {}}, a_play([{"certfleet.sophos_xgs.xgs_dnat_port": {"state": "absent"}}])).check()
    assert not fleet.emulator.firewall("fw1")["port80_open"]
