# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ..module_utils._errors import CertfleetError, joined
from ..module_utils._files import write_public
from ..module_utils._runner import failure_result
from ..plugin_utils._controller_action import refused
from ..plugin_utils._report_files import KINDS, MODES, report_document, report_text

SPEC = {
    "rows": {"type": "list", "elements": "dict", "required": True},
    "mode": {"type": "str", "choices": list(MODES), "default": "run"},
    **{kind: {"type": "path"} for kind in KINDS},
}


class ActionModule(ActionBase):
    """Of the controller alone: it is where the rows are, and where the page's sources lie."""

    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Ansible's entry: writes the files, all that can be; the result of the task."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        checked = ArgumentSpecValidator(SPEC).validate(dict(self._task.args))
        if checked.error_messages:
            return {**result, **refused(checked)}
        params = checked.validated_parameters
        paths = {kind: params[kind] for kind in KINDS if params[kind]}
        failure = None if self._task.check_mode else _write(report_document(params["rows"], params["mode"]), paths)
        if failure:
            return {**result, **failure_result(failure)}
        return {**result, "changed": bool(paths), "written": list(paths.values())}


def _write(document: dict[str, t.Any], paths: dict[str, str]) -> CertfleetError | None:
    """All that can be written is."""
    failures = []
    for kind, path in paths.items():
        try:
            write_public(path, report_text(document, kind).encode())
        except CertfleetError as error:
            failures.append(error)
    return joined(failures)
