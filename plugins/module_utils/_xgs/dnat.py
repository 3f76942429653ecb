# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Plans for a forward: open it for the time of a lease, take it back, clear away what is stale.

Each run has a firewall rule of its own, its claim, which hangs on a schedule. Hosts, services and the NAT rule are
shared by all runs that forward the same: the firewall may refuse a second NAT rule for the same address and port (API
document, 503). So the last claim that goes takes the NAT rule with it, and nobody closes another run's port. What
exists with equal content is used, not owned; what we make bears our mark.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
import xml.etree.ElementTree as ET

from .api import Firewall, Write
from .change import Change
from .conflicts import check, forwards, held, interrupted
from .errors import XgsApiError
from .forward import Forward, Leg, Parts, firewall_rule, must_be_free, nat_rule, serves
from .lease import Lease, Mark, mark_of
from .objects import Objects, alike, element, name_of
from .runs import has_died

# In the order of removal: what refers before what is referred to (API document, 504).
ENTITIES = ("NATRule", "FirewallRule", "Schedule", "Services", "IPHost")
NAT, RULE, SCHEDULE = ENTITIES[:3]
RULES = (NAT, RULE)
GROUPS = {"IPHost": "IPHostGroup", "Services": "ServiceGroup"}
IN_USE = 504
# "A virtual host of the same address and port" (API document, NATRule).
TAKEN = (503, 504)
# All runs, instead of one.
EVERY = "*"
# What a firewall may show otherwise than it was told, and what differs between two runs.
NEVER_MIND = ("Name", "Description", "Position", "LinkedFirewallrule", "LogTraffic", "SkipLocalDestined", "Schedule")


@dataclasses.dataclass(frozen=True)
class Plan(Change):
    """holds: objects of ours that the opening needs, in the order of removal. joins: those of other runs among the NAT
    rules. opened: since when the port is open already, until: when the lease ends, both aware, UTC. interrupts: web
    server protection rules without port 80 meanwhile.
    """

    holds: tuple[ET.Element, ...] = ()
    joins: tuple[str, ...] = ()
    opened: datetime.datetime | None = None
    until: datetime.datetime | None = None
    interrupts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def plan_present(objects: Objects, wanted: Forward, lease: Lease, now: datetime.datetime) -> Plan:
    """Open, or leave open what this run has open as wanted for half of the lease at least; clear away what is stale.

    now: aware, by the firewall's clock. Raises XgsError when somebody else's object is in the way, or a run of ours has
    the port elsewhere.
    """
    own = {name_of(rule): rule for rule in objects[RULE] if _is_own(rule, wanted.name, lease.run)}
    opened = next((mark.opened for rule in own.values() if (mark := mark_of(rule))), None)
    lease = dataclasses.replace(lease, opened=opened or lease.opened)
    parts = Parts(objects, wanted, lease.description)
    check(objects, wanted, parts.legs)
    claims = _claims(objects, wanted, lease, parts, own, now)
    nats = [_nat(objects, wanted, lease, leg, parts) for leg in parts.legs]
    stays = [*claims, *nats, *parts.used, *parts.new]
    rivals = [nat for leg in parts.legs for nat in _rivals(objects, wanted, leg, nats)]
    mine = [one for one in _all(objects) if _is_own(one, wanted.name, lease.run) or _over(one, now)]
    gone = _gone(objects, [*mine, *rivals], stays)
    for nat in rivals:
        if nat not in gone and (mark := mark_of(nat)):
            raise held(nat, mark, f"{', '.join(wanted.wan_hosts)}:{wanted.port}")
    writes = _writes(objects, gone, claims, nats, parts)
    updated = {write.name for write in writes if write.operation == "update"}
    old = [own[name] for name in sorted(updated)]
    fresh = [write.entity for write in writes if write.operation != "remove"]
    after = {**_summary(wanted, lease), **_listed(fresh)}
    return Plan(
        before=_listed([*gone, *old]),
        after=after if writes else {},
        writes=writes,
        holds=tuple(one for tag in ENTITIES for one in stays if one.tag == tag and mark_of(one)),
        joins=tuple(name_of(nat) for nat in nats if objects.find(NAT, name_of(nat)) is nat),
        opened=None if any(one.tag in RULES and name_of(one) not in updated for one in fresh) else opened,
        until=min(mark.expires for rule in claims if (mark := mark_of(rule))),
        interrupts=tuple(interrupted(objects, wanted, parts.legs)),
        warnings=_warnings(objects, mine, stays, gone),
    )


def plan_absent(objects: Objects, name: str, run: str, now: datetime.datetime, *, left: bool = False) -> Plan:
    """Close what this run opened under the name, whole, half-made or expired; what another run needs stays.

    now: aware, by the firewall's clock. left: also what a playbook left open here that has ended.
    """
    named = [one for one in _all(objects) if mark_of(one) and _named(one, name)]
    mine = [one for one in named if is_of(one, run) or _over(one, now) or (left and _left(one)) or one.tag == NAT]
    gone = _gone(objects, mine, [])
    others = [mark for rule in objects[RULE] if rule in named and rule not in gone and (mark := mark_of(rule))]
    return Plan(
        _listed(gone),
        {},
        tuple(map(removal, gone)),
        warnings=(*map(_still_open, others), *_warnings(objects, mine, [], gone)),
    )


def plan_swept(objects: Objects, now: datetime.datetime) -> Plan:
    """Remove everything of ours, under whatever name, whose lease is over and that nobody needs; and nothing else.

    now: aware, by the firewall's clock.
    """
    mine = [one for one in _all(objects) if _over(one, now)]
    gone = _gone(objects, mine, [])
    return Plan(_listed(gone), {}, tuple(map(removal, gone)), warnings=_warnings(objects, mine, [], gone))


def removal(element_: ET.Element) -> Write:
    """The Remove of an object: it takes no more than the name (API document)."""
    return Write("remove", element(element_.tag, {"Name": name_of(element_)}))


def carry_out(firewall: Firewall, write: Write) -> bool:
    """Send a write of a plan. False: it was to be removed, but something that the plan did not see uses it.

    What is gone already answers as what is in use (measured), so that a refused removal is looked up. Raises
    XgsApiError for what is refused otherwise.
    """
    try:
        firewall.send(write)
    except XgsApiError as error:
        if write.operation != "remove":
            if write.entity.tag == NAT and error.code in TAKEN:
                error.advise(
                    "Is there another NAT rule for that address and port, be it a disabled one, or a web server"
                    " protection rule on it?"
                )
            raise
        if firewall.get(write.entity.tag, write.name):
            if error.code != IN_USE or write.entity.tag in RULES:
                raise
            return False
    return True


def claims(firewall: Firewall, name: str) -> list[ET.Element]:
    """Firewall rules of all runs under this name whose lease lasts: one read."""
    rules = firewall.get(RULE, like=name)
    now = firewall.time.now()
    return [rule for rule in rules if mark_of(rule) and _named(rule, name) and not _over(rule, now)]


def is_of(one: ET.Element, run: str) -> bool:
    """Whether it bears the mark of this run; of any, for EVERY."""
    mark = mark_of(one)
    return mark is not None and run in (EVERY, mark.run)


def mentions(rule: ET.Element) -> set[str]:
    """Names of whatever a rule refers to, and some other texts."""
    return {(child.text or "").strip() for child in rule.iter() if child.tag not in ("Name", "Description")}


def _claims(
    objects: Objects, wanted: Forward, lease: Lease, parts: Parts, own: dict[str, ET.Element], now: datetime.datetime
) -> list[ET.Element]:
    """The firewall rules of this run: those that are there, or all of them with a new lease."""

    def rules(schedule: str) -> list[ET.Element]:
        names = [leg.rule_name(wanted.name, lease.run) for leg in parts.legs]
        mark = lease.description
        return [firewall_rule(wanted, leg, parts, name, schedule, mark) for leg, name in zip(parts.legs, names)]

    enough = now + datetime.timedelta(seconds=wanted.lease / 2)
    there = [own.get(name_of(rule)) for rule in rules("")]
    lasting = [
        rule
        for rule, new in zip(there, rules(""))
        if rule is not None and alike(rule, new, NEVER_MIND) and not _over(rule, enough)
    ]
    schedules = [objects.find(SCHEDULE, rule.findtext("NetworkPolicy/Schedule", "")) for rule in lasting]
    if len(lasting) == len(there) and None not in schedules:
        parts.used.extend(schedule for schedule in schedules if schedule is not None)
        return lasting
    schedule = parts.use(lease.schedule(wanted.name), lease.equals)
    fresh = rules(schedule)
    for rule in fresh:
        if name_of(rule) not in own:
            must_be_free(objects, rule)
    return fresh


def _nat(objects: Objects, wanted: Forward, lease: Lease, leg: Leg, parts: Parts) -> ET.Element:
    """The NAT rule for a family: that of any run of ours under this name, or a new one."""
    new = nat_rule(wanted, leg, parts, leg.rule_name(wanted.name, lease.run), lease.description)
    for there in objects[NAT]:
        if mark_of(there) and _named(there, wanted.name) and alike(there, new, NEVER_MIND):
            return there
    taken = objects.find(NAT, name_of(new))
    if taken is not None and not mark_of(taken):
        must_be_free(objects, new)
    return new


def _rivals(objects: Objects, wanted: Forward, leg: Leg, nats: list[ET.Element]) -> t.Iterator[ET.Element]:
    """NAT rules of ours for the same address and port that lead elsewhere."""
    for nat in objects[NAT]:
        if mark_of(nat) and nat not in nats and forwards(objects, nat, leg, wanted.port):
            yield nat


def _writes(
    objects: Objects, gone: list[ET.Element], claims: list[ET.Element], nats: list[ET.Element], parts: Parts
) -> tuple[Write, ...]:
    """NAT rules come last and go first, so the port is open no longer than need be."""
    rules = [rule for rule in claims if objects.find(RULE, name_of(rule)) is not rule]
    return (
        *(removal(one) for one in gone if one.tag in RULES),
        *(Write("add", one) for tag in reversed(ENTITIES) for one in parts.new if one.tag == tag),
        *(Write("update" if objects.find(RULE, name_of(rule)) is not None else "add", rule) for rule in rules),
        *(removal(one) for one in gone if one.tag not in RULES),
        *(Write("add", nat) for nat in nats if objects.find(NAT, name_of(nat)) is not nat),
    )


def _gone(objects: Objects, mine: list[ET.Element], stays: list[ET.Element]) -> list[ET.Element]:
    """What can be removed of mine and of what that refers to, in the order of removal: all that nobody needs.

    stays: what shall be there afterwards, as it shall be then.
    """
    kept = {name_of(rule) for rule in stays if rule.tag == RULE}
    old = [rule for rule in mine if rule.tag == RULE]
    rules = [rule for rule in old if name_of(rule) not in kept]
    claims = [rule for rule in objects[RULE] if mark_of(rule) and rule not in old]
    nats = [
        nat
        for nat in objects[NAT]
        if mark_of(nat)
        and nat not in stays
        and (nat in mine or any(serves(rule, nat) for rule in old))
        and not any(serves(rule, nat) for rule in claims)
    ]
    left = [one for tag in RULES for one in objects[tag] if one not in old and one not in nats]
    needed = _mentioned([*left, *(one for one in stays if one.tag in RULES)])
    freed = _mentioned([*old, *nats])
    helpers = [
        one
        for tag in ENTITIES[2:]
        for one in objects[tag]
        if mark_of(one)
        and one not in stays
        and (one in mine or name_of(one) in freed)
        and name_of(one) not in needed
        and not _grouped(objects, one)
    ]
    return [*nats, *rules, *helpers]


def _mentioned(rules: t.Iterable[ET.Element]) -> set[str]:
    return set().union(*map(mentions, rules))


def _grouped(objects: Objects, one: ET.Element) -> bool:
    return (
        objects.complete and one.tag in GROUPS and any(name_of(one) in mentions(it) for it in objects[GROUPS[one.tag]])
    )


def _warnings(
    objects: Objects, mine: list[ET.Element], stays: list[ET.Element], gone: list[ET.Element]
) -> tuple[str, ...]:
    """What is stale but stays, because somebody else uses it."""
    theirs = _mentioned(rule for tag in RULES for rule in objects[tag] if mark_of(rule) is None)
    return tuple(
        still_used(one)
        for one in mine
        if one.tag not in RULES
        and one not in gone
        and one not in stays
        and (name_of(one) in theirs or _grouped(objects, one))
    )


def _still_open(mark: Mark) -> str:
    return f"{mark} has the port open until {mark.expires:%H:%M} UTC; state=absent with run_id {mark.run} ends that"


def still_used(one: ET.Element) -> str:
    """The warning for an object of ours that somebody else has come to use."""
    return f"{one.tag} '{name_of(one)}' stays, because something that this collection did not make uses it"


def _all(objects: Objects) -> t.Iterator[ET.Element]:
    for entity in ENTITIES:
        yield from objects[entity]


def _over(one: ET.Element, when: datetime.datetime) -> bool:
    """Whether it is ours, and its lease has ended by then, or its window's process has."""
    mark = mark_of(one)
    return mark is not None and (mark.expires < when or has_died(mark.owner, mark.run))


def _left(one: ET.Element) -> bool:
    """Whether a playbook that ended on this machine left it open."""
    mark = mark_of(one)
    return mark is not None and has_died(mark.owner, mark.run, windows_only=False)


def _is_own(one: ET.Element, name: str, run: str) -> bool:
    return is_of(one, run) and _named(one, name)


def _named(one: ET.Element, name: str) -> bool:
    """Whether it belongs to the forward of this name, and not to one whose name begins with it."""
    mark = mark_of(one)
    rest = name_of(one)[len(name) + 1 :]
    if mark is None or not name_of(one).startswith(f"{name}-"):
        return False
    if one.tag in RULES:
        return rest in (mark.run, f"{mark.run}-6")
    return not set(rest) - set("0123456789abcdef.-tcpi")


def _summary(wanted: Forward, lease: Lease) -> dict[str, t.Any]:
    return {
        "forward": str(wanted),
        "zone": wanted.zone,
        "masquerade": wanted.masquerade,
        "until": f"{lease.end:%Y-%m-%d %H:%M %Z}",
    }


def _listed(elements: t.Iterable[ET.Element]) -> dict[str, t.Any]:
    return {f"{one.tag} {name_of(one)}": one.findtext("Description") for one in elements}


__all__ = (
    "ENTITIES",
    "EVERY",
    "IN_USE",
    "NAT",
    "RULE",
    "RULES",
    "Forward",
    "Plan",
    "carry_out",
    "claims",
    "is_of",
    "mentions",
    "plan_absent",
    "plan_present",
    "plan_swept",
    "removal",
    "still_used",
)
