# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters, as templates see them."""

from __future__ import annotations

from collections import UserDict

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.certfleet.sophos_xgs.plugins.filter import query as query_file
from ansible_collections.certfleet.sophos_xgs.plugins.filter import renewal

VARIABLES = {"site": {"firewalls": [{"name": "fw1", "names": ["a", "b"]}, {"name": "fw2", "names": []}]}, "n": 1}

query = query_file.FilterModule().filters()["query"]


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("site.firewalls[].name", ["fw1", "fw2"]),
        ("site.firewalls[?name=='fw1'].names[]", ["a", "b"]),
        ("n", 1),
        ("nothing.there", None),
    ],
)
def test_query(expression: str, result: object) -> None:
    assert query(VARIABLES, expression) == result


def test_query_of_what_only_looks_like_a_dictionary() -> None:
    assert query(UserDict(VARIABLES), "site.firewalls[0].name") == "fw1"


@pytest.mark.parametrize("expression", ["site.", "[", "", "unknown(@)", "length(n)", "abs('x')"])
def test_a_bad_expression(expression: str) -> None:
    with pytest.raises(AnsibleFilterError, match="JMESPath expression") as caught:
        query(VARIABLES, expression)
    assert repr(expression) in str(caught.value)


def test_query_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_file, "jmespath", None)
    with pytest.raises(AnsibleFilterError, match="pip install jmespath"):
        query(VARIABLES, "n")


def test_the_roles_filters() -> None:
    ours = {
        "to_order",
        "to_install",
        "renewal_report",
        "fleet_report",
        "renewal_table",
        "renewal_summary",
        "renewal_news",
        "check_verdict",
    }
    assert set(renewal.FilterModule().filters()) == ours
