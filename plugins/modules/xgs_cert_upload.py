#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_cert_upload
short_description: Put a certificate on a Sophos XGS firewall under a versioned name
version_added: 0.1.0
author: certfleet contributors (@certfleet)
description:
  - Uploads certificate, chain and private key as a new object, named NAME-YYYYMMDD-FFFFFFFF after expiry and fingerprint,
    or NAME-YYYYMMDD-FFFFOOOO with O(acme_directory).
    Nothing is overwritten, so whatever uses an earlier version goes on using it until M(certfleet.sophos_xgs.xgs_cert_bind) repoints it.
  - Key and certificate are matched before anything is sent, and what was sent is read back and compared.
  - Intermediates become certificate authorities as well, if they are not there yet.
options:
  name:
    description:
      - Name of the certificate without the version; letters, digits, V(_), V(.) and V(-), 32 characters at the most.
    type: str
    required: true
  certificate_path:
    description:
      - File with the certificate followed by its chain, PEM. Required for O(state=present).
    type: path
  private_key_path:
    description:
      - File with the private key, PEM (PKCS#8 or PKCS#1). Required for O(state=present).
    type: path
  private_key_passphrase:
    description:
      - Opens an encrypted key. The key is decrypted here; the passphrase is not sent.
    type: str
  acme_directory:
    description:
      - URL of the ACME directory that the certificate comes from. The last four digits of the object's name tell it then, so that
        M(certfleet.sophos_xgs.xgs_cert_plan) notices when another CA or another profile is asked for.
      - Without it the object's name tells no origin, and nobody will notice.
    type: str
  profile:
    description:
      - Profile that the certificate was ordered with, if any. Counts with O(acme_directory) only.
    type: str
  keep:
    description:
      - How many of the newest versions O(state=absent) leaves. Versions in use are left too, and reported, where this is given.
      - Without it all versions go, and one that is in use is an error.
    type: int
  state:
    description:
      - V(present) uploads. V(absent) removes versions that this module made.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - certfleet.sophos_xgs._xgs
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_xgs
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Upload what was issued
  certfleet.sophos_xgs.xgs_cert_upload:
    name: OWA
    certificate_path: /etc/certs/owa/fullchain.pem
    private_key_path: /etc/certs/owa/privkey.pem
    acme_directory: https://acme-v02.api.letsencrypt.org/directory
  register: upload

- name: Use it
  certfleet.sophos_xgs.xgs_cert_bind:
    certificate: "{{ upload.certificate }}"
    consumers: [webadmin]

- name: Remove older versions that nobody uses any more
  certfleet.sophos_xgs.xgs_cert_upload:
    name: OWA
    state: absent
    keep: 1
"""

RETURN = r"""
certificate:
  description: Name of the object on the firewall.
  returned: O(state=present)
  type: str
  sample: OWA-20270219-1a2b3c4d
fingerprint:
  description: SHA-256 of the certificate.
  returned: O(state=present)
  type: str
  sample: 1a2b3c4d00000000000000000000000000000000000000000000000000000000
not_after:
  description: When it expires.
  returned: O(state=present)
  type: str
  sample: "2027-02-19T04:00:00Z"
removed:
  description: Names of the versions that were removed.
  returned: O(state=absent)
  type: list
  elements: str
  sample: [OWA-20261122-99887766]
in_use:
  description: Names of older versions that were left because something uses them, and what.
  returned: O(state=absent)
  type: dict
  sample: {"OWA-20261122-99887766": [sslvpn]}
"""

from pathlib import Path

from ..module_utils import _x509
from ..module_utils._errors import CertfleetError, stage
from ..module_utils._libraries import x509
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._xgs.api import Firewall
from ..module_utils._xgs.certificates import (
    check_name,
    check_uploaded,
    origin_of,
    plan_prune,
    plan_upload,
    read_authorities,
    read_certificates,
    versions,
)
from ..module_utils._xgs.change import Change
from ..module_utils._xgs.consumers import KINDS, read_consumers
from ..module_utils._xgs.errors import NO_RIGHT, XgsApiError
from ..module_utils._xgs_options import firewall_from, xgs_spec

ARGUMENTS = Arguments(
    spec={
        **xgs_spec(),
        "name": {"type": "str", "required": True},
        "certificate_path": {"type": "path"},
        "private_key_path": {"type": "path"},
        "private_key_passphrase": {"type": "str", "no_log": True},
        "acme_directory": {"type": "str"},
        "profile": {"type": "str"},
        "keep": {"type": "int"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    },
    required_if=(("state", "present", ("certificate_path", "private_key_path")),),
    connection="",
)


def run(params: Params, check_mode: bool) -> Outcome:
    absent = params["state"] == "absent"
    with stage("prune" if absent else "upload", certificate=params["name"]):
        check_name(params["name"])
        return (_remove if absent else _upload)(params, check_mode)


def _upload(params: Params, check_mode: bool) -> Outcome:
    name = params["name"]
    chain = _x509.load_certificates(_read(params["certificate_path"]))
    key = _x509.load_private_key(_read(params["private_key_path"]), params["private_key_passphrase"])
    if not chain or not _x509.key_matches(chain[0], key):
        raise CertfleetError(
            f"the key in {params['private_key_path']} does not belong to the certificate in {params['certificate_path']}",
            remedy="Nothing was sent. Give the key that the certificate was requested with; the certificate comes first in its file.",
        )
    firewall = firewall_from(params)
    origin = origin_of(params["acme_directory"], params["profile"]) if params["acme_directory"] else ""
    version, change = _plan(firewall, name, chain, _x509.private_key_pem(key), origin)
    facts = _x509.facts(chain[0])
    if not check_mode and change.changed:
        change.apply(firewall)
        check_uploaded(firewall, version, facts.fingerprint)
    result = {"certificate": version, **{key: facts.as_dict()[key] for key in ("fingerprint", "not_after")}}
    return Outcome(change.changed, result, change.before, change.after)


def _plan(
    firewall: Firewall, name: str, chain: list[x509.Certificate], key_pem: bytes, origin: str
) -> tuple[str, Change]:
    stored = read_certificates(firewall)
    version, change = plan_upload(name, chain, key_pem, stored, (), origin)
    if change.changed and len(chain) > 1:
        return plan_upload(name, chain, key_pem, stored, read_authorities(firewall), origin)
    return version, change


def _remove(params: Params, check_mode: bool) -> Outcome:
    firewall = firewall_from(params)
    stored = versions(params["name"], read_certificates(firewall))
    used_by = _users(firewall) if len(stored) > (params["keep"] or 0) else {}
    change = plan_prune(params["name"], params["keep"] or 0, stored, used_by)
    in_use = {version: used_by[version] for version in change.after["certificates"]}
    if in_use and params["keep"] is None:
        raise CertfleetError(
            "; ".join(f"{version} is used by {', '.join(users)}" for version, users in in_use.items()),
            remedy="Point them at another certificate first, or give keep to remove only what is not in use.",
        )
    if not check_mode:
        change.apply(firewall)
    removed = [write.name for write in change.writes]
    return Outcome(change.changed, {"removed": removed, "in_use": in_use}, change.before, change.after)


def _users(firewall: Firewall) -> dict[str, list[str]]:
    """Who uses which certificate, as far as the account may see it; the firewall itself guards the rest (504)."""
    used_by: dict[str, list[str]] = {}
    for kind in KINDS:
        try:
            for consumer in read_consumers(firewall, [kind]):
                used_by.setdefault(consumer.certificate, []).append(str(consumer))
        except XgsApiError as error:
            if error.code != NO_RIGHT:
                raise
    return used_by


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CertfleetError(
            f"{path} cannot be read: {error.strerror}", remedy="Is it there, on the host that this runs on?"
        ) from error


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
