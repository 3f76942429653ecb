# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The one place where the library meets Ansible: argument specification → run() → result.

A module is a specification (`ARGUMENTS`) and a function `run(params, check_mode) -> Outcome`. It runs here
as a module on some host, or inside the controller through the action plugin of the same name.

What acme_http01_responder imports, this and its neighbours, runs on Python 3.6: no dataclasses, no newer annotations.
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from ._errors import CertfleetError

Params = t.Dict[str, t.Any]


class Arguments(t.NamedTuple):
    """An argument specification together with its rules, as AnsibleModule and ArgumentSpecValidator take them."""

    spec: t.Dict[str, t.Dict[str, t.Any]]
    mutually_exclusive: t.Tuple[t.Tuple[str, ...], ...] = ()
    required_together: t.Tuple[t.Tuple[str, ...], ...] = ()
    required_one_of: t.Tuple[t.Tuple[str, ...], ...] = ()
    required_if: t.Tuple[t.Tuple[t.Any, ...], ...] = ()
    # Option under which the firewall's connection options stand; "" is the top level, None: there are none.
    connection: t.Optional[str] = None
    # Option under which those of an SSH login stand; None: there are none.
    ssh: t.Optional[str] = None
    # False for what must run on any host that has a Python.
    needs_libraries: bool = True

    def rules(self) -> t.Dict[str, t.Any]:
        """Which options exclude or require each other, as keyword arguments of either."""
        return {
            "mutually_exclusive": self.mutually_exclusive,
            "required_together": self.required_together,
            "required_one_of": self.required_one_of,
            "required_if": self.required_if,
        }


class Outcome:
    """What a run did. `before` and `after` are the diff; `facts` become keys of the task's result."""

    def __init__(
        self,
        changed: bool,
        facts: t.Dict[str, t.Any],
        before: t.Any = None,
        after: t.Any = None,
        *,
        warnings: t.Iterable[str] = (),
        failure: t.Optional[CertfleetError] = None,
    ) -> None:
        self.changed = changed
        self.facts = facts
        self.before = before
        self.after = after
        self.warnings = list(warnings)
        # Set when some of several items failed: the task fails, and `facts` says which.
        self.failure = failure

    def as_result(self, *, show_diff: bool) -> t.Dict[str, t.Any]:
        """The task's result; warnings travel apart, because Ansible wants them so."""
        result = dict(self.facts, changed=self.changed)
        if show_diff and self.before != self.after:
            result["diff"] = {"before": self.before, "after": self.after}
        if self.failure is not None:
            result.update(failure_result(self.failure, details=False))
        return result


Run = t.Callable[[Params, bool], Outcome]


def failure_result(error: CertfleetError, *, details: bool = True) -> t.Dict[str, t.Any]:
    """A failed task's result: the sentence for people, and what a play may want to decide by."""
    where = {key: getattr(error, key) for key in ("stage", "firewall", "certificate") if getattr(error, key)}
    return {**(error.details if details else {}), "failed": True, "msg": str(error), **where}


def missing_libraries(arguments: Arguments) -> t.Optional[t.Dict[str, t.Any]]:
    """The failed result that says what to install, or None when all is there."""
    if not arguments.needs_libraries:
        return None
    from ._libraries import MISSING

    if MISSING is None:
        return None
    return {"failed": True, "msg": missing_required_lib("acme, cryptography"), "exception": MISSING}


def run_module(arguments: Arguments, run: Run) -> None:
    """main() of every module."""
    module = AnsibleModule(argument_spec=arguments.spec, supports_check_mode=True, **arguments.rules())
    missing = missing_libraries(arguments)
    if missing:
        module.fail_json(**missing)
    try:
        outcome = run(module.params, module.check_mode)
    except CertfleetError as error:
        module.fail_json(**failure_result(error))
    for text in outcome.warnings:
        module.warn(text)
    result = outcome.as_result(show_diff=module._diff)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


__all__ = ("Arguments", "Outcome", "Params", "Run", "env_fallback", "failure_result", "missing_libraries", "run_module")
