# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What became of an order's authorizations (RFC 8555 §7.5), told per name."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from .._clock import Deadline
from .._errors import CertfleetError
from .challenge import Challenge, challenges, pick_http01
from .client import AcmeClient
from .errors import PREFIX, AcmeError, Subproblem, clean, remedy_for, short_type, subproblem, way_astray


@dataclasses.dataclass(frozen=True)
class Authorization:
    """An authorization object (RFC 8555 §7.1.4) and where it is."""

    url: str
    document: dict[str, t.Any]

    @property
    def name(self) -> str:
        """What it is for: a DNS name or an IP address."""
        identifier = self.document.get("identifier")
        return clean(identifier.get("value")) if isinstance(identifier, dict) else ""

    @property
    def status(self) -> str:
        """One of RFC 8555 §7.1.6, as the CA says it."""
        return clean(self.document.get("status"))

    @property
    def problem(self) -> Subproblem | None:
        """Why the name is not validated. None where it is, or where nothing is known yet."""
        for challenge in challenges(self.document):
            # Some CAs leave a failed challenge pending for ever.
            if challenge.get("error") and self.status != "valid":
                return subproblem(challenge["error"], self.name)
        if self.status in ("valid", "pending"):
            return None
        return subproblem({"detail": f"the authorization is {self.status}"}, self.name)

    def http01(self) -> Challenge:
        """The challenge to answer. AcmeError where the CA offers none."""
        challenge = pick_http01(self.document)
        if challenge is None:
            raise AcmeError(
                f"the CA offers no HTTP-01 validation for {self.name}",
                url=self.url,
                remedy="Use another CA: this one wants another kind of validation.",
            )
        return challenge


def fetch(client: AcmeClient, url: str, deadline: Deadline | None = None) -> Authorization:
    """Read one authorization, before the deadline. Errors: see AcmeClient."""
    return Authorization(url, client.post(url, None, deadline=deadline).json)


def failure(order: dict[str, t.Any], uri: str, authorizations: t.Sequence[Authorization]) -> AcmeError:
    """One error for an order that did not become ready, with every name that is to blame."""
    problems = [problem for problem in (each.problem for each in authorizations) if problem]
    if not problems:
        return _unexplained(order, uri, [each.name for each in authorizations if each.status == "pending"])
    types = {problem["type"] for problem in problems}
    remedies = list(map(way_astray, problems))
    remedies += [
        remedy_for(typ, ", ".join(problem["identifier"] for problem in problems if problem["type"] == typ))
        for typ in dict.fromkeys(problem["type"] for problem in problems)
    ]
    told = "; ".join(f"{p['identifier']} ({short_type(p['type'])}: {p['detail']})" for p in problems)
    return AcmeError(
        f"the CA could not validate {told}",
        typ=types.pop() if len(types) == 1 else f"{PREFIX}compound",
        detail=problems[0]["detail"],
        subproblems=problems,
        url=uri,
        remedy=" ".join(filter(None, remedies)),
        stage="order",
    )


def _unexplained(order: dict[str, t.Any], uri: str, pending: t.Sequence[str]) -> AcmeError:
    """For an order whose authorizations say nothing: its own error, or that it got stuck."""
    main = subproblem(order.get("error"))
    status = clean(order.get("status"))
    waited = f" while {', '.join(pending)} was being validated" if pending else ""
    return AcmeError(
        f"the CA left the order {status}{waited}" + (f": {main['detail']}" if main["detail"] else ""),
        typ=main["type"],
        detail=main["detail"],
        url=uri,
        remedy=remedy_for(main["type"]) or "Run again later.",
        stage="order",
    )


def deactivate(client: AcmeClient, url: str, deadline: Deadline) -> None:
    """Give up a pending authorization (RFC 8555 §7.5.2), so that it counts against no limit. Best effort, no error."""
    with contextlib.suppress(CertfleetError):
        client.post(url, {"status": "deactivated"}, deadline=deadline)


__all__ = ("Authorization", "deactivate", "failure", "fetch")
