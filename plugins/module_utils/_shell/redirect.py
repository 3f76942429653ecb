# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A port of the firewall led elsewhere by iptables: which rules that takes, and how ours are known. Pure.

Matches and targets: iptables-extensions(8).
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing as t

# The target that is the firewall itself.
HERE = "127.0.0.1"
_PREFIX = "certfleet"
_FIELDS = ("name", "run", "owner", "at", "to", "masquerade", "opened", "expires")


@dataclasses.dataclass(frozen=True)
class Rule:
    """table, chain, and the words that describe it. str() is a line as `iptables -S` has it."""

    table: str
    chain: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"-t {self.table} -A {self.chain} {shlex.join(self.words)}"

    def command(self, operation: str) -> str:
        """operation: "-I" (as the first one) or "-D" (this very one, wherever it is)."""
        place = " 1" if operation == "-I" else ""
        return f"iptables -w -t {self.table} {operation} {self.chain}{place} {shlex.join(self.words)}"


@dataclasses.dataclass(frozen=True)
class Mark:
    """The comment of a rule of ours: all about the forward that it belongs to.

    at: ADDRESS:PORT or INTERFACE:PORT. to: ADDRESS:PORT. opened, expires: seconds since 1970, by the firewall's clock.
    """

    name: str
    run: str
    owner: str
    at: str
    to: str
    masquerade: bool
    opened: int
    expires: int

    def __str__(self) -> str:
        values = dataclasses.asdict(self)
        values["masquerade"] = int(self.masquerade)
        # Nothing that iptables or a shell would quote, within the 255 bytes that it takes.
        values["owner"] = re.sub(r"[^A-Za-z0-9@./_-]", "-", self.owner)[-60:]
        return ",".join([_PREFIX, *(f"{field}={values[field]}" for field in _FIELDS)])

    @property
    def label(self) -> str:
        """What tells one opening from all others: of its forward, and of its run."""
        return f"{self.name}-{self.run}"

    def same_way(self, other: Mark) -> bool:
        """Whether both lead the same port to the same place, and in the same manner."""
        return (self.at, self.to, self.masquerade) == (other.at, other.to, other.masquerade)


def mark_of(rule: Rule) -> Mark | None:
    """What a rule's comment says; None: it is not ours."""
    comments = [words for option, words in zip(rule.words, rule.words[1:]) if option == "--comment"]
    prefix, *fields = comments[0].split(",") if comments else [""]
    values = dict(field.partition("=")[::2] for field in fields)
    if prefix != _PREFIX or set(values) != set(_FIELDS):
        return None
    if not (values["opened"].isdigit() and values["expires"].isdigit()):
        return None
    return Mark(
        **{field: values[field] for field in ("name", "run", "owner", "at", "to")},
        masquerade=values["masquerade"] == "1",
        opened=int(values["opened"]),
        expires=int(values["expires"]),
    )


def rules(mark: Mark, *, local: bool) -> list[Rule]:
    """In the order in which they are made; the one that opens is the last. local: the target is the firewall itself.

    A DNAT rule alone lets nothing in where the policy drops. So whatever has come by this very forward is accepted, and
    nothing else that goes to the target.
    """
    wan, _colon, port = mark.at.rpartition(":")
    target, _colon, target_port = mark.to.rpartition(":")
    comment = ("-m", "comment", "--comment", str(mark))
    by_address = wan[:1].isdigit()
    came = ("--ctorigdst", wan) if by_address else ()
    inside = ("-i", wan) if not by_address else ()
    to = () if target == HERE else ("-d", target)
    state = ("-m", "conntrack", "--ctstate", "DNAT", *came, "--ctorigdstport", port)
    arrives = (*to, "-p", "tcp", "-m", "tcp", "--dport", target_port, *state, *comment)
    made = [Rule("filter", "INPUT" if local else "FORWARD", (*inside, *arrives, "-j", "ACCEPT"))]
    if mark.masquerade and not local:
        made.append(Rule("nat", "POSTROUTING", (*arrives, "-j", "MASQUERADE")))
    # Of an interface what is meant for the firewall, not what passes it on the way to somebody else's port.
    outside = ("-d", wan) if by_address else (*inside, "-m", "addrtype", "--dst-type", "LOCAL")
    leads = ("REDIRECT", "--to-ports", target_port) if target == HERE else ("DNAT", "--to-destination", mark.to)
    made.append(
        Rule("nat", "PREROUTING", (*outside, "-p", "tcp", "-m", "tcp", "--dport", port, *comment, "-j", *leads))
    )
    return made


def listed(table: str, listing: str) -> t.Iterator[Rule]:
    """The rules in what `iptables -S` says."""
    for line in listing.splitlines():
        words = shlex.split(line) if line.startswith("-A ") else []
        if len(words) > 2:
            yield Rule(table, words[1], tuple(words[2:]))


__all__ = ("HERE", "Mark", "Rule", "listed", "mark_of", "rules")
