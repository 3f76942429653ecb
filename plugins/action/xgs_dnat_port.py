# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import platform
import typing as t

from ..modules import xgs_dnat_port
from ..plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    module_file = xgs_dnat_port

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        self._task.args = {"run_id": _playbook_run(), **self._task.args}
        return super().run(tmp, task_vars)


def _playbook_run() -> str:
    """The same in all tasks of a run of ansible-playbook, and in no other: so what one task opens another closes."""
    parent = os.getppid()
    try:
        with open(f"/proc/{parent}/stat", "rb") as status:
            started = status.read().rpartition(b")")[2].split()[19].decode()
    except OSError:  # no Linux
        started = ""
    return hashlib.sha256(f"{platform.node()} {parent} {started}".encode()).hexdigest()[:8]
