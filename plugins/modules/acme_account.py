#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_account
short_description: Register, change or deactivate an ACME account
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Registers an ACME account (RFC 8555) for a key, and keeps its contact addresses up to date.
  - Makes the key first where O(account_key_path) names a file that does not exist.
  - Replaces the account's key, or deactivates the account, when O(state) says so.
  - One account serves a whole fleet. Its thumbprint is public, and all that M(certfleet.sophos_xgs.acme_http01_responder) needs.
options:
  state:
    description:
      - V(present) makes sure that the account exists.
      - V(absent) deactivates it, which cannot be undone, not even with the key. Certificates stay valid; the key file stays, too.
        An account that does not exist or is deactivated is left alone.
      - V(changed_key) makes the new key (O(new_account_key_path), O(new_account_key_content)) that of the account, and the CA
        refuses the old one from then on. Nothing is done where the account has the new key already.
        Accounts keep their URL, but the thumbprint is another one.
    type: str
    choices: [present, absent, changed_key]
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
  external_account_binding:
    description:
      - What the CA gave you so that it knows whose account this is (RFC 8555 section 7.3.4). Some CAs register no account without.
      - Used for a registration only. It does nothing to an account that exists.
    type: dict
    suboptions:
      kid:
        description: Key identifier.
        type: str
        required: true
      key:
        description: MAC key, in base64url as the CA shows it. It never shows up in results.
        type: str
        required: true
      alg:
        description: MAC algorithm.
        type: str
        choices: [HS256, HS384, HS512]
        default: HS256
  new_account_key_path:
    description:
      - For O(state=changed_key), the file with the new key. It is made where it does not exist.
      - Once changed, use this file as O(account_key_path) everywhere.
      - Takes precedence over O(new_account_key_content).
    type: path
  new_account_key_content:
    description: For O(state=changed_key), the new key itself.
    type: str
  new_account_key_passphrase:
    description: Passphrase of the new key, if it is encrypted.
    type: str
extends_documentation_fragment:
  - certfleet.sophos_xgs._acme
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_acme
attributes:
  check_mode:
    support: full
    details: The CA is asked for existing accounts only. No key is made.
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

- name: Register at a CA that wants to know its customers
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Bind the account to the customer
      certfleet.sophos_xgs.acme_account:
        acme_directory: https://acme.example.com/directory
        account_key_path: ~/.config/certfleet/account.pem
        terms_agreed: true
        external_account_binding:
          kid: "{{ vault_eab_kid }}"
          key: "{{ vault_eab_key }}"

- name: Replace the account's key
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Change it at the CA; the new key is made on the way
      certfleet.sophos_xgs.acme_account:
        state: changed_key
        account_key_path: ~/.config/certfleet/account.pem
        new_account_key_path: ~/.config/certfleet/account-2027.pem

- name: Give up an account
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Deactivate it
      certfleet.sophos_xgs.acme_account:
        state: absent
        account_key_path: ~/.config/certfleet/account.pem
"""

RETURN = r"""
account_uri:
  description: URL of the account, with O(state=absent) of the one deactivated now; empty where there is none (yet).
  returned: success
  type: str
  sample: https://acme-v02.api.letsencrypt.org/acme/acct/123456789
thumbprint:
  description: Thumbprint of the account key (RFC 7638), with O(state=changed_key) of the new; empty in check mode where there is none yet.
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

from ..module_utils._acme.account import (
    Account,
    AccountGoneError,
    contact_uris,
    deactivate_account,
    ensure_account,
    ensure_account_key,
    find_account,
    load_account_key,
    obstacle_to_registration,
    thumbprint,
)
from ..module_utils._acme.binding import ALGORITHMS, ExternalAccountBinding, decode_mac_key
from ..module_utils._acme.client import AcmeClient
from ..module_utils._acme.rollover import change_key, plan_key_change
from ..module_utils._acme_options import acme_spec, client_from
from ..module_utils._errors import stage
from ..module_utils._runner import Arguments, Outcome, Params, run_module

ARGUMENTS = Arguments(
    spec={
        **acme_spec(),
        "state": {"type": "str", "choices": ["present", "absent", "changed_key"], "default": "present"},
        "contact": {"type": "list", "elements": "str", "default": []},
        "terms_agreed": {"type": "bool", "default": False},
        "external_account_binding": {
            "type": "dict",
            "options": {
                "kid": {"type": "str", "required": True},
                "key": {"type": "str", "required": True, "no_log": True},
                "alg": {"type": "str", "choices": list(ALGORITHMS), "default": ALGORITHMS[0]},
            },
        },
        "new_account_key_path": {"type": "path"},
        "new_account_key_content": {"type": "str", "no_log": True},
        "new_account_key_passphrase": {"type": "str", "no_log": True},
    },
    required_one_of=(("account_key_path", "account_key_content"),),
    required_if=(("state", "changed_key", ("new_account_key_path", "new_account_key_content"), True),),
)


def run(params: Params, check_mode: bool) -> Outcome:
    states = {"present": _present, "absent": _absent, "changed_key": _changed_key}
    with stage("account"):
        return states[params["state"]](params, check_mode)


def _present(params: Params, check_mode: bool) -> Outcome:
    path, contact, binding = params["account_key_path"], contact_uris(params["contact"]), _binding(params)
    if check_mode and path and not os.path.exists(path):
        return _outcome(None, _new(contact), key_created=True)
    key, key_created = None, False
    if path and not check_mode:
        key, key_created = ensure_account_key(path, params["account_key_passphrase"])
    client = client_from(params, key)
    before = find_account(client)
    if check_mode:
        after = _predict(client, before, contact, params["terms_agreed"], binding)
    else:
        # An account that was found is bound already, or its CA does not care.
        after = ensure_account(
            client, contact=contact, terms_agreed=params["terms_agreed"], binding=binding if before is None else None
        )
    return _outcome(before, after, key_created, thumbprint(client.account_key))


def _binding(params: Params) -> ExternalAccountBinding | None:
    options = params["external_account_binding"]
    if not options:
        return None
    return ExternalAccountBinding(options["kid"], decode_mac_key(options["key"]), options["alg"])


def _new(contact: tuple[str, ...]) -> Account:
    return Account("", created=True, changed=True, contact=contact, terms_of_service="")


def _predict(
    client: AcmeClient,
    before: Account | None,
    contact: tuple[str, ...],
    terms_agreed: bool,
    binding: ExternalAccountBinding | None,
) -> Account:
    if before is None:
        obstacle = obstacle_to_registration(client, terms_agreed=terms_agreed, binding=binding)
        if obstacle is not None:
            raise obstacle
        return _new(contact)
    # Where the CA has no address, it is one that keeps none.
    if not contact or not before.contact or sorted(before.contact) == sorted(contact):
        return before
    return dataclasses.replace(before, changed=True, contact=contact)


def _absent(params: Params, check_mode: bool) -> Outcome:
    client = client_from(params)
    try:
        before = find_account(client)
    except AccountGoneError:
        before = None
    if before is not None and not check_mode:
        deactivate_account(client)
    uri, terms = (before.uri, before.terms_of_service) if before is not None else ("", "")
    after = Account(uri, created=False, changed=before is not None, contact=(), terms_of_service=terms)
    outcome = _outcome(before, after, key_created=False, print_of_key=thumbprint(client.account_key))
    outcome.after = {}
    return outcome


def _changed_key(params: Params, check_mode: bool) -> Outcome:
    client, new = client_from(params), _new_client(params)
    account, pending = plan_key_change(client, new)
    key_created = new is None
    if pending and not check_mode:
        if new is None:
            key, key_created = ensure_account_key(params["new_account_key_path"], params["new_account_key_passphrase"])
            new = client_from(params, key)
        change_key(client, new)
    after = dataclasses.replace(account, changed=pending)
    print_of_key = thumbprint(new.account_key) if new is not None else ""
    outcome = _outcome(account, after, key_created, print_of_key)
    if pending:
        outcome.before["thumbprint"] = thumbprint(client.account_key)
        outcome.after["thumbprint"] = print_of_key
    return outcome


def _new_client(params: Params) -> AcmeClient | None:
    """A client for the new key; None where its file is still to be made."""
    path = params["new_account_key_path"]
    if path and not os.path.exists(path):
        return None
    key = load_account_key(
        path=path, content=params["new_account_key_content"], passphrase=params["new_account_key_passphrase"]
    )
    return client_from(params, key)


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
