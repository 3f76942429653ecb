# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The config.csv of the shell tool that ran on the firewall, as certificates of the inventory.

A line is NAME;DOMAIN,DOMAIN,… and NAME that of the certificate in the web console (public tools). The tool's variants
differ in what else they put up with, and people edit such files with spreadsheets. So this reads what can be read, and
has a remark for everything that did not come over as it stands: what a remark does not tell is not lost.
"""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import re
import typing as t
import unicodedata

from .._errors import CertfleetError
from .._names import MAX_NAMES, normalise_domains
from .._xgs.certificates import base_name, check_name

_BYTE_ORDER = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# A spreadsheet that takes the comma for its separator puts the whole line into quotes, so they enclose nothing.
_QUOTES = dict.fromkeys(map(ord, "\"'`\u2018\u2019\u201a\u201c\u201d\u201e"))
_COMMENT = re.compile(r"(?:^|\s)#")
_SEPARATOR = re.compile(r"[;,]")
_SEPARATORS = re.compile(r"[;,\s]+")
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
# What check_name() allows.
_LONGEST = 32


@dataclasses.dataclass(frozen=True)
class Remark:
    """What became of a part of a line (counted from 1), and why."""

    line: int
    what: str
    why: str


@dataclasses.dataclass
class Certificate:
    """One certificate as the inventory has it; `written` is its name in the file, "" where there is none."""

    line: int
    written: str
    domains: list[str]
    name: str = ""

    @property
    def shown(self) -> str:
        """For a remark about it."""
        return f"the certificate {self.written!r}" if self.written else "the certificate"


class Config(t.NamedTuple):
    """What is in a config.csv, and what did not come over as it stands."""

    certificates: list[Certificate]
    remarks: list[Remark]


def read_config(data: bytes) -> Config:
    """The certificates of the file, in its order, and the remarks, by line. Reads anything; raises nothing."""
    reader = _Reader()
    found = [reader.certificate(number, text) for number, text in reader.lines(data)]
    certificates = reader.merged([each for each in found if each])
    reader.give_names(certificates)
    reader.tell_shared_domains(certificates)
    return Config(certificates, sorted(reader.remarks, key=lambda remark: remark.line))


class _Reader:
    """The steps of read_config(), which all have something to remark."""

    def __init__(self) -> None:
        self.remarks: list[Remark] = []

    def remark(self, line: int, what: str, why: str) -> None:
        self.remarks.append(Remark(line, what, why))

    def lines(self, data: bytes) -> t.Iterator[tuple[int, str]]:
        for mark, encoding in _BYTE_ORDER:
            if data.startswith(mark):
                data = data[len(mark) :].decode(encoding, "replace").encode()
                break
        for number, line in enumerate(data.splitlines(), 1):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text = line.decode("latin-1")
                self.remark(number, f"read as {text!r}", "It is not UTF-8, and was taken for Latin-1.")
            yield number, text

    def certificate(self, number: int, text: str) -> Certificate | None:
        """What a line is about; None where it is about nothing, or nothing is left of it."""
        text, *comment = _COMMENT.split(text, maxsplit=1)
        if comment:
            self.remark(number, f"{comment[0].strip()!r} is left out", "It is a comment.")
        name, written = _fields(text)
        found = Certificate(number, name, self._domains(number, written))
        if not found.domains:
            if name or written:
                self.remark(number, f"{found.shown} is left out", "It has no domain that could be certified.")
            return None
        if len(found.domains) > MAX_NAMES:
            self.remark(
                number, f"{found.shown} is left out", f"It has more than the {MAX_NAMES} domains that CAs take."
            )
            return None
        self._doubt(found)
        return found

    def _domains(self, number: int, written: t.Iterable[str]) -> list[str]:
        domains: list[str] = []
        for each in written:
            try:
                (domain,) = normalise_domains([each])
            except CertfleetError as error:
                self.remark(
                    number, f"{each!r} is left out", f"{error.problem[0].upper()}{error.problem[1:]}. {error.remedy}"
                )
                continue
            if domain in domains:
                self.remark(number, f"{each!r} is left out", "The line has it already.")
                continue
            if domain != each.lower().rstrip("."):
                self.remark(number, f"{each!r} becomes {domain!r}", "That is the form in which certificates have it.")
            domains.append(domain)
        return domains

    def _doubt(self, found: Certificate) -> None:
        """Whether what stands first is meant as a name. The old tool took it for one."""
        if _is_host(found.written) and found.written.lower().rstrip(".") not in found.domains:
            self.remark(
                found.line,
                f"{found.written!r} is taken for the certificate's name, and not for one of its domains",
                "That is what the first field means. If it is meant to be certified too, add it to the domains.",
            )

    def merged(self, found: list[Certificate]) -> list[Certificate]:
        """The tool wrote certificates of one name over each other; what visitors need is one with all their domains."""
        kept: dict[t.Any, Certificate] = {}
        for each in found:
            first = kept.setdefault(each.written or frozenset(each.domains), each)
            if first is each:
                continue
            added = [domain for domain in each.domains if domain not in first.domains]
            if len(first.domains) + len(added) > MAX_NAMES:
                self.remark(
                    each.line,
                    f"{each.shown} is left out",
                    f"Line {first.line} has it too, and together they have more than the {MAX_NAMES} domains allowed.",
                )
                continue
            first.domains += added
            self.remark(
                each.line,
                f"{each.shown} gives {', '.join(map(repr, added)) or 'nothing'} to that of line {first.line}",
                "Both are the same certificate.",
            )
        return list(kept.values())

    def give_names(self, certificates: list[Certificate]) -> None:
        """Names that are fit stay, so they are known before any is made."""
        unnamed = []
        for each in certificates:
            if _is_fit(each.written):
                each.name = each.written
            else:
                unnamed.append(each)
        taken = {each.name.lower() for each in certificates}
        for each in unnamed:
            each.name = _free(_fitted(each.written) or _fitted(each.domains[0]) or "certificate", taken)
            taken.add(each.name.lower())
            why = (
                "On the firewall that cannot name a certificate with versions. What uses the old one is not found by"
                " the new name, so list its consumers."
                if each.written
                else "The line has no name."
            )
            self.remark(each.line, f"{each.shown} is named {each.name!r}", why)

    def tell_shared_domains(self, certificates: list[Certificate]) -> None:
        owners: dict[str, Certificate] = {}
        for each in certificates:
            for domain in each.domains:
                owner = owners.setdefault(domain, each)
                if owner is not each:
                    self.remark(
                        each.line,
                        f"{domain!r} stays in {each.name!r}",
                        f"{owner.name!r} of line {owner.line} has it too; both will be ordered.",
                    )


def _fields(text: str) -> tuple[str, list[str]]:
    """The name as it is written, "" where there is none; and the domains."""
    # Spreadsheets make all lines equally long, with separators at the end.
    text = text.translate(_QUOTES).strip().rstrip("; ,\t")
    found = _SEPARATOR.search(text)
    head, rest = (text[: found.start()].strip(), text[found.end() :]) if found else (text, "")
    hosts = head.split()
    # One word before a semicolon is the name, whatever it looks like. Otherwise what can be a domain is one.
    named = found is not None and found[0] == ";" and len(hosts) <= 1
    if not named and all(map(_is_host, hosts)):
        head, rest = "", text
    return head, [part for part in _SEPARATORS.split(rest) if part]


def _is_host(text: str) -> bool:
    try:
        normalise_domains([text])
    except CertfleetError:
        return False
    return True


def _is_fit(name: str) -> bool:
    try:
        check_name(name)
    except CertfleetError:
        return False
    return True


def _fitted(text: str) -> str:
    """Something that resembles the text and is fit for a name, or nothing."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    plain = _UNFIT.sub("-", plain).lstrip(".-")[:_LONGEST].rstrip(".-")
    while plain and not _is_fit(plain):
        plain = base_name(plain)
    return plain


def _free(name: str, taken: t.Container[str]) -> str:
    """The name, or one that resembles it and is not taken. Upper and lower case could be one to the firewall."""
    suffixes = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (name[: _LONGEST - len(suffix)] + suffix for suffix in suffixes)
    return next(each for each in names if each.lower() not in taken)


__all__ = ("Certificate", "Config", "Remark", "read_config")
