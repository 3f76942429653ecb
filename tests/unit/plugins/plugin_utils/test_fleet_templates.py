# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of many hosts: each host gets what Ansible alone would have made of them there, and most are made once."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible import template as ansible_template
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.certfleet.sophos_xgs.plugins.plugin_utils._fleet_templates import FleetTemplates

TRUSTS = hasattr(ansible_template, "trust_as_template")
# What ansible-core before 2.19 has for it; later ones know it without a variable.
OMIT = {} if TRUSTS else {"omit": "__omit_place_holder__5eb6f2"}


def written(value: Any) -> Any:
    """As read from an inventory: whose templates Ansible trusts."""
    if isinstance(value, dict):
        return {key: written(each) for key, each in value.items()}
    if isinstance(value, list):
        return [written(each) for each in value]
    return ansible_template.trust_as_template(value) if TRUSTS and isinstance(value, str) else value


class Counting:
    """Ansible's own, and how often it was asked."""

    def __init__(self, templar: Templar, asked: list[Any]) -> None:
        self._templar = templar
        self._asked = asked

    def copy_with_new_env(self, **options: Any) -> Counting:
        return Counting(self._templar.copy_with_new_env(**options), self._asked)

    def is_template(self, text: Any) -> bool:
        return bool(self._templar.is_template(text))

    def template(self, value: Any) -> Any:
        self._asked.append(value)
        return self._templar.template(value)


@pytest.fixture
def asked() -> list[Any]:
    return []


@pytest.fixture
def fleet(asked: list[Any]) -> FleetTemplates:
    return FleetTemplates(Counting(Templar(loader=DataLoader()), asked))


GROUP = written(
    {
        **OMIT,
        "directory": "{{ staging_directory if dry_run | bool else production }}",
        "staging_directory": "https://staging.example",
        "production": "https://{{ ca }}.example",
        "ca": "ca",
        "dry_run": False,
        "empty": "",
        "nothing": None,
        "number": 12,
        "yes": True,
        "zone": "example.com",
        "nested": {"names": ["www.{{ zone }}", "plain"], "zone": "{{ zone }}"},
        "of_host": {"fw1": ["one.{{ zone }}"], "fw2": ["two.{{ zone }}"]},
        "loop": "{{ [1, 2] | map('string') | list }}",
        "itself": "{{ itself }}",
    }
)
HOSTS = {
    "fw1": {"inventory_hostname": "fw1", "own": ["a.example.com"]},
    "fw2": {"inventory_hostname": "fw2", "own": ["b.example.com"], "zone": "example.net"},
    "fw3": {"inventory_hostname": "fw3", "own": [], "dry_run": "yes", "number": True, "yes": 1},
}


def variables(host: str, **more: Any) -> dict[str, Any]:
    return {**GROUP, **written({**HOSTS[host], **more})}


@pytest.mark.parametrize(
    "text",
    [
        "no template",
        "{{ own }}",
        "{{ directory }}",
        "{{directory}}",
        " {{ directory }}",
        "{{ directory }}/{{ inventory_hostname }}",
        "{{ own if yes else nested }}",
        "{{ own if dry_run else nested }}",
        "{{ ca | upper if dry_run else ca | title }}",
        "{{ number + 1 if dry_run else number + 2 }}",
        "{{ empty or own or number }}",
        "{{ empty or nothing or zone }}",
        "{{ number * 2 }}",
        "{{ number | string }}",
        "{{ nested }}",
        "{{ nested.names + own }}",
        "{{ of_host[inventory_hostname] | default([]) }}",
        "{{ of_host | length }}",
        "{{ of_host | dict2items | map(attribute='value') | flatten }}",
        "{{ not_there | default('none') }}",
        "{{ loop | length }}",
        "{% if dry_run %}a{% else %}b{% endif %}",
        "{% for name in own %}{{ name }} {% endfor %}",
        "{{ zone }}{# and a remark #}",
        "{{ (number | string) ~ zone }}",
    ],
)
@pytest.mark.parametrize("order", list(itertools.permutations(HOSTS)), ids="-".join)
def test_each_host_gets_what_ansible_would_make_of_it(fleet: FleetTemplates, text: str, order: tuple[str, ...]) -> None:
    for host in order:
        value = written({"option": text, "list": [text, {"inner": text}]})
        expected = Templar(loader=DataLoader(), variables=variables(host)).template(value)
        found = fleet.of(variables(host)).template(value)
        assert found == expected
        assert repr(found) == repr(expected), "True is not 1"


def test_what_is_the_same_on_all_hosts_is_made_once(fleet: FleetTemplates, asked: list[Any]) -> None:
    text = written("{{ directory | upper }}/{{ nested.names | join(' ') }}")
    made = [fleet.of(variables(host)).template(text) for host in ("fw1", "fw1", "fw2", "fw1", "fw2")]
    first, second = "HTTPS://CA.EXAMPLE/www.example.com plain", "HTTPS://CA.EXAMPLE/www.example.net plain"
    assert made == [first, first, second, first, second]
    assert len(asked) == 2, "the zone differs"


def test_what_names_alone_decide_is_not_compiled(fleet: FleetTemplates, asked: list[Any]) -> None:
    text = written("{{ own if yes else hostvars[inventory_hostname].own }}")
    assert fleet.of(variables("fw1", hostvars={})).template(text) == ["a.example.com"]
    assert not asked


@pytest.mark.parametrize("text", ["{{ lookup('pipe', 'echo $$; date +%N') }}", "{{ now() }}", "{{ hostvars['x'].y }}"])
def test_what_may_differ_without_any_variable_is_made_for_each_host(
    fleet: FleetTemplates, asked: list[Any], text: str
) -> None:
    # No plain dictionary: Ansible's looks up the variables of other hosts.
    others = type("HostVars", (), {"__getitem__": lambda self, name: {"y": name}})()
    for _ in range(3):
        fleet.of(variables("fw1", hostvars=others)).template(written(text))
    assert len(asked) == 3


def test_what_is_omitted_is_not_there(fleet: FleetTemplates) -> None:
    known = fleet.of(variables("fw1"))
    found = known.template(written({"a": "{{ empty or omit }}", "b": ["{{ omit }}", "x"], "c": {"d": "{{ omit }}"}}))
    assert found == {"b": ["x"], "c": {}}


def test_text_that_ansible_does_not_trust_stays_as_it_is(fleet: FleetTemplates) -> None:
    """What a firewall calls itself must not be carried out."""
    # Before 2.19 it marked what it does not trust, now what it does.
    told = "{{ 6 * 7 }}" if TRUSTS else wrap_var("{{ 6 * 7 }}")
    known = fleet.of({**variables("fw1"), "told": told, "also": {"told": told}})
    assert known.template(written({"a": "{{ told }}", "b": "{{ also }}", "c": "<{{ told }}>"})) == {
        "a": told,
        "b": {"told": told},
        "c": f"<{told}>",
    }
    trusted = fleet.of({**variables("fw1"), "told": written("{{ 6 * 7 }}")})
    assert trusted.template(written("<{{ told }}>")) == "<42>"
    assert known.template(written("<{{ told }}>")) == f"<{told}>"


@pytest.mark.parametrize("text", ["{{ nowhere }}", "{{ itself }}", "{{ itself | upper }}", "{{ a b }}", "{{ 1 / 0 }}"])
def test_a_template_that_fails(fleet: FleetTemplates, text: str) -> None:
    with pytest.raises(AnsibleError):
        fleet.of(variables("fw1")).template(written({"option": text}))
