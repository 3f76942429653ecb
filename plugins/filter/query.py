# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

try:
    import jmespath
except ImportError:
    jmespath = None


def query(variables: t.Mapping[str, t.Any], expression: str) -> t.Any:
    """The result of a JMESPath expression over variables. AnsibleFilterError when it fails, or jmespath is missing."""
    if jmespath is None:
        raise AnsibleFilterError("jmespath is needed: pip install jmespath")
    try:
        return jmespath.search(expression, {key: variables[key] for key in variables})
    except jmespath.exceptions.JMESPathError as error:
        raise AnsibleFilterError(f"the JMESPath expression {expression!r} fails: {error}") from error


class FilterModule:
    """JMESPath over a host's variables."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the names that templates call them."""
        return {"query": query}
