# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Who uses which certificate.

A consumer is written `webadmin`, `sslvpn`, … or, where there are many of a kind, `waf:NAME`. All of them hold the
certificate's name in one element of one entity (API document); nothing on the firewall looks it up the other way round.
"""

from __future__ import annotations

import copy
import dataclasses
import typing as t
import xml.etree.ElementTree as ET

from .._errors import CertfleetError
from .._x509 import uncovered
from .api import Firewall, Write
from .change import Change
from .errors import XgsApiError
from .transport import Endpoint

# The answer for an entity that this firmware does not have.
UNKNOWN_ENTITY = 529


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of consumer.

    paths: the elements that may hold the certificate's name, below the record; the first one present counts.
    block: the part of the entity that a Set may consist of alone. named: there are many, told apart by Name.
    container: the element in which all objects of the entity lie side by side, in one record. optional: without a
    certificate's name in it, it uses none. by_hand: why it is only told and never switched. unseen: why no handshake
    shows what it serves.
    """

    key: str
    title: str
    entity: str
    paths: tuple[str, ...]
    block: str | None = None
    named: bool = False
    container: str | None = None
    optional: bool = False
    by_hand: str = ""
    unseen: str = ""

    @property
    def name_path(self) -> str:
        """Where the object's name stands, below the record."""
        return f"{self.container}/Name" if self.container else "Name"


_PEER = "it is what the other side has to show: change it when the other side has its new certificate"
_IKE = "it is shown within IKE, not by a TLS handshake"
_MAIL = "it is shown within mail connections that pass through the firewall"

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
        Kind("smtp", "SMTP TLS", "EmailConfiguration", ("SMTPTLSConfiguration/TLSCertificate",), unseen=_MAIL),
        Kind(
            "popimap",
            "POP and IMAP TLS",
            "EmailConfiguration",
            ("POPSIMAPTLSConfiguration/TLSCertificate",),
            unseen=_MAIL,
        ),
        Kind(
            "hotspot",
            "hotspot sign-in page",
            "AdvancedConfiguration",
            ("LoginPageCertificate/Certificate",),
            unseen="only guests of a hotspot are shown its page",
        ),
        Kind(
            "remoteaccess",
            "remote access IPsec",
            "SophosConnectClient",
            ("LocalCertificate",),
            optional=True,
            unseen=_IKE,
        ),
        Kind(
            "remoteaccess-peer",
            "remote access IPsec, the clients' certificate",
            "SophosConnectClient",
            ("RemoteCertificate",),
            optional=True,
            by_hand=_PEER,
        ),
        Kind(
            "ipsec",
            "IPsec connection",
            "VPNIPSecConnection",
            ("Configuration/LocalCertificate",),
            named=True,
            container="Configuration",
            optional=True,
            unseen=_IKE,
        ),
        Kind(
            "ipsec-peer",
            "IPsec connection, the other side's certificate",
            "VPNIPSecConnection",
            ("Configuration/RemoteCertificate",),
            named=True,
            container="Configuration",
            optional=True,
            by_hand=_PEER,
        ),
        Kind(
            "l2tp",
            "L2TP connection",
            "L2TPConnection",
            ("Configuration/LocalCertificate",),
            named=True,
            container="Configuration",
            optional=True,
            unseen=_IKE,
        ),
    )
}
# Means every rule whose domains the certificate covers. Of other kinds there is nothing that would set a limit.
WAF = "waf"


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
        """The update that points it at the certificate of this name: the record as it was read, or its block alone."""
        record = copy.deepcopy(self.record)
        record.attrib.clear()
        _element(self.kind, record).text = certificate
        if self.kind.block:
            for sibling in [child for child in record if child.tag != self.kind.block]:
                record.remove(sibling)
        return Write("update", record)


def check_consumers(consumers: t.Iterable[str]) -> None:
    """Raises CertfleetError, stage "plan", for what is no consumer, or not ours to switch. Asks no firewall."""
    for text in consumers:
        key, colon, name = text.partition(":")
        kind = KINDS.get(key)
        if text != WAF and (kind is None or kind.named != bool(name) or bool(colon) != bool(name)):
            ours = [kind for kind in KINDS.values() if not kind.by_hand]
            known = ", ".join(f"{kind.key}:NAME" if kind.named else kind.key for kind in ours)
            raise CertfleetError(
                f"'{text}' is not a consumer",
                stage="plan",
                remedy=f"Known are {known}, and waf for all rules that the certificate covers.",
            )
        if kind and kind.by_hand:
            raise CertfleetError(f"'{text}' is never switched: {kind.by_hand}", stage="plan")


def read_consumers(firewall: Firewall, keys: t.Iterable[str] = tuple(KINDS), name: str | None = None) -> list[Consumer]:
    """Every consumer of these kinds, whatever certificate it uses. One read for each entity that is concerned.

    name: of the only one that is wanted, where there are many of the kind. An entity that this firmware does not have
    (529) has no consumers.
    """
    records: dict[str, list[ET.Element]] = {}
    found: list[Consumer] = []
    for kind in (KINDS[key] for key in KINDS if key in set(keys)):
        if kind.entity not in records:
            records[kind.entity] = _records(firewall, kind, name)
        found += [
            Consumer(kind, record.findtext(kind.name_path, "") if kind.named else "", record)
            for record in records[kind.entity]
            if any(_names_one(kind, record.find(path)) for path in kind.paths)
        ]
    return [consumer for consumer in found if name is None or consumer.name == name]


def _records(firewall: Firewall, kind: Kind, name: str | None) -> list[ET.Element]:
    """One element for each object. Where the filter would have to stand in the container, all are read."""
    try:
        records = firewall.get(kind.entity, None if kind.container else name)
    except XgsApiError as error:
        if error.code == UNKNOWN_ENTITY:
            return []
        raise
    if not kind.container:
        return records
    objects = []
    for configuration in (found for record in records for found in record.findall(kind.container)):
        objects.append(ET.Element(kind.entity))
        objects[-1].append(configuration)
    return objects


def _names_one(kind: Kind, element: ET.Element | None) -> bool:
    return element is not None and (bool(element.text) or not kind.optional)


def select(
    consumers: t.Sequence[Consumer],
    wanted: t.Sequence[str] | None,
    versions: t.Container[str],
    names: t.Collection[str],
) -> list[Consumer]:
    """The wanted ones; without a wish, those that use one of the given versions of the certificate.

    names: what the certificate is issued for. Where all rules are wanted, it decides which they are.
    Raises CertfleetError when the firewall does not have one of the wanted.
    """
    ours = [consumer for consumer in consumers if not consumer.kind.by_hand]
    if not wanted:
        return [consumer for consumer in ours if consumer.certificate in versions]
    by_text = {str(consumer): consumer for consumer in ours}
    found: dict[str, Consumer] = {}
    for text in wanted:
        if text == WAF:
            found.update({str(rule): rule for rule in _rules(ours) if not uncovered(names, rule.domains)})
        elif text in by_text:
            found[text] = by_text[text]
        else:
            raise _unknown(text, by_text)
    return list(found.values())


def _rules(consumers: t.Iterable[Consumer]) -> list[Consumer]:
    return [consumer for consumer in consumers if consumer.kind.key == WAF]


def _unknown(text: str, known: t.Iterable[str]) -> CertfleetError:
    alike = ", ".join(sorted(other for other in known if other.partition(":")[0] == text.partition(":")[0]))
    return CertfleetError(
        f"the firewall has no consumer '{text}'",
        remedy=f"There are: {alike}." if alike else "Nothing of that kind is configured there.",
    )


def left_alone(
    consumers: t.Sequence[Consumer],
    wanted: t.Sequence[str] | None,
    versions: t.Container[str],
    names: t.Collection[str],
) -> dict[str, str]:
    """What select() passed over although the user may expect otherwise, and why."""
    reasons = {
        str(consumer): f"uses {consumer.certificate}, but {consumer.kind.by_hand}"
        for consumer in consumers
        if consumer.kind.by_hand and consumer.certificate in versions
    }
    for rule in _rules(consumers) if WAF in (wanted or ()) else []:
        missing = uncovered(names, rule.domains)
        if missing:
            reasons[str(rule)] = f"answers for {', '.join(missing)}, which the certificate does not cover"
    return reasons


def check_names(consumers: t.Iterable[Consumer], names: t.Collection[str], endpoint: Endpoint) -> None:
    """Raises CertfleetError when one of them answers for a name that the certificate does not have.

    endpoint: how we reach the web admin console, which we must trust after the switch as well.
    """
    for consumer in consumers:
        missing = uncovered(names, consumer.domains)
        if missing:
            raise CertfleetError(
                f"{consumer} answers for {', '.join(missing)}, which the certificate does not cover",
                remedy="Add the names to the certificate's domains, or leave the consumer out.",
            )
        console = endpoint.verified_name if consumer.kind.key == "webadmin" else None
        if console and uncovered(names, [console]):
            raise CertfleetError(
                f"with this certificate the console at {endpoint} would not be trusted from here, because it is not"
                f" issued for '{console}'",
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


def _element(kind: Kind, record: ET.Element) -> ET.Element:
    return next(element for element in map(record.find, kind.paths) if element is not None)


__all__ = (
    "KINDS",
    "Consumer",
    "check_consumers",
    "check_names",
    "kinds_of",
    "left_alone",
    "plan_bind",
    "read_consumers",
    "select",
)
