# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Who uses which certificate, and how each is pointed at another one.

A consumer is written `webadmin`, `sslvpn`, … or, where there are many of a kind, `waf:NAME`. All of them hold the
certificate's name in one element of one entity (API document); nothing on the firewall looks it up the other way round.
"""

from __future__ import annotations

import copy
import dataclasses
import typing as t
import xml.etree.ElementTree as ET

from .._errors import CertfleetError
from .api import Firewall, Write
from .change import Change
from .errors import XgsError
from .transport import Endpoint


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of consumer.

    paths: the elements that may hold the certificate's name, below the record; the first one present counts.
    block: the part of the entity that a Set may consist of alone. named: there are many, told apart by Name.
    """

    key: str
    title: str
    entity: str
    paths: tuple[str, ...]
    block: str | None = None
    named: bool = False


KINDS = {
    kind.key: kind
    for kind in (
        Kind(
            "webadmin",
            "web admin console and portals",
            "AdminSettings",
            ("WebAdminSettings/Certificate",),
            "WebAdminSettings",
        ),
        # One public tool has HTTPSCertificate where four others have Certificate: take what is there.
        Kind(
            "waf",
            "web server protection rule",
            "FirewallRule",
            ("HTTPBasedPolicy/Certificate", "HTTPBasedPolicy/HTTPSCertificate"),
            named=True,
        ),
        Kind("sslvpn", "SSL VPN", "SSLTunnelAccessSettings", ("SSLServerCertificate",)),
        Kind("smtp", "SMTP TLS", "EmailConfiguration", ("SMTPTLSConfiguration/TLSCertificate",)),
        Kind("popimap", "POP and IMAP TLS", "EmailConfiguration", ("POPSIMAPTLSConfiguration/TLSCertificate",)),
        Kind("hotspot", "hotspot sign-in page", "AdvancedConfiguration", ("LoginPageCertificate/Certificate",)),
    )
}


@dataclasses.dataclass(frozen=True)
class Consumer:
    """One user of a certificate as read from the firewall; the record survives untouched but for one element."""

    kind: Kind
    name: str
    record: ET.Element = dataclasses.field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.kind.key}:{self.name}" if self.kind.named else self.kind.key

    @property
    def certificate(self) -> str:
        """Name of the certificate that it uses now."""
        return _element(self.kind, self.record).text or ""

    @property
    def domains(self) -> list[str]:
        """The names that a web server protection rule answers for."""
        return [element.text or "" for element in self.record.findall("HTTPBasedPolicy/Domains/Domain")]

    def pointed_at(self, certificate: str) -> Write:
        record = copy.deepcopy(self.record)
        record.attrib.clear()
        _element(self.kind, record).text = certificate
        if self.kind.block:
            for sibling in [child for child in record if child.tag != self.kind.block]:
                record.remove(sibling)
        return Write("update", record)


def check_consumers(consumers: t.Iterable[str]) -> None:
    """Refuse what is no consumer, before anything is asked of a firewall."""
    for text in consumers:
        key, colon, name = text.partition(":")
        kind = KINDS.get(key)
        if kind is None or kind.named != bool(name) or bool(colon) != bool(name):
            known = ", ".join(f"{kind.key}:NAME" if kind.named else kind.key for kind in KINDS.values())
            raise CertfleetError(f"'{text}' is not a consumer", stage="plan", remedy=f"Known are {known}.")


def read_consumers(firewall: Firewall, keys: t.Iterable[str] = tuple(KINDS)) -> list[Consumer]:
    """Every consumer of these kinds, whatever certificate it uses. One read for each entity that is concerned."""
    records: dict[str, list[ET.Element]] = {}
    found: list[Consumer] = []
    for kind in (KINDS[key] for key in KINDS if key in set(keys)):
        if kind.entity not in records:
            records[kind.entity] = firewall.get(kind.entity)
        found += [
            Consumer(kind, record.findtext("Name", "") if kind.named else "", record)
            for record in records[kind.entity]
            if any(record.find(path) is not None for path in kind.paths)
        ]
    return found


def select(
    consumers: t.Iterable[Consumer], wanted: t.Sequence[str] | None, versions: t.Container[str]
) -> list[Consumer]:
    """The wanted ones; without a wish, those that use one of the given versions of the certificate."""
    if not wanted:
        return [consumer for consumer in consumers if consumer.certificate in versions]
    by_text = {str(consumer): consumer for consumer in consumers}
    for text in wanted:
        if text not in by_text:
            alike = ", ".join(sorted(other for other in by_text if other.partition(":")[0] == text.partition(":")[0]))
            raise CertfleetError(
                f"the firewall has no consumer '{text}'",
                remedy=f"There are: {alike}." if alike else "Nothing of that kind is configured there.",
            )
    return [by_text[text] for text in dict.fromkeys(wanted)]


def check_names(consumers: t.Iterable[Consumer], names: t.Container[str], endpoint: Endpoint) -> None:
    """Raises CertfleetError when one of them answers for a name that the certificate does not have.

    endpoint: how we reach the web admin console, which we must trust after the switch as well.
    """
    for consumer in consumers:
        missing = [domain for domain in consumer.domains if domain.lower() not in names]
        if missing:
            raise CertfleetError(
                f"{consumer} answers for {', '.join(missing)}, which the certificate does not cover",
                remedy="Add the names to the certificate's domains, or leave the consumer out.",
            )
        if consumer.kind.key == "webadmin" and endpoint.verified_name and endpoint.verified_name not in names:
            raise CertfleetError(
                f"with this certificate the console at {endpoint} would not be trusted from here, because it is not"
                f" issued for '{endpoint.verified_name}'",
                remedy="Set tls_server_name (in the inventory: xgs_tls_server_name) to one of the certificate's names.",
            )


def kinds_of(wanted: t.Sequence[str] | None) -> list[str]:
    """Which kinds have to be read for a wish of select()."""
    return [text.partition(":")[0] for text in wanted] if wanted else list(KINDS)


def plan_bind(consumers: t.Iterable[Consumer], certificate: str) -> list[tuple[Consumer, Change]]:
    """For each consumer that uses another certificate, the change that points it at this one."""
    return [
        (
            consumer,
            Change(
                {str(consumer): consumer.certificate}, {str(consumer): certificate}, (consumer.pointed_at(certificate),)
            ),
        )
        for consumer in consumers
        if consumer.certificate != certificate
    ]


def point(firewall: Firewall, consumer: Consumer, certificate: str) -> None:
    """Point one consumer at a certificate, and mend what the firewall loses on the way."""
    groups = _groups_of(firewall, consumer)
    firewall.send(consumer.pointed_at(certificate))
    for group in groups:
        _restore_member(firewall, group, consumer.name)


def _groups_of(firewall: Firewall, consumer: Consumer) -> list[ET.Element]:
    if consumer.kind.key != "waf":
        return []
    return [group for group in firewall.get("FirewallRuleGroup") if consumer.name in _members(group)]


def _restore_member(firewall: Firewall, group: ET.Element, rule: str) -> None:
    """An updated rule falls out of its group (measured by two tools): put it back, and look that it is there."""
    name = group.findtext("Name", "")
    if any(rule in _members(now) for now in firewall.get("FirewallRuleGroup", name)):
        return
    restored = copy.deepcopy(group)
    restored.attrib.clear()
    firewall.send(Write("update", restored))
    if not any(rule in _members(now) for now in firewall.get("FirewallRuleGroup", name)):
        raise XgsError(
            f"the rule '{rule}' fell out of the rule group '{name}' and does not go back",
            remedy="Move it into the group in the web console; its position in the list did not change.",
        )


def _members(group: ET.Element) -> list[str]:
    return [element.text or "" for element in group.findall("SecurityPolicyList/SecurityPolicy")]


def _element(kind: Kind, record: ET.Element) -> ET.Element:
    return next(element for element in map(record.find, kind.paths) if element is not None)


__all__ = (
    "KINDS",
    "Consumer",
    "check_consumers",
    "check_names",
    "kinds_of",
    "plan_bind",
    "point",
    "read_consumers",
    "select",
)
