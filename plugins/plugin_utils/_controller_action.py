# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The action plugin behind every module: the module's own run(), inside the controller.

So a play says `hosts: xgs` and nothing about connections; a task costs a tenth of a module's; private keys enter no
temporary file; and no connection plugin can call the firewall unreachable, which would skip `rescue` and `always`.
Only `delegate_to` another host runs the real module there.
"""

from __future__ import annotations

import contextlib
import functools
import types
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils._errors import CertfleetError
from ..module_utils._runner import Arguments, Outcome, failure_result, missing_libraries
from ._telling import telling

LOCAL = ("localhost", "127.0.0.1", "::1")
# Values of an option `method`.
BY_SSH = ("ssh", "iptables")
PROGRESS = "xgs_letsencrypt_progress"
# Inventory variables for an option, the most particular first: ours, then those of the vendor's collection.
INVENTORY = {
    "host": ("xgs_host", "ansible_host", "inventory_hostname"),
    "port": ("xgs_port", "ansible_httpapi_port"),
    "username": ("xgs_username", "ansible_user"),
    "password": ("xgs_password", "ansible_password", "ansible_httpapi_password"),
    "validate_certs": ("xgs_validate_certs", "ansible_httpapi_validate_certs"),
    "ca_path": ("xgs_ca_path", "ansible_httpapi_ca_path"),
    "fingerprint": ("xgs_fingerprint",),
    "tls_server_name": ("xgs_tls_server_name",),
    "connect_timeout": ("xgs_connect_timeout",),
    "timeout": ("xgs_timeout",),
    "check_rights": ("xgs_check_rights",),
}
# The same for SSH. The API's account is another one, so nothing of it is tried there.
SSH_INVENTORY = {
    "host": ("xgs_ssh_host", "xgs_host", "ansible_host", "inventory_hostname"),
    "port": ("xgs_ssh_port",),
    "username": ("xgs_ssh_username",),
    "password": ("xgs_ssh_password",),
    "private_key_path": ("xgs_ssh_private_key_path",),
    "private_key_content": ("xgs_ssh_private_key_content",),
    "passphrase": ("xgs_ssh_passphrase",),
    "known_hosts": ("xgs_ssh_known_hosts",),
    "fingerprint": ("xgs_ssh_fingerprint",),
    "timeout": ("xgs_ssh_timeout",),
}


class ControllerAction(ActionBase):
    """Subclasses name their module. What its run() raises becomes a failed result, see failure_result()."""

    module_file: types.ModuleType

    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Ansible's entry: the result of the task."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        result.update(self._perform(dict(self._task.args), task_vars or {}))
        return result

    def _perform(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        args = self._with_inventory(args, variables, self._templar)
        result = self._run_elsewhere(args, variables) if self._is_delegated() else self._run_here(args, variables)
        return named(result, variables.get("inventory_hostname", ""))

    def _is_delegated(self) -> bool:
        return bool(self._task.delegate_to) and self._task.delegate_to not in LOCAL

    def _run_elsewhere(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        module = f"certfleet.sophos_xgs.{self.module_file.__name__.rpartition('.')[2]}"
        result: dict[str, t.Any] = self._execute_module(module_name=module, module_args=args, task_vars=variables)
        return result

    def _run_here(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments: Arguments = self.module_file.ARGUMENTS
        missing = missing_libraries(arguments)
        if missing:
            return missing
        checked = ArgumentSpecValidator(arguments.spec, **arguments.rules()).validate(args)
        if checked.error_messages:
            return refused(checked)
        work = functools.partial(self.module_file.run, checked.validated_parameters, self._task.check_mode)
        with self._progress(variables, checked):
            done = carry_out(work, show_diff=self._task.diff)
        result, warnings = without_secrets(done, checked)
        for text in warnings:
            # Of many firewalls Ansible does not say which one a warning is about.
            self._display.warning(f"{variables.get('inventory_hostname', '')}: {text}")
        return result

    def _progress(self, variables: dict[str, t.Any], checked: ValidationResult) -> t.ContextManager[None]:
        """On stderr, since there are those who read stdout by machine."""
        firewall = variables.get("inventory_hostname", "")
        if self._task.no_log or not boolean(self._templar.template(variables.get(PROGRESS, True)), strict=False):
            return contextlib.nullcontext()

        def show(line: str) -> None:
            self._display.display(str(remove_values(line, checked._no_log_values)), stderr=True)

        return telling(firewall, show)

    def _with_inventory(self, args: dict[str, t.Any], variables: dict[str, t.Any], templar: t.Any) -> dict[str, t.Any]:
        """Fill in the connection options that the task leaves out."""
        arguments: Arguments = self.module_file.ARGUMENTS
        ssh = arguments.ssh
        if ssh and isinstance(args.get(ssh) or {}, dict) and _goes_by_ssh(arguments, args):
            args[ssh] = _filled(args.get(ssh) or {}, SSH_INVENTORY, variables, templar)
        place = arguments.connection
        if place is None or (place and not isinstance(args.get(place), dict)):
            return args
        options = _filled(args[place] if place else args, INVENTORY, variables, templar)
        return {**args, place: options} if place else options


def _goes_by_ssh(arguments: Arguments, args: dict[str, t.Any]) -> bool:
    """Where a task goes by the API it is given no password for SSH: Ansible masks the letters of each secret of a task
    wherever they stand in its result, be it in the name of a certificate.
    """
    place = arguments.connection
    spec = arguments.spec[place]["options"] if place else arguments.spec
    options = args.get(place) if place else args
    return "method" not in spec or (isinstance(options, dict) and options.get("method") in BY_SSH)


def _filled(
    given: dict[str, t.Any], table: dict[str, tuple[str, ...]], variables: dict[str, t.Any], templar: t.Any
) -> dict[str, t.Any]:
    options = dict(given)
    for option, names in table.items():
        name = next((name for name in names if name in variables), None)
        if name and options.get(option) is None:
            options[option] = templar.template(variables[name])
    return options


Done = t.Tuple[t.Dict[str, t.Any], t.List[str]]


def carry_out(work: t.Callable[[], Outcome], *, show_diff: bool) -> Done:
    """The result of run(), or its failure; and the warnings."""
    try:
        outcome = work()
    except CertfleetError as error:
        return failure_result(error), []
    return outcome.as_result(show_diff=show_diff), outcome.warnings


def without_secrets(done: Done, checked: ValidationResult) -> Done:
    """As Ansible masks a module's result: what the options with no_log hold is nowhere in it."""
    result, warnings = done
    return remove_values(result, checked._no_log_values), [
        remove_values(each, checked._no_log_values) for each in warnings
    ]


def refused(checked: ValidationResult) -> dict[str, t.Any]:
    """The failed result for options that the argument specification does not allow."""
    return {"failed": True, "msg": "; ".join(checked.error_messages)}


def named(result: dict[str, t.Any], firewall: str) -> dict[str, t.Any]:
    """The library knows an address; the user knows the name in the inventory."""
    if result.get("failed") and "stage" in result and "firewall" not in result:
        return {**result, "firewall": firewall, "msg": f"{firewall}: {result['msg']}"}
    return result


__all__ = ("ControllerAction", "Done", "carry_out", "named", "refused", "without_secrets")
