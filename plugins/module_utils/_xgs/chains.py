# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Does a chain lead to a root, by what stands in the certificate's own file and by the firewall's authorities?"""

from __future__ import annotations

import typing as t

from .. import _x509
from .._libraries import x509


class Authorities:
    """Certificates that may have issued others, found by their subject; roots first."""

    def __init__(self, certificates: t.Iterable[x509.Certificate]) -> None:
        self._by_subject: dict[x509.Name, list[x509.Certificate]] = {}
        for certificate in certificates:
            known = self._by_subject.setdefault(certificate.subject, [])
            known.insert(0 if certificate.issuer == certificate.subject else len(known), certificate)

    def issuer_of(self, certificate: x509.Certificate) -> x509.Certificate | None:
        """The one that signed it, see issued_by(); None where it is not among them."""
        candidates = self._by_subject.get(certificate.issuer, ())
        return next((each for each in candidates if _x509.issued_by(certificate, each)), None)


def missing_issuer(chain: t.Sequence[x509.Certificate], authorities: Authorities) -> str | None:
    """Subject of the first issuer that is nowhere to be found; None where the chain (leaf first) leads to a root."""
    own = Authorities(chain[1:])
    certificate = chain[0]
    # Authorities that vouch for each other must not lead us in a circle.
    for _step in range(_x509.MAX_CHAIN):
        if _x509.issued_by(certificate, certificate):
            return None
        issuer = own.issuer_of(certificate) or authorities.issuer_of(certificate)
        if issuer is None:
            break
        certificate = issuer
    return _x509.shown_name(certificate.issuer)


__all__ = ("Authorities", "missing_issuer")
