# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The names of a certificate: checked and brought into one form before anything is asked of a CA."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ._errors import CertfleetError
from ._libraries import idna

MAX_NAMES = 100
# Of the profiles that Let's Encrypt has, and others after it: how many names, and whether they may be IP addresses.
PROFILES = {"classic": (MAX_NAMES, False), "tlsserver": (25, False), "shortlived": (25, True)}
# Let's Encrypt's own limit; the others are those of the DNS (RFC 1035 §2.3.4).
MAX_LABELS = 10
MAX_LABEL = 63
MAX_NAME = 253

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def is_address(text: str, version: int = 0) -> bool:
    """Whether it is an IP address. version: 4 or 6; 0 for either."""
    try:
        return version in (0, ipaddress.ip_address(text).version)
    except ValueError:
        return False


def _looks_like_address(name: str) -> bool:
    # No top-level domain is a number, and resolvers read such names as IPv4 addresses.
    return is_address(name.strip("[]").partition("%")[0]) or name.rpartition(".")[2].isdigit()


# Tried in this order on the name as written: (what is wrong?, problem, remedy).
_AS_WRITTEN: tuple[tuple[t.Callable[[str], bool], str, str], ...] = (
    (lambda name: not name, "is empty", "Remove it from the list."),
    (lambda name: "://" in name, "is a URL", "Give the host name only, without the scheme."),
    (lambda name: any(c.isspace() for c in name), "contains white space", "Give each name as an item of its own."),
    (
        lambda name: "*" in name,
        "is a wildcard",
        "HTTP-01 cannot validate wildcards (RFC 8555 section 7.1.3, CA/B baseline requirements): list each name.",
    ),
    (
        _looks_like_address,
        "is no proper IP address",
        "Write IPv4 as 192.0.2.1 and IPv6 as 2001:db8::1, without brackets, zone or port.",
    ),
    (lambda name: "/" in name, "contains a path", "Give the host name only, without a path."),
    (lambda name: ":" in name, "contains a port", "Give the host name only: the CA always connects to port 80."),
    (lambda name: "_" in name, "contains an underscore", "Public CAs refuse underscores: use another name."),
)

# The same for the name in its final form, where the limits apply.
_FINAL: tuple[tuple[t.Callable[[str], bool], str, str], ...] = (
    (lambda name: "" in name.split("."), "has an empty label", "Remove the superfluous dot."),
    (lambda name: "." not in name, "is a single label", "Give the fully qualified name."),
    (_looks_like_address, "is an IP address in foreign digits", "Write it in the digits 0 to 9."),
    (lambda name: len(name) > MAX_NAME, f"is longer than {MAX_NAME} characters", "Use a shorter name."),
    (
        lambda name: max(map(len, name.split("."))) > MAX_LABEL,
        f"has a label of more than {MAX_LABEL} characters",
        "Use a shorter name.",
    ),
    (lambda name: name.count(".") >= MAX_LABELS, f"has more than {MAX_LABELS} labels", "Use a shorter name."),
    (
        lambda name: not all(map(_LABEL.fullmatch, name.split("."))),
        "is not a host name",
        "Use letters, digits and inner hyphens only.",
    ),
)


def _refuse(shown: t.Any, problem: str, remedy: str) -> CertfleetError:
    return CertfleetError(f"the name {shown!r} {problem}", remedy=remedy, stage="plan")


def _to_ascii(name: str, shown: str) -> str:
    """A-labels of a name (UTS 46 mapping, then IDNA 2008); ASCII without A-labels passes as it is, in lower case."""
    if name.isascii() and "xn--" not in name.lower():
        return name.lower()
    try:
        return idna.encode(name, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise _refuse(shown, f"is not a valid internationalised name ({error})", "Check its spelling.") from error


def _normalise(name: t.Any) -> str:
    if not isinstance(name, str):
        raise _refuse(name, "is not text", "Put it in quotes.")
    if is_address(name) and "%" not in name:
        return str(ipaddress.ip_address(name))
    text = name[:-1] if name.endswith(".") else name
    for wrong, problem, remedy in _AS_WRITTEN:
        if wrong(text):
            raise _refuse(name, problem, remedy)
    # Limits first where no mapping is needed: idna reports them in words of its own.
    final = text.lower() if text.isascii() else _to_ascii(text, name)
    for wrong, problem, remedy in _FINAL:
        if wrong(final):
            raise _refuse(name, problem, remedy)
    return _to_ascii(final, name)


def normalise_domains(names: t.Sequence[str], profile: str | None = None) -> tuple[str, ...]:
    """The names as A-labels in lower case, without trailing dot and duplicates, in the order given; IP addresses in
    their shortest form.

    Raises CertfleetError (stage "plan") with the first name that no CA validates by HTTP-01, or none for the profile.
    """
    if not isinstance(names, (list, tuple)) or not names:
        raise CertfleetError(
            "the certificate has no list of names", remedy="Give at least one DNS name or IP address.", stage="plan"
        )
    unique = tuple(dict.fromkeys(_normalise(name) for name in names))
    most, addresses = PROFILES.get(profile or "", (MAX_NAMES, True))
    if len(unique) > most:
        raise CertfleetError(
            f"the certificate has {len(unique)} names, the first is {unique[0]!r}",
            remedy=f"CAs take {most} names at most{_for(profile)}: split it into several certificates.",
            stage="plan",
        )
    if not addresses and any(map(is_address, unique)):
        raise _refuse(
            next(filter(is_address, unique)),
            f"is an IP address, which CAs do not certify{_for(profile)}",
            "Use the profile shortlived, or a DNS name.",
        )
    return unique


def _for(profile: str | None) -> str:
    return f" for the profile {profile}" if profile else ""


__all__ = ("MAX_LABEL", "MAX_LABELS", "MAX_NAME", "MAX_NAMES", "is_address", "normalise_domains")
