# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Point consumers at a certificate one by one, see by handshake that they serve it, put back the one that does not."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from .._clock import Deadline
from .._errors import CertfleetError
from .._tls_probe import Served, probe
from .._x509 import CertificateFacts
from .api import Firewall
from .consumers import Consumer, point, read_consumers
from .hosts import host_address

# Address, port, server name.
Endpoint = t.Tuple[str, int, t.Optional[str]]


@dataclasses.dataclass(frozen=True)
class Verification:
    """How long and where the handshake is tried.

    timeout: seconds until a consumer must serve the new certificate; its server takes a moment to reload.
    address: where web server protection rules are reached, if not at the address of their hosted interface.
    """

    timeout: float = 60.0
    address: str | None = None


@dataclasses.dataclass(frozen=True)
class Bound:
    """What became of one consumer. verified is None where no handshake could tell."""

    consumer: str
    previous: str
    certificate: str
    verified: bool | None
    served_by: list[str]

    def as_dict(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)


def bind(
    firewall: Firewall, consumer: Consumer, certificate: str, facts: CertificateFacts, verification: Verification
) -> Bound:
    """Switch one consumer and verify it. An endpoint that could not be reached before cannot be verified after.

    facts: of the new certificate. Raises CertfleetError, stage "bind" or "verify", when the previous one is back.
    """
    endpoints = [served for served in _probe(_endpoints(firewall, consumer, facts, verification)) if served.certificate]
    if consumer.kind.key == "webadmin":
        # From the switch on the firewall shows itself with the new certificate.
        firewall.trust(facts.fingerprint)
    try:
        point(firewall, consumer, certificate)
    except CertfleetError as error:
        error.locate(stage="bind")
        _put_back(firewall, consumer, endpoints, verification, error)
        raise
    try:
        _verify(firewall, consumer, endpoints, facts, verification)
    except CertfleetError as error:
        error.locate(stage="verify")
        _put_back(firewall, consumer, endpoints, verification, error)
        raise
    verified = True if endpoints else None
    return Bound(str(consumer), consumer.certificate, certificate, verified, [str(served) for served in endpoints])


def _verify(
    firewall: Firewall, consumer: Consumer, endpoints: list[Served], facts: CertificateFacts, verification: Verification
) -> None:
    wrong = _wait(firewall, endpoints, facts.fingerprint, verification)
    if wrong:
        raise CertfleetError(
            f"{consumer} does not serve the new certificate {verification.timeout:g} s after the switch: "
            + "; ".join(f"{served} {_what(served)}" for served in wrong)
        )
    if consumer.kind.key == "webadmin":
        # Or else the next run would be locked out.
        firewall.check_trust()


def _put_back(
    firewall: Firewall, consumer: Consumer, endpoints: list[Served], verification: Verification, error: CertfleetError
) -> None:
    """Restore the previous certificate; the error tells the user what is served in the end."""
    previous = consumer.certificate
    try:
        if any(now.certificate != previous for now in read_consumers(firewall, [consumer.kind.key]) if now == consumer):
            point(firewall, consumer, previous)
    except CertfleetError as failure:
        error.advise(f"Putting {previous} back failed too ({failure}): set it in the web console now.")
        return
    wrong = [old for old in endpoints if _wait(firewall, [old], old.fingerprint or "", verification)]
    if wrong:
        error.advise(f"{previous} is set again, but {', '.join(map(str, wrong))} does not serve it: look at it now.")
    else:
        error.advise(f"{previous} is still in place. Find out why, then run again: nothing has to be issued anew.")


def _endpoints(
    firewall: Firewall, consumer: Consumer, facts: CertificateFacts, verification: Verification
) -> list[Endpoint]:
    """(address, port, server name) of every handshake that shows what this consumer serves."""
    if consumer.kind.key == "webadmin":
        return [(firewall.endpoint.host, firewall.endpoint.port, next(iter(facts.names), None))]
    if consumer.kind.key == "waf":
        address = verification.address or _hosted_address(firewall, consumer)
        port = int(consumer.record.findtext("HTTPBasedPolicy/ListenPort", "443"))
        return [(address, port, domain) for domain in consumer.domains]
    return []


def _hosted_address(firewall: Firewall, consumer: Consumer) -> str:
    """The rule names its interface by a host object such as #Port2."""
    name = consumer.record.findtext("HTTPBasedPolicy/HostedAddress", "")
    return host_address(firewall, name) or firewall.endpoint.host


def _probe(endpoints: t.Iterable[Endpoint]) -> list[Served]:
    return [probe(*endpoint) for endpoint in endpoints]


def _wait(
    firewall: Firewall, endpoints: t.Sequence[Served], fingerprint: str, verification: Verification
) -> list[Served]:
    """Shake hands until every endpoint serves the certificate or time is up; return those that do not."""
    wrong = list(endpoints)
    deadline = Deadline(firewall.clock, verification.timeout)
    for _try in deadline.tries(itertools.chain((0.2, 0.5, 1.0), itertools.repeat(2.0))):
        now = _probe((served.address, served.port, served.server_name) for served in wrong)
        wrong = [served for served in now if served.fingerprint != fingerprint]
        if not wrong:
            break
    return wrong


def _what(served: Served) -> str:
    return f"serves {served.fingerprint[:16]}…" if served.fingerprint else f"fails: {served.problem}"


__all__ = ("Bound", "Verification", "bind")
