#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: acme_http01_responder
short_description: Start and stop the responder for HTTP-01 validations
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Runs a small HTTP server that answers the HTTP-01 challenges (RFC 8555) of every order of one ACME account.
  - It knows no orders and holds no secret. The account's thumbprint, which is public, is all that it needs.
  - It ends by itself when its lease ends, also when the play that started it was killed. Starting it again extends the lease.
  - It answers V(ready) to V(/.well-known/acme-challenge/~ready), so that the way to it can be tried out before the CA takes it.
  - Needs nothing but Python on the host where it runs, so it can run next to the firewalls with C(delegate_to). Python 3.6 will do, as far as
    the C(ansible-core) in use still manages hosts with it.
options:
  state:
    description: Whether the responder is to run.
    type: str
    choices: [started, stopped]
    default: started
  address:
    description: IP address to listen on. V(0.0.0.0) is all of IPv4, V(::) all of IPv6 and IPv4.
    type: str
    default: 0.0.0.0
  port:
    description: TCP port to listen on. The firewall forwards port 80 to it.
    type: int
    default: 8080
  thumbprint:
    description: Thumbprint of the account key, as M(certfleet.sophos_xgs.acme_account) returns it.
    type: str
  holder:
    description:
      - With O(state=stopped), the RV(holder) that O(state=started) gave. The responder then stays for as long as another task or run needs it
        that started it too.
      - Without it the responder ends, whoever else may need it.
    type: str
  lease:
    description: Seconds after which it ends by itself.
    type: int
    default: 900
  redirect:
    description:
      - Redirect requests for anything but challenges to HTTPS on the same host. Without it they get 404.
      - One that already runs stays as it is.
    type: bool
    default: true
  log_path:
    description:
      - File on the host where it runs, readable by this user only, that gets a line for each request.
        Time, peer, host asked for, status, and the first 8 characters of the token.
      - It ends at 16 MiB, so that no visitor fills the disk.
      - With O(certfleet.sophos_xgs.acme_http01_order#module:port_forward.masquerade) the peer is the firewall.
      - One that already runs stays as it is.
    type: path
extends_documentation_fragment:
  - certfleet.sophos_xgs._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: certfleet.sophos_xgs.acme_account
  - module: certfleet.sophos_xgs.acme_http01_order
"""

EXAMPLES = r"""
- name: Answer the CA while certificates are ordered
  hosts: xgs
  gather_facts: false
  tasks:
    - name: Find the account
      certfleet.sophos_xgs.acme_account:
        account_key_path: ~/.config/certfleet/account.pem
      run_once: true
      register: account

    - name: Start the responder for a quarter of an hour
      certfleet.sophos_xgs.acme_http01_responder:
        address: 10.0.0.20
        thumbprint: "{{ account.thumbprint }}"
      run_once: true
      register: responder

    - name: Stop it early, unless another run needs it too
      certfleet.sophos_xgs.acme_http01_responder:
        state: stopped
        address: 10.0.0.20
        holder: "{{ responder.holder }}"
      run_once: true
"""

RETURN = r"""
address:
  description: The address it listens on.
  returned: success
  type: str
  sample: 10.0.0.20
port:
  description: The port it listens on.
  returned: success
  type: int
  sample: 8080
expires:
  description: When it ends by itself, in UTC.
  returned: O(state=started)
  type: str
  sample: "2026-11-21T05:15:00Z"
holder:
  description: Tells this task from others that started or joined the same responder. For the option of this name. Empty in check mode.
  returned: O(state=started)
  type: str
  sample: 5f0c9a1e
pid:
  description: Its process. V(0) in check mode where it does not run yet.
  returned: O(state=started)
  type: int
  sample: 4711
"""

import ipaddress
import time
import typing as t

from ..module_utils._errors import CertfleetError, stage
from ..module_utils._responder_process import Started, others_of, running, start, stop
from ..module_utils._runner import Arguments, Outcome, Params, run_module

ARGUMENTS = Arguments(
    spec={
        "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
        "address": {"type": "str", "default": "0.0.0.0"},  # noqa: S104
        "port": {"type": "int", "default": 8080},
        "thumbprint": {"type": "str"},
        "holder": {"type": "str"},
        "lease": {"type": "int", "default": 900},
        "redirect": {"type": "bool", "default": True},
        "log_path": {"type": "path"},
    },
    required_if=(("state", "started", ("thumbprint",)),),
    needs_libraries=False,
)


def run(params: Params, check_mode: bool) -> Outcome:
    with stage("responder"):
        address, port = _checked(params)
        if params["state"] == "stopped":
            changed = _stop(address, port, params["holder"], check_mode)
            return _outcome(changed, {"address": address, "port": port}, "started", "stopped")
        thumbprint, lease = params["thumbprint"], params["lease"]
        if check_mode:
            started = running(address, port, thumbprint) or Started(True, 0, "", {"": time.time() + lease})
        else:
            started = start(address, port, thumbprint, lease, redirect=params["redirect"], log_path=params["log_path"])
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started.expires))
    facts = {"address": address, "port": port, "expires": expires, "pid": started.pid, "holder": started.holder}
    return _outcome(started.changed, facts, "stopped", "started")


def _stop(address: str, port: int, holder: t.Optional[str], check_mode: bool) -> bool:
    if not check_mode:
        return stop(address, port, holder)
    present = running(address, port)
    return present is not None and not others_of(present, holder)


def _checked(params: Params) -> t.Tuple[str, int]:
    try:
        address = str(ipaddress.ip_address(params["address"]))
    except ValueError as error:
        raise CertfleetError(
            f"{params['address']!r} is not an IP address", remedy="Give the address of an interface of this host."
        ) from error
    if not 0 < params["port"] < 65536:
        raise CertfleetError(f"{params['port']} is not a port", remedy="Use a number from 1 to 65535.")
    if params["lease"] < 1:
        raise CertfleetError(f"a lease of {params['lease']} s is none", remedy="Use a positive number of seconds.")
    return address, params["port"]


def _outcome(changed: bool, facts: t.Dict[str, t.Any], before: str, after: str) -> Outcome:
    """A diff shows the state, which differs where something changed."""
    return Outcome(changed, facts, {"state": before if changed else after}, {"state": after})


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
