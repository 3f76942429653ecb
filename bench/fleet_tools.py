# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same night, by this collection and by a playbook of ordinary modules."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import NamedTuple

from lab.fleet import PASSWORD, USERNAME
from lab.playbook import prepare
from measure import environment
from nights import Night
from place import COLLECTIONS, HERE, PEERS
from town import Town

Command = tuple[list[str], dict[str, str]]


def ours(town: Town) -> Command:
    """The collection, as its README says."""
    command, found = prepare(
        "certfleet.sophos_xgs.renew",
        collection_path=COLLECTIONS / "collections",
        workdir=town.work / "ansible",
        inventory=town.inventory(),
        flags=["--forks", str(town.night.forks)],
    )
    own = {name: value for name, value in found.items() if name.startswith("ANSIBLE_") or name in ("PATH", "TMPDIR")}
    return command, environment(town.work, **own)


def modules(town: Town) -> Command:
    """A playbook of ordinary modules, from the environment of the tools to compare with."""
    webroot = town.work / "webroot"
    (webroot / ".well-known/acme-challenge").mkdir(parents=True, exist_ok=True)
    town.serve_webroot(webroot)
    job = town.work / "job.json"
    job.touch(0o600)
    job.write_text(
        json.dumps(
            {
                "account_uri": town.account_uri,
                "user": USERNAME,
                "password": PASSWORD,
                "kept": str(town.kept),
                "webroot": str(webroot),
                "version": "20261121",
            }
        )
    )
    command = [str(PEERS / "ansible-playbook"), "-i", str(town.inventory()), "-e", f"@{job}"]
    command += ["--forks", str(town.night.forks), str(HERE / "playbooks" / "fleet_modules.yml")]
    own = environment(
        town.work,
        ANSIBLE_PYTHON_INTERPRETER=str(PEERS / "python"),
        ANSIBLE_HOME=str(town.work / "ansible"),
        SSL_CERT_FILE=town.fleet.ca.ca_file,
    )
    own["PATH"] = f"{PEERS}{os.pathsep}{own['PATH']}"
    return command, own


class Tool(NamedTuple):
    """work: the firewalls that its time grows with."""

    command: Callable[[Town], Command]
    work: Callable[[Night], int]


TOOLS = {
    "ours": Tool(ours, lambda night: night.due or night.firewalls),
    # Each of its tasks goes to each firewall.
    "modules": Tool(modules, lambda night: night.firewalls),
}
