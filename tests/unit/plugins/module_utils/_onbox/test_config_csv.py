# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever people made of config.csv: what comes over, and that nothing gets lost without a word."""

from __future__ import annotations

import itertools
import re

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._names import normalise_domains
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._onbox.config_csv import Config, read_config
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.certificates import check_name
from hypothesis import example, given
from hypothesis import strategies as st

OWA = ("OWA", ["owa.example.com", "exchange.example.com"])


def taken_over(config: Config) -> list[tuple[str, list[str]]]:
    return [(each.name, each.domains) for each in config.certificates]


def remarks(config: Config) -> list[str]:
    return [f"{each.line}: {each.what}: {each.why}" for each in config.remarks]


@pytest.mark.parametrize(
    "data",
    [
        b"OWA;owa.example.com,exchange.example.com",
        b"OWA;owa.example.com,exchange.example.com\n",
        b"OWA;owa.example.com,exchange.example.com\r\n\r\n",
        b"\r\rOWA;owa.example.com,exchange.example.com\r",
        b"\xef\xbb\xbfOWA;owa.example.com,exchange.example.com\r\n",
        b"  OWA ;\towa.example.com , exchange.example.com ,\n   \n",
        b"OWA;owa.example.com;exchange.example.com;;;\n;;;;\n",
        b"OWA,owa.example.com,exchange.example.com,,\n,,,\n",
        b'"OWA";"owa.example.com,exchange.example.com"\n',
        b'"OWA;owa.example.com,exchange.example.com"\n',
        b'"OWA;owa.example.com","exchange.example.com"\n',
        b"OWA;Owa.Example.COM.,exchange.example.com\n",
        b"OWA;owa.example.com exchange.example.com\n",
        "OWA;owa.example.com,exchange.example.com\r\n".encode("utf-16"),
        b"\xfe\xff" + "OWA;owa.example.com,exchange.example.com\r\n".encode("utf-16-be"),
        "\u201cOWA\u201d;\u00a0owa.example.com,exchange.example.com\n".encode(),
    ],
)
def test_one_certificate_however_it_is_written(data: bytes) -> None:
    config = read_config(data)
    assert taken_over(config) == [OWA]
    assert not config.remarks


@pytest.mark.parametrize("data", [b"", b"\n", b" \t \r\n", b"\xef\xbb\xbf", b"\xff\xfe", b';;\n,,\n""\n'])
def test_nothing_is_in_it(data: bytes) -> None:
    assert read_config(data) == ([], [])


@pytest.mark.parametrize(
    ("line", "certificates", "says"),
    [
        # names that are missing, or that the firewall would not take with a version
        (";a.example.com", [("a.example.com", ["a.example.com"])], "The line has no name"),
        ("a.example.com", [("a.example.com", ["a.example.com"])], "The line has no name"),
        ("a.example.com;;", [("a.example.com", ["a.example.com"])], "The line has no name"),
        ("a.example.com,b.example.com", [("a.example.com", ["a.example.com", "b.example.com"])], "no name"),
        ("My web mail;a.example.com", [("My-web-mail", ["a.example.com"])], "list its consumers"),
        ("Zürich (neu);a.example.com", [("Zurich-neu", ["a.example.com"])], "'Zürich (neu)' is named 'Zurich-neu'"),
        ("/-..;a.example.com", [("a.example.com", ["a.example.com"])], "'/-..' is named 'a.example.com'"),
        ("例え;a.example.com", [("a.example.com", ["a.example.com"])], "is named 'a.example.com'"),
        (f"{'x' * 40};a.example.com", [("x" * 32, ["a.example.com"])], f"is named '{'x' * 32}'"),
        ("OWA-20270219-1a2b3c4d;a.example.com", [("OWA", ["a.example.com"])], "is named 'OWA'"),
        (";::", [("certificate", ["::"])], "is named 'certificate'"),
        ("a.example.com;b.example.com", [("a.example.com", ["b.example.com"])], "not for one of its domains"),
        # domains
        ("N;bücher.example", [("N", ["xn--bcher-kva.example"])], "'bücher.example' becomes 'xn--bcher-kva.example'"),
        ("N;a.example.com,A.EXAMPLE.com", [("N", ["a.example.com"])], "The line has it already"),
        ("N;*.example.com,a.example.com", [("N", ["a.example.com"])], "wildcard"),
        ("N;https://a.example.com/,b.example.com", [("N", ["b.example.com"])], "is a URL"),
        ("N;a_b.example.com", [], "the certificate 'N' is left out: It has no domain"),
        ("N;", [], "the certificate 'N' is left out: It has no domain"),
        ("certificateName;domains", [], "'domains' is left out"),
        (f"N;{','.join(f'n{i}.example.com' for i in range(101))}", [], "more than the 100 domains"),
        # comments
        ("# portal;portal.example.com", [], "'portal;portal.example.com' is left out: It is a comment"),
        ("N;a.example.com # main", [("N", ["a.example.com"])], "'main' is left out: It is a comment"),
    ],
)
def test_what_does_not_come_over_as_it_stands_is_told(
    line: str, certificates: list[tuple[str, list[str]]], says: str
) -> None:
    config = read_config(f"first;first.example.com\n{line}\n".encode())
    assert taken_over(config) == [("first", ["first.example.com"]), *certificates]
    assert says in "\n".join(remarks(config))
    assert {remark.line for remark in config.remarks} == {2}


def test_what_is_not_utf8_is_taken_for_latin1() -> None:
    config = read_config("N;bücher.example\n".encode("latin-1"))
    assert taken_over(config) == [("N", ["xn--bcher-kva.example"])]
    assert "It is not UTF-8" in remarks(config)[0]


def test_a_certificate_that_is_there_twice_has_the_domains_of_both() -> None:
    config = read_config(b"OWA;a.example.com\nvpn;v.example.com\nOWA;b.example.com,a.example.com\nvpn;v.example.com\n")
    assert taken_over(config) == [("OWA", ["a.example.com", "b.example.com"]), ("vpn", ["v.example.com"])]
    assert remarks(config) == [
        "3: the certificate 'OWA' gives 'b.example.com' to that of line 1: Both are the same certificate.",
        "4: the certificate 'vpn' gives nothing to that of line 2: Both are the same certificate.",
    ]


def test_two_that_would_be_too_large_together_are_not_made_one() -> None:
    many = [",".join(f"{letter}{i}.example.com" for i in range(60)) for letter in "ab"]
    config = read_config(f"N;{many[0]}\nN;{many[1]}\n".encode())
    assert [len(each.domains) for each in config.certificates] == [60]
    assert [remark.line for remark in config.remarks] == [2]


def test_a_domain_of_two_certificates_stays_in_both() -> None:
    config = read_config(b"A;a.example.com,x.example.com\nB;a.example.com\n")
    assert taken_over(config) == [("A", ["a.example.com", "x.example.com"]), ("B", ["a.example.com"])]
    assert remarks(config) == ["2: 'a.example.com' stays in 'B': 'A' of line 1 has it too; both will be ordered."]


def test_names_that_are_made_leave_given_ones_alone() -> None:
    config = read_config(b"my web;a.example.com\nMy-Web;b.example.com\nmy?web;c.example.com\n")
    assert [each.name for each in config.certificates] == ["my-web-2", "My-Web", "my-web-3"]


HOST = st.from_regex(r"[a-z]{1,8}(\.[a-z]{2,8}){1,2}", fullmatch=True)
# Fit, and no host names, so that each stands for a name alone.
NAME = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,8}", fullmatch=True)
TEXT = st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from(";,#\"' .*-a1\r\n\t\ufeff"), max_size=60)


@given(
    st.dictionaries(NAME, st.lists(HOST, min_size=1, max_size=4, unique=True), max_size=5),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_proper_file_comes_over_as_it_is(certificates: dict[str, list[str]], end: str) -> None:
    text = "".join(f"{name};{','.join(domains)}{end}" for name, domains in certificates.items())
    config = read_config(text.encode())
    assert taken_over(config) == list(certificates.items())
    # Domains may well be in several.
    assert all("stays in" in remark.what for remark in config.remarks)


@given(st.binary(max_size=200) | TEXT.map(str.encode) | st.lists(TEXT).map("\n".join).map(str.encode))
@example(b"\xef\xbb\xbf;\x00.example.com")
@example("a;\ufeffa.example.com".encode())
def test_whatever_it_is_nothing_is_lost_without_a_word(data: bytes) -> None:
    config = read_config(data)
    told = {each.line for each in config.certificates} | {each.line for each in config.remarks}
    for number, line in enumerate(data.splitlines(), 1):
        assert number in told or not re.search(rb"[A-Za-z0-9]", line) or data.startswith((b"\xff\xfe", b"\xfe\xff"))
    # They are printed to terminals, and into the comments of a file.
    assert all(text.isprintable() for text in remarks(config))
    names = [each.name for each in config.certificates]
    assert len(set(names)) == len(names)
    for each in config.certificates:
        check_name(each.name)
        assert list(normalise_domains(each.domains)) == each.domains


@given(st.lists(st.tuples(HOST, st.sampled_from(";, \t")), min_size=1, max_size=6))
def test_every_domain_is_in_a_certificate_or_in_a_remark(fields: list[tuple[str, str]]) -> None:
    config = read_config("".join(itertools.chain.from_iterable(fields)).encode())
    kept = {domain for each in config.certificates for domain in each.domains}
    told = " ".join(remarks(config))
    for domain, _separator in fields:
        assert domain in kept or re.search(rf"(?<![\w.]){re.escape(domain)}(?![\w.])", told)
