# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""One task for many hosts: each with the options that a task of its own would have had, side by side in threads.

Ansible spends some 30 ms on every host of every task (measured), many times what a plan costs. Templates are filled in
one host after the other, here; the threads do nothing but run(), which knows no Ansible.
"""

from __future__ import annotations

import concurrent.futures
import traceback
import typing as t

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult

from ..module_utils._errors import CertfleetError
from ..module_utils._progress import some
from ..module_utils._runner import Outcome, Params, failure_result, missing_libraries
from ._controller_action import ControllerAction, Done, carry_out, named, refused, without_secrets
from ._fleet_templates import FleetTemplates, HostTemplates

GROUP = "group/certfleet.sophos_xgs.xgs"
Result = t.Dict[str, t.Any]
Pending = t.Tuple[concurrent.futures.Future[Done], ValidationResult]


class FleetAction(ControllerAction):
    """Subclasses name their module, whose FLEET_SPEC are the options `hosts`, `host_options` and `parallel`."""

    def _work(self, params: Params) -> t.Callable[[], Outcome]:
        """What a thread is to do for one host. May raise CertfleetError."""
        raise NotImplementedError

    def _perform(self, args: Result, variables: Result) -> Result:
        if args.get("hosts") is None or self._is_delegated():
            return super()._perform(args, variables)
        missing = missing_libraries(self.module_file.ARGUMENTS)
        if missing:
            return missing
        spec = self.module_file.FLEET_SPEC
        checked = ArgumentSpecValidator(spec).validate({option: args[option] for option in spec if option in args})
        if checked.error_messages:
            return refused(checked)
        return {"changed": False, "hosts": self._run_fleet(args, variables, checked.validated_parameters)}

    def _run_fleet(self, args: Result, variables: Result, fleet: Params) -> dict[str, Result]:
        arguments = self.module_file.ARGUMENTS
        validator = ArgumentSpecValidator(arguments.spec, **arguments.rules())
        own = {option: value for option, value in args.items() if option not in fleet}
        hosts = _Hosts(self._task, self._templar, variables, own, fleet["host_options"])
        with concurrent.futures.ThreadPoolExecutor(max(1, fleet["parallel"])) as pool:
            try:
                begun = {name: self._begin(pool, hosts, validator, name) for name in fleet["hosts"]}
                ended = {name: self._end(name, each) for name, each in begun.items()}
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for text, hosts_told in _by_text(ended).items():
            self._display.warning(f"{some(hosts_told)}: {text}")
        return {name: result for name, (result, _warnings) in ended.items()}

    def _begin(
        self, pool: concurrent.futures.Executor, hosts: _Hosts, validator: ArgumentSpecValidator, name: str
    ) -> Pending | Result:
        try:
            options, templates, variables = hosts.options(name)
            checked = validator.validate(self._with_inventory(options, variables, templates))
            if checked.error_messages:
                return _failed("; ".join(checked.error_messages))
            work = self._work(checked.validated_parameters)
        except AnsibleError as error:
            return _failed(str(error))
        except CertfleetError as error:
            return failure_result(error)
        return pool.submit(carry_out, work, show_diff=False), checked

    def _end(self, name: str, begun: Pending | Result) -> Done:
        if isinstance(begun, dict):
            return named(begun, name), []
        future, checked = begun
        try:
            done = future.result()
        except Exception as error:  # noqa: BLE001 a mistake of ours that one host brings to light must not stop the others
            done = {**_failed(repr(error)), "exception": "".join(traceback.format_exception(error))}, []
        result, warnings = without_secrets(done, checked)
        return named(result, name), warnings


def _failed(problem: str) -> Result:
    return {"failed": True, "msg": f"plan: {problem}", "stage": "plan"}


def _by_text(ended: dict[str, Done]) -> dict[str, list[str]]:
    """The warnings, each with its hosts: what troubles a CA troubles a thousand of them alike."""
    found: dict[str, list[str]] = {}
    for name, (_result, warnings) in ended.items():
        for text in warnings:
            found.setdefault(text, []).append(name)
    return found


class _Hosts:
    """What a task of its own would be given on each host."""

    def __init__(
        self, task: t.Any, templar: t.Any, variables: Result, args: Result, name_of_options: str | None
    ) -> None:
        self._task = task
        self._templates = FleetTemplates(templar)
        self._hostvars = variables["hostvars"]
        # Without them Ansible would gather the names of all hosts anew for each one.
        self._play_hosts = {
            "_hosts": variables["ansible_play_hosts"],
            "_hosts_all": variables["ansible_play_hosts_all"],
        }
        self._name_of_options = name_of_options
        # Ansible has merged the defaults into the arguments already, filled in for the task's own host.
        merged = self._defaults(templar)
        self._args = {option: value for option, value in args.items() if merged.get(option) != value}

    def options(self, name: str) -> tuple[Result, HostTemplates, Result]:
        """(options, templates, variables) of one host. AnsibleError when a template of its own fails."""
        host = self._hostvars._inventory.get_host(name)
        if host is None:
            raise AnsibleError("there is no such host in the inventory")
        variables = self._hostvars._variable_manager.get_vars(
            play=self._task.play, host=host, task=self._task, **self._play_hosts
        )
        if self._task.remote_user is not None:
            # From the command line or the play, as a task's connection would tell it.
            variables.setdefault("ansible_user", self._task.remote_user)
        templates = self._templates.of(variables)
        options = {**self._defaults(templates), **self._args}
        if self._name_of_options:
            if self._name_of_options not in variables:
                raise AnsibleError(f"the variable {self._name_of_options}, which host_options names, is not defined")
            options.update(templates.template(variables[self._name_of_options]))
        return options, templates, variables

    def _defaults(self, templates: t.Any) -> Result:
        """The module_defaults for one host, from how they were written in the play and in the blocks around the task.

        The task's own come last in its list; ansible-core before 2.19 has filled those in already.
        """
        outer = self._task._parent._get_parent_attribute("module_defaults")
        outer = outer if isinstance(outer, list) else []  # or a marker, where there are none
        written: Result = {}
        for defaults in (*outer, *(self._task.module_defaults or [])[len(outer) :]):
            written.update(defaults)
        options: Result = {}
        for key in (GROUP, self._task.resolved_action):
            options.update(templates.template(written.get(key) or {}))
        return options


__all__ = ("FleetAction",)
