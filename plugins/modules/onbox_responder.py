#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: onbox_responder
short_description: Start and stop the responder for HTTP-01 validations on a Sophos XGS firewall itself, by SSH
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Sends the program of M(certfleet.sophos_xgs.acme_http01_responder) to the firewall and has its own C(python3) run it, 3.7 or later.
  - It is in memory, its lease a file in V(/tmp), which goes when it ends. It ends by itself with its lease, and with a restart.
  - M(certfleet.sophos_xgs.acme_http01_order) with C(method=iptables) and the target V(127.0.0.1) does this by itself.
    This is for a port that M(certfleet.sophos_xgs.xgs_dnat_port) opens.
options:
  state:
    description: Whether the responder is to run.
    type: str
    choices: [started, stopped]
    default: started
  port:
    description: TCP port to listen on. Nothing is opened from outside but what the port forward leads there.
    type: int
    default: 8080
  thumbprint:
    description: Thumbprint of the account key, as M(certfleet.sophos_xgs.acme_account) returns it.
    type: str
  lease:
    description: Seconds after which it ends by itself.
    type: int
    default: 900
  run_id:
    description:
      - Tells those apart who need it at the same time; it ends with the last of them. All tasks of a playbook run have the same one, unless this
        is set.
      - V(*) with O(state=stopped) ends it whoever needs it.
    type: str
extends_documentation_fragment:
  - certfleet.sophos_xgs._ssh
  - certfleet.sophos_xgs._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: certfleet.sophos_xgs.acme_http01_responder
  - module: certfleet.sophos_xgs.xgs_dnat_port
"""

EXAMPLES = r"""
- name: The firewall answers the CA by itself
  certfleet.sophos_xgs.onbox_responder:
    thumbprint: "{{ account.thumbprint }}"

- name: And not any more
  certfleet.sophos_xgs.onbox_responder:
    state: stopped
"""

RETURN = r"""
port:
  description: The port it listens on.
  returned: success
  type: int
  sample: 8080
expires:
  description: When it ends by itself, by the firewall's clock, in UTC.
  returned: O(state=started)
  type: str
  sample: "2026-11-21T05:15:00Z"
pid:
  description: Its process. V(0) in check mode where it does not run yet.
  returned: O(state=started)
  type: int
  sample: 4711
"""

import typing as t

from ..module_utils._clock import moment
from ..module_utils._errors import CertfleetError, stage
from ..module_utils._responder import THUMBPRINT
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._shell.responder import Running, check_python, look, start, stop
from ..module_utils._shell.session import Shell, shell
from ..module_utils._ssh_options import ssh_endpoint_from, ssh_spec
from ..module_utils._xgs.dnat import EVERY
from ..module_utils._xgs.lease import utc
from ..module_utils._xgs_options import run_id_from

ARGUMENTS = Arguments(
    spec={
        **ssh_spec(),
        "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
        "port": {"type": "int", "default": 8080},
        "thumbprint": {"type": "str"},
        "lease": {"type": "int", "default": 900},
        "run_id": {"type": "str"},
    },
    required_if=(("state", "started", ("thumbprint",)),),
    ssh="ssh",
)


def run(params: Params, check_mode: bool) -> Outcome:
    for problem, remedy in _mistakes(params):
        raise CertfleetError(problem, stage="plan", remedy=remedy)
    run_id = run_id_from(params)
    with stage("responder"), shell(ssh_endpoint_from(params)) as session:
        if params["state"] == "stopped":
            return _stopped(session, params, run_id, check_mode)
        return _started(session, params, run_id, check_mode)


def _started(session: Shell, params: Params, run_id: str, check_mode: bool) -> Outcome:
    port, thumbprint, lease = params["port"], params["thumbprint"], params["lease"]
    if check_mode:
        now, present = look(session, port)
        if present is None:
            check_python(session)
        changed, running = present is None, present or Running(thumbprint, now + lease, (run_id,))
    else:
        changed, running = start(session, port, thumbprint, lease, run_id)
    expires = utc(moment(running.expires))
    return _outcome(changed, {"port": port, "expires": expires, "pid": running.pid}, "stopped", "started")


def _stopped(session: Shell, params: Params, run_id: str, check_mode: bool) -> Outcome:
    port, whose = params["port"], None if run_id == EVERY else run_id
    if check_mode:
        _now, present = look(session, port)
        changed = present is not None and (whose is None or set(present.runs) <= {whose})
    else:
        changed = stop(session, port, whose)
    return _outcome(changed, {"port": port}, "started", "stopped")


def _mistakes(params: Params) -> t.Iterator[tuple[str, str]]:
    """Problem and remedy."""
    if not 0 < params["port"] < 65536:
        yield f"{params['port']} is not a port", "Use a number from 1 to 65535."
    if params["lease"] < 1:
        yield f"a lease of {params['lease']} s is none", "Use a positive number of seconds."
    if params["state"] == "started" and not THUMBPRINT.fullmatch(params["thumbprint"]):
        yield f"{params['thumbprint']!r} is not a thumbprint", "Take the one that acme_account returns."


def _outcome(changed: bool, facts: dict[str, t.Any], before: str, after: str) -> Outcome:
    """A diff shows the state, which differs where something changed."""
    return Outcome(changed, facts, {"state": before if changed else after}, {"state": after})


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
