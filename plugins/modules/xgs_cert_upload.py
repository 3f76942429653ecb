#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_cert_upload
short_description: Put a certificate on a Sophos XGS firewall under a versioned name
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Uploads certificate, chain and private key as a new object, named NAME-YYYYMMDD-FFFFFFFF after expiry and fingerprint,
    or NAME-YYYYMMDD-FFFFOOOO with O(acme_directory).
    Nothing is overwritten, so whatever uses an earlier version goes on using it until M(certfleet.sophos_xgs.xgs_cert_bind) repoints it.
    O(replace) is the one exception.
  - Key and certificate are matched before anything is sent, and what was sent is read back and compared.
  - Intermediates become certificate authorities as well, if they are not there yet.
options:
  name:
    description:
      - Name of the certificate without the version; letters, digits, V(_), V(.) and V(-), 32 characters at the most.
    type: str
    required: true
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
  replace:
    description:
      - Name of a certificate object on the firewall whose certificate and key are replaced in place, instead of a new version.
      - For what can only refer to one fixed name. There is no way back, the firewall's answer is the only proof that its users took
        the new certificate, and firewalls refuse it while a web server protection rule uses the object (reported; 542 or 500).
    type: str
  domains:
    description:
      - Names and addresses of the certificate that O(state=provisional) makes.
    type: list
    elements: str
  key_type:
    description:
      - Kind of its private key.
    type: str
    choices: [rsa2048, rsa3072, rsa4096, ec256, ec384]
    default: rsa2048
  keep:
    description:
      - How many of the newest versions O(state=absent) leaves. Versions in use are left too, and reported, where this is given.
      - Without it all versions go, and one that is in use is an error that names its users.
      - A self-signed version is not counted once there is another one.
    type: int
  foreseen:
    description:
      - What tasks before this one would have done, for O(state=absent) in check mode, so that it says the same as the run. A run
        sees it for itself and takes no notice of this.
    type: dict
    suboptions:
      certificate:
        description: The newest version, as the task that uploads it returns RV(certificate).
        type: str
        required: true
      consumers:
        description: Who would use it, as M(certfleet.sophos_xgs.xgs_cert_bind) returns them.
        type: list
        elements: str
        default: []
  state:
    description:
      - V(present) uploads. V(absent) removes versions that this module made.
      - V(provisional) sees to it that there is a version at all, for a service that cannot be set up without a certificate. If there
        is none, or an expired one only, a self-signed one for O(domains) is made, valid for 90 days; its key exists in memory and on
        the firewall only. M(certfleet.sophos_xgs.xgs_cert_plan) takes it for due, and the first certificate of a CA replaces it.
    type: str
    choices: [present, absent, provisional]
    default: present
extends_documentation_fragment:
  - certfleet.sophos_xgs._xgs
  - certfleet.sophos_xgs._material
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_xgs
attributes:
  check_mode:
    support: full
    details: A file that is not there (yet) is a change, of which no more can be said. The name of the version ends in C(-YYYYMMDD-FFFFFFFF) then,
      which M(certfleet.sophos_xgs.xgs_cert_bind) understands.
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

- name: Have something that a new web application can use until then
  certfleet.sophos_xgs.xgs_cert_upload:
    name: OWA
    state: provisional
    domains: [owa.example.com]

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
  returned: unless O(state=absent)
  type: str
  sample: OWA-20270219-1a2b3c4d
fingerprint:
  description: SHA-256 of the certificate. None in check mode where its file is not there yet; so the next two.
  returned: unless O(state=absent)
  type: str
  sample: 1a2b3c4d00000000000000000000000000000000000000000000000000000000
not_after:
  description: When it expires.
  returned: unless O(state=absent)
  type: str
  sample: "2027-02-19T04:00:00Z"
lifetime_days:
  description: Days from its beginning to its end.
  returned: unless O(state=absent)
  type: float
  sample: 90.0
self_signed:
  description: Whether it is one that nobody vouches for, as a provisional one.
  returned: unless O(state=absent)
  type: bool
  sample: false
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

import datetime

from ..module_utils import _x509
from ..module_utils._errors import CertfleetError, stage
from ..module_utils._material import (
    ONE_OF_EACH,
    Material,
    absent_files,
    material_from,
    material_spec,
    needed_if,
    told_of,
)
from ..module_utils._names import normalise_domains
from ..module_utils._progress import tell
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._xgs.api import Firewall
from ..module_utils._xgs.certificates import UNISSUED, check_name, origin_of, read_certificates, versions
from ..module_utils._xgs.change import Change
from ..module_utils._xgs.consumers import check_names, read_consumers
from ..module_utils._xgs.errors import XgsApiError
from ..module_utils._xgs.pruning import Users, plan_prune, read_users, remove, with_newest
from ..module_utils._xgs.rights import check_rights, parts_of
from ..module_utils._xgs.uploads import check_uploaded, plan_replacement, plan_upload, stored_under
from ..module_utils._xgs_options import firewall_from, xgs_spec

# As long as the first certificates of most CAs: whoever has none by then needs to look.
PROVISIONAL = datetime.timedelta(days=90)

ARGUMENTS = Arguments(
    spec={
        **xgs_spec(),
        "name": {"type": "str", "required": True},
        **material_spec(),
        "acme_directory": {"type": "str"},
        "profile": {"type": "str"},
        "replace": {"type": "str"},
        "domains": {"type": "list", "elements": "str"},
        "key_type": {"type": "str", "choices": list(_x509.KEY_TYPES), "default": _x509.KEY_TYPES[0]},
        "keep": {"type": "int"},
        "foreseen": {
            "type": "dict",
            "options": {
                "certificate": {"type": "str", "required": True},
                "consumers": {"type": "list", "elements": "str", "default": []},
            },
        },
        "state": {"type": "str", "choices": ["present", "absent", "provisional"], "default": "present"},
    },
    mutually_exclusive=ONE_OF_EACH,
    required_if=(*needed_if("state", "present"), ("state", "provisional", ("domains",))),
    connection="",
)


def run(params: Params, check_mode: bool) -> Outcome:
    step = {"present": _present, "provisional": _provisional, "absent": _absent}[params["state"]]
    with stage("prune" if step is _absent else "upload", certificate=params["name"]):
        check_name(params["name"])
        return step(params, check_mode)


def _present(params: Params, check_mode: bool) -> Outcome:
    missing = absent_files(params) if check_mode else []
    if missing:
        return _foreseen(params, missing)
    material = material_from(params)
    firewall = firewall_from(params)
    stored = read_certificates(firewall)
    if params["replace"]:
        change = plan_replacement(firewall, params["replace"], material, stored)
        _check_rights(firewall, change)
        if change.changed:
            _replace(firewall, params["replace"], material, change, check_mode)
        return _outcome(firewall, params["replace"], material.facts, change)
    origin = origin_of(params["acme_directory"], params["profile"]) if params["acme_directory"] else ""
    version, change = plan_upload(firewall, params["name"], material, stored, origin)
    _check_rights(firewall, change)
    if change.changed and not check_mode:
        _apply(firewall, version, material, change)
    return _outcome(firewall, version, material.facts, change)


def _foreseen(params: Params, missing: list[str]) -> Outcome:
    """Check mode before the certificate is there: that it would be uploaded is all that can be known."""
    stored = read_certificates(firewall_from(params))
    before = stored_under(params["replace"], stored).as_dict() if params["replace"] else None
    name = params["replace"] or params["name"] + UNISSUED
    return Outcome(
        True,
        {"certificate": name, **dict.fromkeys(("fingerprint", "not_after", "self_signed", "lifetime_days"))},
        {"certificate": before},
        {"certificate": {"name": name, "not there yet": missing}},
        warnings=told_of(missing),
    )


def _provisional(params: Params, check_mode: bool) -> Outcome:
    """Any version of the certificate will do that has not expired."""
    domains = normalise_domains(params["domains"])
    firewall = firewall_from(params)
    stored = read_certificates(firewall)
    now = firewall.clock.now()
    for version in versions(params["name"], stored):
        if version.facts and version.facts.not_after > now:
            return _outcome(firewall, version.name, version.facts, Change({}, {}))
    key = _x509.generate_private_key(params["key_type"])
    certificate = _x509.self_signed(key, domains, now, PROVISIONAL)
    material = Material([certificate], _x509.private_key_pem(key))
    name, change = plan_upload(firewall, params["name"], material, stored)
    _check_rights(firewall, change)
    if not check_mode:
        _apply(firewall, name, material, change)
    return _outcome(firewall, name, material.facts, change)


def _replace(firewall: Firewall, name: str, material: Material, change: Change, check_mode: bool) -> None:
    """There is no way back from this, so whoever uses the object must be able to live with what comes."""
    users = [consumer for consumer in read_consumers(firewall) if consumer.certificate == name]
    check_names(users, material.facts.names, firewall.endpoint)
    if check_mode:
        return
    if any(consumer.kind.key == "webadmin" for consumer in users):
        firewall.trust(material.facts.fingerprint)
    try:
        _apply(firewall, name, material, change)
    except XgsApiError as error:
        if users:
            error.advise(
                f"The firewall may refuse it because {', '.join(map(str, users))} uses {name}: leave replace out, and"
                " let xgs_cert_bind switch to a new version."
            )
        raise


def _check_rights(firewall: Firewall, change: Change) -> None:
    with stage("plan"):
        check_rights(firewall, parts_of(change.writes))


def _apply(firewall: Firewall, name: str, material: Material, change: Change) -> None:
    tell("upload", name)
    change.apply(firewall)
    check_uploaded(firewall, name, material.facts.fingerprint)


def _outcome(firewall: Firewall, name: str, facts: _x509.CertificateFacts, change: Change) -> Outcome:
    told = {key: facts.as_dict()[key] for key in ("fingerprint", "not_after", "self_signed")}
    result = {"certificate": name, **told, "lifetime_days": facts.lifetime_days}
    warnings = [*firewall.remarks, *facts.staging_remarks(name)]
    return Outcome(change.changed, result, change.before, change.after, warnings=warnings)


def _absent(params: Params, check_mode: bool) -> Outcome:
    firewall = firewall_from(params)
    stored = versions(params["name"], read_certificates(firewall))
    foreseen = params["foreseen"] if check_mode else None
    if foreseen:
        stored = with_newest(foreseen["certificate"], stored)
    keep = params["keep"]
    used_by = Users({}, [])
    if plan_prune(params["name"], keep or 0, stored, ()).changed:
        used_by = read_users(firewall)
        if foreseen:
            used_by = used_by.switched(foreseen["consumers"], foreseen["certificate"])
    change = plan_prune(params["name"], keep or 0, stored, used_by.by_certificate)
    in_use = {version: used_by.by_certificate[version] for version in change.after["certificates"]}
    if keep is None:
        _refuse(in_use)
    referred = [] if check_mode else remove(firewall, change)
    unseen = {version: [used_by.unknown] for version in referred}
    if keep is None:
        _refuse(unseen)
    removed = [write.name for write in change.writes if write.name not in referred]
    after = {"certificates": [*change.after["certificates"], *referred]}
    facts = {"removed": removed, "in_use": {**in_use, **unseen}}
    return Outcome(bool(removed), facts, change.before, after, warnings=firewall.remarks)


def _refuse(in_use: dict[str, list[str]]) -> None:
    if in_use:
        raise CertfleetError(
            "; ".join(f"{version} is used by {', '.join(users)}" for version, users in in_use.items()),
            remedy="Point them at another certificate first, or give keep to remove only what is not in use.",
        )


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
