# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registration whose answer gets lost (F20): never sent again blindly, and yet not lost."""

from __future__ import annotations

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeNetworkError

from lab import proxy as fault
from lab.faults import Bench


def _newcomer(bench: Bench) -> AcmeClient:
    key = account.load_account_key(content=account.new_account_key())
    return AcmeClient(bench.proxy.directory_url, key, ca_path=bench.proxy.ca_file, clock=bench.clock)


@pytest.mark.parametrize(
    ("action", "registrations"),
    [(fault.drop_after, 1), (fault.drop_before, 2), (fault.instead(504), 1), (fault.instead(500), 1)],
    ids=["answer lost", "request lost", "504", "500"],
)
def test_f20_a_lost_registration_is_looked_for_first(bench: Bench, action: fault.Action, registrations: int) -> None:
    """And sent again only where the CA knows nothing of it: one account in the end."""
    client = _newcomer(bench)
    bench.proxy.on(fault.NEW_ACCOUNT, action)
    made = account.ensure_account(client, terms_agreed=True)
    assert made.uri == client.account_uri
    assert account.find_account(client) is not None
    # Registration, look-up, perhaps registration, and the look-up just made.
    assert bench.proxy.count(fault.NEW_ACCOUNT) == registrations + 2


def test_f20_a_ca_that_never_answers_a_registration(bench: Bench) -> None:
    bench.proxy.on(fault.NEW_ACCOUNT, fault.drop_before, times=None)
    with pytest.raises(AcmeNetworkError) as caught:
        account.ensure_account(_newcomer(bench), terms_agreed=True)
    assert caught.value.stage == "account"
