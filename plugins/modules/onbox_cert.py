#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: onbox_cert
short_description: Replace a certificate's files on a Sophos XGS firewall by SSH, where its XML API stays off
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Writes certificate, chain and key over those of the same name in the firewall's own folder, has the web server read them, and sees by
    handshake that they are served. What does not come to be served is put back.
  - Key and certificate are matched before anything is sent. Both files are written beside the old ones and renamed, modes and owners are kept,
    and the pair of before stays as V(NAME.pem.previous) and V(private/NAME.key.previous).
  - The firewall's configuration is not touched. So the web admin console goes on showing the old expiry, an HA peer and a backup have the old
    certificate, a firmware upgrade or a change of the certificate in the console may bring it back, and what uses it cannot be changed.
    The vendor does not support that. Prefer M(certfleet.sophos_xgs.xgs_cert_upload) wherever the XML API can be had.
options:
  name:
    description:
      - Name of the certificate, as the web admin console shows it. It has to be there already.
    type: str
    required: true
  directory:
    description:
      - Folder on the firewall that has V(NAME.pem), and V(NAME.key) in its subfolder V(private).
    type: str
    default: /conf/certificate
  reload:
    description:
      - Shell command on the firewall that has the web server read the certificate. Should it fail, the pair of before is put back.
    type: str
    default: killall -HUP httpd
  verify_address:
    description:
      - Address at which the certificate is served, as the control node reaches it. The firewall's own, as SSH has it, unless set.
    type: str
  verify_port:
    description:
      - TCP port there.
    type: int
    default: 443
  verify_timeout:
    description:
      - Seconds that the web server may take until it serves the new certificate.
    type: int
    default: 60
  verify_chain:
    description:
      - Whether the intermediates have to be served as well.
    type: bool
    default: true
  state:
    description:
      - V(present) puts the given certificate there.
      - V(previous) puts the one of before back, which changes places with the present one.
    type: str
    choices: [present, previous]
    default: present
extends_documentation_fragment:
  - certfleet.sophos_xgs._material
  - certfleet.sophos_xgs._ssh
  - certfleet.sophos_xgs._attributes
attributes:
  check_mode:
    support: full
    details: Looks at the firewall and at what it serves, and writes nothing.
  diff_mode:
    support: full
seealso:
  - module: certfleet.sophos_xgs.xgs_cert_upload
"""

EXAMPLES = r"""
- name: Install what was issued
  certfleet.sophos_xgs.onbox_cert:
    name: OWA
    certificate_path: /etc/certs/owa/fullchain.pem
    private_key_path: /etc/certs/owa/privkey.pem
    verify_address: 203.0.113.5

- name: Go back to the one of before
  certfleet.sophos_xgs.onbox_cert:
    name: OWA
    state: previous
    verify_address: 203.0.113.5
"""

RETURN = r"""
certificate:
  description: The file on the firewall.
  returned: success
  type: str
  sample: /conf/certificate/OWA.pem
fingerprint:
  description: SHA-256 of the certificate. None in check mode where its file is not there yet; so the next two.
  returned: success
  type: str
  sample: 1a2b3c4d00000000000000000000000000000000000000000000000000000000
not_after:
  description: When it expires.
  returned: success
  type: str
  sample: "2027-02-19T04:00:00Z"
lifetime_days:
  description: Days from its beginning to its end.
  returned: success
  type: float
  sample: 90.0
consumers:
  description: >-
    One entry, as M(certfleet.sophos_xgs.xgs_cert_bind) returns it, for whatever uses the file. C(previous) is the SHA-256 of the certificate of
    before, C(served_by) says where a handshake shows the new one; in check mode, where one shows that of before.
  returned: success
  type: list
  elements: dict
  sample:
    - consumer: /conf/certificate/OWA.pem
      certificate: /conf/certificate/OWA.pem
      previous: 99887766000000000000000000000000000000000000000000000000000000ff
      verified: true
      served_by: ["203.0.113.5:443 for owa.example.com"]
      reason:
      displaced: {}
"""


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
from ..module_utils._onbox.certificate import DIRECTORY, CertificateFiles
from ..module_utils._onbox.replacement import Replacement
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._shell.session import Shell, shell
from ..module_utils._signals import Interrupted, orderly_end, undisturbed
from ..module_utils._ssh_options import ssh_endpoint_from, ssh_spec
from ..module_utils._xgs.certificates import StoredCertificate, check_name

TOLD = ("fingerprint", "not_after")
ARGUMENTS = Arguments(
    spec={
        **ssh_spec(),
        **material_spec(),
        "name": {"type": "str", "required": True},
        "directory": {"type": "str", "default": DIRECTORY},
        "reload": {"type": "str", "default": "killall -HUP httpd"},
        "verify_address": {"type": "str"},
        "verify_port": {"type": "int", "default": 443},
        "verify_timeout": {"type": "int", "default": 60},
        "verify_chain": {"type": "bool", "default": True},
        "state": {"type": "str", "choices": ["present", "previous"], "default": "present"},
    },
    mutually_exclusive=ONE_OF_EACH,
    required_if=needed_if("state", "present"),
    ssh="ssh",
)


def run(params: Params, check_mode: bool) -> Outcome:
    with stage("upload", certificate=params["name"]):
        check_name(params["name"])
        endpoint = ssh_endpoint_from(params)
        files = CertificateFiles(params["name"], params["directory"], params["reload"])
        present = params["state"] == "present"
        missing = absent_files(params) if present and check_mode else []
        material = material_from(params) if present and not missing else None
        with shell(endpoint) as session:
            current = files.read(session)
            if missing:
                return _foreseen(files, current, missing)
            new = (
                StoredCertificate(files.cert, list(material.chain), has_key=True)
                if material
                else files.read_previous(session)
            )
            replacement = Replacement(
                endpoint, session, files, current, new, params["verify_timeout"], params["verify_chain"]
            )
            return _replace(replacement, material, params, check_mode)


def _replace(replacement: Replacement, material: Material | None, params: Params, check_mode: bool) -> Outcome:
    """material: None for the certificate of before."""
    files = replacement.files

    def write(session: Shell) -> None:
        if material:
            files.install(session, material)
        else:
            files.put_back(session)

    seen = replacement.look(params["verify_address"] or replacement.endpoint.host, params["verify_port"])
    settled = replacement.settled(seen)
    if not settled and not check_mode:
        try:
            # Half done it would be a switch that nobody has verified.
            with orderly_end(), undisturbed():
                if replacement.there:
                    replacement.reread(seen)
                else:
                    replacement.carry_out(seen, write)
        except Interrupted as signal:
            raise CertfleetError(f"ended by {signal}; the certificate is in place and verified") from signal
    return _outcome(not settled, replacement.current, replacement.new, list(map(str, seen)))


def _foreseen(files: CertificateFiles, current: StoredCertificate, missing: list[str]) -> Outcome:
    """Check mode before the certificate is there: that it would be installed is all that can be known."""
    outcome = _outcome(True, current, StoredCertificate(files.cert, [], has_key=True), [])
    outcome.after = {**outcome.after, "not there yet": missing}
    outcome.warnings = told_of(missing)
    return outcome


def _outcome(changed: bool, before: StoredCertificate, after: StoredCertificate, served_by: list[str]) -> Outcome:
    facts, told = after.facts, dict.fromkeys(TOLD)
    if facts:
        told = {key: facts.as_dict()[key] for key in TOLD}
    used = {"consumer": before.name, "certificate": before.name, "served_by": served_by, "verified": bool(served_by)}
    result = {
        "certificate": before.name,
        **told,
        "lifetime_days": facts.lifetime_days if facts else None,
        "consumers": [{**used, "previous": before.fingerprint, "reason": None, "displaced": {}}],
    }
    warnings = facts.staging_remarks(before.name) if facts else ()
    return Outcome(changed, result, before.as_dict(), (after if changed else before).as_dict(), warnings=warnings)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
