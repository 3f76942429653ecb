# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""xgs_dnat_port with `method: iptables`: the same states, in the firewall's shell."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from ._errors import CertfleetError, stage
from ._names import is_address
from ._runner import Outcome, Params
from ._shell.iptables import Iptables
from ._shell.redirect import HERE, Mark, Rule, rules
from ._shell.session import shell
from ._ssh_options import ssh_endpoint_from
from ._xgs.dnat import EVERY
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
        return {_label(mark, rule): str(rule) for mark, rule in self.removed}

    @property
    def after(self) -> dict[str, str]:
        return {_label(self.mark, rule): str(rule) for rule in self.made if self.mark}

    def did(self) -> dict[str, t.Any]:
        removed = [_label(mark, rule) for mark, rule in self.removed]
        return {"made": list(self.after), "removed": removed, "writes": len(self.made) + len(removed)}


def run(params: Params, check_mode: bool) -> Outcome:
    """Raises CertfleetError."""
    present = params["state"] == "present"
    run_id = run_id_from(params)
    for problem, remedy in _mistakes(params, present):
        raise CertfleetError(problem, stage="plan", remedy=remedy)
    with shell(ssh_endpoint_from(params)) as session, stage("open" if present else "close"):
        iptables = Iptables(session)
        plan = _plan_present(iptables, params, run_id) if present else _plan_closed(iptables, params, run_id)
        if not check_mode:
            _apply(iptables, plan, params["lease"])
    facts: dict[str, t.Any] = {} if params["state"] == "swept" else {"run_id": run_id}
    if plan.mark:
        opened = None if check_mode and plan.made else _utc(plan.mark.opened)
        until = None if check_mode and plan.made else _utc(plan.mark.expires)
        facts.update(forward=f"{plan.mark.at} to {plan.mark.to}", opened_at=opened, until=until, interrupts=[])
    changed = bool(plan.made or plan.removed)
    return Outcome(changed, {**facts, **plan.did()}, plan.before, plan.after, warnings=plan.warnings)


def _apply(iptables: Iptables, plan: Plan, lease: int) -> None:
    """What is new comes first: so a forward that is prolonged is open all the while."""
    if plan.mark and plan.made:
        iptables.open(plan.mark, plan.made, lease)
    iptables.remove([rule for _mark, rule in plan.removed])


def _plan_present(iptables: Iptables, params: Params, run_id: str) -> Plan:
    wanted = forward_from(params)
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


def _plan_closed(iptables: Iptables, params: Params, run_id: str) -> Plan:
    now, found = iptables.now(), iptables.ours()

    def goes(mark: Mark) -> bool:
        if params["state"] == "swept":
            return mark.expires <= now
        return mark.name == params["name"] and (run_id in (mark.run, EVERY) or not _lives(mark, now))

    removed = [(mark, rule) for mark, rule in found if goes(mark)]
    others = {mark for mark, _rule in found if not goes(mark) and mark.name == params["name"]}
    stays = [
        f"{mark.at} stays forwarded by run {mark.run} of {mark.owner} until {_utc(mark.expires)}" for mark in others
    ]
    return Plan(removed, warnings=[] if params["state"] == "swept" else sorted(stays))


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


def _mistakes(params: Params, present: bool) -> t.Iterator[tuple[str, str]]:
    """What iptables cannot do, or not without doubt. Problem and remedy."""
    if not NAME.fullmatch(params["name"]):
        yield f"the name '{params['name']}' does not do for iptables", "Use up to 32 letters, digits, dots and dashes."
    if not present:
        return
    wan = params["wan_host"]
    if len(wan) != 1:
        yield (
            "with method=iptables one wan_host is forwarded",
            "Name one, and run the task for each, with names of its own.",
        )
    if not all(is_address(one, 4) or INTERFACE.fullmatch(one.lstrip("#")) for one in wan):
        yield f"wan_host is {wan[0]}, of which iptables knows nothing", "Name an interface (Port2) or an IPv4 address."
    if params["target6"]:
        yield "with method=iptables only IPv4 is forwarded", "Leave target6 out, or use method=api."
    if params["zone"] != "LAN":
        yield "zones mean nothing to iptables", "Leave zone out, or use method=api."
    if params["target"] == HERE and params["target_port"] == params["wan_port"]:
        yield "the port is led to itself", "Set target_port to where the responder on the firewall listens."


def _label(mark: Mark, rule: Rule) -> str:
    return f"{rule.chain} {mark.label}"


def _utc(seconds: int) -> str:
    return utc(datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc))


__all__ = ("run",)
