# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The option `preflight`, and the Preflight that it makes; documented in doc_fragments/_preflight.py."""

from __future__ import annotations

import ipaddress
import typing as t

from ._acme.transport import Transport
from ._caa import Issuer
from ._dns import Resolver
from ._errors import CertfleetError, stage
from ._preflight import PROBE_CHOICES, Expected, Preflight, Probe
from ._runner import Params
from ._xgs.hosts import host_address
from ._xgs.window import Window


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
        },
    }


def preflight_from(params: Params, window: Window | None) -> Preflight | None:
    """None when it is not wanted. Raises CertfleetError (stage "plan") when it cannot be as it is wanted.

    Asks the CA's directory and, where no addresses are given, the firewall.
    """
    options = params["preflight"]
    if options is None:
        return None
    resolver = Resolver(options["resolvers"])
    expected = _expected(options["addresses"], window)
    port = options["probe_port"] or (window.forward.port if window else 80)
    return Preflight(resolver, expected, _issuer(params), Probe(options["probe"], port))


def _expected(addresses: t.Sequence[str], window: Window | None) -> Expected:
    if addresses:
        return Expected(tuple(map(_address, addresses)), certain=True)
    with stage("preflight"):
        found = host_address(window.firewall, window.forward.wan_host) if window else None
    return Expected((found,)) if found else Expected()


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


__all__ = ("preflight_from", "preflight_spec")
