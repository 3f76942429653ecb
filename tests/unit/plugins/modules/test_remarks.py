# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a firewall remarks when it has carried a write out reaches the user: once, with firewall and object."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Write
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_cert_bind, xgs_cert_upload, xgs_dnat_port
from cryptography.hazmat.primitives import hashes

from emulator.specimens import specimen
from unit.plugins.module_utils._xgs.firewalls import Box, Issued, authority, special
from unit.plugins.modules.xgs_tasks import run

PORT = {"run_id": "run1", "target": "127.0.0.1"}
AUTHORITY = authority().intermediate.fingerprint(hashes.SHA256()).hex()
# Typed from the API document's tables and what is measured beside them, not taken from the code.
TOLD = (201, 203, 211, 212, 213, 214, 215, 216, 217, 222)
NOTHING_TO_TELL = (200, 202)


def remark(code: int, **where: Any) -> dict[str, Any]:
    return {"kind": "remark", "code": code, "text": "own \x1b[31mwords", **where}


def upload(box: Box, issued: Issued, **options: Any) -> Outcome:
    pem = {"certificate_content": issued.chain_pem.decode(), "private_key_content": issued.key_pem.decode()}
    return run(xgs_cert_upload, box, name="OWA", **{**pem, **options})


def told(outcome: Outcome) -> list[str]:
    """What the remarks are about."""
    return [text.partition("' is done")[0] for text in outcome.warnings]


@pytest.mark.parametrize("code", TOLD)
def test_a_remark_is_a_warning(box: Box, code: int) -> None:
    box.faults(remark(code, operation="add", entity="Schedule"))
    outcome = run(xgs_dnat_port, box, **PORT)
    (warning,) = outcome.warnings
    (schedule,) = [label for label in outcome.facts["made"] if label.startswith("Schedule")]
    assert warning.startswith(f"{box.address}: 'add {schedule}' is done, with the status {code}, own [31mwords")
    assert ("has no message" in warning) == (code in (217, 222))
    assert schedule.partition(" ")[2] in box.names("Schedule"), "it was carried out"


@pytest.mark.parametrize("code", NOTHING_TO_TELL)
def test_plain_success_is_none(box: Box, code: int) -> None:
    box.faults(remark(code, operation="set", count=0))
    assert run(xgs_dnat_port, box, **PORT).warnings == []


def test_each_module_tells_what_it_wrote(box: Box) -> None:
    issued = authority().issue("owa.example.com", "mail.example.com")
    box.faults(*(remark(203, operation=operation) for operation in ("add", "update", "remove")))
    made = upload(box, issued)
    assert told(made) == [f"{box.address}: 'add CertificateAuthority Lab_Issuing_CA-{AUTHORITY[:8]}"]
    bound = run(xgs_cert_bind, box, certificate=made.facts["certificate"], consumers=["waf:OWA"], verify_timeout=10)
    assert told(bound) == [f"{box.address}: 'update FirewallRule OWA"]
    (rule,) = box.firewall().get("FirewallRule", "OWA")
    rule.attrib.clear()
    next(rule.iter("Certificate")).text = "ApplianceCertificate"
    box.firewall().send(Write("update", rule))
    gone = run(xgs_cert_upload, box, name="OWA", state="absent")
    assert told(gone) == [f"{box.address}: 'remove Certificate {made.facts['certificate']}"]


def test_the_same_is_said_once(box: Box) -> None:
    """Some writes are sent again when their answer was lost, or when others had a hand in it."""
    firewall = box.firewall()
    (record,) = firewall.get("SSLTunnelAccessSettings")
    box.faults(remark(212, operation="update", count=0))
    for _time in range(2):
        firewall.send(Write("update", record))
    assert box.statuses("update", "SSLTunnelAccessSettings") == ["212", "212"]
    assert len(firewall.remarks) == 1


def test_what_takes_effect_later_is_told_and_what_is_ordinary_is_not() -> None:
    """L2TP that is switched off answers 201; remote access IPsec does so to every update (API document)."""
    kinds = ("L2TPConnection", "SophosConnectClient")
    with special(objects=[specimen(kind) for kind in kinds]) as box:
        made = upload(box, authority().issue("vpn.example.com")).facts["certificate"]
        outcome = run(xgs_cert_bind, box, certificate=made, consumers=["remoteaccess", "l2tp:Roadwarriors_L2TP"])
        assert box.statuses("update", "SophosConnectClient") == ["201"]
    (text,) = [text for text in outcome.warnings if "is done, with" in text]
    assert "'update L2TPConnection Roadwarriors_L2TP'" in text
    assert text.endswith(": it takes effect when L2TP is switched on")
