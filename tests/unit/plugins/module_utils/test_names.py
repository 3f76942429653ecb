# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._names import normalise_domains
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.example.com"], ("a.example.com",)),
        (["A.Example.COM."], ("a.example.com",)),
        (["b.example.com", "a.example.com", "B.example.com."], ("b.example.com", "a.example.com")),
        (["bücher.example"], ("xn--bcher-kva.example",)),
        (["BÜCHER.example", "xn--bcher-kva.example"], ("xn--bcher-kva.example",)),
        (["faß.example"], ("xn--fa-hia.example",)),
        (["例え。テスト"], ("xn--r8jz45g.xn--zckzah",)),
        (["192.0.2.1", "2001:DB8:0::1"], ("192.0.2.1", "2001:db8::1")),
        (["1.example.com"], ("1.example.com",)),
        ([f"{'a' * 63}.example.com"], (f"{'a' * 63}.example.com",)),
        ([".".join("abcdefghij")], ("a.b.c.d.e.f.g.h.i.j",)),
    ],
)
def test_accepts(names: list[str], expected: tuple[str, ...]) -> None:
    assert normalise_domains(names) == expected


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("*.example.com", "wildcard"),
        ("_x.example.com", "underscore"),
        ("https://a.example.com", "URL"),
        ("a.example.com:80", "port"),
        ("a.example.com/path", "path"),
        ("a.example.com b.example.com", "white space"),
        ("192.0.2", "IP address"),
        ("fe80::1%eth0", "IP address"),
        ("[2001:db8::1]", "IP address"),
        ("\uff11\uff19\uff12.0.2.1", "IP address"),
        ("localhost", "single label"),
        ("a..example.com", "empty label"),
        (".example.com", "empty label"),
        ("a.example.com..", "empty label"),
        ("", "empty"),
        (".", "empty"),
        (f"{'a' * 64}.example.com", "63"),
        (".".join(["a" * 60] * 5), "253"),
        (".".join("abcdefghijk"), "10 labels"),
        ("-a.example.com", "host name"),
        ("a!.example.com", "host name"),
        ("xn--a.example.com", "internationalised"),
        ("\u2603\u200d.example", "internationalised"),
    ],
)
def test_refuses_and_says_which(name: str, word: str) -> None:
    with pytest.raises(CertfleetError) as caught:
        normalise_domains(["good.example.com", name])
    assert word in caught.value.problem
    assert repr(name) in caught.value.problem
    assert caught.value.stage == "plan"
    assert caught.value.remedy


@pytest.mark.parametrize("names", [[], "a.example.com", None, [None], [7]])
def test_refuses_what_is_no_list_of_names(names: object) -> None:
    with pytest.raises(CertfleetError):
        normalise_domains(names)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("profile", "names", "says"),
    [
        ("classic", ["192.0.2.1"], "IP address"),
        ("tlsserver", ["2001:db8::1"], "IP address"),
        ("tlsserver", [f"n{number}.example.com" for number in range(26)], "26 names"),
        ("shortlived", [f"n{number}.example.com" for number in range(26)], "26 names"),
    ],
)
def test_refuses_what_the_profile_does_not_have(profile: str, names: list[str], says: str) -> None:
    with pytest.raises(CertfleetError, match=says):
        normalise_domains(names, profile)
    assert normalise_domains(names)


def test_refuses_more_than_a_hundred() -> None:
    names = [f"n{number}.example.com" for number in range(101)]
    assert len(normalise_domains(names[:100])) == 100
    with pytest.raises(CertfleetError, match="101 names"):
        normalise_domains(names)


@given(st.lists(st.text(max_size=40), max_size=4))
def test_anything_is_either_normal_or_refused(names: list[str]) -> None:
    try:
        found = normalise_domains(names)
    except CertfleetError:
        return
    assert normalise_domains(found) == found
    assert all(name.isascii() and name == name.lower() and "." in name for name in found)
