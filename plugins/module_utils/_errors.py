# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The one kind of error that a user sees: what went wrong, where, and what to do next."""

import contextlib
import typing as t

STAGES = (
    "plan",
    "shell",
    "account",
    "responder",
    "preflight",
    "open",
    "order",
    "close",
    "upload",
    "bind",
    "verify",
    "prune",
    "revoke",
)


class CertfleetError(Exception):
    """A failure that a user can act on.

    problem: one sentence in the user's terms, without secrets.
    remedy: what to do next.
    stage: one of STAGES; firewall, certificate: names from the inventory. Whoever knows them sets them, see stage().
    details: more for machines; ends up in the result of the task.
    """

    def __init__(
        self,
        problem: str,
        *,
        remedy: str = "",
        stage: t.Optional[str] = None,
        firewall: t.Optional[str] = None,
        certificate: t.Optional[str] = None,
        details: t.Optional[t.Dict[str, t.Any]] = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.stage = stage
        self.firewall = firewall
        self.certificate = certificate
        self.details = details or {}

    def locate(
        self, *, stage: t.Optional[str] = None, firewall: t.Optional[str] = None, certificate: t.Optional[str] = None
    ) -> None:
        """Fill in what the place of the error did not know; what it knew stays."""
        self.stage = self.stage or stage
        self.firewall = self.firewall or firewall
        self.certificate = self.certificate or certificate

    def copy(self) -> "CertfleetError":
        """The same failure, to be located elsewhere. (copy.copy() fails where __init__ has arguments of its own.)"""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin

    def advise(self, text: str) -> None:
        """Say more about what to do next."""
        self.remedy = f"{self.remedy} {text}".strip()

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.firewall, self.certificate, self.stage) if part)
        text = f"{where}: {self.problem}" if where else self.problem
        return f"{text.rstrip('.')}. {self.remedy}".rstrip() if self.remedy else text


@contextlib.contextmanager
def stage(name: str, *, firewall: t.Optional[str] = None, certificate: t.Optional[str] = None) -> t.Iterator[None]:
    """Everything that fails inside is reported as of this stage, firewall and certificate."""
    try:
        yield
    except CertfleetError as error:
        error.locate(stage=name, firewall=firewall, certificate=certificate)
        raise


def joined(errors: t.Sequence[CertfleetError]) -> t.Optional[CertfleetError]:
    """Several failures told as one: the first, and the others in words, each once. None when there is none."""
    if not errors:
        return None
    first, *others = dict.fromkeys(errors)
    for error in others:
        first.advise(f"Besides: {error}")
    return first


__all__ = ("STAGES", "CertfleetError", "joined", "stage")
