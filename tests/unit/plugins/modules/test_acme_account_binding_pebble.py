# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""External account binding at a real CA that demands it (Pebble). F14 of the injected faults."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.modules import acme_account

from lab.pebble import AcmeCa
from unit.plugins.modules.accounts import new_key, run


def encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


KEYS = {"customer-1": encoded(bytes(range(200, 232))), "customer-2": encoded(bytes(range(100, 164)))}


@pytest.fixture(scope="module")
def ca() -> Iterator[AcmeCa]:
    with AcmeCa(extra_config={"externalAccountBindingRequired": True, "externalAccountMACKeys": KEYS}) as authority:
        yield authority


def binding(kid: str = "customer-1", key: str | None = None, alg: str = "HS256") -> dict[str, str]:
    return {"kid": kid, "key": KEYS[kid] if key is None else key, "alg": alg}


def registrations(ca: AcmeCa) -> int:
    return ca.requests().count(("POST", "/sign-me-up"))


@pytest.mark.parametrize("check_mode", [True, False])
def test_f14_none(ca: AcmeCa, check_mode: bool) -> None:
    before = registrations(ca)
    with pytest.raises(CertfleetError, match="only with an external account binding") as caught:
        run(ca, check_mode, account_key_content=new_key())
    assert "external_account_binding" in caught.value.remedy
    assert caught.value.stage == "account"
    assert not isinstance(caught.value, AcmeError), "found out without a refused registration"
    assert registrations(ca) - before <= 2


# A MAC key shorter than the hash is refused by many CAs, Pebble too.
@pytest.mark.parametrize(
    ("kid", "alg"),
    [("customer-1", "HS256"), ("customer-2", "HS256"), ("customer-2", "HS384"), ("customer-2", "HS512")],
)
def test_f14_right(ca: AcmeCa, kid: str, alg: str) -> None:
    options: dict[str, Any] = {"account_key_content": new_key(), "external_account_binding": binding(kid, alg=alg)}
    predicted = run(ca, True, **options)
    assert (predicted.changed, predicted.facts["created"]) == (True, True)
    made = run(ca, **options)
    assert (made.changed, made.facts["created"]) == (True, True)
    assert not run(ca, **options).changed


@pytest.mark.parametrize(
    "wrong", [binding(key=KEYS["customer-2"]), binding("nobody", key=KEYS["customer-1"])], ids=["MAC", "kid"]
)
def test_f14_wrong(ca: AcmeCa, wrong: dict[str, str]) -> None:
    key = new_key()
    with pytest.raises(AcmeError) as caught:
        run(ca, account_key_content=key, external_account_binding=wrong)
    assert "kid, key and alg of external_account_binding" in caught.value.remedy
    assert wrong["key"] not in str(caught.value) + json.dumps(caught.value.details)
    assert not run(ca, state="absent", account_key_content=key).changed, "nothing was registered"


@pytest.mark.parametrize("text", ["", "not base64!", "abcd+/==", "abcde", "äöü"])
def test_key_that_is_no_base64url(ca: AcmeCa, text: str) -> None:
    before = ca.requests()
    with pytest.raises(CertfleetError, match="not base64url") as caught:
        run(ca, True, account_key_content=new_key(), external_account_binding=binding(key=text))
    assert not text or text not in str(caught.value)
    assert ca.requests() == before


def test_padding_and_line_ends_do_no_harm(ca: AcmeCa) -> None:
    padded = KEYS["customer-1"] + "=\n"
    assert run(ca, account_key_content=new_key(), external_account_binding=binding(key=padded)).facts["created"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_f14_ignored_for_an_account_that_exists(ca: AcmeCa, check_mode: bool) -> None:
    key = new_key()
    run(ca, account_key_content=key, external_account_binding=binding())
    wrong = binding("nobody", key=KEYS["customer-2"])
    for given in (wrong, None):
        outcome = run(ca, check_mode, account_key_content=key, external_account_binding=given)
        assert (outcome.changed, outcome.facts["created"]) == (False, False)
    assert run(
        ca,
        check_mode,
        account_key_content=key,
        external_account_binding=wrong,
        contact=["a@example.com"],
        state="present",
    ).facts["account_uri"]


def test_bound_accounts_change_their_key_and_go(ca: AcmeCa) -> None:
    """Neither needs the binding again."""
    old, new = new_key(), new_key()
    run(ca, account_key_content=old, external_account_binding=binding())
    assert run(ca, state="changed_key", account_key_content=old, new_account_key_content=new).changed
    assert run(ca, state="absent", account_key_content=new).changed


def test_the_key_is_in_no_result(ca: AcmeCa) -> None:
    secret = KEYS["customer-1"]
    outcome = run(ca, account_key_content=new_key(), external_account_binding=binding())
    assert secret not in json.dumps(outcome.as_result(show_diff=True))
    checked = ArgumentSpecValidator(acme_account.ARGUMENTS.spec, **acme_account.ARGUMENTS.rules()).validate(
        {"account_key_content": "key", "external_account_binding": {"kid": "customer-1", "key": secret}}
    )
    assert not checked.error_messages
    assert checked.validated_parameters["external_account_binding"]["alg"] == "HS256"
    assert secret in checked._no_log_values
    assert "customer-1" not in checked._no_log_values
    read = acme_account._binding(checked.validated_parameters)
    assert read is not None
    assert repr(read.key) not in repr(read)


def test_binding_where_the_ca_demands_none() -> None:
    with AcmeCa() as other:
        options: dict[str, Any] = {"account_key_content": new_key(), "external_account_binding": binding()}
        assert run(other, True, **options).changed
        with pytest.raises(AcmeError) as caught:
            run(other, **options)
        assert "external_account_binding" in caught.value.remedy
