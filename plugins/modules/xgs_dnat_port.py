#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xgs_dnat_port
short_description: Forward one TCP port of a Sophos XGS firewall for a limited time
version_added: 0.1.0
author: certfleet contributors (@certfleet)
description:
  - Forwards a TCP port of one WAN address to a host inside, with the NAT rule, the firewall rule and the objects that this takes.
  - The firewall rule is bound to a one-time schedule, so the forward ends by itself when the lease is over.
  - Existing hosts, services and schedules of equal content are used, and never removed.
  - What others made is not touched. A NAT rule of somebody else for the same address and port is reported before anything is written.
options:
  state:
    description:
      - V(present) opens, V(absent) removes what was made under O(name), be it whole, half-made or expired.
      - V(swept) removes everything that this collection made under any name and whose lease is over.
    type: str
    choices: [present, absent, swept]
    default: present
extends_documentation_fragment:
  - certfleet.sophos_xgs._xgs
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
"""

RETURN = r"""
forward:
  description: What is forwarded where.
  returned: O(state=present)
  type: str
  sample: "#Port2:80 to 10.0.0.20:8080"
until:
  description: When the lease ends, in UTC. A forward that was open already may end earlier, but not within half of the lease.
  returned: O(state=present)
  type: str
  sample: "2026-11-21T05:15:00Z"
writes:
  description: How many writes went to the firewall.
  returned: success
  type: int
  sample: 5
"""

from ..module_utils._errors import stage
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._xgs.dnat import plan_absent, plan_present, plan_swept, read_objects
from ..module_utils._xgs.lease import lease, read_time_zone
from ..module_utils._xgs.window import new_run_id
from ..module_utils._xgs_options import firewall_from, forward_from, forward_spec, xgs_spec

ARGUMENTS = Arguments(
    spec={
        **xgs_spec(),
        **forward_spec(),
        "state": {"type": "str", "choices": ["present", "absent", "swept"], "default": "present"},
    },
    connection="",
)


def run(params: Params, check_mode: bool) -> Outcome:
    firewall = firewall_from(params)
    facts = {}
    with stage("open" if params["state"] == "present" else "close"):
        now = firewall.clock.now()
        if params["state"] == "present":
            forward = forward_from(params)
            ends = lease(now, forward.lease, read_time_zone(firewall), new_run_id())
            change = plan_present(read_objects(firewall), forward, ends, now)
            facts = {"forward": str(forward), "until": ends.until}
        elif params["state"] == "absent":
            change = plan_absent(read_objects(firewall), params["name"])
        else:
            change = plan_swept(read_objects(firewall), now)
        if not check_mode:
            change.apply(firewall)
    return Outcome(change.changed, {**facts, "writes": firewall.writes}, change.before, change.after)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
