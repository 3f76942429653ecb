# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection in a playbook: one task for all certificates."""

from __future__ import annotations

from lab.playbook import prepare
from place import COLLECTIONS, HERE, Place
from tools.tool import Tool


def _wanted(place: Place) -> list[dict[str, object]]:
    return [{"name": names[0], "domains": names, "key_type": "ec256"} for names in place.certificates]


def _command(place: Place) -> tuple[list[str], dict[str, str]]:
    playbook = HERE / "playbooks" / "ours.yml"
    flags = ["-e", f"@{place.write_job(wanted=_wanted(place))}"]
    command, environment = prepare(
        playbook, collection_path=COLLECTIONS / "collections", workdir=place.work / "ansible", flags=flags
    )
    return command, place.environment(
        **{name: value for name, value in environment.items() if name.startswith("ANSIBLE_") or name == "PATH"}
    )


TOOL = Tool("ours-playbook", Place.make_account, _command, "*/fullchain.pem", most_runs=3, needs_collection=True)
