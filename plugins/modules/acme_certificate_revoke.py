#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_certificate_revoke
short_description: Revoke a certificate at its ACME CA
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Revokes a certificate (RFC 8555 section 7.6), which cannot be undone. One that is revoked already is left alone.
  - Signed with the key of the ACME account that ordered the certificate, or with the certificate's own key.
  - It does not touch firewalls. Replace the certificate there first, with a new key where the old one leaked.
options:
  certificate_path:
    description: PEM file with the certificate. Only the first in it is revoked, not the rest of the chain.
    type: path
    required: true
  private_key_path:
    description:
      - The certificate's private key, in PEM. With it, no account key is needed or used.
      - It must not be accessible by group or others.
    type: path
  reason:
    description:
      - Why, in the words of RFC 5280. CAs may refuse some of them.
      - Without it, the CA decides, usually for V(unspecified).
    type: str
    choices: [unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation]
extends_documentation_fragment:
  - certfleet.sophos_xgs._acme
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_acme
attributes:
  check_mode:
    support: partial
    details: Files, keys and the account are checked. ACME CAs cannot be asked whether a certificate is revoked, so a change is always predicted.
  diff_mode:
    support: full
seealso:
  - module: certfleet.sophos_xgs.acme_account
  - module: certfleet.sophos_xgs.acme_http01_order
"""

EXAMPLES = r"""
- name: Revoke certificates
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Revoke one that was replaced
      certfleet.sophos_xgs.acme_certificate_revoke:
        account_key_path: ~/.config/certfleet/account.pem
        certificate_path: /etc/certs/owa/fullchain.pem
        reason: superseded

    - name: Revoke one whose key leaked, without the account
      certfleet.sophos_xgs.acme_certificate_revoke:
        certificate_path: /etc/certs/vpn/fullchain.pem
        private_key_path: /etc/certs/vpn/privkey.pem
        reason: keyCompromise
"""

RETURN = r"""
serial:
  description: Serial number of the certificate, in hexadecimal.
  returned: success
  type: str
  sample: 3a5f2c1d0e9b8a7f6e5d4c3b2a190807
fingerprint:
  description: SHA-256 fingerprint of the certificate.
  returned: success
  type: str
  sample: 5d8c1f0a7b3e4c2d9f6a8b1e0c7d5f3a2b4e6c8d0f1a3b5c7e9d2f4a6b8c0e1d
not_after:
  description: When the certificate expires.
  returned: success
  type: str
  sample: "2027-02-19T08:00:00Z"
"""

import typing as t

from ..module_utils._acme.account import ensure_account
from ..module_utils._acme.client import AcmeClient
from ..module_utils._acme.revocation import REASONS, load_leaf, load_own_key, revoke
from ..module_utils._acme_options import acme_spec, client_from
from ..module_utils._errors import stage
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._x509 import facts

if t.TYPE_CHECKING:
    from ..module_utils._libraries import x509

ARGUMENTS = Arguments(
    spec={
        **acme_spec(),
        "certificate_path": {"type": "path", "required": True},
        "private_key_path": {"type": "path"},
        "reason": {"type": "str", "choices": list(REASONS)},
    },
    required_one_of=(("account_key_path", "account_key_content", "private_key_path"),),
)


def run(params: Params, check_mode: bool) -> Outcome:
    with stage("revoke"):
        cert = load_leaf(params["certificate_path"])
        client = _client(params, cert)
        known = facts(cert).as_dict()
        changed = check_mode or revoke(client, cert, params["reason"], by_key=params["private_key_path"] is not None)
    shown = {key: known[key] for key in ("serial", "fingerprint", "not_after")}
    before, after = ({"serial": known["serial"], "revoked": revoked} for revoked in (not changed, True))
    return Outcome(changed, shown, before, after)


def _client(params: Params, cert: x509.Certificate) -> AcmeClient:
    if params["private_key_path"] is not None:
        return client_from(params, load_own_key(params["private_key_path"], cert))
    client = client_from(params)
    ensure_account(client, only_existing=True)
    return client


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
