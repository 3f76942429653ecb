# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The options of an SSH login to a firewall, and the Endpoint that they make."""

from __future__ import annotations

import re
import typing as t

from ._errors import CertfleetError
from ._runner import Params, env_fallback
from ._shell.endpoint import Endpoint

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")


def ssh_spec() -> dict[str, dict[str, t.Any]]:
    """Goes with the documentation fragment _ssh."""
    options: dict[str, dict[str, t.Any]] = {
        "host": {"type": "str"},
        "port": {"type": "int"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "private_key_path": {"type": "path"},
        "private_key_content": {"type": "str", "no_log": True},
        "passphrase": {"type": "str", "no_log": True},
        "known_hosts": {"type": "path"},
        "fingerprint": {"type": "list", "elements": "str"},
        "timeout": {"type": "int"},
    }
    for name, option in options.items():
        option["fallback"] = (env_fallback, [f"XGS_SSH_{name.upper()}"])
    return {"ssh": {"type": "dict", "apply_defaults": True, "options": options}}


def ssh_endpoint_from(params: Params) -> Endpoint:
    """Raises CertfleetError (stage "plan") when what is needed to log in is missing, or cannot be right."""
    ssh = params["ssh"]
    for problem, remedy in _mistakes(ssh):
        raise CertfleetError(problem, stage="plan", remedy=remedy)
    own = {"known_hosts": (ssh["known_hosts"],)} if ssh["known_hosts"] else {}
    return Endpoint(
        host=ssh["host"].strip("[]"),
        port=ssh["port"] or 22,
        username=ssh["username"] or "admin",
        password=ssh["password"] or None,
        private_key=ssh["private_key_content"] or _read(ssh["private_key_path"]),
        passphrase=ssh["passphrase"] or None,
        fingerprints=tuple(one.strip().rstrip("=") for one in ssh["fingerprint"] or ()),
        timeout=float(ssh["timeout"] or 60),
        **own,
    )


def _mistakes(ssh: dict[str, t.Any]) -> t.Iterator[tuple[str, str]]:
    """Problem and remedy."""
    host = ssh["host"] or ""
    if not host or "/" in host or host.count(":") == 1:
        yield f"'{host}' is not the address of a firewall for SSH", "Set xgs_ssh_host or ssh.host to a name or address."
    if not (ssh["password"] or ssh["private_key_path"] or ssh["private_key_content"]):
        yield (
            "no password and no private key is known for the firewall's SSH login",
            "Set xgs_ssh_password or xgs_ssh_private_key_path in the inventory. The XML API's password is not tried.",
        )
    for one in ssh["fingerprint"] or ():
        if not FINGERPRINT.fullmatch(one.strip()):
            yield f"'{one}' is no fingerprint of an SSH host key", "Write SHA256:… as ssh-keygen -l prints it."
    for option, highest in (("port", 65535), ("timeout", 3600)):
        if not 1 <= (1 if ssh[option] is None else ssh[option]) <= highest:
            yield f"ssh.{option} is {ssh[option]}, which cannot be", f"Set it to between 1 and {highest}."


def _read(path: str | None) -> str | None:
    if not path:
        return None
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise CertfleetError(
            f"the private key for SSH cannot be read: {error}", stage="plan", remedy="Look at ssh.private_key_path."
        ) from error


__all__ = ("ssh_endpoint_from", "ssh_spec")
