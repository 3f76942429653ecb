#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_dnat_port
short_description: Forward one TCP port of a Sophos XGS firewall for a limited time
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Forwards a TCP port of WAN addresses to a host inside, with the NAT rule, the firewall rule and the objects that this takes.
  - The firewall rule is bound to a one-time schedule, so the forward ends by itself when the lease is over.
  - Existing hosts, services and schedules of equal content are used, and never removed.
  - What others made is not touched. What stands in the way is reported before anything is written, namely a NAT rule of somebody else for the
    same address and port, a web server protection rule that serves a site on that port, a dropping firewall rule of Sophos Central, and, if the
    account may read its own administration profile, a right that it lacks.
  - An opening that the firewall refuses midway takes back what it made.
  - Several runs may have the same port open at a time, each with a firewall rule and a lease of its own. It closes with the last of them.
options:
  state:
    description:
      - V(present) opens, and clears away what other runs left behind and whose lease is over.
      - V(absent) removes what this run made under O(name), be it whole or half-made, what is expired, and what a playbook left open here that
        has ended since. Should other runs have the port open as well, it stays so, and a warning names them.
      - V(swept) removes everything that this collection made under any name and whose lease is over. What something else uses by now stays,
        with a warning.
    type: str
    choices: [present, absent, swept]
    default: present
  run_id:
    description:
      - Tells the openings of several runs under one name apart. All tasks of a playbook run have the same one, unless this is set.
      - V(*) with O(state=absent) closes those of all runs. They may be at work.
    type: str
extends_documentation_fragment:
  - certfleet.sophos_xgs._xgs
  - certfleet.sophos_xgs._ssh
  - certfleet.sophos_xgs._forward.forward
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_xgs
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: certfleet.sophos_xgs.acme_http01_order
"""

EXAMPLES = r"""
- name: Port 80 of the WAN interface leads to the responder for a quarter of an hour
  certfleet.sophos_xgs.xgs_dnat_port:
    target: 10.0.0.20
    target_port: 8080
    zone: DMZ

- name: And is closed again
  certfleet.sophos_xgs.xgs_dnat_port:
    state: absent

- name: Two interfaces, and IPv6
  certfleet.sophos_xgs.xgs_dnat_port:
    wan_host: ["#Port2", "#Port3", "2001:db8::1"]
    target: 10.0.0.20
    target6: fd00::20

- name: By SSH, to a responder on the firewall itself
  certfleet.sophos_xgs.xgs_dnat_port:
    method: iptables
    wan_host: 203.0.113.5
    target: 127.0.0.1
    ssh:
      private_key_path: ~/.ssh/xgs
      fingerprint: SHA256:9mmSjnLfFBbWYhuSTHVGxhx4JVSMeeAr6xXbQmU2kzs

- name: Closed at once, whoever opened it
  certfleet.sophos_xgs.xgs_dnat_port:
    state: absent
    run_id: "*"
"""

RETURN = r"""
forward:
  description: What is forwarded where.
  returned: O(state=present)
  type: str
  sample: "#Port2:80 to 10.0.0.20:8080"
opened_at:
  description: Since when the port is open, in UTC. Nothing in check mode, unless it is open already.
  returned: O(state=present)
  type: str
  sample: "2026-11-21T04:58:12Z"
until:
  description: When the lease ends, in UTC. That of a forward that was open already ends no earlier than in half of O(lease).
  returned: O(state=present)
  type: str
  sample: "2026-11-21T05:15:00Z"
interrupts:
  description: Web server protection rules whose port 80 the target answers meanwhile.
  returned: O(state=present)
  type: list
  elements: str
  sample: [OWA rule]
run_id:
  description: The run whose opening this is about.
  returned: O(state=present) or O(state=absent)
  type: str
  sample: 5f0c2a91
made:
  description: What was made or updated.
  returned: success
  type: list
  elements: str
  sample: ["IPHost certfleet-http01-10.0.0.20", "FirewallRule certfleet-http01-5f0c2a91"]
removed:
  description: What was removed.
  returned: success
  type: list
  elements: str
  sample: ["NATRule certfleet-http01-5f0c2a91"]
writes:
  description: How many writes went to the firewall.
  returned: success
  type: int
  sample: 5
"""

import typing as t

from ..module_utils import _iptables_port
from ..module_utils._errors import CertfleetError, stage
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._ssh_options import ssh_spec
from ..module_utils._xgs.api import Firewall
from ..module_utils._xgs.dnat import Plan, plan_absent, plan_swept, still_used
from ..module_utils._xgs.errors import XgsApiError
from ..module_utils._xgs.lease import utc
from ..module_utils._xgs.objects import Objects
from ..module_utils._xgs.window import Window, explained, send_all
from ..module_utils._xgs_options import IPTABLES, firewall_from, forward_from, forward_spec, run_id_from, xgs_spec

ARGUMENTS = Arguments(
    spec={
        **xgs_spec(),
        **ssh_spec(),
        **forward_spec(),
        "run_id": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent", "swept"], "default": "present"},
    },
    connection="",
    ssh="ssh",
)


def run(params: Params, check_mode: bool) -> Outcome:
    if params["method"] == IPTABLES:
        return _iptables_port.run(params, check_mode)
    firewall = firewall_from(params)
    if params["state"] == "present":
        return _present(firewall, params, check_mode)
    run_id = run_id_from(params)
    with stage("close"), explained():
        if params["state"] == "swept":
            objects = Objects(firewall)
            return _remove(firewall, plan_swept(objects, objects.now()), {}, check_mode)
        # A run is told by the firewall what somebody else uses; check mode has to look for itself.
        objects = Objects(firewall, like=None if check_mode else params["name"])
        plan = plan_absent(objects, params["name"], run_id, objects.now(), left=True)
        return _remove(firewall, plan, {"run_id": run_id}, check_mode)


def _present(firewall: Firewall, params: Params, check_mode: bool) -> Outcome:
    window = Window(firewall, forward_from(params), run_id_from(params))
    with stage("open"):
        plan = window.plan()
        opened = plan.opened
        if not check_mode:
            _open(window, plan)
            opened = window.opened_at
    facts = {
        "forward": str(window.forward),
        "opened_at": utc(opened) if opened else None,
        "until": utc(plan.until) if plan.until else None,
        "interrupts": list(plan.interrupts),
        "run_id": window.run,
    }
    warnings = [*plan.warnings, *firewall.remarks, *firewall.time.warnings]
    return Outcome(plan.changed, {**facts, **_did(firewall, plan)}, plan.before, plan.after, warnings=warnings)


def _open(window: Window, plan: Plan) -> None:
    """What a refused opening has made is taken back; one that was open already, and was to be extended, stays so."""
    try:
        window.open(plan)
    except XgsApiError as error:
        if plan.opened is None:
            try:
                window.close()
            except CertfleetError as failure:
                error.advise(f"Besides: {failure}")
        raise


def _remove(firewall: Firewall, plan: Plan, facts: dict[str, t.Any], check_mode: bool) -> Outcome:
    left = [] if check_mode else send_all(firewall, plan.writes)
    stays = {f"{write.entity.tag} {write.name}" for write in left}
    did = _did(firewall, plan)
    did["removed"] = [label for label in did["removed"] if label not in stays]
    before = {label: text for label, text in plan.before.items() if label not in stays}
    in_use = [still_used(write.entity) for write in left]
    warnings = [*plan.warnings, *in_use, *firewall.remarks, *firewall.time.warnings]
    return Outcome(bool(did["removed"]), {**facts, **did}, before, {}, warnings=warnings)


def _did(firewall: Firewall, plan: Plan) -> dict[str, t.Any]:
    labels = [(write.operation == "remove", f"{write.entity.tag} {write.name}") for write in plan.writes]
    return {
        "made": [label for removed, label in labels if not removed],
        "removed": [label for removed, label in labels if removed],
        "writes": firewall.writes,
    }


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
