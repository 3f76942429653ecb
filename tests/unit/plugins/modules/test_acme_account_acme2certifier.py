# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts at a second real server, which sees some things differently: it forgets what is deactivated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError

from lab.second_ca import SecondCa, acme2certifier
from unit.plugins.modules.accounts import new_key, run

pytestmark = pytest.mark.usefixtures("acme2certifier_installed")

MAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12WzWNDZM6eQGHWpSRTPal5eA"
CONTACT = ["a@example.com"]


@pytest.fixture(scope="module")
def ca(acme2certifier_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondCa]:
    with acme2certifier(tmp_path_factory.mktemp("acme2certifier"), mac_keys={"customer-1": MAC}) as server:
        yield server


def binding(kid: str = "customer-1", key: str = MAC, alg: str = "HS256") -> dict[str, str]:
    return {"kid": kid, "key": key, "alg": alg}


@pytest.mark.parametrize("check_mode", [True, False])
def test_f14_no_binding(ca: SecondCa, check_mode: bool) -> None:
    with pytest.raises(CertfleetError, match="only with an external account binding"):
        run(ca, check_mode, account_key_content=new_key(), contact=CONTACT)


@pytest.mark.parametrize("wrong", [binding("nobody"), binding(key=MAC[::-1].replace("A", "B"))], ids=["kid", "MAC"])
def test_f14_wrong_binding(ca: SecondCa, wrong: dict[str, str]) -> None:
    with pytest.raises(AcmeError) as caught:
        run(ca, account_key_content=new_key(), contact=CONTACT, external_account_binding=wrong)
    assert "kid, key and alg of external_account_binding" in caught.value.remedy
    assert wrong["key"] not in str(caught.value)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_f14_right_binding_and_ignored_afterwards(ca: SecondCa, alg: str) -> None:
    key = new_key()
    made = run(ca, account_key_content=key, contact=CONTACT, external_account_binding=binding(alg=alg))
    assert made.facts["created"]
    for given in (binding("nobody"), None):
        again = run(ca, account_key_content=key, contact=CONTACT, external_account_binding=given)
        assert (again.changed, again.facts["account_uri"]) == (False, made.facts["account_uri"])


def test_new_keys_and_deactivation(ca: SecondCa) -> None:
    keys = [new_key() for _number in range(3)]
    made = run(ca, account_key_content=keys[0], contact=CONTACT, external_account_binding=binding())
    for old, new in ((keys[0], keys[1]), (keys[1], keys[2])):
        for changed in (True, False):
            done = run(ca, state="changed_key", account_key_content=old, new_account_key_content=new)
            assert (done.changed, done.facts["account_uri"]) == (changed, made.facts["account_uri"])
    assert not run(ca, state="absent", account_key_content=keys[0]).changed
    for changed in (True, False):
        assert run(ca, state="absent", account_key_content=keys[2]).changed is changed
