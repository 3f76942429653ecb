# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Where a consumer shows its certificate in a TLS handshake, and what counts as having shown it."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from .. import _x509
from .._tls_probe import Served, probe
from .api import Firewall
from .certificates import StoredCertificate
from .consumers import Consumer
from .hosts import host_address

PORTALS = ("UserPortalHTTPSPort", "VPNPortalHTTPSPort")
# Stands for the host part of a wildcard domain.
ANY_HOST = "certfleet-probe"

Address = t.Tuple[str, int, t.Optional[str]]


@dataclasses.dataclass(frozen=True)
class Endpoints:
    """Those that showed before the switch that they are this consumer's, or the reason why there are none."""

    found: tuple[Served, ...] = ()
    reason: str = ""


def find_endpoints(
    firewall: Firewall,
    consumer: Consumer,
    certificate: StoredCertificate,
    previous: str | None,
    address: str | None = None,
) -> Endpoints:
    """Shake hands wherever the consumer may show itself.

    certificate: the new one. previous: fingerprint of what it uses now, if known. address: where web server protection
    rules are reached, if not at the address of their hosted interface. What shows another certificate than these two is
    not this consumer: a portal that is off, a proxy in front of the firewall, an address that leads elsewhere.
    """
    if consumer.kind.unseen:
        return Endpoints(reason=consumer.kind.unseen)
    places, reason = _PLACES[consumer.kind.key](firewall, consumer, certificate, address)
    served = [probe(*place) for place in places]
    if consumer.kind.key == "webadmin":
        # We are talking to the console, so what it shows is what it uses.
        previous = served[0].fingerprint
    expected = (certificate.fingerprint, previous)
    found = tuple(one for one in served if one.certificate and (previous is None or one.fingerprint in expected))
    return Endpoints(found, "" if found else "; ".join(map(_why_not, served)) or reason)


def _why_not(served: Served) -> str:
    shows = "showed another certificate than the previous one" if served.certificate else f"failed: {served.problem}"
    return f"before the switch {served} {shows}"


def _console(
    firewall: Firewall, consumer: Consumer, certificate: StoredCertificate, address: str | None
) -> tuple[list[Address], str]:
    """The portals share the console's certificate."""
    endpoint = firewall.endpoint
    name = next(iter(certificate.facts.names), None) if certificate.facts else None
    ports = [endpoint.port, *(_port(consumer, f"WebAdminSettings/{tag}") for tag in PORTALS)]
    return [(endpoint.host, port, name) for port in dict.fromkeys(ports) if port], ""


def _rule(
    firewall: Firewall, consumer: Consumer, certificate: StoredCertificate, address: str | None
) -> tuple[list[Address], str]:
    """The rule names its interface by a host object such as #Port2."""
    if not address:
        host = consumer.record.findtext("HTTPBasedPolicy/HostedAddress", "")
        address = host_address(firewall, host) or firewall.endpoint.host
    port = _port(consumer, "HTTPBasedPolicy/ListenPort") or 443
    if consumer.record.findtext("Status") == "Disable":
        return [], "the rule is switched off"
    return [(address, port, domain.replace("*", ANY_HOST, 1)) for domain in consumer.domains], "it has no domains"


def _ssl_vpn(
    firewall: Firewall, consumer: Consumer, certificate: StoredCertificate, address: str | None
) -> tuple[list[Address], str]:
    """OpenVPN over TCP frames its TLS, so it may be that no handshake comes about (inferred); over UDP none does."""
    port = _port(consumer, "Port")
    if consumer.record.findtext("Protocol") == "UDP" or not port:
        return [], "over UDP there is no TLS handshake to look at"
    return [(firewall.endpoint.host, port, None)], ""


def _port(consumer: Consumer, path: str) -> int:
    """0: none."""
    text = consumer.record.findtext(path, "")
    return int(text) if text.isdecimal() and int(text) < 65536 else 0


_PLACES: dict[str, t.Callable[..., tuple[list[Address], str]]] = {
    "webadmin": _console,
    "waf": _rule,
    "sslvpn": _ssl_vpn,
}


def missing_intermediates(served: Served, certificate: StoredCertificate) -> list[str]:
    """Subjects of the certificate's intermediates that the endpoint did not send. A root need not be sent."""
    sent = {hashlib.sha256(one).hexdigest() for one in served.chain}
    facts = [_x509.facts(one) for one in certificate.chain[1:]]
    return [one.subject for one in facts if not one.self_signed and one.fingerprint not in sent]


__all__ = ("Endpoints", "find_endpoints", "missing_intermediates")
