# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What would keep the CA from validating, found before it is asked: A, AAAA, CAA, the responder; open, the port."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import ipaddress
import typing as t

from ._acme.errors import clean
from ._caa import Issuer, Record, objection, relevant
from ._clock import Clock, Deadline
from ._dns import DnsError, Resolver
from ._errors import CertfleetError
from ._http_probe import Stray, ask, who_answers
from ._names import is_address

ERROR, WARNING = "error", "warning"
NO_PROBE, WARN, REQUIRE = PROBE_CHOICES = ("none", "warn", "require")
# Seconds for all probes of an opening: the port is not kept open for much longer than the CA needs it.
PROBE_PATIENCE = 6.0
# Seconds for the responder, which is near.
RESPONDER_PATIENCE = 3.0
CONCURRENCY = 8

NO_LOOKUP = "The CA will hardly fare better: look at the zone's name servers and DNSSEC, or name other resolvers."
NO_NAME = "Create an A record{}. Where only the Internet knows the name, name public resolvers."
NO_ADDRESSES = "Set addresses (in the role: xgs_letsencrypt_wan_addresses)."
ELSEWHERE = (
    "Correct its A record; or, if that address leads to this firewall too, add it to addresses (in the role:"
    " xgs_letsencrypt_wan_addresses)."
)
ELSEWHERE6 = (
    "Remove the AAAA record; or forward IPv6 too, by wan_host and target6 (in the role: xgs_letsencrypt_wan_host,"
    " xgs_letsencrypt_responder_address6), and add the address to addresses (xgs_letsencrypt_wan_addresses). It may"
    " stay where nothing answers on that port and the CA falls back to IPv4."
)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is wrong with a name, and what to do. ERROR: the CA would refuse for certain; WARNING: it may."""

    name: str
    severity: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}"


@dataclasses.dataclass(frozen=True)
class Expected:
    """The addresses that lead to the firewall. certain: the user named them, they were not guessed."""

    addresses: tuple[str, ...] = ()
    certain: bool = False

    def __str__(self) -> str:
        return " or ".join(self.addresses)


@dataclasses.dataclass(frozen=True)
class Probe:
    """mode: one of PROBE_CHOICES; port: TCP port by which this host gets to port 80 of the firewall."""

    mode: str = WARN
    port: int = 80


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the firewall will look for the responder, of which account, and what becomes of it when it is not there.

    mode: one of PROBE_CHOICES; addresses: IPv4, IPv6 or both; port: TCP.
    """

    mode: str
    addresses: tuple[str, ...]
    port: int
    thumbprint: str


Window = t.Callable[[], t.ContextManager[t.Any]]


class Preflight:
    """Looks at names for one run and keeps what it finds."""

    def __init__(
        self,
        resolver: Resolver,
        expected: Expected,
        issuer: Issuer,
        probe: Probe,
        clock: Clock | None = None,
        place: Place | None = None,
    ) -> None:
        self.findings: list[Finding] = []
        self._resolver = resolver
        self._expected = expected
        self._issuer = issuer
        self._probe = probe
        self._clock = clock or Clock()
        self._place = place
        # By name, the IPv4 addresses that the CA will connect to.
        self._targets: dict[str, list[str]] = {}

    def examine(self, names: t.Collection[str]) -> None:
        """Look all names up, in parallel, and for the responder; add to the findings."""
        if not self._expected.addresses:
            problem = "no WAN addresses are known, so A and AAAA records were compared with none"
            self.findings.append(Finding("", WARNING, problem, NO_ADDRESSES))
        looked_up = [name for name in dict.fromkeys(names) if not is_address(name)]
        with concurrent.futures.ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="dns") as pool:
            for found in pool.map(lambda name: list(self._examine(name)), looked_up):
                self.findings += found
        if self._place is not None and self._place.mode != NO_PROBE:
            self.findings += _look_for_responder(self._place)

    def refusal(self, names: t.Collection[str]) -> CertfleetError | None:
        """Why a certificate with these names cannot be had; None when nothing is sure to fail."""
        errors = [finding for finding in self.findings if finding.severity == ERROR and finding.name in ("", *names)]
        if not errors:
            return None
        remedies = dict.fromkeys(finding.remedy for finding in errors)
        return CertfleetError(
            "; ".join(finding.problem for finding in errors), remedy=" ".join(remedies), stage="preflight"
        )

    def watched(self, window: Window, names: t.Collection[str]) -> Window:
        """The window, with a look through the port as soon as it is open.

        Raises CertfleetError, stage "preflight", where an answer is required and none comes in PROBE_PATIENCE.
        """

        @contextlib.contextmanager
        def opened() -> t.Iterator[None]:
            with window():
                if self._probe.mode != NO_PROBE:
                    self._ask_port(names)
                yield

        return opened

    # A, AAAA, CAA

    def _examine(self, name: str) -> t.Iterator[Finding]:
        try:
            v4, v6 = (self._resolver.records(name, kind) for kind in ("A", "AAAA"))
        except DnsError as error:
            yield Finding(name, WARNING, f"{name} could not be looked up: {error.problem}", NO_LOOKUP)
            return
        where = f" for {self._expected}" if self._expected.addresses else ""
        if not v4 and not v6:
            # Some servers deny the whole name where but one kind of address is missing.
            problem = "does not exist in the DNS" if v4 is None and v6 is None else "has no address"
            yield Finding(name, ERROR, f"{name} {problem}", NO_NAME.format(where))
            return
        self._targets[name] = [str(record.address) for record in v4 or ()]
        if self._expected.addresses:
            yield from self._compare(name, self._targets[name], [_canonical(record.address) for record in v6 or ()])
        yield from self._permission(name)

    def _compare(self, name: str, v4: list[str], v6: list[str]) -> t.Iterator[Finding]:
        """What does not lead to the firewall."""
        elsewhere, elsewhere6 = (
            [address for address in found if address not in self._expected.addresses] for found in (v4, v6)
        )
        sure = ERROR if self._expected.certain else WARNING
        guessed = "" if self._expected.certain else ", the address of the firewall's interface"
        if elsewhere:
            only = len(elsewhere) == len(v4)
            yield Finding(
                name,
                sure if only else WARNING,
                f"{name} {'leads' if only else 'also leads'} to {_listed(elsewhere)}, not to {self._expected}{guessed}",
                ELSEWHERE,
            )
        if elsewhere6:
            yield Finding(
                name,
                WARNING if v4 else sure,
                f"{name} has the IPv6 address {_listed(elsewhere6)}, which CAs prefer; the port is open for IPv4 only",
                ELSEWHERE6,
            )

    def _permission(self, name: str) -> t.Iterator[Finding]:
        try:
            domain, records = relevant(name, self._caa)
        except DnsError as error:
            yield Finding(name, WARNING, f"the CAA records of {name} could not be read: {error.problem}", NO_LOOKUP)
            return
        if not records:
            return
        ca = " or ".join(self._issuer.identities)
        if not ca:
            yield Finding(
                name,
                WARNING,
                f"there are CAA records at {domain}, and the CA does not tell by which name they would permit it",
                "Set caa_identities to what its documentation says.",
            )
            return
        refused = objection(records, self._issuer)
        if refused is not None:
            yield Finding(
                name,
                ERROR if refused.certain else WARNING,
                f"the CAA records at {domain} do not permit {ca} to certify {name}: {clean(refused.reason)}",
                f'Add there: CAA 0 issue "{self._issuer.identities[0]}", or correct the one there is.',
            )

    def _caa(self, domain: str) -> list[Record]:
        return [
            Record(record.flags, record.tag.decode("latin-1").lower(), record.value.decode("latin-1"))
            for record in self._resolver.records(domain, "CAA") or ()
        ]

    # The port

    def _ask_port(self, names: t.Collection[str]) -> None:
        """One question for each address. Raises CertfleetError (stage "preflight") where an answer is required."""
        hosts: dict[str, str] = {}
        for name in names:
            for address in self._targets.get(name) or self._expected.addresses:
                hosts.setdefault(address, name)
        deadline = Deadline(self._clock, PROBE_PATIENCE)
        found = [
            Finding(
                host,
                WARNING,
                f"port {self._probe.port} of {address}, asked for {host} through the firewall, {problem}",
                "From inside, the way back in may be closed (hairpin NAT); if not, look what else takes that port or"
                " blocks it, on the firewall or before it.",
            )
            for address, host in hosts.items()
            for problem in [ask(address, self._probe.port, host, deadline)]
            if problem
        ]
        self.findings += found
        if self._probe.mode == REQUIRE and (found or not hosts):
            raise CertfleetError(
                "; ".join(finding.problem for finding in found) or "no address is known to probe the port at",
                remedy=found[0].remedy if found else NO_ADDRESSES,
                stage="preflight",
            )


def _look_for_responder(place: Place) -> t.Iterator[Finding]:
    for address in place.addresses:
        stray = who_answers(address, place.port, place.thumbprint, RESPONDER_PATIENCE)
        if stray is None:
            continue
        severity = ERROR if stray.certain or place.mode == REQUIRE else WARNING
        problem = f"the responder is to be at {address} port {place.port}: asked from here, {stray.problem}"
        yield Finding("", severity, problem, _remedy(stray, place))


def _remedy(stray: Stray, place: Place) -> str:
    if stray.certain:
        return f"Give it this account's thumbprint, {place.thumbprint}, or use the key of its account."
    return (
        "Start it there, publish its port if it runs in a container, or correct address and port. If only the firewall"
        " may reach it, set responder to none (in the role: xgs_letsencrypt_responder_probe)."
    )


def _listed(addresses: t.Iterable[str]) -> str:
    return ", ".join(sorted(addresses))


def _canonical(address: t.Any) -> str:
    return str(ipaddress.ip_address(str(address)))


__all__ = ("ERROR", "PROBE_CHOICES", "WARNING", "Expected", "Finding", "Place", "Preflight", "Probe", "Window")
