# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Key change and deactivation of accounts at a real CA (Pebble)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import (
    AccountGoneError,
    ensure_account,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError, AcmeNetworkError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.rollover import change_key
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.modules import acme_http01_order

from lab.pebble import AcmeCa
from unit.plugins.modules.accounts import client_of, connection, lost_answer, new_key, run

ROLLOVER = "/rollover-account-key"


def posts(ca: AcmeCa) -> list[str]:
    return [path for method, path in ca.requests() if method == "POST"]


def change(ca: AcmeCa, old: str, new: str, check_mode: bool = False) -> Any:
    return run(ca, check_mode, state="changed_key", account_key_content=old, new_account_key_content=new)


# -- a new key


def test_old_key_is_refused_after_the_change(ca: AcmeCa) -> None:
    old, new = new_key(), new_key()
    account = run(ca, account_key_content=old, contact=["a@example.com"])
    before = posts(ca).count(ROLLOVER)
    predicted = change(ca, old, new, check_mode=True)
    assert posts(ca).count(ROLLOVER) == before
    done = change(ca, old, new)
    assert predicted.as_result(show_diff=True) == done.as_result(show_diff=True)
    assert done.changed
    assert done.facts["account_uri"] == account.facts["account_uri"]
    assert done.before["thumbprint"] == account.facts["thumbprint"] != done.facts["thumbprint"]
    assert done.after == {**done.before, "thumbprint": done.facts["thumbprint"]}

    with pytest.raises(AcmeError) as caught:
        ensure_account(client_of(ca, old), only_existing=True)
    assert caught.value.is_a("accountDoesNotExist")
    stale = client_of(ca, old)
    stale.account_uri = account.facts["account_uri"]
    with pytest.raises(AcmeError):
        stale.post(stale.account_uri or "", None)
    assert not run(ca, account_key_content=new, contact=["a@example.com"]).changed


@pytest.mark.parametrize("check_mode", [True, False])
def test_again_with_the_same_keys_changes_nothing(ca: AcmeCa, check_mode: bool) -> None:
    old, new = new_key(), new_key()
    uri = run(ca, account_key_content=old).facts["account_uri"]
    assert change(ca, old, new).changed
    for first in (old, new):
        again = change(ca, first, new, check_mode)
        assert not again.changed
        assert again.before == again.after
        assert again.facts["account_uri"] == uri


def test_twice_in_a_row(ca: AcmeCa) -> None:
    keys = [new_key() for _number in range(3)]
    uri = run(ca, account_key_content=keys[0]).facts["account_uri"]
    for old, new in itertools.pairwise(keys):
        assert change(ca, old, new).changed
    assert run(ca, account_key_content=keys[2]).facts["account_uri"] == uri


def test_makes_the_new_key(ca: AcmeCa, tmp_path: Path) -> None:
    old, path = tmp_path / "old.pem", tmp_path / "keys" / "new.pem"
    run(ca, account_key_path=str(old))
    options = {"state": "changed_key", "account_key_path": str(old), "new_account_key_path": str(path)}
    predicted = run(ca, True, **options)
    assert (predicted.changed, predicted.facts["key_created"]) == (True, True)
    assert not path.exists()
    done = run(ca, **options)
    assert (done.changed, done.facts["key_created"]) == (True, True)
    assert path.stat().st_mode & 0o777 == 0o600
    again = run(ca, **options)
    assert (again.changed, again.facts["key_created"]) == (False, False)


def test_without_an_account_no_key_is_made(ca: AcmeCa, tmp_path: Path) -> None:
    path = tmp_path / "new.pem"
    with pytest.raises(CertfleetError, match="no account at the CA has this account key") as caught:
        run(ca, state="changed_key", account_key_content=new_key(), new_account_key_path=str(path))
    assert caught.value.stage == "account"
    assert not path.exists()


@pytest.mark.parametrize("check_mode", [True, False])
def test_key_of_another_account(ca: AcmeCa, check_mode: bool) -> None:
    old, other = new_key(), new_key()
    uris = [run(ca, account_key_content=key).facts["account_uri"] for key in (old, other)]
    with pytest.raises(CertfleetError, match="belongs to another account") as caught:
        change(ca, old, other, check_mode)
    assert uris[1] in str(caught.value)
    assert [run(ca, account_key_content=key).facts["account_uri"] for key in (old, other)] == uris


def test_lost_answer_to_the_key_change(ca: AcmeCa) -> None:
    old, new = new_key(), new_key()
    uri = run(ca, account_key_content=old).facts["account_uri"]
    with lost_answer(ROLLOVER) as asked:
        done = change(ca, old, new)
    assert (done.changed, len(asked)) == (True, 1)
    assert run(ca, account_key_content=new).facts["account_uri"] == uri


def test_key_change_that_never_arrived(ca: AcmeCa) -> None:
    """It is told, not repeated blindly; the next run does it."""
    old, new = new_key(), new_key()
    run(ca, account_key_content=old)
    with lost_answer(ROLLOVER, acted=False) as asked, pytest.raises(AcmeNetworkError) as caught:
        change(ca, old, new)
    assert len(asked) == 1
    assert "keep both" in caught.value.remedy
    assert caught.value.stage == "account"
    assert not run(ca, account_key_content=old).changed
    assert change(ca, old, new).changed


def test_key_that_gets_an_account_meanwhile(ca: AcmeCa) -> None:
    """Between our look and our request. Pebble accepts it, and changes nothing; other CAs refuse."""
    old, new = (client_of(ca, new_key()) for _number in range(2))
    for client in (old, new):
        ensure_account(client, terms_agreed=True)
    with pytest.raises(CertfleetError, match="did not make it the account's") as caught:
        change_key(old, new)
    assert "has no account" in caught.value.remedy


# -- deactivation


def test_deactivation(ca: AcmeCa) -> None:
    key = new_key()
    account = run(ca, account_key_content=key, contact=["a@example.com"])
    predicted = run(ca, True, state="absent", account_key_content=key)
    assert not run(ca, account_key_content=key).changed, "a dry run deactivates nothing"
    done = run(ca, state="absent", account_key_content=key)
    assert predicted.as_result(show_diff=True) == done.as_result(show_diff=True)
    assert done.changed
    assert (done.before, done.after) == (account.after, {})
    assert done.facts["account_uri"] == account.facts["account_uri"]
    for check_mode in (True, False):
        again = run(ca, check_mode, state="absent", account_key_content=key)
        assert (again.changed, again.before, again.after, again.facts["account_uri"]) == (False, {}, {}, "")
        with pytest.raises(AccountGoneError, match=r"deactivated.*another key"):
            run(ca, check_mode, account_key_content=key)


def test_what_an_order_says_then(ca: AcmeCa, tmp_path: Path) -> None:
    key = new_key()
    run(ca, account_key_content=key)
    run(ca, state="absent", account_key_content=key)
    wanted = {"name": "web", "domains": ["web.example.com"]}
    checked = ArgumentSpecValidator(acme_http01_order.ARGUMENTS.spec).validate(
        {**connection(ca, account_key_content=key), "certificates": [wanted], "output_dir": str(tmp_path)}
    )
    assert not checked.error_messages
    with pytest.raises(CertfleetError, match="the account of this account key is deactivated") as caught:
        acme_http01_order.run(checked.validated_parameters, False)
    assert caught.value.stage == "account"
    assert "TCP 80" not in str(caught.value)


def test_no_account_to_deactivate(ca: AcmeCa) -> None:
    for check_mode in (True, False):
        outcome = run(ca, check_mode, state="absent", account_key_content=new_key())
        assert (outcome.changed, outcome.before, outcome.after) == (False, {}, {})


def test_deactivation_needs_the_key(ca: AcmeCa, tmp_path: Path) -> None:
    """A mistyped path must not look as if the account were gone."""
    with pytest.raises(CertfleetError, match="cannot read"):
        run(ca, state="absent", account_key_path=str(tmp_path / "typo.pem"))


def test_lost_answer_to_the_deactivation(ca: AcmeCa) -> None:
    key = new_key()
    run(ca, account_key_content=key)
    with lost_answer("/my-account/") as asked:
        assert run(ca, state="absent", account_key_content=key).changed
    assert len(asked) == 2
    assert not run(ca, state="absent", account_key_content=key).changed


def test_key_of_a_deactivated_account(ca: AcmeCa) -> None:
    old, gone = new_key(), new_key()
    for key in (old, gone):
        run(ca, account_key_content=key)
    run(ca, state="absent", account_key_content=gone)
    for first, second in ((old, gone), (gone, new_key())):
        with pytest.raises(AccountGoneError):
            change(ca, first, second)
