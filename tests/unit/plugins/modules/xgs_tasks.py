# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module as a task runs it on an emulated firewall: options checked, defaults filled in, writes counted."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome

from unit.plugins.module_utils._xgs.firewalls import Box

README = Path(__file__).parents[4] / "README.md"


def checked(module: ModuleType, options: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The options with their defaults, and what is wrong with them."""
    arguments = module.ARGUMENTS
    result = ArgumentSpecValidator(arguments.spec, **arguments.rules()).validate(options)
    return result.validated_parameters, result.error_messages


def run(module: ModuleType, box: Box, check_mode: bool = False, **options: Any) -> Outcome:
    """One task. What check mode says is compared by the caller; that it writes nothing, here."""
    trust = {} if "validate_certs" in options or "ca_path" in options else {"fingerprint": box.fingerprint}
    login = {"host": box.address, "username": "admin", "password": "secret", "timeout": 10}
    params, errors = checked(module, {**login, **trust, **options})
    assert not errors, errors
    before = box.writes
    outcome: Outcome = module.run(params, check_mode)
    assert not check_mode or box.writes == before
    return outcome


def both(module: ModuleType, box: Box, **options: Any) -> tuple[Outcome, int]:
    """The same in check mode and for real: changed and diff agree. Returns the real one and its writes."""
    would = run(module, box, True, **options)
    before = box.writes
    did = run(module, box, False, **options)
    assert (would.changed, would.before, would.after) == (did.changed, did.before, did.after)
    return did, box.writes - before


def documented(step: str) -> tuple[int, int]:
    """Fewest and most writes of a step in the README's table."""
    row = re.search(
        rf"^\| {re.escape(step)} \| (\d+)(?: to (\d+))? \|", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert row, f"the README says nothing of {step}"
    return int(row[1]), int(row[2] or row[1])
