# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import new_account_key
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError

from lab.pebble import AcmeCa
from unit.plugins.modules.accounts import run


def test_from_nothing_to_an_account(ca: AcmeCa, tmp_path: Path) -> None:
    path = tmp_path / "account.pem"
    options: dict[str, Any] = {"account_key_path": str(path), "contact": ["a@example.com"]}
    before = ca.requests()
    predicted = run(ca, True, **options)
    assert predicted.changed
    assert (predicted.facts["key_created"], predicted.facts["created"]) == (True, True)
    assert not path.exists()
    assert ca.requests() == before

    made = run(ca, **options)
    assert made.changed
    assert made.facts["account_uri"].startswith("https://")
    assert len(made.facts["thumbprint"]) == 43
    assert (made.before, made.after["contact"]) == ({}, ["mailto:a@example.com"])

    for check_mode in (True, False):
        again = run(ca, check_mode, **options)
        assert not again.changed
        assert again.before == again.after
        assert again.facts["thumbprint"] == made.facts["thumbprint"]


def test_contact(ca: AcmeCa) -> None:
    key = new_account_key().decode()
    assert run(ca, True, account_key_content=key).changed
    assert run(ca, account_key_content=key, contact=["a@example.com"]).changed
    options: dict[str, Any] = {"account_key_content": key, "contact": ["b@example.com"]}
    for check_mode in (True, True, False):
        outcome = run(ca, check_mode, **options)
        assert outcome.changed
        assert (outcome.before["contact"], outcome.after["contact"]) == (
            ["mailto:a@example.com"],
            ["mailto:b@example.com"],
        )
    assert not run(ca, **options).changed


def test_terms(ca: AcmeCa) -> None:
    with pytest.raises(CertfleetError, match="terms") as caught:
        run(ca, account_key_content=new_account_key().decode(), terms_agreed=False)
    assert caught.value.stage == "account"
