# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The option `preflight`, documented in doc_fragments/_preflight.py, and what comes of it for an order."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import os
import typing as t

from ._acme.account import thumbprint
from ._acme.order import CertificateRequest, FailedCertificate
from ._acme.transport import Transport
from ._acme_options import client_from
from ._caa import Issuer
from ._dns import Resolver
from ._errors import CertfleetError, stage
from ._names import is_address
from ._port_window import PortWindow
from ._preflight import PROBE_CHOICES, WARNING, Expected, Place, Preflight, Probe, Window
from ._progress import some, tell
from ._runner import Params


def preflight_spec() -> dict[str, t.Any]:
    """The option's part of an argument specification."""
    return {
        "type": "dict",
        "options": {
            "addresses": {"type": "list", "elements": "str", "default": []},
            "resolvers": {"type": "list", "elements": "str", "default": []},
            "caa_identities": {"type": "list", "elements": "str"},
            "probe": {"type": "str", "choices": list(PROBE_CHOICES), "default": "warn"},
            "probe_port": {"type": "int"},
            "responder": {"type": "str", "choices": list(PROBE_CHOICES), "default": "warn"},
        },
    }


class Examined:
    """Requests after the preflight, or without one.

    refused: by name, those that no CA would fulfil as things are; sound: the others.
    """

    def __init__(self, requests: t.Sequence[CertificateRequest], preflight: Preflight | None) -> None:
        self._preflight = preflight
        self.refused: dict[str, FailedCertificate] = {}
        if preflight is not None:
            tell("preflight", some(_names(requests)))
            preflight.examine(_names(requests))
            for request in requests:
                error = preflight.refusal(request.domains)
                if error is not None:
                    error.locate(certificate=request.name)
                    self.refused[request.name] = FailedCertificate(request, error)
        self.sound = [request for request in requests if request.name not in self.refused]

    def watched(self, window: Window) -> Window:
        """The window of the sound ones; with the preflight's look through it."""
        return self._preflight.watched(window, _names(self.sound)) if self._preflight else window

    @property
    def facts(self) -> dict[str, t.Any]:
        """For the result of the task."""
        return {"findings": list(map(dataclasses.asdict, self._preflight.findings))} if self._preflight else {}

    @property
    def warnings(self) -> list[str]:
        """The findings that keep nobody from ordering."""
        found = self._preflight.findings if self._preflight else []
        return [str(finding) for finding in found if finding.severity == WARNING]


def examined(requests: t.Sequence[CertificateRequest], params: Params, window: PortWindow | None) -> Examined:
    """The requests after the preflight, if it is wanted and there are any.

    Raises CertfleetError (stage "plan" or "preflight") when it cannot be made.
    """
    return Examined(requests, _preflight(params, window) if requests and params["preflight"] is not None else None)


def _names(requests: t.Iterable[CertificateRequest]) -> list[str]:
    return [domain for request in requests for domain in request.domains]


def _preflight(params: Params, window: PortWindow | None) -> Preflight:
    """Asks the CA's directory and, where no addresses are given, the firewall."""
    options = params["preflight"]
    resolver = Resolver(options["resolvers"])
    expected = _expected(options["addresses"], window)
    port = options["probe_port"] or (window.forward.port if window else 80)
    probe = Probe(options["probe"], port)
    return Preflight(resolver, expected, _issuer(params), probe, place=_place(params, window))


def _place(params: Params, window: PortWindow | None) -> Place | None:
    """None where the task itself answers, or nobody knows for which account: in check mode there may be no key."""
    path = params["account_key_path"]
    if window is None or window.answers_itself or params["listen"] or (path and not os.path.exists(path)):
        return None
    forward, ours = window.forward, thumbprint(client_from(params).account_key)
    addresses = tuple(address for address in (forward.target, forward.target6) if address)
    return Place(params["preflight"]["responder"], addresses, forward.target_port, ours)


def _expected(addresses: t.Sequence[str], window: PortWindow | None) -> Expected:
    if addresses:
        return Expected(tuple(map(_address, addresses)), certain=True)
    with stage("preflight"):
        hosts = window.forward.wan_hosts if window else ()
        found = [[host] if is_address(host) else window.addresses(host) for host in hosts if window]
    return Expected(tuple(map(_address, itertools.chain(*found))))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise CertfleetError(
            f"the WAN address {text!r} is no IP address", stage="plan", remedy="Write it as 192.0.2.1 or 2001:db8::1."
        ) from error


def _issuer(params: Params) -> Issuer:
    identities = params["preflight"]["caa_identities"]
    if identities is None:
        with stage("preflight"):
            ca = Transport(params["acme_directory"], ca_path=params["ca_path"], validate_certs=params["validate_certs"])
            identities = ca.directory["meta"].get("caaIdentities")
    listed = identities if isinstance(identities, list) else []
    return Issuer(tuple(str(each).lower() for each in listed), params["account_uri"])


__all__ = ("Examined", "examined", "preflight_spec")
