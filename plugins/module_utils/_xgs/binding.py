# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Point consumers at a certificate one by one, see by handshake that they serve it, put back the one that does not."""

from __future__ import annotations

import dataclasses
import typing as t
import xml.etree.ElementTree as ET

from .._errors import CertfleetError
from .._handshakes import shown, tries, wait_for
from .._progress import tell
from .._tls_probe import Served
from .api import Firewall
from .certificates import StoredCertificate
from .consumers import Consumer
from .endpoints import Endpoints, find_endpoints, missing_intermediates
from .errors import XgsConnectionError, XgsError
from .pointing import displaced, groups_of, point, reread


@dataclasses.dataclass(frozen=True)
class Verification:
    """How long and where the handshake is tried.

    timeout: seconds until a consumer must serve the new certificate; its server takes a moment to reload.
    address: where web server protection rules are reached, if not at the address of their hosted interface.
    chain: whether the intermediates have to be served as well.
    """

    timeout: float = 60.0
    address: str | None = None
    chain: bool = True


@dataclasses.dataclass(frozen=True)
class Bound:
    """What became of one consumer. certificate: what it uses now. verified is None where no handshake could tell, and
    reason says why.

    displaced: rule groups in which the rule is not at its place any more, with the order of before.
    """

    consumer: str
    previous: str
    certificate: str
    verified: bool | None
    served_by: list[str]
    reason: str | None = None
    displaced: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, t.Any]:
        """As xgs_cert_bind returns it under `consumers`."""
        return dataclasses.asdict(self)


def bind(
    firewall: Firewall,
    consumer: Consumer,
    certificate: StoredCertificate,
    verification: Verification,
    previous: str | None = None,
) -> Bound:
    """Switch one consumer and verify it. An endpoint that could not be reached before cannot be verified after.

    certificate: the new one, whose facts must be known. previous: fingerprint of what the consumer uses now, if known.
    Raises CertfleetError, stage "bind" or "verify", when the previous one is back, or could not be put back: the remedy
    tells which. Before the switch, XgsError when the firewall cannot be read.
    """
    groups = groups_of(firewall, consumer)
    endpoints = find_endpoints(firewall, consumer, certificate, previous, verification.address)
    switch = _Switch(firewall, consumer, certificate, verification, groups, endpoints)
    for stage, step in (("bind", switch.point), ("verify", switch.verify)):
        try:
            step()
        except CertfleetError as error:
            error.locate(stage=stage)
            taken = switch.taken_over()
            if taken:
                # Theirs is the later word, and to put anything back would undo it.
                reason = f"somebody else switched it from {certificate.name} meanwhile"
                return Bound(str(consumer), consumer.certificate, taken, None, [], reason)
            switch.put_back(error)
            raise
    return Bound(
        str(consumer),
        consumer.certificate,
        certificate.name,
        True if endpoints.found else None,
        [str(served) for served in endpoints.found],
        endpoints.reason or None,
        displaced(firewall, groups),
    )


@dataclasses.dataclass(frozen=True)
class _Switch:
    firewall: Firewall
    consumer: Consumer
    certificate: StoredCertificate
    verification: Verification
    groups: list[ET.Element]
    endpoints: Endpoints

    @property
    def console(self) -> bool:
        return self.consumer.kind.key == "webadmin"

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint or ""

    def point(self) -> None:
        tell("bind", f"{self.consumer} to {self.certificate.name}")
        if self.console:
            # From the switch on the firewall shows itself with the new certificate.
            self.firewall.trust(self.fingerprint)
        self._point_at(self.certificate.name)
        if not self.endpoints.found and reread(self.firewall, self.consumer).certificate != self.certificate.name:
            raise XgsError(f"the firewall accepted the switch of {self.consumer}, but did not carry it out")

    def verify(self) -> None:
        if self.endpoints.found:
            tell("verify", f"what {self.consumer} serves")
        now = self._wait(self.endpoints.found, self.fingerprint)
        wrong = [served for served in now if served.fingerprint != self.fingerprint]
        if wrong:
            raise CertfleetError(
                f"{self.consumer} does not serve the new certificate {self.verification.timeout:g} s after the switch: "
                + "; ".join(map(shown, wrong))
            )
        if self.verification.chain:
            self._check_chain(now)
        if self.console:
            # Or else the next run would be locked out.
            self.firewall.check_trust()

    def taken_over(self) -> str:
        """The certificate that somebody else has pointed the consumer at since; nothing when nobody has."""
        try:
            now = reread(self.firewall, self.consumer).certificate
        except CertfleetError:
            return ""
        return "" if now in (self.certificate.name, self.consumer.certificate) else now

    def put_back(self, error: CertfleetError) -> None:
        """Restore the previous certificate; the error tells the user what is served in the end."""
        previous = self.consumer.certificate
        tell("bind", f"{self.consumer} back to {previous}")
        try:
            self._point_at(previous)
        except CertfleetError as failure:
            why = "for the same reason" if failure.problem == error.problem else f"({failure})"
            groups = "".join(f", and that it is in the rule group '{one.findtext('Name')}'" for one in self.groups)
            error.advise(
                f"Putting {previous} back failed too {why}. Look in the web console which of the two {self.consumer}"
                f" uses now{groups}; the next run goes on from there."
            )
            return
        found = self.endpoints.found
        wrong = [old for old in found if self._wait([old], old.fingerprint)[0].fingerprint != old.fingerprint]
        if wrong:
            error.advise(
                f"{previous} is set again, but {', '.join(map(str, wrong))} does not serve it: look at it now."
            )
        else:
            error.advise(f"{previous} is still in place. Find out why, then run again: nothing has to be issued anew.")

    def _point_at(self, name: str) -> None:
        """The console's server reloads, before or after it answers, and for a moment there may be nobody."""
        problem: XgsConnectionError | None = None
        for _try in self._tries():
            try:
                point(self.firewall, self.consumer, name, self.groups)
                if self.console:
                    reread(self.firewall, self.consumer)
            except XgsConnectionError as error:
                problem = error
                if self.console:
                    continue
                raise
            return
        if problem is not None:
            raise problem

    def _tries(self) -> t.Iterator[None]:
        return tries(self.firewall.clock, self.verification.timeout)

    def _wait(self, endpoints: t.Sequence[Served], fingerprint: str | None) -> list[Served]:
        return wait_for(endpoints, fingerprint, self.firewall.clock, self.verification.timeout)

    def _check_chain(self, now: list[Served]) -> None:
        for served in now:
            missing = missing_intermediates(served, self.certificate)
            if missing:
                raise CertfleetError(
                    f"{self.consumer} serves the new certificate at {served} without {', '.join(missing)}, so many"
                    " clients will not trust it",
                    remedy="If this firewall never sends intermediates, set verify_chain to false.",
                )


__all__ = ("Bound", "Verification", "bind")
