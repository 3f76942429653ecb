# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The window: the firewall's port is open inside a `with`, and closed again however it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t
import xml.etree.ElementTree as ET

from .._clock import Deadline
from .._errors import CertfleetError, stage
from .._port_window import PortWindow
from .._progress import some, tell
from .._signals import undisturbed
from .api import Firewall, Write
from .dnat import (
    NAT,
    RULE,
    RULES,
    Forward,
    Plan,
    carry_out,
    claims,
    is_of,
    mentions,
    plan_absent,
    plan_present,
    plan_swept,
    removal,
    still_used,
)
from .errors import NO_RIGHT, XgsApiError, XgsError, XgsLoginError
from .forward import serves
from .hosts import host_address
from .lease import lease, read_time_zone
from .objects import Objects, name_of
from .rights import check_rights, parts_of
from .runs import this_owner, window_run

# Refusals that another run at work on the same objects explains: look again.
RACES = (501, 502, 503, 504)
TRIES = 3


@contextlib.contextmanager
def explained() -> t.Iterator[None]:
    """Say with an XgsApiError which rights it takes: that stands in no answer of the firewall."""
    try:
        yield
    except XgsApiError as error:
        if error.code == NO_RIGHT:
            error.advise(
                "A port takes Read-Write on Objects and on Firewall, and Read-Only on System > Other system"
                " configuration (the time zone)."
            )
        raise


@dataclasses.dataclass
class Window(PortWindow):
    """Opens and closes a forward by the XML API, once as a rule. What it raises: see PortWindow."""

    firewall: Firewall
    forward: Forward
    run: str = dataclasses.field(default_factory=window_run)
    owner: str = dataclasses.field(default_factory=this_owner)
    # Seconds for which closing is tried anew while the firewall does not answer; then the lease has to do it.
    patience: float = 60.0
    # What the last opening relies upon; known once it is complete.
    holds: tuple[ET.Element, ...] = ()
    # What a user should know of all openings.
    warnings: tuple[str, ...] = ()

    def plan(self) -> Plan:
        """What opening would write, after what other runs left behind. Raises XgsError where it cannot be opened."""
        with explained():
            objects = Objects(self.firewall)
            zone, now = read_time_zone(self.firewall), objects.now()
            ends = lease(now, self.forward.lease, zone, self.run, self.owner)
            plan = plan_present(objects, self.forward, ends, now)
        check_rights(self.firewall, parts_of(plan.writes))
        self.interrupts = tuple(dict.fromkeys((*self.interrupts, *plan.interrupts)))
        self._warn(plan.warnings)
        return plan

    def _warn(self, texts: t.Iterable[str]) -> None:
        self.warnings = tuple(dict.fromkeys((*self.warnings, *texts)))

    @contextlib.contextmanager
    def __call__(self) -> t.Iterator[None]:
        """See PortWindow; whatever else the body raises passes on when the port is closed."""
        tell("open", f"port {self.forward.port} of {some(self.forward.wan_hosts)}")
        with stage("open"):
            plan = self.plan()
        first: CertfleetError | None = None
        try:
            with stage("open"):
                self.open(plan)
            yield
        except CertfleetError as error:
            first = error
            raise
        finally:
            with undisturbed():
                self._end(first)
            if self.opened_at and self.closed_at:
                self.seconds += (self.closed_at - self.opened_at).total_seconds()

    @property
    def writes(self) -> int:
        """How many requests that write were sent."""
        return self.firewall.writes

    @property
    def told(self) -> list[str]:
        """Of the openings, the firewall's remarks, and how far its clock is from ours."""
        return [*self.warnings, *self.firewall.remarks, *self.firewall.time.warnings]

    def addresses(self, wan_host: str) -> list[str]:
        """Of a host object such as #Port2; one at most."""
        address = host_address(self.firewall, wan_host)
        return [address] if address else []

    def open(self, plan: Plan) -> None:
        """Carry out a plan; a new one, when it turns out that another run did something meanwhile.

        Raises XgsError when the firewall refuses, or others are faster TRIES times.
        """
        self.holds = ()
        for _try in range(TRIES):
            done: list[Write] = []
            try:
                send_all(self.firewall, plan.writes, done.append)
                if all(self.firewall.get(NAT, name) for name in plan.joins):
                    self.opened_at, self.closed_at = plan.opened or self.firewall.time.now(), None
                    self.until = plan.until
                    self.holds = plan.holds
                    return
                plan = self.plan()
            except XgsApiError as error:
                plan = self._plan_after(error, plan.writes[len(done) :])
        raise XgsError("other runs are at work on the port, one after the other", remedy="Run again.")

    def _plan_after(self, error: XgsApiError, left: tuple[Write, ...]) -> Plan:
        """A plan that takes account of what another run did. Raises the error when none did anything."""
        if error.code not in RACES:
            raise error
        plan = self.plan()
        if list(map(str, plan.writes)) == list(map(str, left)):
            raise error
        return plan

    def _end(self, first: CertfleetError | None) -> None:
        tell("close", f"port {self.forward.port}")
        try:
            self.close()
        except CertfleetError as error:
            if first is None:
                raise
            first.advise(f"Besides: {error}")

    def close(self) -> None:
        """Close, and clear away what no other run needs. Raises CertfleetError of stage "close"."""
        failure = CertfleetError("there was no time to close")
        with stage("close"):
            for _try in Deadline(self.firewall.clock, self.patience).tries((2.0, 4.0, 8.0, 16.0, 30.0)):
                try:
                    return self._take_back()
                except CertfleetError as error:
                    failure = error
                if isinstance(failure, XgsLoginError):
                    # Never a second time: that may lock the account.
                    break
            failure.advise(self._what_is_left())
            raise failure

    def _what_is_left(self) -> str:
        if self.closed_at:
            return "The port is closed; the playbook close_ports or the next renewal removes what is left of it."
        until = f"Until the lease ends the port {'stays' if self.opened_at else 'may be'} open"
        return f"{until}; xgs_dnat_port with state=absent and run_id {self.run} closes it."

    def sweep(self) -> CertfleetError | None:
        """See PortWindow. All of the firewall's objects are looked at, whatever forward they are of."""
        if self.opened_at:
            return None
        objects = Objects(self.firewall)
        try:
            with stage("close"), explained():
                send_all(self.firewall, plan_swept(objects, objects.now()).writes)
        except CertfleetError as error:
            return error
        return None

    def _take_back(self) -> None:
        holds, self.holds = self.holds, ()
        if holds:
            self._withdraw(holds)
        else:
            self._clear()

    def _withdraw(self, holds: tuple[ET.Element, ...]) -> None:
        """Take back what the opening relied upon, reading no more than who else is there.

        Where others are, the own claim goes first: of two that close at once one then sees that it is the last.
        """
        others = self._others()
        if others:
            self._remove([one for one in holds if one.tag == RULE])
            holds = tuple(one for one in holds if one.tag != RULE)
            others = self._others_alone()
        needed: set[str] = set().union(*map(mentions, others))
        nats = [one for one in holds if one.tag == NAT and not any(serves(rule, one) for rule in others)]
        self._remove([*nats, *(one for one in holds if one.tag != NAT and name_of(one) not in needed)])
        # One that joined in between has looked for the NAT rule already: it shall find it again.
        late = self._others_alone() if nats else []
        self._send([Write("add", one) for one in nats if any(serves(rule, one) for rule in late)])

    def _clear(self) -> None:
        """Remove what there is of this run: after a failure nobody knows what was carried out."""
        objects = Objects(self.firewall, like=self.forward.name)
        writes = plan_absent(objects, self.forward.name, self.run, objects.now()).writes
        self._send(writes)
        if any(write.entity.tag == RULE for write in writes):
            self._others_alone()

    def _others(self) -> list[ET.Element]:
        """Claims of other runs."""
        return [rule for rule in claims(self.firewall, self.forward.name) if not is_of(rule, self.run)]

    def _others_alone(self) -> list[ET.Element]:
        """The same when the own claim is withdrawn. XgsError if it is there all the same: then the port may be open."""
        rules = claims(self.firewall, self.forward.name)
        own = [name_of(rule) for rule in rules if is_of(rule, self.run)]
        if own:
            self.closed_at = None
            raise XgsError(
                f"the firewall said that it removed the firewall rule {own[0]}, but the rule is there",
                remedy="Remove it in the web admin console.",
            )
        return rules

    def _remove(self, elements: t.Iterable[ET.Element]) -> None:
        self._send(map(removal, elements))

    def _send(self, writes: t.Iterable[Write]) -> None:
        left = send_all(self.firewall, writes, self._taken_back)
        self._warn(still_used(write.entity) for write in left)

    def _taken_back(self, write: Write) -> None:
        """From the first rule that is removed on, nothing is forwarded for us."""
        if write.operation == "remove" and write.entity.tag in RULES:
            self.closed_at = self.closed_at or self.firewall.time.now()


def send_all(
    firewall: Firewall, writes: t.Iterable[Write], sent: t.Callable[[Write], None] = lambda write: None
) -> list[Write]:
    """Send the writes of a plan; gives the removals that were refused, because somebody else uses the object.

    sent: called after each. Raises XgsError at the first that fails.
    """
    left = []
    with explained():
        for write in writes:
            # Broken off, it may be carried out when close() has looked already.
            with undisturbed():
                if not carry_out(firewall, write):
                    left.append(write)
            sent(write)
    return left


__all__ = ("Window", "explained", "send_all")
