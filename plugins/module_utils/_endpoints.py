# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What endpoints serve, told as of certificates on the firewall. No API, no account, no key."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import re
import typing as t

from . import _x509
from ._clock import Clock
from ._errors import CertfleetError
from ._libraries import x509
from ._names import is_address
from ._tls_probe import distrust, probe

# Handshakes at a time.
PARALLEL = 16
_ENDPOINT = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]+)):(?P<port>[0-9]{1,5})(?::(?P<name>[^\s:]+))?"
)


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """text: as the user wrote it. port: TCP. name: what is asked for, and what the certificate has to be issued for."""

    text: str
    address: str
    port: int
    name: str | None


def parse_endpoint(text: str) -> Endpoint:
    """HOST:PORT or HOST:PORT:NAME. Raises CertfleetError, stage "plan", for anything else."""
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise CertfleetError(
            f"'{text}' is not an endpoint",
            stage="plan",
            remedy="Write HOST:PORT or HOST:PORT:NAME, an IPv6 address in brackets.",
        )
    address = match["v6"] or match["host"]
    return Endpoint(text, address, int(match["port"]), match["name"] or (None if is_address(address) else address))


def look_at(endpoints: t.Iterable[Endpoint], ca_path: str | None) -> list[dict[str, t.Any]]:
    """One entry for each, in their order. ca_path: the authorities that a visitor trusts, None for the system's."""
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(lambda endpoint: _look_at(endpoint, ca_path), endpoints))


def _look_at(endpoint: Endpoint, ca_path: str | None) -> dict[str, t.Any]:
    served = probe(endpoint.address, endpoint.port, endpoint.name)
    reason = served.problem or distrust(endpoint.address, endpoint.port, endpoint.name, ca_path)
    entry = {"endpoint": endpoint.text, "problem": served.problem, "trusted": not reason, "distrust": reason}
    if served.certificate:
        try:
            entry.update(_x509.facts(x509.load_der_x509_certificate(served.certificate)).told(Clock().now()))
        except (CertfleetError, ValueError) as error:
            entry["problem"] = str(error)
    return entry


__all__ = ("Endpoint", "look_at", "parse_endpoint")
