# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The options that say which firewall, and the Firewall that they make."""

from __future__ import annotations

import typing as t

from ._errors import CertfleetError
from ._runner import Params, env_fallback
from ._xgs.api import Firewall
from ._xgs.dnat import Forward
from ._xgs.transport import Endpoint, Transport


def xgs_spec() -> dict[str, dict[str, t.Any]]:
    """Goes with the documentation fragment _xgs."""
    options: dict[str, dict[str, t.Any]] = {
        "host": {"type": "str"},
        "port": {"type": "int"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "validate_certs": {"type": "bool"},
        "ca_path": {"type": "path"},
        # As a list it may be written with commas, too.
        "fingerprint": {"type": "list", "elements": "str"},
        "tls_server_name": {"type": "str"},
        "connect_timeout": {"type": "int"},
        "timeout": {"type": "int"},
    }
    for name, option in options.items():
        option["fallback"] = (env_fallback, [f"XGS_{name.upper()}"])
    return options


def forward_spec() -> dict[str, dict[str, t.Any]]:
    """What xgs_dnat_port forwards; goes with the documentation fragment _forward."""
    return {
        "name": {"type": "str", "default": "certfleet-http01"},
        "target": {"type": "str"},
        "target_port": {"type": "int", "default": 8080},
        "zone": {"type": "str", "default": "LAN"},
        "wan_host": {"type": "str", "default": "#Port2"},
        "wan_port": {"type": "int", "default": 80},
        "masquerade": {"type": "bool", "default": True},
        "lease": {"type": "int", "default": 900},
    }


def firewall_from(params: Params) -> Firewall:
    """Raises CertfleetError (stage "plan") when what is needed to log in is missing."""
    for option, variable in (("host", "ansible_host"), ("username", "ansible_user"), ("password", "ansible_password")):
        if not params[option]:
            raise CertfleetError(
                f"no {option} is known for the firewall's XML API",
                stage="plan",
                remedy=f"Set {variable} in the inventory, or the option {option}, or XGS_{option.upper()}.",
            )
    return Firewall(Transport(_endpoint(params)), params["username"], params["password"])


def _endpoint(params: Params) -> Endpoint:
    if "/" in params["host"] or params["host"].count(":") == 1:
        raise CertfleetError(
            f"'{params['host']}' is not the address of a firewall",
            stage="plan",
            remedy="Set host to a name or an address alone, and port to the web admin console's.",
        )
    return Endpoint(
        host=params["host"].strip("[]"),
        port=_in_range(params, "port", 4444, 65535),
        validate_certs=params["validate_certs"] is not False,
        ca_path=params["ca_path"],
        fingerprint=",".join(params["fingerprint"] or ()),
        server_name=params["tls_server_name"],
        connect_timeout=_in_range(params, "connect_timeout", 10, 3600),
        timeout=_in_range(params, "timeout", 120, 3600),
    )


def _in_range(params: Params, option: str, default: int, highest: int) -> int:
    value: int = default if params[option] is None else params[option]
    if not 1 <= value <= highest:
        raise CertfleetError(
            f"{option} is {value}, which cannot be", stage="plan", remedy=f"Set it to between 1 and {highest}."
        )
    return value


def forward_from(params: Params) -> Forward:
    """Raises CertfleetError (stage "plan") when there is no target or the lease is out of range."""
    if not params["target"]:
        raise CertfleetError(
            "there is no responder address to forward the port to",
            stage="plan",
            remedy="Set target (in the role: xgs_letsencrypt_responder_address) to the address under which the firewall"
            " reaches the host that answers.",
        )
    if not 60 <= params["lease"] <= 86400:
        raise CertfleetError(
            f"a lease of {params['lease']} s is out of range",
            stage="plan",
            remedy="Set it to between 60 and 86400 seconds.",
        )
    return Forward(
        name=params["name"],
        target=params["target"],
        target_port=params["target_port"],
        zone=params["zone"],
        port=params["wan_port"],
        wan_host=params["wan_host"],
        masquerade=params["masquerade"],
        lease=params["lease"],
    )


__all__ = ("firewall_from", "forward_from", "forward_spec", "xgs_spec")
