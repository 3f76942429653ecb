# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Templates, filled in for many hosts.

To compile a template takes longer than to plan for a host (measured), and most hosts of an inventory share their
templates and all that goes into them. So what names alone decide is decided without Ansible's Templar, and what the
Templar made of a template is kept for the hosts on which it would make the same.
"""

from __future__ import annotations

import re
import typing as t

import jinja2
from ansible.errors import AnsibleError
from jinja2 import nodes

START = re.compile(r"\{[{%#]|^#jinja2:")
Key = t.Tuple[t.Any, ...]
OMIT = "omit"
SCALARS = (bool, int, float)
_OMITTED = object()


class _NotSharedError(Exception):
    """Another host may get something else: by a lookup, the time, others' variables, one that is not defined."""


class FleetTemplates:
    """What is known of templates by now; of() fills them in for one host."""

    def __init__(self, templar: t.Any) -> None:
        self.templar = templar
        self.filled: dict[Key, t.Any] = {}
        self._syntax = jinja2.Environment(autoescape=True)
        self._parsed: dict[str, nodes.Node | None] = {}
        self._names: dict[nodes.Node, list[str]] = {}
        # By identity; the containers are kept, lest another one gets it.
        self._inside: dict[int, tuple[t.Any, list[str]]] = {}

    def of(self, variables: dict[str, t.Any]) -> HostTemplates:
        """For the host with these variables."""
        return HostTemplates(self, variables)

    def parsed(self, text: str) -> nodes.Node | None:
        """The one expression that a template consists of, or all of it. None: Ansible may know how to read it."""
        if text not in self._parsed:
            try:
                self._parsed[text] = _expression(self._syntax.parse(text))
            except jinja2.TemplateError:
                self._parsed[text] = None
        return self._parsed[text]

    def names(self, node: nodes.Node) -> list[str]:
        """All names in (a part of) a template but `omit`, which means the same everywhere."""
        if node not in self._names:
            self._names[node] = sorted({name.name for name in node.find_all(nodes.Name)} - {OMIT})
        return self._names[node]

    def inside(self, container: t.Any) -> list[str]:
        """The templates that a list or dictionary holds, at any depth."""
        if id(container) not in self._inside:
            self._inside[id(container)] = container, list(_templates(container))
        return self._inside[id(container)][1]


class HostTemplates:
    """Templates, filled in with the variables of one host."""

    def __init__(self, known: FleetTemplates, variables: dict[str, t.Any]) -> None:
        self._known = known
        self._variables = variables
        self._templar = known.templar.copy_with_new_env(available_variables=variables)

    def template(self, value: t.Any) -> t.Any:
        """As Ansible's Templar would, in plain types. AnsibleError when that fails; None for what is omitted."""
        try:
            filled = self._filled(value)
        except AnsibleError:
            raise
        except Exception as error:  # Before 2.19 Ansible lets through what a template raises.
            raise AnsibleError(f"a template cannot be filled in: {error!r}") from error
        return None if self._is_omitted(filled) else filled

    def _filled(self, value: t.Any) -> t.Any:
        if isinstance(value, dict):
            entries = {str(key): self._filled(each) for key, each in value.items()}
            return {key: each for key, each in entries.items() if not self._is_omitted(each)}
        if isinstance(value, list):
            return [each for each in map(self._filled, value) if not self._is_omitted(each)]
        if isinstance(value, str):
            return self._text(value) if self._is_template(value) else str(value)
        if value is None or isinstance(value, SCALARS):
            return value
        return _plain(self._templar.template(value))

    def _is_omitted(self, value: t.Any) -> bool:
        # Before ansible-core 2.19 a variable holds a mark.
        return value is _OMITTED or (OMIT in self._variables and bool(value == self._variables[OMIT]))

    def _is_template(self, text: str) -> bool:
        """Not all text with braces is one: it has to come from somebody whom Ansible trusts."""
        is_marked = hasattr(text, "__UNSAFE__")  # before ansible-core 2.19
        return START.search(text) is not None and not is_marked and self._templar.is_template(text)

    def _text(self, text: str) -> t.Any:
        expression = self._known.parsed(text)
        if expression is None:
            return self._compiled(text)
        counts = self._chosen(expression)
        if isinstance(counts, nodes.Name) and counts.name == OMIT:
            return _OMITTED
        if self._is_variable(counts):
            return self._value(counts)
        try:
            key = type(text), text, id(counts), *self._dependencies(counts, (text,))
        except _NotSharedError:
            return self._compiled(text)
        if key not in self._known.filled:
            self._known.filled[key] = self._compiled(text)
        return self._known.filled[key]

    def _compiled(self, text: str) -> t.Any:
        # In a list, because what is omitted does not show on its own.
        return _plain((self._templar.template([text]) or [_OMITTED])[0])

    def _is_variable(self, node: nodes.Node) -> t.TypeGuard[nodes.Name]:
        return isinstance(node, nodes.Name) and node.name in self._variables

    def _value(self, node: nodes.Name) -> t.Any:
        return self._filled(self._variables[node.name])

    def _chosen(self, node: nodes.Node) -> nodes.Node:
        """The part of an expression that counts, where mere variables decide which."""
        if isinstance(node, nodes.CondExpr) and node.expr2 is not None and self._is_variable(node.test):
            return self._chosen(node.expr1 if self._value(node.test) else node.expr2)
        if isinstance(node, nodes.Or) and self._is_variable(node.left):
            return node.left if self._value(node.left) else self._chosen(node.right)
        return node

    def _dependencies(self, node: nodes.Node, within: tuple[str, ...]) -> Key:
        """The values of all variables that a part of a template names, and of those that these name."""
        names = self._known.names(node)
        if not all(name in self._variables for name in names):
            raise _NotSharedError
        return tuple(self._identity(self._variables[name], within) for name in names)

    def _identity(self, value: t.Any, within: tuple[str, ...]) -> Key:
        if isinstance(value, str):
            return self._identity_of_text(value, within)
        if isinstance(value, (dict, list)):
            return id(value), *(self._identity_of_text(text, within) for text in self._known.inside(value))
        if value is None or isinstance(value, SCALARS):
            return type(value), value
        raise _NotSharedError

    def _identity_of_text(self, text: str, within: tuple[str, ...]) -> Key:
        if not self._is_template(text):
            return (str(text),)
        expression = self._known.parsed(text)
        if expression is None or text in within:
            raise _NotSharedError
        return type(text), str(text), *self._dependencies(expression, (*within, text))


def _expression(template: nodes.Template) -> nodes.Node:
    if len(template.body) != 1 or not isinstance(template.body[0], nodes.Output):
        return template
    written = template.body[0].nodes
    return written[0] if len(written) == 1 else template


def _templates(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str) and START.search(value):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _templates(each)


def _plain(value: t.Any) -> t.Any:
    """Without what Ansible has attached to it, which takes long to copy."""
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, str) else value


__all__ = ("FleetTemplates", "HostTemplates")
