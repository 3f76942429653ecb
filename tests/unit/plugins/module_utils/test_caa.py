# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What CAA records permit: RFC 8659 and RFC 8657, rule by rule."""

from __future__ import annotations

import re

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._caa import Issuer, Record, objection, relevant
from hypothesis import given
from hypothesis import strategies as st

ACCOUNT = "https://ca.example/acme/acct/7"
CA = Issuer(("ca.example", "other-name.example"), ACCOUNT)


def issue(*values: str) -> list[Record]:
    return [Record(0, "issue", value) for value in values]


@pytest.mark.parametrize(
    "records",
    [
        [],
        issue("ca.example"),
        issue("CA.Example"),
        issue("other-name.example"),
        issue("  ca.example ; "),
        issue("stranger.example", "ca.example"),
        issue(";", "ca.example"),
        issue("ca.example; something=unknown"),
        issue("ca.example; validationmethods=dns-01,http-01"),
        issue("ca.example; validationmethods=HTTP-01"),
        issue(f"ca.example; accounturi={ACCOUNT}"),
        issue(f"ca.example;accounturi={ACCOUNT};validationmethods=http-01"),
        issue("ca.example; accounturi=https://ca.example/acme/acct/8", f"ca.example; accounturi={ACCOUNT}"),
        # Who issues is nobody's business where only the report address or wildcards are told.
        [Record(0, "iodef", "mailto:a@example.com")],
        [Record(0, "issuewild", ";")],
        [Record(0, "unheard-of", "x"), *issue("ca.example")],
        [Record(128, "issue", "ca.example")],
        [Record(128, "issuemail", ";"), *issue("ca.example")],
    ],
)
def test_permitted(records: list[Record]) -> None:
    assert objection(records, CA) is None


@pytest.mark.parametrize(
    ("records", "says"),
    [
        (issue(";"), "nobody"),
        (issue(""), "nobody"),
        (issue("stranger.example"), "another CA"),
        (issue("sub.ca.example"), "another CA"),
        (issue("ca.example; validationmethods=dns-01"), "http-01"),
        (issue("ca.example; validationmethods="), "http-01"),
        (issue("ca.example; accounturi=https://ca.example/acme/acct/70"), "another account"),
        (issue(f"ca.example; accounturi={ACCOUNT}; accounturi={ACCOUNT}"), "more than one account"),
        (issue("ca.example; no parameter"), "malformed"),
        (issue("ca example"), "malformed"),
        (issue("%%%%%"), "malformed"),
        ([Record(128, "unheard-of", "x"), *issue("ca.example")], "critical"),
        (issue("stranger.example", "ca.example; validationmethods=dns-01"), "another CA.*http-01"),
    ],
)
def test_refused(records: list[Record], says: str) -> None:
    refused = objection(records, CA)
    assert refused is not None
    assert refused.certain
    assert re.search(says, refused.reason)


def test_an_account_that_is_not_known_yet_may_be_the_right_one() -> None:
    unknown = Issuer(("ca.example",))
    bound = f"ca.example; accounturi={ACCOUNT}"
    found = objection(issue(bound), unknown)
    assert found is not None
    assert not found.certain
    assert objection(issue(bound, "ca.example"), unknown) is None
    elsewhere = objection(issue("stranger.example"), unknown)
    assert elsewhere is not None
    assert elsewhere.certain


def test_the_nearest_ancestor_counts_alone() -> None:
    records = {"b.example.com": issue("near.example"), "com": issue("far.example")}
    asked: list[str] = []

    def lookup(name: str) -> list[Record]:
        asked.append(name)
        return records.get(name, [])

    assert relevant("a.b.example.com", lookup) == ("b.example.com", records["b.example.com"])
    assert asked == ["a.b.example.com", "b.example.com"]
    assert relevant("c.example.com", lookup) == ("com", records["com"])
    assert relevant("c.example.org", lookup) == ("", ())


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_whatever_stands_in_a_record_is_judged(values: list[str]) -> None:
    found = objection(issue(*values), Issuer(("never-there.invalid",)))
    assert found is not None
    assert found.certain
