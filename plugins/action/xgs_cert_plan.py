# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import typing as t

from ..module_utils._acme.transport import Transport
from ..module_utils._runner import Outcome, Params
from ..modules import xgs_cert_plan
from ..plugin_utils._fleet_action import FleetAction


class ActionModule(FleetAction):
    module_file = xgs_cert_plan

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        # One for all hosts that share it: one directory, one set of connections, one warning about the clock.
        self._authorities: dict[tuple[str, str | None], Transport] = {}

    def _work(self, params: Params) -> t.Callable[[], Outcome]:
        key = (params["acme_directory"], params["acme_ca_path"])
        if key not in self._authorities:
            self._authorities[key] = xgs_cert_plan.authority(params)
        return functools.partial(xgs_cert_plan.plan, params, self._task.check_mode, self._authorities[key])

    def _perform(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        result = super()._perform(args, variables)
        for authority in self._authorities.values():
            for text in authority.clock.warnings:
                self._display.warning(text)
        hosts = result.get("hosts")
        if hosts is not None:
            result["due_hosts"] = [name for name, plan in hosts.items() if plan.get("due")]
            result["failed_hosts"] = [name for name, plan in hosts.items() if plan.get("failed")]
            result["due"] = bool(result["due_hosts"])
        return result
