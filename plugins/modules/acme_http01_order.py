#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_http01_order
short_description: Obtain certificates from an ACME CA by HTTP-01, with the firewall's port open for just that long
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Orders a list of certificates, has their names validated over HTTP, and stores key and chain of each in a private directory.
    Each certificate succeeds or fails alone.
  - With O(port_forward) the module opens the firewall's port when a validation is pending, and not otherwise, and closes it as soon as the
    validations are over, whatever their outcome. That happens in one process, so the port is never open longer than this firewall needs it.
    What an earlier run could not close, and whose lease is over or whose process has ended, is removed, also if nothing has to be opened.
  - Without O(port_forward) nothing is opened; the port must lead to the responder already.
  - The answers to the CA come from M(certfleet.sophos_xgs.acme_http01_responder), or from any web server that knows the account's thumbprint;
    with O(listen) from the module itself; with O(port_forward.method=iptables) and the target V(127.0.0.1) from the firewall itself, by SSH.
options:
  certificates:
    description: What to obtain.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Names the certificate in the result, and its folder in O(output_dir).
        type: str
        required: true
      domains:
        description:
          - DNS names and IP addresses, 100 at the most, 25 with the profiles V(tlsserver) and V(shortlived).
          - Let's Encrypt certifies IP addresses with the profile V(shortlived) only.
        type: list
        elements: str
        required: true
      key_type:
        description: Kind of the new private key.
        type: str
        choices: [rsa2048, rsa3072, rsa4096, ec256, ec384]
        default: rsa2048
      profile:
        description:
          - Kind of certificate, one of those that the CA's directory lists, such as V(shortlived). Without it the CA chooses.
          - One that the CA does not offer fails the certificate before anything is ordered; the message lists those it does.
        type: str
      reuse_key:
        description:
          - Keep the private key of the certificate that O(output_dir) holds, for those who pin it (DANE). Not advised otherwise.
          - Where there is none yet, or it is of another kind, a new one is made.
        type: bool
        default: false
      preferred_chain:
        description:
          - Where the CA offers several chains, the root that the chain should lead to, by its common name or its key identifier (hexadecimal).
          - If there is no such chain, the CA's own choice is taken, with a warning.
        type: str
      replaces:
        description: Identifier of the certificate that this one replaces (RFC 9773), as M(certfleet.sophos_xgs.xgs_cert_plan) returns it.
        type: str
      fingerprint:
        description: SHA-256 of that certificate. It is not taken from O(output_dir) again.
        type: str
  output_dir:
    description:
      - Directory, accessible by this user only, for keys and chains. It is made if need be.
      - What a former run left there, issued for the same names and still fresh, is returned instead of ordered again.
      - An order that a former run did not finish, killed or cut off at whatever point, is gone on with, and keeps its key.
      - One run at a time works on a certificate; a second one that finds the certificate's folder locked fails and orders nothing.
    type: path
    required: true
  account_uri:
    description:
      - URL of the account, as M(certfleet.sophos_xgs.acme_account) returns it. Without it the CA is asked by the key.
    type: str
  concurrency:
    description: How many requests to the CA may be under way at once.
    type: int
    default: 8
  listen:
    description:
      - IP address and port, such as V(0.0.0.0:8080), on which the module itself answers the CA while it runs. V([::]:8080) is all of IPv6 and IPv4.
      - It is bound before the CA is asked for anything, so a port that is taken costs no order. It is free again when the module ends, however it ends.
      - Where a responder of the same account listens there already, that one answers.
      - For one task at a time. Where many hosts order at once, start M(certfleet.sophos_xgs.acme_http01_responder) once for all of them.
    type: str
  order_timeout:
    description:
      - Seconds that the validation of an order may take, and its issuance again.
      - With O(port_forward), no longer than its lease.
    type: int
    default: 300
  revalidate:
    description:
      - Have every name validated in this run, even those that the CA still trusts from an earlier one.
      - What it trusts is given up first (RFC 8555 section 7.5.2). Meant for rehearsals at a staging CA, with a fresh O(output_dir).
    type: bool
    default: false
extends_documentation_fragment:
  - certfleet.sophos_xgs._acme
  - certfleet.sophos_xgs._forward.connected_window
  - certfleet.sophos_xgs._preflight
  - certfleet.sophos_xgs._ssh
  - certfleet.sophos_xgs._attributes
  - certfleet.sophos_xgs._attributes.actiongroup_acme
attributes:
  check_mode:
    support: full
    details: Neither the CA nor the firewall is written to; that each certificate would be obtained is taken for granted.
      The files of such a certificate are given a place where there is nothing yet, which M(certfleet.sophos_xgs.xgs_cert_upload)
      knows in check mode.
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Obtain a certificate through the firewall's port 80
  certfleet.sophos_xgs.acme_http01_order:
    account_key_path: ~/.config/certfleet/account.pem
    output_dir: /var/lib/certfleet/fw1
    certificates:
      - name: OWA
        domains: [owa.example.com, exchange.example.com]
    port_forward:
      target: 10.0.0.20
      zone: DMZ
  register: order

- name: Obtain a certificate without a responder of its own, for a host that port 80 leads to
  certfleet.sophos_xgs.acme_http01_order:
    account_key_path: ~/.config/certfleet/account.pem
    output_dir: /var/lib/certfleet/portal
    certificates:
      - name: portal
        domains: [portal.example.com]
    listen: 0.0.0.0:8080

- name: Put it on the firewall
  certfleet.sophos_xgs.xgs_cert_upload:
    name: OWA
    certificate_path: "{{ order.certificates[0].certificate_path }}"
    private_key_path: "{{ order.certificates[0].private_key_path }}"
"""

RETURN = r"""
certificates:
  description: One result for each certificate, in the order of the option.
  returned: always
  type: list
  elements: dict
  sample:
    - name: OWA
      domains: [owa.example.com, exchange.example.com]
      failed: false
      changed: true
      validated: true
      certificate_path: /var/lib/certfleet/fw1/OWA/fullchain.pem
      private_key_path: /var/lib/certfleet/fw1/OWA/privkey.pem
      fingerprint: 1a2b3c4d00000000000000000000000000000000000000000000000000000000
      not_after: "2027-02-19T04:00:00Z"
  contains:
    failed:
      description: Whether it could not be obtained; then C(msg) and C(stage) say why.
      type: bool
      returned: always
    acme:
      description: What the CA said, by the terms of RFC 8555. C(type), C(detail), C(status), C(subproblems) (one for each name), C(url), C(help_url).
      type: dict
      returned: when the CA refused
    retry_at:
      description: From when on it is worth trying again, in UTC.
      type: str
      returned: when the CA said so
    unpause_url:
      description: Where a person tells the CA to go on, after it has paused a name for failing too often.
      type: str
      returned: when the CA has paused it
    certificate_path:
      description: Certificate and chain, PEM.
      type: str
      returned: when obtained, or in check mode when it would be
    private_key_path:
      description: Private key, PEM, readable by this user only.
      type: str
      returned: when obtained, or in check mode when it would be
    validated:
      description: Whether the CA connected to port 80 for it. If not, it trusted an earlier validation.
      type: bool
      returned: when obtained
findings:
  description:
    - What the preflight found, each with a remedy. V(error) fails the certificates with this name, V(warning) does not.
    - C(name) is empty where it is about all.
  returned: with O(preflight)
  type: list
  elements: dict
  sample:
    - name: owa.example.com
      severity: warning
      problem: owa.example.com has the IPv6 address 2001:db8::1, which CAs prefer; the port is open for IPv4 only
      remedy: Remove the AAAA record; …
window:
  description: The opening, if there was one. C(interrupts), in check mode too, are web server protection rules without port 80 meanwhile.
  returned: with O(port_forward)
  type: dict
  sample:
    opened_at: "2026-11-21T05:00:00Z"
    closed_at: "2026-11-21T05:00:04Z"
    seconds: 4.0
    writes: 10
    interrupts: [OWA rule]
responder:
  description: Which requests for challenges arrived, if something was ordered. What did not get here, did not get through.
  returned: with O(listen)
  type: dict
  sample:
    listen: 0.0.0.0:8080
    joined: false
    requests: 2
    sources: [203.0.113.7, 198.51.100.9]
    hits:
      - name: owa.example.com
        token: LoqXcYV8
        source: 198.51.100.9
        requests: 1
      - name: owa.example.com
        token: LoqXcYV8
        source: 203.0.113.7
        requests: 1
  contains:
    joined:
      description: Whether another responder of the account had the address. What that one answered is not counted here.
      type: bool
      returned: always
    hits:
      description: Each name with the first 8 characters of the token and the address that asked for it.
      type: list
      elements: dict
      returned: always
"""

import contextlib
import typing as t

from ..module_utils._acme.account import ensure_account, thumbprint
from ..module_utils._acme.client import AcmeClient
from ..module_utils._acme.orders import CertificateRequest, FailedCertificate, IssuedCertificate, ObtainResult, obtain
from ..module_utils._acme.revalidation import forget_validations
from ..module_utils._acme_options import acme_spec, certificate_spec, client_from, requests_from
from ..module_utils._errors import CertfleetError, joined, stage
from ..module_utils._order_result import blame_lease, entry, foreseen, opening
from ..module_utils._port_window import PortWindow
from ..module_utils._preflight_options import Examined, examined, preflight_spec
from ..module_utils._responder_thread import Listener
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._signals import Interrupted, orderly_end
from ..module_utils._ssh_options import ssh_spec
from ..module_utils._store import Store
from ..module_utils._windows import window_from
from ..module_utils._xgs_options import forward_spec, xgs_spec

MOST_AT_ONCE = 32

ARGUMENTS = Arguments(
    spec={
        **acme_spec(),
        **ssh_spec(),
        "certificates": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {**certificate_spec(), "replaces": {"type": "str"}, "fingerprint": {"type": "str"}},
        },
        "output_dir": {"type": "path", "required": True},
        "account_uri": {"type": "str"},
        "port_forward": {"type": "dict", "options": {**xgs_spec(), **forward_spec()}},
        "concurrency": {"type": "int", "default": 8},
        "listen": {"type": "str"},
        "order_timeout": {"type": "int", "default": 300},
        "preflight": preflight_spec(),
        "revalidate": {"type": "bool", "default": False},
    },
    connection="port_forward",
    ssh="ssh",
)


def run(params: Params, check_mode: bool) -> Outcome:
    requests = requests_from(params["certificates"])
    _check(params)
    window = window_from(params)
    listener = Listener(params["listen"]) if params["listen"] else None
    with stage("order"):
        store = Store(params["output_dir"], params["acme_directory"])
        if check_mode:
            return _predict(store, requests, window, params)
        with store.locked(requests):
            found = _found(store, requests, params)
            missing = [request for request in requests if request.name not in found]
            checked = examined(missing, params, window)
            obtained = _obtain(store, checked, window, listener, params) if checked.sound else ObtainResult([])
    results = {**found, **checked.refused, **{result.request.name: result for result in obtained.results}}
    blame_lease(window, results.values())
    entries = [entry(store, results[request.name], request in missing) for request in requests]
    facts = {"certificates": entries, "window": opening(window), **checked.facts}
    if listener is not None and checked.sound:
        facts["responder"] = listener.report()
    errors = [result.error for result in results.values() if isinstance(result, FailedCertificate)]
    # An order that a killed run left needs no window any more, where it had come so far.
    left = window.sweep() if window and len(errors) < len(results) else None
    warnings = [f"{name}: {text}" for name, result in results.items() for text in getattr(result, "warnings", ())]
    warnings += window.told if window else []
    return Outcome(
        any(each["changed"] for each in entries),
        facts,
        warnings=checked.warnings + obtained.warnings + warnings,
        failure=obtained.close_error or left or joined(errors),
    )


Results = t.Dict[str, t.Union[IssuedCertificate, FailedCertificate]]


def _found(store: Store, requests: list[CertificateRequest], params: Params) -> Results:
    """By name, what earlier runs obtained."""
    replaced = {entry["name"]: entry["fingerprint"] for entry in params["certificates"]}
    found = {request.name: store.find(request, replaced[request.name]) for request in requests}
    return {name: result for name, result in found.items() if result}


def _obtain(
    store: Store, checked: Examined, window: PortWindow | None, listener: Listener | None, params: Params
) -> ObtainResult:
    with stage("account"):
        client = client_from(params)
    answering = listener(thumbprint(client.account_key)) if listener else contextlib.nullcontext()
    try:
        # Before the first request: a port that is taken must not cost an order.
        with orderly_end(), answering:
            _find_account(client, params)
            if params["revalidate"]:
                forget_validations(client, checked.sound)
            return obtain(
                client,
                checked.sound,
                window=checked.watched(window or contextlib.nullcontext),
                store=store,
                concurrency=params["concurrency"],
                timeout=params["order_timeout"],
            )
    except Interrupted as signal:
        raise CertfleetError(f"ended by {signal}; the port is closed", stage="order", remedy="Run again.") from signal


def _check(params: Params) -> None:
    if not 1 <= params["concurrency"] <= MOST_AT_ONCE:
        raise CertfleetError(
            f"concurrency is {params['concurrency']}", stage="plan", remedy=f"Use a number from 1 to {MOST_AT_ONCE}."
        )


def _find_account(client: AcmeClient, params: Params) -> None:
    with stage("account"):
        if params["account_uri"]:
            client.account_uri = params["account_uri"]
        else:
            ensure_account(client, contact=[], terms_agreed=False, only_existing=True)


def _predict(store: Store, requests: list[CertificateRequest], window: PortWindow | None, params: Params) -> Outcome:
    """Check mode: what would be ordered, and what would be opened on the firewall meanwhile."""
    found = _found(store, requests, params)
    checked = examined([request for request in requests if request.name not in found], params, window)
    after: dict[str, t.Any] = {"certificates": {request.name: list(request.domains) for request in checked.sound}}
    if window is not None and checked.sound:
        with stage("open"):
            after["port_forward"] = window.plan().after
    known = {**found, **checked.refused}
    entries = [
        entry(store, known[request.name], new=False) if request.name in known else foreseen(store, request)
        for request in requests
    ]
    facts = {"certificates": entries, "window": opening(window), **checked.facts}
    failure = joined([result.error for result in checked.refused.values()])
    warnings = checked.warnings + (window.told if window else [])
    return Outcome(bool(checked.sound), facts, {}, after if checked.sound else {}, warnings=warnings, failure=failure)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
