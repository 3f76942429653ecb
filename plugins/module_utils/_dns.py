# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Questions to the DNS, through the system's resolvers or others."""

from __future__ import annotations

import ipaddress
import sys
import typing as t

from ._acme.errors import clean
from ._errors import CertfleetError

if t.TYPE_CHECKING:
    import dns.nameserver

# Seconds for one question, all resolvers and repetitions included.
PATIENCE = 6.0


class DnsError(CertfleetError):
    """The resolvers could not say whether the records exist: SERVFAIL, no answer, aliases in a circle."""


def _library() -> t.Any:
    """dnspython. Not with the other libraries: it takes 40 ms to load, and only a preflight asks the DNS."""
    try:
        import dns.exception
        import dns.name
        import dns.nameserver
        import dns.resolver
    except ImportError as error:
        raise CertfleetError(
            "preflight needs the Python library dnspython, which is not installed",
            stage="plan",
            remedy=f"Install it for {sys.executable} (pip install dnspython), or do without preflight.",
        ) from error
    return dns


def _server(library: t.Any, text: str) -> dns.nameserver.Nameserver:
    """ADDRESS or ADDRESS:PORT, where an IPv6 address with a port stands in brackets."""
    address, port = text, "53"
    if text.startswith("[") or text.count(":") == 1:
        address, _colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", port)
    try:
        return library.nameserver.Do53Nameserver(str(ipaddress.ip_address(address.strip("[]"))), int(port))
    except ValueError as error:
        raise CertfleetError(
            f"the resolver {text!r} is no address",
            stage="plan",
            remedy="Write 192.0.2.53, 192.0.2.53:5353, 2001:db8::53 or [2001:db8::53]:5353.",
        ) from error


class Resolver:
    """Asks and remembers; safe for threads.

    servers: IP addresses, with a port or without; the system's where there are none.
    Raises CertfleetError (stage "plan") when there is nothing to ask with.
    """

    def __init__(self, servers: t.Sequence[str] = (), patience: float = PATIENCE) -> None:
        self._dns = _library()
        try:
            self._resolver = self._dns.resolver.Resolver(configure=not servers)
        except self._dns.resolver.NoResolverConfiguration as error:
            raise CertfleetError(
                "this host has no DNS resolvers configured", stage="plan", remedy="Name some in `resolvers`."
            ) from error
        if servers:
            self._resolver.nameservers = [_server(self._dns, text) for text in servers]
        self._resolver.lifetime = patience
        # The names of a certificate share their ancestors, which are asked for CAA records.
        self._resolver.cache = self._dns.resolver.LRUCache()

    def records(self, name: str, kind: str) -> list[t.Any] | None:
        """The name's records of this kind, aliases followed; None when there is no such name. Raises DnsError."""
        try:
            answer = self._resolver.resolve(self._dns.name.from_text(name), kind, raise_on_no_answer=False)
        except self._dns.resolver.NXDOMAIN:
            return None
        except self._dns.exception.DNSException as error:
            raise DnsError(clean(error)) from error
        return list(answer.rrset or ())


__all__ = ("DnsError", "Resolver")
