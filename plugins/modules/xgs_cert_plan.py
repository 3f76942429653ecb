#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_cert_plan
short_description: Decide which certificates of a Sophos XGS firewall are due, and why
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Compares the certificates that a firewall shall have with those that it has, and says for each what has to be done and why.
    Nothing is written, neither on the firewall nor at the CA.
  - A certificate is due when the firewall does not have it, when its names or its key type differ, when it is of another CA or another
    profile, when the CA's renewal information (RFC 9773) says so, or, at a CA without that, when a third of its lifetime is left, half
    for lifetimes under ten days.
  - Of another CA is what is self-signed, what Let's Encrypt's staging CA issued while another directory is asked for, and what was uploaded
    for another directory or profile, as O(certfleet.sophos_xgs.xgs_cert_upload#module:acme_directory) noted it. What other programs
    uploaded tells nothing about that, and is taken for what is asked for.
  - Where the clock of this machine and the CA's differ by more than a minute, the CA's counts, once the CA was asked, and a warning says so.
  - A warning tells of a certificate of Let's Encrypt's staging CA that is kept, because O(acme_directory) is a staging CA's.
  - A warning tells of a certificate that something else renews too, such as an on-box tool, because an object of the bare name is newer than ours.
  - One that is not due costs one read of the firewall and one question to the CA. For three days after issuance its consumers are read too,
    so that one which was uploaded and never put to use is noticed.
  - Where something has to be ordered, the account's administration profile is looked at too, if the account may read it. A right without which
    neither a certificate nor a rule can be written, fails the plan; without it the order would have been for nothing.
  - All options are checked before anything is requested.
  - With O(hosts) one task plans for a whole inventory. A task for each host costs some hundred times as much of the control node as the plan itself.
options:
  certificates:
    description:
      - The certificates that the firewall shall have. Required, but for O(hosts) they may stand in each host's O(host_options).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the certificate on the firewall, without its version. 1 to 32 letters, digits, V(_), V(.) and V(-).
          - It must not end like a version, which is V(-YYYYMMDD-FFFFFFFF).
        type: str
        required: true
      domains:
        description: DNS names and IP addresses, 100 at the most. International names may be written as they are read.
        type: list
        elements: str
        required: true
      consumers:
        description:
          - Who shall use it, as in O(certfleet.sophos_xgs.xgs_cert_bind#module:consumers).
          - Without it, whatever uses an earlier version.
        type: list
        elements: str
      key_type:
        description: The key's kind. RSA is what every consumer on every firmware takes.
        type: str
        choices: [rsa2048, rsa3072, rsa4096, ec256, ec384]
        default: rsa2048
      profile:
        description:
          - Kind of certificate, one of those that the CA's directory lists. Without it the CA chooses.
          - A change makes the certificate due, if M(certfleet.sophos_xgs.xgs_cert_upload) was told what it had been ordered with.
        type: str
      reuse_key:
        description: Passed on to M(certfleet.sophos_xgs.acme_http01_order). Needs O(state_dir), below which the key is kept.
        type: bool
        default: false
      preferred_chain:
        description: Passed on to M(certfleet.sophos_xgs.acme_http01_order). A change takes effect with the next renewal.
        type: str
      provisional:
        description: Something the role does. Here it makes no difference.
        type: bool
        default: false
  method:
    description:
      - How the firewall is asked. V(api) reads its certificate objects by the XML API.
      - V(ssh) is for firewalls whose API stays off, and M(certfleet.sophos_xgs.onbox_cert). It reads the files of that name on the firewall's disk.
        They have to be there, nothing else can be made to use them, and nothing tells which CA or profile they are from.
    type: str
    choices: [api, ssh]
    default: api
  directory:
    description:
      - With O(method=ssh), the folder on the firewall that has the certificates.
    type: str
    default: /conf/certificate
  acme_directory:
    description: URL of the CA's ACME directory.
    type: str
    default: https://acme-v02.api.letsencrypt.org/directory
  acme_ca_path:
    description:
      - File with the certificate authorities that vouch for the ACME server, instead of the system's.
      - E(ACME_CA_PATH) counts without it.
    type: path
  force:
    description: Whether everything is due.
    type: bool
    default: false
  period:
    description: Hours until the plan is made again. A certificate that would become due in between is due now.
    type: int
    default: 12
  keep:
    description:
      - How many versions of a certificate are to stay on the firewall. For three days after issuance, more of them that nobody uses are noticed,
        as a run leaves them that dies before it has removed them.
      - Without it they are left alone.
    type: int
  hosts:
    description:
      - Plan for these hosts of the inventory, side by side, instead of for the task's own host. Meant for a task with C(run_once).
      - For each of them connection, C(module_defaults) and O(host_options) are as a task on that host would see them.
      - What goes wrong with one is told in RV(hosts) and touches no other; the task does not fail for it.
    type: list
    elements: str
  host_options:
    description:
      - Name of a variable that holds options of this module that differ from host to host, as a dictionary. Its templates are filled in with each
        host's own variables.
      - Its options go before those of the task.
    type: str
  parallel:
    description: How many of O(hosts) are asked at a time.
    type: int
    default: 32
  state_dir:
    description:
      - Directory on the host that this runs on, for this firewall alone, that outlives the run. The CA's renewal information is remembered
        there until the time at which the CA wants to be asked again, a day at the most.
      - Without it each run asks. Check mode writes nothing there. What is lost there, or damaged, costs a question.
    type: path
extends_documentation_fragment:
  - certfleet.sophos_xgs._xgs
  - certfleet.sophos_xgs._ssh
  - certfleet.sophos_xgs._forward.window
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_xgs
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
"""

EXAMPLES = r"""
- name: What is due
  certfleet.sophos_xgs.xgs_cert_plan:
    certificates:
      - name: OWA
        domains: [owa.example.com, exchange.example.com]
        consumers: [webadmin, "waf:OWA rule"]

- name: What is due in the whole inventory
  certfleet.sophos_xgs.xgs_cert_plan:
    hosts: "{{ ansible_play_hosts }}"
    host_options: renewal
  run_once: true
  register: fleet
  vars:
    renewal:
      certificates: "{{ my_certificates }}"

- name: Who is concerned
  ansible.builtin.debug:
    msg: "due: {{ fleet.due_hosts }}, not to be planned: {{ fleet.failed_hosts }}"
  run_once: true
"""

RETURN = r"""
certificates:
  description: One verdict for each certificate.
  returned: success without O(hosts)
  type: list
  elements: dict
  sample:
    - name: OWA
      domains: [owa.example.com, exchange.example.com]
      key_type: rsa2048
      profile:
      reuse_key: false
      preferred_chain:
      consumers: [webadmin, "waf:OWA rule"]
      action: renew
      reason: the firewall does not have it yet
      current:
      fingerprint:
      self_signed:
      staging:
      not_after:
      days_left:
      lifetime_days:
      replaces:
      renew_at:
  contains:
    action:
      description: >-
        V(renew) (order, upload, bind), V(bind) (the certificate is there, but not all consumers use it), V(prune) (it is
        used, and there are old versions that nobody uses) or V(none).
      type: str
      returned: success
    reason:
      description: Why.
      type: str
      returned: success
    days_left:
      description: Days until the current certificate expires.
      type: float
      returned: success
due:
  description: Whether anything has to be done.
  returned: success
  type: bool
  sample: true
hosts:
  description:
    - For each host what a task of its own would have returned, RV(certificates) and RV(due), or C(failed) with C(msg) and what else is known of
      the failure, such as C(stage) and C(certificate).
  returned: success with O(hosts)
  type: dict
  sample:
    fw1: {certificates: [], due: false, changed: false}
    fw2: {failed: true, msg: "fw2: plan: no connection to 192.0.2.2:4444", stage: plan, firewall: fw2}
due_hosts:
  description: The hosts where anything has to be done.
  returned: success with O(hosts)
  type: list
  elements: str
  sample: [fw3]
failed_hosts:
  description: The hosts that could not be planned for.
  returned: success with O(hosts)
  type: list
  elements: str
  sample: [fw2]
"""

import datetime
import typing as t

from ..module_utils._acme.advice import Advice
from ..module_utils._acme.transport import Transport
from ..module_utils._acme_options import certificate_spec
from ..module_utils._due import NOTHING, RENEW, Rules, Verdict, Wanted, judge, judge_files, wanted_certificates
from ..module_utils._errors import CertfleetError, stage
from ..module_utils._iptables_port import check_forward
from ..module_utils._onbox.certificate import DIRECTORY, CertificateFiles
from ..module_utils._runner import Arguments, Outcome, Params, env_fallback, run_module
from ..module_utils._shell.session import shell
from ..module_utils._ssh_options import ssh_endpoint_from, ssh_spec
from ..module_utils._xgs.rights import OPENED, UPLOADED, check_rights
from ..module_utils._xgs_options import IPTABLES, firewall_from, forward_from, forward_spec, xgs_spec

# Options that say for which hosts; the others say what, for each of them.
FLEET_SPEC: dict[str, dict[str, t.Any]] = {
    "hosts": {"type": "list", "elements": "str"},
    "host_options": {"type": "str"},
    "parallel": {"type": "int", "default": 32},
}
ARGUMENTS = Arguments(
    spec={
        **xgs_spec(),
        **ssh_spec(),
        "method": {"type": "str", "choices": ["api", "ssh"], "default": "api"},
        "directory": {"type": "str", "default": DIRECTORY},
        "certificates": {
            "type": "list",
            "elements": "dict",
            "options": {
                **certificate_spec(),
                "consumers": {"type": "list", "elements": "str"},
                "provisional": {"type": "bool", "default": False},
            },
        },
        "acme_directory": {"type": "str", "default": "https://acme-v02.api.letsencrypt.org/directory"},
        "acme_ca_path": {"type": "path", "fallback": (env_fallback, ["ACME_CA_PATH"])},
        "port_forward": {"type": "dict", "options": forward_spec()},
        "force": {"type": "bool", "default": False},
        "period": {"type": "int", "default": 12},
        "keep": {"type": "int"},
        "state_dir": {"type": "path"},
        **FLEET_SPEC,
    },
    required_one_of=(("certificates", "hosts"),),
    connection="",
    ssh="ssh",
)


def run(params: Params, check_mode: bool) -> Outcome:
    if params["hosts"] is not None:
        raise CertfleetError(
            "hosts names hosts of the inventory, which only the control node knows",
            stage="plan",
            remedy="Do without delegate_to, or without hosts.",
        )
    ca = authority(params)
    outcome = plan(params, check_mode, ca)
    outcome.warnings += ca.clock.warnings
    return outcome


def authority(params: Params) -> Transport:
    """The CA; one serves the plans of any number of firewalls, at the same time too.

    Raises AcmeNetworkError, stage "plan", when its URL or acme_ca_path cannot be right.
    """
    with stage("plan"):
        return Transport(params["acme_directory"], ca_path=params["acme_ca_path"])


def plan(params: Params, check_mode: bool, ca: Transport) -> Outcome:
    """The verdicts on one firewall's certificates. What `ca` says of the clock is for the caller to tell.

    Raises CertfleetError, stage "plan" (by SSH also "shell").
    """
    with stage("plan"):
        wanted = wanted_certificates(params["certificates"])
        for certificate in wanted:
            if certificate.reuse_key and not params["state_dir"]:
                raise CertfleetError(
                    "reuse_key needs a place where the key is kept from one renewal to the next",
                    certificate=certificate.name,
                    remedy="Set state_dir (in the role: xgs_letsencrypt_state_dir) to a directory that stays.",
                )
        if params["port_forward"] is not None:
            forward = forward_from(params["port_forward"])
            if params["port_forward"]["method"] == IPTABLES:
                check_forward(forward)
        period = datetime.timedelta(hours=params["period"])
        rules = Rules(params["acme_directory"], period, params["force"], params["keep"])
        advice = Advice(ca, params["acme_directory"], params["state_dir"])
        verdicts = (_by_ssh if params["method"] == "ssh" else _by_api)(params, wanted, advice, rules)
    if not check_mode:
        advice.keep()
    now = ca.clock.now()
    facts = {
        "certificates": [verdict.as_dict(now) for verdict in verdicts],
        "due": any(verdict.action != NOTHING for verdict in verdicts),
    }
    remarks = [remark for verdict in verdicts for remark in verdict.remarks]
    return Outcome(False, facts, warnings=[*advice.warnings, *remarks])


def _by_api(params: Params, wanted: list[Wanted], advice: Advice, rules: Rules) -> list[Verdict]:
    firewall = firewall_from(params)
    verdicts = judge(firewall, wanted, advice, rules)
    if any(verdict.action == RENEW for verdict in verdicts):
        check_rights(firewall, UPLOADED if params["port_forward"] is None else (*OPENED, *UPLOADED))
    return verdicts


def _by_ssh(params: Params, wanted: list[Wanted], advice: Advice, rules: Rules) -> list[Verdict]:
    with shell(ssh_endpoint_from(params)) as session:
        return judge_files(
            lambda name: CertificateFiles(name, params["directory"]).read(session), wanted, advice, rules
        )


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
