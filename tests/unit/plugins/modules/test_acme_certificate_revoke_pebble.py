# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Revocation at a real CA (Pebble), which here takes every challenge as passed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import revocation
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import ensure_account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.advice import Advice
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError, AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import (
    CertificateRequest,
    IssuedCertificate,
    obtain,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._due import (
    NOTHING,
    RENEW,
    Rules,
    Verdict,
    Wanted,
    judge,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._x509 import load_certificates
from ansible_collections.certfleet.sophos_xgs.plugins.modules import acme_certificate_revoke

from lab.nowhere import Nowhere
from lab.pebble import AcmeCa
from unit.plugins.module_utils._xgs.firewalls import DAY, Box, Issued
from unit.plugins.modules.accounts import client_of, connection, lost_answer, new_key, run

REVOKE = "/revoke-cert"
ACCOUNT = new_key()


@pytest.fixture(scope="module")
def ca() -> Iterator[AcmeCa]:
    with AcmeCa(extra_env={"PEBBLE_VA_ALWAYS_VALID": "1"}) as authority:
        yield authority


@pytest.fixture(params=["ec256", "rsa2048"])
def issued(ca: AcmeCa, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A directory with a new certificate (fullchain.pem) and its key (privkey.pem)."""
    client = client_of(ca, ACCOUNT)
    ensure_account(client, terms_agreed=True)
    wanted = CertificateRequest("web", ("web.example.com",), request.param)
    (made,) = obtain(client, [wanted], window=contextlib.nullcontext, store=Nowhere(), timeout=20.0).results
    assert isinstance(made, IssuedCertificate)
    (tmp_path / "fullchain.pem").write_bytes(made.chain_pem)
    key = tmp_path / "privkey.pem"
    key.touch(0o600)
    key.write_bytes(made.private_key_pem)
    return tmp_path


def revoke(ca: AcmeCa, directory: Path, check_mode: bool = False, **options: Any) -> Outcome:
    params = {"certificate_path": str(directory / "fullchain.pem"), "private_key_path": None, "reason": None, **options}
    return acme_certificate_revoke.run(connection(ca, **params), check_mode)


def own_key(directory: Path) -> dict[str, str]:
    return {"private_key_path": str(directory / "privkey.pem")}


def revocations(ca: AcmeCa) -> int:
    return ca.requests().count(("POST", REVOKE))


def test_by_the_account_and_again(ca: AcmeCa, issued: Path) -> None:
    before = revocations(ca)
    predicted = revoke(ca, issued, True, account_key_content=ACCOUNT, reason="superseded")
    assert revocations(ca) == before
    done = revoke(ca, issued, account_key_content=ACCOUNT, reason="superseded")
    assert predicted.as_result(show_diff=True) == done.as_result(show_diff=True)
    assert done.changed
    assert done.after == {"serial": done.facts["serial"], "revoked": True}
    assert int(done.facts["serial"], 16) == int(ca.serials()[-1], 16)
    again = revoke(ca, issued, account_key_content=ACCOUNT)
    assert (again.changed, again.before, again.facts) == (False, again.after, done.facts)
    assert not revoke(ca, issued, **own_key(issued)).changed
    assert revocations(ca) == before + 3


@pytest.mark.parametrize("issued", ["ec256"], indirect=True)
def test_f27_what_is_revoked_is_renewed_at_once(ca: AcmeCa, issued: Path, box: Box) -> None:
    """The CA then names a time in the past; the night's plan for the firewall that has it follows."""
    chain_pem = (issued / "fullchain.pem").read_bytes()
    box.put("web-20300101-01234567", Issued(load_certificates(chain_pem), (issued / "privkey.pem").read_bytes()))
    client = client_of(ca, ACCOUNT)
    wanted, rules = Wanted("web", ("web.example.com",), (), "ec256"), Rules(ca.directory_url, DAY)

    def plan() -> Verdict:
        (found,) = judge(box.firewall(), [wanted], Advice(client, ca.directory_url), rules)
        return found

    assert plan().action == NOTHING
    revoke(ca, issued, account_key_content=ACCOUNT, reason="keyCompromise")
    found = plan()
    assert (found.action, found.renew_at is None or found.renew_at <= Clock().now()) == (RENEW, True)
    assert "renewal" in found.reason


@pytest.mark.parametrize("reason", [None, *revocation.REASONS])
@pytest.mark.parametrize("issued", ["ec256"], indirect=True)
def test_reasons(ca: AcmeCa, issued: Path, reason: str | None) -> None:
    assert revoke(ca, issued, account_key_content=ACCOUNT, reason=reason).changed


def test_by_its_own_key(ca: AcmeCa, issued: Path) -> None:
    """No account is asked for, or needed."""
    registrations = ca.requests().count(("POST", "/sign-me-up"))
    assert revoke(ca, issued, True, **own_key(issued)).changed
    assert revoke(ca, issued, **own_key(issued), reason="keyCompromise").changed
    assert not revoke(ca, issued, **own_key(issued), account_key_content="garbage").changed
    assert ca.requests().count(("POST", "/sign-me-up")) == registrations


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("issued", ["ec256"], indirect=True)
def test_by_the_key_of_another_certificate(ca: AcmeCa, issued: Path, check_mode: bool) -> None:
    (issued / "privkey.pem").write_text(new_key())
    before = revocations(ca)
    with pytest.raises(CertfleetError, match="does not belong to the certificate"):
        revoke(ca, issued, check_mode, **own_key(issued))
    assert revocations(ca) == before


@pytest.mark.parametrize("issued", ["ec256"], indirect=True)
def test_by_another_account(ca: AcmeCa, issued: Path) -> None:
    other = new_key()
    for check_mode in (True, False):
        with pytest.raises(AcmeError) as caught:
            revoke(ca, issued, check_mode, account_key_content=other)
        assert caught.value.is_a("accountDoesNotExist")
    run(ca, account_key_content=other)
    with pytest.raises(AcmeError) as caught:
        revoke(ca, issued, account_key_content=other)
    assert "private_key_path" in caught.value.remedy
    assert caught.value.stage == "revoke"
    assert revoke(ca, issued, account_key_content=ACCOUNT).changed


@pytest.mark.parametrize("issued", ["ec256"], indirect=True)
def test_wrong_reason(ca: AcmeCa, issued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = acme_certificate_revoke.ARGUMENTS
    checked = ArgumentSpecValidator(arguments.spec, **arguments.rules()).validate(
        {"account_key_content": "key", "certificate_path": "x", "reason": "certificateHold"}
    )
    assert "certificateHold" in checked.error_messages[0]
    monkeypatch.setitem(revocation.REASONS, "unheard of", 7)
    with pytest.raises(AcmeError) as caught:
        revoke(ca, issued, account_key_content=ACCOUNT, reason="unheard of")
    assert caught.value.is_a("badRevocationReason")
    assert "reason" in caught.value.remedy


@pytest.mark.parametrize("issued", ["ec256"], indirect=True)
def test_lost_answer(ca: AcmeCa, issued: Path) -> None:
    """It is told, not repeated; the next run finds out."""
    with lost_answer(REVOKE) as asked, pytest.raises(AcmeNetworkError) as caught:
        revoke(ca, issued, account_key_content=ACCOUNT)
    assert len(asked) == 1
    assert "run again" in caught.value.remedy
    assert not revoke(ca, issued, account_key_content=ACCOUNT).changed


def test_files(ca: AcmeCa, tmp_path: Path) -> None:
    with pytest.raises(CertfleetError, match="cannot be read"):
        revoke(ca, tmp_path, account_key_content=ACCOUNT)
    (tmp_path / "fullchain.pem").write_text(ACCOUNT)
    with pytest.raises(CertfleetError, match="holds no certificate") as caught:
        revoke(ca, tmp_path, account_key_content=ACCOUNT)
    assert caught.value.stage == "revoke"
