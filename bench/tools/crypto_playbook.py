# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""community.crypto in a playbook, in the two steps of its documentation, with a web root."""

from __future__ import annotations

import os

from place import HERE, PEERS, Place
from tools.tool import Tool


def _prepare(place: Place) -> None:
    place.make_account()
    place.serve_webroot()


def _command(place: Place) -> tuple[list[str], dict[str, str]]:
    job = place.write_job(webroot=str(place.webroot))
    command = [str(PEERS / "ansible-playbook"), "-i", "localhost,", "-e", f"@{job}"]
    environment = place.environment(
        ANSIBLE_PYTHON_INTERPRETER=str(PEERS / "python"),
        ANSIBLE_HOME=str(place.work / "ansible"),
        ANSIBLE_LOCALHOST_WARNING="0",
        SSL_CERT_FILE=place.ca.ca_file,
    )
    environment["PATH"] = f"{PEERS}{os.pathsep}{environment['PATH']}"
    return [*command, str(HERE / "playbooks" / "crypto.yml")], environment


TOOL = Tool("crypto-playbook", _prepare, _command, "*.pem", most_runs=3, needs_peers=True)
