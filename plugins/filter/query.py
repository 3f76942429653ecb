# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

try:
    import jmespath
    from jmespath.functions import Functions
except ImportError:
    jmespath, Functions = None, object


class _Functions(Functions):
    """JMESPath's own, which look at the very type of what they are given: to them Ansible's strings are none."""

    def call_function(self, function_name: str, resolved_args: list[t.Any]) -> t.Any:
        return super().call_function(function_name, [_plain(argument) for argument in resolved_args])


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value) if isinstance(value, int) else float(value)
    return value


def query(variables: t.Mapping[str, t.Any], expression: str) -> t.Any:
    """The result of a JMESPath expression over variables. AnsibleFilterError when it fails, or jmespath is missing."""
    if jmespath is None:
        raise AnsibleFilterError("jmespath is needed: pip install jmespath")
    try:
        options = jmespath.Options(custom_functions=_Functions())
        return jmespath.search(expression, {key: variables[key] for key in variables}, options)
    except jmespath.exceptions.JMESPathError as error:
        raise AnsibleFilterError(f"the JMESPath expression {expression!r} fails: {error}") from error


class FilterModule:
    """JMESPath over a host's variables."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the names that templates call them."""
        return {"query": query}
