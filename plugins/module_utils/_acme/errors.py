# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What a CA refuses (RFC 8555 §6.7), in its words and in those of a firewall administrator."""

from __future__ import annotations

import datetime
import re
import typing as t

from .._errors import CertfleetError
from .._names import is_address

PREFIX = "urn:ietf:params:acme:error:"
MAX_TEXT = 1024

# By problem type (RFC 8555 §6.7, RFC 9773 §7.4, CA profiles draft). {name} is what the problem is about.
REMEDIES = {
    "accountDoesNotExist": "Register the account key with acme_account, and check that acme_directory is the CA"
    " where it was registered.",
    "alreadyReplaced": "The CA has replaced that certificate before: order without `replaces`.",
    "badCSR": "Choose another key type, or check the names.",
    "badPublicKey": "Choose another key type: the CA does not accept this key.",
    "badRevocationReason": "Choose another `reason`: the CA does not accept this one.",
    "caa": "Check the CAA records of {name} and its parent domains: they must allow this CA, and this account where"
    " accounturi is used.",
    "connection": "Check that {name} leads to this firewall's WAN address (AAAA records too), that the firewall reaches"
    " the responder, and that nothing upstream filters TCP 80, neither by country nor by source. The preflight tells"
    " which (in the role: xgs_letsencrypt_preflight).",
    "dns": "Check that {name} exists in public DNS, that all its name servers answer, and its DNSSEC.",
    "dnssec": "Check the DNSSEC of {name}: its signatures do not validate.",
    "externalAccountRequired": "This CA wants an external account binding: get a key identifier and a MAC key from it,"
    " and run acme_account with external_account_binding.",
    "incorrectResponse": "Something else answered on TCP 80 of {name}: check where the name leads (AAAA records too).",
    "invalidContact": "Check the e-mail addresses in `contact`.",
    "invalidProfile": "Use one of the profiles that the CA's directory lists.",
    "orderNotReady": "Run again: the order has not been validated yet.",
    "paused": "Validation has failed too often: follow the link in the CA's message to resume.",
    "rateLimited": "This is a rate limit, which only time lifts: the first run after that renews it, so leave the"
    " schedule as it is. For trials use the staging CA (in the role: the playbook rehearse, or"
    " xgs_letsencrypt_staging).",
    "rejectedIdentifier": "The CA does not issue for {name}: check its spelling and the CA's policy.",
    "serverInternal": "The CA has a problem of its own: run again later.",
    "serverUnavailable": "The CA has a problem of its own: run again later.",
    "tls": "Check the TLS endpoint to which TCP 80 of {name} redirects.",
    "unauthorized": "Something other than the responder answered on TCP 80 of {name}, or it serves another ACME"
    " account: check where the name leads (AAAA records too) and the responder's thumbprint.",
    "unsupportedContact": "Use e-mail addresses in `contact`.",
    "unsupportedIdentifier": "This CA does not issue for {name}.",
    "userActionRequired": "Follow the link in the CA's message, then run again; for new terms of service set"
    " terms_agreed.",
}


def clean(text: t.Any) -> str:
    """Text from the CA, which may quote strangers: one line, no control characters, MAX_TEXT characters at most."""
    said = str(text or "")[: 4 * MAX_TEXT]
    printable = said if said.isprintable() else "".join(c if c.isprintable() else " " for c in said)
    return " ".join(printable.split())[:MAX_TEXT]


def short_type(typ: str) -> str:
    """`dns` of `urn:ietf:params:acme:error:dns`."""
    return typ[len(PREFIX) :] if typ.startswith(PREFIX) else typ


def remedy_for(typ: str, name: str = "") -> str:
    """What to do about a problem of this type; nothing where the table knows nothing."""
    return REMEDIES.get(short_type(typ), "").format(name=name or "the name")


def asked_address(detail: str) -> str:
    """The first IP address that a problem's detail names, "" without any: where the CA connected to.

    Boulder writes "192.0.2.1: Fetching http://…" and "2001:db8::1: …" (reported), Pebble "dial tcp [2001:db8::1]:80: …"
    (measured).
    """
    for word in re.split(r"[\s\[\](),;]+", detail):
        for candidate in (word, word.rstrip(":"), word.partition(":")[0]):
            if is_address(candidate):
                return candidate
    return ""


class Subproblem(t.TypedDict):
    """One name's part of a problem (RFC 8555 §6.7.1)."""

    identifier: str
    type: str
    detail: str


def subproblem(document: t.Any, identifier: str = "") -> Subproblem:
    """Read a problem document (RFC 7807), which names its identifier itself unless that is given."""
    document = document if isinstance(document, dict) else {}
    named = document.get("identifier")
    named = named.get("value") if isinstance(named, dict) else ""
    return {
        "identifier": identifier or clean(named),
        "type": clean(document.get("type")) or "about:blank",
        "detail": clean(document.get("detail")),
    }


def way_astray(problem: Subproblem) -> str:
    """What to look at first, by the address at which the CA asked for a name; "" where it tells none."""
    name, address = problem["identifier"], asked_address(problem["detail"])
    if short_type(problem["type"]) not in ("connection", "incorrectResponse", "unauthorized"):
        return ""
    if not address or is_address(name):
        return ""
    if ":" in address:
        return (
            f"The CA asked the IPv6 address {address}: remove the AAAA record of {name}, unless IPv6 is forwarded too"
            " (in the role: xgs_letsencrypt_responder_address6)."
        )
    return f"The CA asked {address}: if that is not this firewall, correct the A record of {name}."


class AcmeError(CertfleetError):
    """A problem that the CA reported.

    typ: the whole URN; detail: cleaned; status: of HTTP, 0 where there was none;
    retry_after: aware, None where the CA named no time; url: what was asked; help_url: where the CA explains it.
    """

    def __init__(
        self,
        problem: str,
        *,
        typ: str = "about:blank",
        detail: str = "",
        subproblems: t.Sequence[Subproblem] = (),
        status: int = 0,
        retry_after: datetime.datetime | None = None,
        url: str = "",
        help_url: str = "",
        remedy: str | None = None,
        stage: str | None = None,
    ) -> None:
        about = ", ".join(dict.fromkeys(sub["identifier"] for sub in subproblems if sub["identifier"]))
        super().__init__(problem, remedy=remedy_for(typ, about) if remedy is None else remedy, stage=stage)
        self.typ = typ
        self.detail = detail
        self.subproblems = list(subproblems)
        self.status = status
        self.retry_after = retry_after
        self.url = url
        self.help_url = help_url
        self.details = {key: value for key, value in self._for_machines() if value}

    def _for_machines(self) -> t.Iterator[tuple[str, t.Any]]:
        acme = {
            "type": self.typ,
            "detail": self.detail,
            "status": self.status,
            "subproblems": self.subproblems,
            "url": self.url,
            "help_url": self.help_url,
        }
        yield "acme", {key: value for key, value in acme.items() if value}
        yield "retry_at", self.retry_after and f"{self.retry_after:%Y-%m-%dT%H:%M:%SZ}"
        yield "unpause_url", self.unpause_url

    @property
    def unpause_url(self) -> str:
        """Where a person resumes what the CA has paused, "" for any other problem (Boulder: in the detail)."""
        found = re.search(r"https://[^\s\"'<>]+", self.detail) if self.is_a("paused") else None
        return found.group().rstrip(".,;)") if found else ""

    def concerns(self, names: t.Iterable[str]) -> bool:
        """Whether the refusal is about these names, or a parent of one; else it is about all the account asks for."""
        words = {word.strip(".:") for word in re.findall(r"[a-z0-9.:-]+", self.detail.lower())}
        parents = {name.split(".", cut)[-1] for name in names for cut in range(max(1, name.count(".")))}
        return "exact set" in self.detail.lower() or not words.isdisjoint(parents)

    @property
    def forgets_order(self) -> bool:
        """Whether the CA does not know the order any more, or not as this account's; else it may well tomorrow."""
        return 400 <= self.status < 500 and self.status != 429 and not self.is_a("userActionRequired")

    @property
    def ends_order(self) -> bool:
        """Whether a refused poll ends the order: the CA goes on without us, so only its own word does."""
        return self.status < 500 and (self.status != 429 or self.is_a("paused"))

    def is_a(self, name: str) -> bool:
        """Whether the problem is of this type, given without the URN's prefix."""
        return short_type(self.typ) == name

    @classmethod
    def from_document(
        cls,
        document: t.Any,
        *,
        status: int,
        url: str,
        retry_after: datetime.datetime | None = None,
        help_url: str = "",
    ) -> AcmeError:
        """The error for a refused request, from the body of the reply (anything, if it is no problem document)."""
        main = subproblem(document)
        listed = document.get("subproblems") if isinstance(document, dict) else None
        subproblems = [subproblem(item) for item in listed[:100]] if isinstance(listed, list) else []
        said = "; ".join(
            [main["detail"] or f"HTTP status {status}"]
            + [f"{sub['identifier']}: {sub['detail']}" for sub in subproblems]
        )
        later = f" (not before {retry_after:%Y-%m-%d %H:%M:%S} UTC)" if retry_after else ""
        return cls(
            f"the CA refused: {clean(said)}{later}",
            typ=main["type"],
            detail=main["detail"],
            subproblems=subproblems,
            status=status,
            retry_after=retry_after,
            url=url,
            help_url=help_url,
        )


class AcmeNetworkError(CertfleetError):
    """The CA was not reached, or what came back is nothing that a CA should send."""

    def __init__(self, problem: str, *, url: str, remedy: str = "") -> None:
        super().__init__(problem, remedy=remedy or "Check the connection to the CA, and any proxy, then run again.")
        self.url = url


__all__ = (
    "AcmeError",
    "AcmeNetworkError",
    "Subproblem",
    "clean",
    "remedy_for",
    "short_type",
    "subproblem",
    "way_astray",
)
