#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_account
short_description: Make sure that an ACME account exists
version_added: 0.1.0
author: certfleet contributors (@certfleet)
description:
  - Registers an ACME account (RFC 8555) for a key, and keeps its contact addresses up to date.
  - Makes the key first where O(account_key_path) names a file that does not exist.
  - One account serves a whole fleet. Its thumbprint is public, and all that M(certfleet.sophos_xgs.acme_http01_responder) needs.
options:
  state:
    description: V(present) makes sure that the account exists.
    type: str
    choices: [present]
    default: present
  contact:
    description:
      - E-mail addresses under which the CA reaches the holder of the account, with or without C(mailto:).
      - Without it, the addresses that the CA has stay as they are. Some CAs keep none; there it changes nothing.
    type: list
    elements: str
    default: []
  terms_agreed:
    description: Whether the CA's terms of service are agreed to. A new account needs it.
    type: bool
    default: false
extends_documentation_fragment:
  - certfleet.sophos_xgs._acme
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_acme
attributes:
  check_mode:
    support: full
    details: The CA is asked for an existing account only. No key is made.
  diff_mode:
    support: full
seealso:
  - module: certfleet.sophos_xgs.acme_http01_order
  - module: certfleet.sophos_xgs.acme_http01_responder
"""

EXAMPLES = r"""
- name: Make sure of the fleet's ACME account
  hosts: xgs
  gather_facts: false
  tasks:
    - name: Register it, with a key of its own, once for all firewalls
      certfleet.sophos_xgs.acme_account:
        account_key_path: ~/.config/certfleet/account.pem
        contact: [pki@example.com]
        terms_agreed: true
      run_once: true
      register: account

    - name: Show what CAA records can be restricted to
      ansible.builtin.debug:
        msg: 'example.com. CAA 0 issue "letsencrypt.org; validationmethods=http-01; accounturi={{ account.account_uri }}"'
      run_once: true
"""

RETURN = r"""
account_uri:
  description: URL of the account; empty in check mode where there is none yet.
  returned: success
  type: str
  sample: https://acme-v02.api.letsencrypt.org/acme/acct/123456789
thumbprint:
  description: Thumbprint of the account key (RFC 7638); empty in check mode where there is no key yet.
  returned: success
  type: str
  sample: NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs
created:
  description: Whether the account was registered by this task, or would be.
  returned: success
  type: bool
  sample: false
key_created:
  description: Whether the key was made by this task, or would be.
  returned: success
  type: bool
  sample: false
contact:
  description: The addresses that the CA has.
  returned: success
  type: list
  elements: str
  sample: ["mailto:pki@example.com"]
terms_of_service:
  description: URL of the CA's terms of service, empty where it has none.
  returned: success
  type: str
  sample: https://letsencrypt.org/documents/LE-SA-v1.6-August-18-2025.pdf
"""

import dataclasses
import os
import typing as t

from ..module_utils._acme.account import Account, contact_uris, ensure_account, ensure_account_key, thumbprint
from ..module_utils._acme.client import AcmeClient
from ..module_utils._acme.errors import AcmeError
from ..module_utils._acme_options import acme_spec, client_from
from ..module_utils._errors import stage
from ..module_utils._runner import Arguments, Outcome, Params, run_module

ARGUMENTS = Arguments(
    spec={
        **acme_spec(),
        "state": {"type": "str", "choices": ["present"], "default": "present"},
        "contact": {"type": "list", "elements": "str", "default": []},
        "terms_agreed": {"type": "bool", "default": False},
    },
    required_one_of=(("account_key_path", "account_key_content"),),
)


def run(params: Params, check_mode: bool) -> Outcome:
    path, contact = params["account_key_path"], contact_uris(params["contact"])
    with stage("account"):
        if check_mode and path and not os.path.exists(path):
            return _outcome(None, _new(contact), key_created=True)
        key, key_created = None, False
        if path and not check_mode:
            key, key_created = ensure_account_key(path, params["account_key_passphrase"])
        client = client_from(params, key)
        before = _look_up(client)
        if check_mode:
            after = _predict(before, contact)
        else:
            after = ensure_account(client, contact=contact, terms_agreed=params["terms_agreed"])
        return _outcome(before, after, key_created, thumbprint(client.account_key))


def _look_up(client: AcmeClient) -> Account | None:
    try:
        return ensure_account(client, only_existing=True)
    except AcmeError as error:
        if error.is_a("accountDoesNotExist"):
            return None
        raise


def _new(contact: tuple[str, ...]) -> Account:
    return Account("", created=True, changed=True, contact=contact, terms_of_service="")


def _predict(before: Account | None, contact: tuple[str, ...]) -> Account:
    if before is None:
        return _new(contact)
    # Where the CA has no address, it is one that keeps none.
    if not contact or not before.contact or sorted(before.contact) == sorted(contact):
        return before
    return dataclasses.replace(before, changed=True, contact=contact)


def _outcome(before: Account | None, after: Account, key_created: bool, print_of_key: str = "") -> Outcome:
    facts = {
        "account_uri": after.uri,
        "thumbprint": print_of_key,
        "created": after.created,
        "key_created": key_created,
        "contact": list(after.contact),
        "terms_of_service": after.terms_of_service,
    }
    return Outcome(after.changed or key_created, facts, _shown(before), _shown(after))


def _shown(account: Account | None) -> dict[str, t.Any]:
    return {} if account is None else {"account_uri": account.uri, "contact": sorted(account.contact)}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
