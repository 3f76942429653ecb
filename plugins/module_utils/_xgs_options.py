# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The options that say which firewall, and the Firewall that they make."""

from __future__ import annotations

import re
import typing as t

from ._errors import CertfleetError
from ._names import is_address
from ._runner import Params, env_fallback
from ._xgs.api import Firewall
from ._xgs.dnat import EVERY
from ._xgs.forward import Forward
from ._xgs.runs import playbook_run
from ._xgs.transport import Endpoint, Transport

# The firewall takes 50 characters for a schedule (API document); the lease's times are appended.
NAME = re.compile(r"[^#,\s]([^,]{0,30}[^,\s])?")
ENDS = ("absent", "stopped")
API, IPTABLES = "api", "iptables"
RUN_ID = re.compile(r"[A-Za-z0-9]{1,23}")


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
        "check_rights": {"type": "bool"},
    }
    for name, option in options.items():
        option["fallback"] = (env_fallback, [f"XGS_{name.upper()}"])
    return options


def forward_spec() -> dict[str, dict[str, t.Any]]:
    """What xgs_dnat_port forwards; goes with the documentation fragment _forward."""
    return {
        "method": {"type": "str", "choices": [API, IPTABLES], "default": API},
        "name": {"type": "str", "default": "certfleet-http01"},
        "target": {"type": "str"},
        "target6": {"type": "str"},
        "target_port": {"type": "int", "default": 8080},
        "zone": {"type": "str", "default": "LAN"},
        "wan_host": {"type": "list", "elements": "str", "default": ["#Port2"]},
        "wan_port": {"type": "int", "default": 80},
        "masquerade": {"type": "bool", "default": True},
        "lease": {"type": "int", "default": 900},
        "interrupt_waf": {"type": "bool", "default": False},
    }


def run_id_from(params: Params) -> str:
    """Raises CertfleetError (stage "plan") when it does not do for names of the firewall's objects."""
    if not params["run_id"]:
        return playbook_run()
    everybody = params["run_id"] == EVERY and params["state"] in ENDS
    if not RUN_ID.fullmatch(params["run_id"]) and not everybody:
        raise CertfleetError(
            f"the run_id is '{params['run_id']}'",
            stage="plan",
            remedy=f"Use up to 23 letters and digits; with state={' or '.join(ENDS)} also *.",
        )
    return str(params["run_id"])


def firewall_from(params: Params) -> Firewall:
    """Raises CertfleetError (stage "plan") when what is needed to log in is missing."""
    for option, variable in (("host", "ansible_host"), ("username", "ansible_user"), ("password", "ansible_password")):
        if not params[option]:
            raise CertfleetError(
                f"no {option} is known for the firewall's XML API",
                stage="plan",
                remedy=f"Set {variable} in the inventory, or the option {option}, or XGS_{option.upper()}.",
            )
    return Firewall(
        Transport(_endpoint(params)),
        params["username"],
        params["password"],
        asks_rights=params["check_rights"] is not False,
    )


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
    """Raises CertfleetError (stage "plan") when an option cannot be right, or there is no target."""
    for problem, remedy in _mistakes(params):
        raise CertfleetError(problem, stage="plan", remedy=remedy)
    return Forward(
        name=params["name"],
        target=params["target"] or "",
        target6=params["target6"] or "",
        target_port=params["target_port"],
        zone=params["zone"],
        port=params["wan_port"],
        wan_hosts=tuple(dict.fromkeys(params["wan_host"])),
        masquerade=params["masquerade"],
        lease=params["lease"],
        interrupt_waf=params["interrupt_waf"],
    )


def _mistakes(params: Params) -> t.Iterator[tuple[str, str]]:
    """Problem and remedy."""
    if not (params["target"] or params["target6"]):
        yield (
            "there is no responder address to forward the port to",
            "Set target (in the role: xgs_letsencrypt_responder_address) to its address as the firewall reaches it.",
        )
    for option, version in (("target", 4), ("target6", 6)):
        if params[option] and not is_address(params[option], version):
            yield f"{option} is '{params[option]}'", f"Set it to an IPv{version} address."
    if not params["wan_host"]:
        yield "wan_host is empty", "Name the host object of the interface that the names point to, such as #Port2."
    if not 60 <= params["lease"] <= 86400:
        yield f"a lease of {params['lease']} s is out of range", "Set it to between 60 and 86400 seconds."
    if not NAME.fullmatch(params["name"]):
        yield (
            f"the name '{params['name']}' does not do for objects of the firewall",
            "Use at most 32 characters, no comma, no # at the beginning.",
        )
    for option in ("wan_port", "target_port"):
        if not 0 < params[option] < 65536:
            yield f"{option} is {params[option]}", "Use a number from 1 to 65535."


__all__ = ("API", "IPTABLES", "firewall_from", "forward_from", "forward_spec", "run_id_from", "xgs_spec")
