# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The action of a module whose `run_id` tells which run of a playbook something belongs to."""

from __future__ import annotations

import typing as t

from ..module_utils._xgs.runs import playbook_run
from ._controller_action import LOCAL, ControllerAction


class RunAction(ControllerAction):
    """All tasks of a run have the same one, unless they say otherwise."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """As ControllerAction's, with the run_id filled in."""
        run_id = playbook_run()
        if self._task.delegate_to and self._task.delegate_to not in LOCAL:
            # There no such process is to be looked for.
            run_id = run_id.replace("x", "at")
        self._task.args = {"run_id": run_id, **self._task.args}
        return super().run(tmp, task_vars)


__all__ = ("RunAction",)
