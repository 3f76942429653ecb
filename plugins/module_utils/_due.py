# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What is due on one firewall, and why: the inventory's wish against what the firewall holds.

The firewall is the source of truth: nothing has to survive on the control node between two runs.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ._acme.advice import Advice
from ._acme.renewal import ari_id, decide
from ._errors import CertfleetError, stage
from ._names import normalise_domains
from ._x509 import KEY_TYPES, CertificateFacts
from ._xgs.api import Firewall
from ._xgs.certificates import StoredCertificate, base_name, check_name, origin_of, read_certificates, versions
from ._xgs.consumers import check_consumers, check_names, kinds_of, read_consumers, select
from ._xgs.pruning import plan_prune, read_users

RENEW, BIND, PRUNE, NOTHING = "renew", "bind", "prune", "none"
# A run that died between upload and switch leaves a certificate that looks fine and that nobody uses, one that died
# after the switch leaves its predecessor. So for this long after issuance the consumers are read as well; after it, one
# read a night is all.
SETTLING = datetime.timedelta(days=3)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One certificate of the inventory.

    domains: from normalise_domains(). consumers: None for those of the previous version. profile: None for the CA's
    choice.
    """

    name: str
    domains: tuple[str, ...]
    consumers: tuple[str, ...] | None
    key_type: str
    profile: str | None = None
    reuse_key: bool = False
    preferred_chain: str | None = None


@dataclasses.dataclass(frozen=True)
class Rules:
    """What decides. directory_url: of the ACME CA. period: until the next run. force: everything is due.
    keep: how many versions of a certificate shall stay; None for all.
    """

    directory_url: str
    period: datetime.timedelta
    force: bool = False
    keep: int | None = None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """action: RENEW (order, upload, bind), BIND (repoint consumers at what is there), PRUNE (remove
    versions that nobody uses) or NOTHING.

    renew_at: from when on it is, or was, time (aware, UTC); None where its age was not looked at.
    foreign: the current certificate is of another CA, or nobody's, so that this CA has nothing to say about it.
    remarks: what the user should know besides.
    """

    wanted: Wanted
    action: str
    reason: str
    current: StoredCertificate | None
    renew_at: datetime.datetime | None = None
    consumers: tuple[str, ...] = ()
    foreign: bool = False
    remarks: tuple[str, ...] = ()

    def as_dict(self, now: datetime.datetime) -> dict[str, t.Any]:
        """As xgs_cert_plan returns it. now: aware, for `days_left`."""
        facts = self.current.facts if self.current else None
        return {
            "name": self.wanted.name,
            "domains": list(self.wanted.domains),
            "key_type": self.wanted.key_type,
            "profile": self.wanted.profile,
            "reuse_key": self.wanted.reuse_key,
            "preferred_chain": self.wanted.preferred_chain,
            "consumers": list(self.consumers or self.wanted.consumers or ()),
            "action": self.action,
            "reason": self.reason,
            "current": self.current.name if self.current else None,
            "fingerprint": facts.fingerprint if facts else None,
            "self_signed": facts.self_signed if facts else None,
            "staging": facts.staging if facts else None,
            "not_after": facts.as_dict()["not_after"] if facts else None,
            "days_left": facts.days_left(now) if facts else None,
            "lifetime_days": facts.lifetime_days if facts else None,
            # By this the order tells the CA what it replaces (RFC 9773 §5).
            "replaces": ari_id(self.current.chain[0]) if self.current and not self.foreign else None,
            "renew_at": f"{self.renew_at:%Y-%m-%dT%H:%M:%SZ}" if self.renew_at else None,
        }


def wanted_certificates(entries: t.Sequence[dict[str, t.Any]]) -> list[Wanted]:
    """Check the inventory's list whole, before anything is asked of anybody. Raises CertfleetError, stage "plan"."""
    if not entries:
        raise CertfleetError(
            "there is no certificate to keep",
            stage="plan",
            remedy="Give xgs_letsencrypt_certificates a name and domains.",
        )
    found: dict[str, Wanted] = {}
    for entry in entries:
        name = entry["name"]
        with stage("plan", certificate=name):
            check_name(name)
            if name in found:
                raise CertfleetError("two certificates have this name", remedy="Give each a name of its own.")
            consumers = tuple(entry["consumers"]) if entry.get("consumers") else None
            check_consumers(consumers or ())
            found[name] = Wanted(
                name,
                normalise_domains(entry["domains"], entry.get("profile")),
                consumers,
                entry.get("key_type") or KEY_TYPES[0],
                entry.get("profile") or None,
                entry.get("reuse_key") or False,
                entry.get("preferred_chain") or None,
            )
    return list(found.values())


def judge(firewall: Firewall, wanted: t.Sequence[Wanted], advice: Advice, rules: Rules) -> list[Verdict]:
    """What each certificate needs. One read of the firewall; more only where something is due or new.

    Raises CertfleetError where the firewall does not tell, or a consumer is not there or needs another certificate.
    """
    stored = read_certificates(firewall)
    verdicts = []
    for certificate in wanted:
        with stage("plan", certificate=certificate.name):
            existing = versions(certificate.name, stored)
            if not existing:
                _check_absence(certificate.name, stored)
            verdict = _with_firewall(firewall, _judge(certificate, existing, advice, rules), existing, advice, rules)
            verdicts.append(dataclasses.replace(verdict, remarks=(*verdict.remarks, *_overtaken(existing))))
    return verdicts


def judge_files(
    read: t.Callable[[str], StoredCertificate], wanted: t.Sequence[Wanted], advice: Advice, rules: Rules
) -> list[Verdict]:
    """The same where certificates are files that are replaced in place: nobody has to be pointed at them.

    read: gives what is there under a name, or raises CertfleetError.
    """
    verdicts = []
    for certificate in wanted:
        with stage("plan", certificate=certificate.name):
            if certificate.consumers:
                raise CertfleetError(
                    "without the XML API nothing can be made to use it",
                    remedy="Choose it in the web admin console where it shall be used, and leave consumers out.",
                )
            stored = read(certificate.name)
            verdict = _judge(certificate, [stored] if stored.facts else [], advice, rules)
            verdicts.append(dataclasses.replace(verdict, consumers=(stored.name,)))
    return verdicts


def _check_absence(name: str, stored: t.Iterable[StoredCertificate]) -> None:
    """What is there and cannot be read must not be ordered anew every night, up to the CA's rate limit."""
    unreadable = [certificate.name for certificate in stored if base_name(certificate.name) == name]
    if unreadable:
        raise CertfleetError(
            f"the firewall has {', '.join(unreadable)}, but does not show the certificate itself",
            remedy="Give the account the right to download certificates; if the certificate is damaged, delete it.",
        )


def _overtaken(existing: list[StoredCertificate]) -> t.Iterator[str]:
    """Versions have names of their own. A newer one of the bare name is what an on-box tool leaves that is still at
    work, if the firewall shows the file as it lies on its disk (inferred); or somebody put it there by hand.
    """
    names = [version.name for version in existing]
    if len(names) > 1 and base_name(names[0]) == names[0]:
        yield (
            f"{names[0]} is renewed by something else too: the object of that name is newer than {names[1]}. If an"
            " on-box tool is still at work, retire it (docs/migration.md)"
        )


def _judge(wanted: Wanted, existing: list[StoredCertificate], advice: Advice, rules: Rules) -> Verdict:
    """By the certificate alone."""
    if not rules.force:
        _check_trial(existing, rules)
    current = _current(existing, origin_of(rules.directory_url, wanted.profile))
    if current is None or current.facts is None:
        return Verdict(wanted, RENEW, "the firewall does not have it yet", None)
    foreign = _foreign(wanted, current, rules)
    reason = "forced" if rules.force else foreign or _difference(wanted, current)
    if reason:
        return Verdict(wanted, RENEW, reason, current, foreign=foreign is not None)
    window = advice.window(wanted.name, current.chain[0])
    # By the CA's clock, if it was asked.
    decision = decide(current.facts, window=window, now=advice.clock.now(), period=rules.period)
    if decision.due:
        return Verdict(wanted, RENEW, decision.reason, current, decision.renew_at)
    # Or else trials that nobody ends look well for ever.
    staged = current.facts.staging_remarks(wanted.name)
    reason = f"{decision.reason}; it is of a staging CA, which nobody trusts" if staged else decision.reason
    return Verdict(wanted, NOTHING, reason, current, decision.renew_at, remarks=staged)


def _check_trial(existing: list[StoredCertificate], rules: Rules) -> None:
    """A trial that somebody forgot to end must not take the place of what visitors trust."""
    found = [version.facts for version in existing if version.facts]
    if _is_staging(rules.directory_url) and any(not facts.staging and not facts.self_signed for facts in found):
        raise CertfleetError(
            "the one in place is no trial, and one of the staging CA, which nobody trusts, would replace it",
            remedy="Take xgs_letsencrypt_staging out (without the role: another acme_directory). For a trial use"
            " another name, and something that nobody uses; or force it.",
        )


def _is_staging(directory_url: str) -> bool:
    return "staging" in directory_url


def _with_firewall(
    firewall: Firewall, verdict: Verdict, existing: list[StoredCertificate], advice: Advice, rules: Rules
) -> Verdict:
    """Who uses it, and what is left of earlier versions; looked at where that may matter."""
    facts = verdict.current.facts if verdict.current else None
    fresh = facts is not None and advice.clock.now() < facts.not_before + SETTLING
    if verdict.action == RENEW or len(existing) > 1 or fresh:
        verdict = _with_consumers(firewall, verdict, existing)
    return _with_leftovers(firewall, verdict, existing, rules.keep) if fresh else verdict


def _current(existing: list[StoredCertificate], wanted: str) -> StoredCertificate | None:
    """The newest version; but if that is surely of another origin than is wanted, the newest that is of it.

    By its dates alone, what a CA has dated back would not count against what another one issued a little before.
    """
    if not existing or existing[0].origin in (None, wanted):
        return next(iter(existing), None)
    return next((version for version in existing if version.origin == wanted), existing[0])


def _foreign(wanted: Wanted, current: StoredCertificate, rules: Rules) -> str | None:
    """Why the current certificate is surely not one that the CA would issue now."""
    facts = t.cast(CertificateFacts, current.facts)
    if facts.self_signed:
        return "it is self-signed"
    if facts.staging and not _is_staging(rules.directory_url):
        return "it was issued by a staging CA, which nobody trusts"
    if current.origin not in (None, origin_of(rules.directory_url, wanted.profile)):
        return "it was issued by another CA, or for another profile, than is asked for now"
    return None


def _difference(wanted: Wanted, current: StoredCertificate) -> str | None:
    """Why the current certificate is not the one that is wanted, whatever its age."""
    facts = t.cast(CertificateFacts, current.facts)
    if set(facts.names) != set(wanted.domains):
        return f"its names are {', '.join(facts.names)}"
    if facts.key_type != wanted.key_type:
        return f"its key is {facts.key_type}, not {wanted.key_type}"
    if not current.has_key:
        return "the firewall does not have its private key"
    return None


def _with_consumers(firewall: Firewall, verdict: Verdict, existing: list[StoredCertificate]) -> Verdict:
    """Name the consumers, and notice those that do not use the current version."""
    wanted = verdict.wanted
    consumers = read_consumers(firewall, kinds_of(wanted.consumers))
    selected = select(consumers, wanted.consumers, [version.name for version in existing], wanted.domains)
    check_names(selected, wanted.domains, firewall.endpoint)
    astray = [
        str(consumer) for consumer in selected if not verdict.current or consumer.certificate != verdict.current.name
    ]
    if verdict.action == NOTHING and astray:
        verdict = dataclasses.replace(verdict, action=BIND, reason=f"{', '.join(astray)} does not use it yet")
    return dataclasses.replace(verdict, consumers=tuple(str(consumer) for consumer in selected))


def _with_leftovers(
    firewall: Firewall, verdict: Verdict, existing: list[StoredCertificate], keep: int | None
) -> Verdict:
    """Notice the versions that a run left that died before it removed them. Who uses them is read only if there are."""
    name = verdict.wanted.name
    if verdict.action != NOTHING or keep is None or not plan_prune(name, keep, existing, ()).changed:
        return verdict
    change = plan_prune(name, keep, existing, read_users(firewall).by_certificate)
    if not change.writes:
        return verdict
    gone = ", ".join(write.name for write in change.writes)
    return dataclasses.replace(verdict, action=PRUNE, reason=f"nobody uses {gone} any more")


__all__ = (
    "BIND",
    "NOTHING",
    "PRUNE",
    "RENEW",
    "Rules",
    "Verdict",
    "Wanted",
    "judge",
    "judge_files",
    "wanted_certificates",
)
