# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of an account and the end of a certificate, as a play: at a CA that demands external account binding."""

from __future__ import annotations

import contextlib
import re

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import (
    ensure_account_key,
    find_account,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import CertificateRequest, obtain

from lab.nowhere import Nowhere
from lab.pebble import AcmeCa

MAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


@pytest.fixture
def ca():
    demands = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"customer-1": MAC}}
    with AcmeCa(extra_config=demands, extra_env={"PEBBLE_VA_ALWAYS_VALID": "1"}) as authority:
        yield authority


def a_play(ca, *tasks):
    defaults = {"acme_directory": ca.directory_url, "ca_path": ca.ca_file}
    return [
        {
            "name": "Accounts",
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {"group/certfleet.sophos_xgs.acme": defaults},
            "tasks": [*tasks],
        }
    ]


def account(**options):
    return {"certfleet.sophos_xgs.acme_account": options}


def certificate(ca, directory, key_path):
    """A certificate of the account's, as fullchain.pem in the directory."""
    client = AcmeClient(ca.directory_url, ensure_account_key(key_path)[0], ca_path=ca.ca_file)
    assert find_account(client)
    wanted = CertificateRequest("web", ("web.example.com",), "ec256")
    (made,) = obtain(client, [wanted], window=contextlib.nullcontext, store=Nowhere(), timeout=20.0).results
    path = directory / "fullchain.pem"
    path.write_bytes(made.chain_pem)
    return path


@pytest.mark.parametrize("delegation", [{}, {"delegate_to": "jump", "vars": {"ansible_connection": "local"}}])
def test_register_revoke_change_key_leave(ca, playbook, tmp_path, delegation):
    old, new = str(tmp_path / "old.pem"), str(tmp_path / "new.pem")
    binding = {"kid": "customer-1", "key": MAC}
    register = account(account_key_path=old, terms_agreed=True, external_account_binding=binding)
    options = {"verbosity": 3, "flags": ["--diff"]}
    first = playbook(a_play(ca, {**register, **delegation}), **options).check()
    assert first.changed == 1
    # A module on a host may show what it was called with (before ansible-core 2.21).
    assert delegation or "customer-1" not in first.stdout
    assert MAC not in first.stdout + first.stderr

    revoke = {
        "certfleet.sophos_xgs.acme_certificate_revoke": {
            "account_key_path": new,
            "certificate_path": str(certificate(ca, tmp_path, old)),
            "reason": "superseded",
        }
    }
    change = account(state="changed_key", account_key_path=old, new_account_key_path=new)
    leave = account(state="absent", account_key_path=new)
    tasks = [{**task, **delegation} for task in (change, change, revoke, revoke, leave, leave)]
    result = playbook(a_play(ca, *tasks), **options).check()
    assert result.host("localhost")["ok"] == 6
    assert result.changed == 3
    assert re.search(r"^\+.*revoked.*true", result.stdout, re.MULTILINE)

    refused = playbook(a_play(ca, {**change, **delegation}))
    assert refused.rc != 0
    assert "is deactivated" in refused.stdout
