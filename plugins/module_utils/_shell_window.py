# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A window by SSH: the port is led on by iptables, and the responder may run on the firewall itself."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ._clock import Clock, moment
from ._errors import CertfleetError, stage
from ._iptables_port import Plan, apply, check_forward, plan_absent, plan_present
from ._port_window import PortWindow
from ._progress import some, tell
from ._shell import responder
from ._shell.again import surely
from ._shell.endpoint import Endpoint
from ._shell.iptables import Iptables
from ._shell.redirect import HERE
from ._shell.session import Shell, shell
from ._signals import undisturbed
from ._xgs.forward import Forward
from ._xgs.runs import window_run


class ShellWindow(PortWindow):
    """One session for all of it. Where the target is the firewall itself, the responder runs there meanwhile."""

    def __init__(self, endpoint: Endpoint, forward: Forward, thumbprint: t.Callable[[], str]) -> None:
        """thumbprint: of the account that is answered for. Raises CertfleetError for what iptables cannot do."""
        check_forward(forward)
        self.endpoint = endpoint
        self.forward = forward
        self.answers_itself = forward.target == HERE
        self.run = window_run()
        self.clock = Clock()
        # Seconds for which closing is tried anew while the firewall cannot be reached; then the lease has to do it.
        self.patience = 60.0
        self._thumbprint = thumbprint
        self._writes = 0
        self._since: float | None = None

    @property
    def writes(self) -> int:
        """How many rules were made and removed."""
        return self._writes

    @property
    def told(self) -> list[str]:
        """None: a shell remarks nothing."""
        return []

    def addresses(self, wan_host: str) -> list[str]:
        """IPv4, of an interface such as Port2. Raises ShellError."""
        with shell(self.endpoint, self.clock) as session:
            shown = session.run(f"ip -4 -o addr show dev {wan_host.lstrip('#')}", check=False).output
        return re.findall(r"inet (\d+\.\d+\.\d+\.\d+)", shown)

    def plan(self) -> Plan:
        """See PortWindow. Where the target is the firewall itself, its python3 is looked at too."""
        with shell(self.endpoint, self.clock) as session:
            if self.answers_itself:
                responder.check_python(session)
            return plan_present(Iptables(session), self.forward, self.run)

    def sweep(self) -> CertfleetError | None:
        """A process on the firewall did, when each lease was over."""
        return None

    @contextlib.contextmanager
    def __call__(self) -> t.Iterator[None]:
        tell("open", f"port {self.forward.port} of {some(self.forward.wan_hosts)}")
        with contextlib.ExitStack() as stack:
            with stage("open"):
                session = stack.enter_context(shell(self.endpoint, self.clock))
            first: CertfleetError | None = None
            try:
                with undisturbed(), stage("open"):
                    self._open(session)
                yield
            except CertfleetError as error:
                first = error
                raise
            finally:
                with undisturbed():
                    self._end(session, first)

    def _open(self, session: Shell) -> None:
        iptables = Iptables(session)
        plan = plan_present(iptables, self.forward, self.run)
        if self.answers_itself:
            responder.start(session, self.forward.target_port, self._thumbprint(), self.forward.lease, self.run)
        self._since = self.clock.monotonic()
        self._apply(iptables, plan)
        if plan.mark:
            self.opened_at, self.until = moment(plan.mark.opened), moment(plan.mark.expires)
        self.closed_at = None

    def _apply(self, iptables: Iptables, plan: Plan) -> None:
        apply(iptables, plan)
        self._writes += len(plan.made) + len(plan.removed)

    def _end(self, session: Shell, first: CertfleetError | None) -> None:
        tell("close", f"port {self.forward.port}")
        try:
            surely(self.endpoint, session, self._close, self.patience, self.clock)
        except CertfleetError as error:
            error.stage = "close"
            ends = f"Its lease ends at {self.until:%H:%M} UTC" if self.until else "Its lease ends"
            error.advise(f"{ends}, and then a process on the firewall closes the port.")
            if first is None:
                raise
            first.advise(f"Besides: {error}")

    def _close(self, session: Shell) -> None:
        iptables = Iptables(session)
        self._apply(iptables, plan_absent(iptables, self.forward.name, self.run))
        if self._since is not None:
            self.seconds += self.clock.monotonic() - self._since
            self._since = None
        self.closed_at = moment(iptables.now())
        if self.answers_itself:
            responder.stop(session, self.forward.target_port, self.run)


__all__ = ("ShellWindow",)
