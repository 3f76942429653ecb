# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback plugin for Ansible that writes down the whole result of every event, as AWX's job events do.

Name its directory in ANSIBLE_CALLBACK_PLUGINS, enable `everything`, and say where to write in LAB_EVERYTHING.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "everything"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, event: str, result: Any) -> None:
        with Path(os.environ["LAB_EVERYTHING"]).open("a", encoding="utf-8") as file:
            file.write(f"{event} {result._host} {result._task} {self._dump_results(result._result)}\n")
            file.write(f"{result._result!r}\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._write("item ok", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._write("item failed", result)

    def v2_on_file_diff(self, result: Any) -> None:
        self._write("diff", result)
