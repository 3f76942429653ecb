# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""xgs_dnat_port with `method: iptables`: the same states, in the firewall's shell.

Whatever talks to that raises ShellError where the session or a command fails. Times are seconds since 1970, by the
firewall's clock.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ._clock import moment
from ._errors import CertfleetError, stage
from ._names import is_address
from ._runner import Outcome, Params
from ._shell.iptables import Iptables
from ._shell.redirect import HERE, Mark, Rule, rules
from ._shell.session import shell
from ._ssh_options import ssh_endpoint_from
from ._xgs.dnat import EVERY
from ._xgs.forward import Forward
from ._xgs.lease import utc
from ._xgs.runs import has_died, this_owner
from ._xgs_options import forward_from, run_id_from

# What a comment may have in it unquoted, and what Linux calls an interface.
NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")
Ours = t.List[t.Tuple[Mark, Rule]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """removed: rules of now. made: new ones, which belong to `mark`; where there are none, it is the old ones'."""

    removed: Ours
    made: list[Rule] = dataclasses.field(default_factory=list)
    mark: Mark | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)

    @property
    def before(self) -> dict[str, str]:
        """For the diff: what goes."""
        return {_label(mark, rule): str(rule) for mark, rule in self.removed}

    @property
    def after(self) -> dict[str, str]:
        """For the diff: what comes."""
        return {_label(self.mark, rule): str(rule) for rule in self.made if self.mark}

    def did(self) -> dict[str, t.Any]:
        """For the result of the task."""
        removed = [_label(mark, rule) for mark, rule in self.removed]
        return {"made": list(self.after), "removed": removed, "writes": len(self.made) + len(removed)}


def run(params: Params, check_mode: bool) -> Outcome:
    """The module's run() for this method. Raises CertfleetError, stage "plan", "open" or "close"; or ShellError."""
    state, run_id = params["state"], run_id_from(params)
    check_name(params["name"])
    forward = forward_from(params) if state == "present" else None
    if forward:
        check_forward(forward)
    with shell(ssh_endpoint_from(params)) as session, stage("open" if forward else "close"):
        iptables = Iptables(session)
        if forward:
            plan = plan_present(iptables, forward, run_id)
        else:
            plan = plan_swept(iptables) if state == "swept" else plan_absent(iptables, params["name"], run_id)
        if not check_mode:
            apply(iptables, plan)
    facts: dict[str, t.Any] = {} if state == "swept" else {"run_id": run_id}
    if plan.mark:
        opened = None if check_mode and plan.made else _utc(plan.mark.opened)
        until = None if check_mode and plan.made else _utc(plan.mark.expires)
        facts.update(forward=f"{plan.mark.at} to {plan.mark.to}", opened_at=opened, until=until, interrupts=[])
    changed = bool(plan.made or plan.removed)
    return Outcome(changed, {**facts, **plan.did()}, plan.before, plan.after, warnings=plan.warnings)


def apply(iptables: Iptables, plan: Plan) -> None:
    """What is new comes first: so a forward that is prolonged is open all the while."""
    if plan.mark and plan.made:
        iptables.open(plan.mark, plan.made, plan.mark.expires - plan.mark.opened)
    iptables.remove([rule for _mark, rule in plan.removed])


def plan_present(iptables: Iptables, wanted: Forward, run_id: str) -> Plan:
    """Open, or leave open what this run has open as wanted for half of the lease at least.

    Raises CertfleetError where another run has the port elsewhere, or the firewall lacks the address or interface.
    """
    now, found = iptables.now(), iptables.ours()
    wan = wanted.wan_hosts[0].lstrip("#")
    own = iptables.addresses()
    _must_be_there(iptables, wan, own)
    mark = Mark(
        name=wanted.name,
        run=run_id,
        owner=this_owner(),
        at=f"{wan}:{wanted.port}",
        to=f"{wanted.target}:{wanted.target_port}",
        masquerade=wanted.masquerade,
        opened=now,
        expires=now + wanted.lease,
    )
    for other, _rule in found:
        if other.at == mark.at and other.label != mark.label and _lives(other, now) and not other.same_way(mark):
            raise CertfleetError(
                f"run {other.run} of {other.owner} forwards {other.at} to {other.to} until {_utc(other.expires)}",
                remedy="Wait for it, or close it: state=absent with its run_id.",
            )
    made = rules(mark, local=wanted.target in own)
    mine = [(there, rule) for there, rule in found if there.label == mark.label]
    stale = [
        (there, rule)
        for there, rule in found
        if there.name == mark.name and there.label != mark.label and not _lives(there, now)
    ]
    kept = _still_good(mine, mark, made, now + wanted.lease // 2)
    return Plan(stale, mark=kept) if kept else Plan([*mine, *stale], made, mark)


def _still_good(mine: Ours, wanted: Mark, made: list[Rule], until: int) -> Mark | None:
    """The mark of what is open as it is wanted, whole, and for long enough."""
    marks = {mark for mark, _rule in mine}
    if len(marks) != 1:
        return None
    (mark,) = marks
    chains = [sorted(rule.chain for rule in some) for some in ([rule for _mark, rule in mine], made)]
    return mark if mark.same_way(wanted) and chains[0] == chains[1] and mark.expires >= until else None


def plan_swept(iptables: Iptables) -> Plan:
    """What is over goes, whatever its name."""
    now = iptables.now()
    return Plan([(mark, rule) for mark, rule in iptables.ours() if mark.expires <= now])


def plan_absent(iptables: Iptables, name: str, run_id: str) -> Plan:
    """What is of this run goes, or of a run that lives no more. The warnings tell what stays."""
    now, named = iptables.now(), [(mark, rule) for mark, rule in iptables.ours() if mark.name == name]
    gone = {mark for mark, _rule in named if run_id in (mark.run, EVERY) or not _lives(mark, now)}
    stays = {
        f"{mark.at} stays forwarded by run {mark.run} of {mark.owner} until {_utc(mark.expires)}"
        for mark, _rule in named
        if mark not in gone
    }
    return Plan([(mark, rule) for mark, rule in named if mark in gone], warnings=sorted(stays))


def _lives(mark: Mark, now: int) -> bool:
    """Neither is its lease over, nor was it a playbook on this machine that has ended."""
    died = mark.owner == this_owner()[-60:] and has_died(this_owner(), mark.run, windows_only=False)
    return mark.expires > now and not died


def _must_be_there(iptables: Iptables, wan: str, own: set[str]) -> None:
    if is_address(wan, 4):
        there, known = wan in own, sorted(own)
    else:
        known = iptables.interfaces()
        there = wan in known
    if not there:
        raise CertfleetError(
            f"the firewall has no {'address' if is_address(wan, 4) else 'interface'} {wan}",
            remedy=f"Set wan_host to one of: {', '.join(known)}.",
        )


def check_name(name: str) -> None:
    """Raises CertfleetError, stage "plan", for a name that a rule's comment cannot have."""
    if not NAME.fullmatch(name):
        raise CertfleetError(
            f"the name '{name}' does not do for iptables",
            stage="plan",
            remedy="Use up to 32 letters, digits, dots and dashes.",
        )


def check_forward(forward: Forward) -> None:
    """Refuse what iptables cannot do, or not without doubt. Raises CertfleetError, stage "plan"."""
    check_name(forward.name)
    for problem, remedy in _mistakes(forward):
        raise CertfleetError(problem, stage="plan", remedy=remedy)


def _mistakes(forward: Forward) -> t.Iterator[tuple[str, str]]:
    """Problem and remedy."""
    wan = forward.wan_hosts
    if len(wan) != 1:
        yield (
            "with method=iptables one wan_host is forwarded",
            "Name one, and run the task for each, with names of its own.",
        )
    if not all(is_address(one, 4) or INTERFACE.fullmatch(one.lstrip("#")) for one in wan):
        yield f"wan_host is {wan[0]}, of which iptables knows nothing", "Name an interface (Port2) or an IPv4 address."
    if forward.target6:
        yield "with method=iptables only IPv4 is forwarded", "Leave target6 out, or use method=api."
    if forward.zone != "LAN":
        yield "zones mean nothing to iptables", "Leave zone out, or use method=api."
    if forward.target == HERE and forward.target_port == forward.port:
        yield "the port is led to itself", "Set target_port to where the responder on the firewall listens."


def _label(mark: Mark, rule: Rule) -> str:
    return f"{rule.chain} {mark.label}"


def _utc(seconds: int) -> str:
    return utc(moment(seconds))


__all__ = ("apply", "check_forward", "plan_absent", "plan_present", "run")
