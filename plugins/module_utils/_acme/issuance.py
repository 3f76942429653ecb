# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The end of an order: finalised, downloaded, checked, stored (RFC 8555 §7.4, §7.4.2)."""

from __future__ import annotations

import contextlib
import typing as t

from .._errors import CertfleetError
from .._libraries import josepy
from .._x509 import check_issued, facts, issuer_of, load_certificates, load_csr, split_pem
from . import authorizations
from .errors import AcmeError, clean
from .order import Order
from .session import Session

if t.TYPE_CHECKING:
    from .._libraries import x509

PEM_CHAIN = "application/pem-certificate-chain"
# Let's Encrypt has offered three at most.
MAX_CHAINS = 10


class Chain(t.NamedTuple):
    """A chain as the CA delivers it, and read."""

    pem: bytes
    certificates: list[x509.Certificate]

    def leads_to(self, root: str) -> bool:
        """Whether the root, told by common name or key identifier (hex), made the chain's last signature."""
        return bool(self.certificates) and root.lower() in issuer_of(self.certificates[-1])

    @property
    def end(self) -> str:
        """What leads_to() would take for its root, for a user to choose from."""
        return clean(" or ".join(issuer_of(self.certificates[-1]))) if self.certificates else "nothing"


class Issuance:
    """The ends of one run's orders. AcmeError when the CA refuses, see AcmeClient."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def finalize(self, order: Order) -> None:
        """Hand in the CSR."""
        csr = josepy.encode_b64jose(order.progress.csr_der)
        try:
            order.document = self._session.post(order.url_of("finalize"), {"csr": csr}).json
        except AcmeError as error:
            # So the CA answers a repetition, when the first answer was lost.
            if not error.is_a("orderNotReady"):
                raise

    def download(self, order: Order) -> None:
        """Fetch the certificate of a valid order, check it, store it.

        CertfleetError when the order is not valid, the certificate is not what was ordered, or the store fails.
        """
        if order.status != "valid":
            raise authorizations.failure(order.document, order.uri, ())
        chain = self._chain(order)
        now = self._session.clock.now()
        # The CSR stands for the key: to load an RSA key again costs 46 ms (measured).
        check_issued(chain.certificates, load_csr(order.progress.csr_der), order.request.domains, now)
        # Nothing but certificates goes on to a firewall (RFC 8555 §11.4).
        order.chain_pem = b"".join(block for block in split_pem(chain.pem) if b"BEGIN CERTIFICATE" in block)
        self._session.issued(order)
        order.facts = facts(chain.certificates[0])

    def _chain(self, order: Order) -> Chain:
        """The preferred chain, or the CA's first choice (RFC 8555 §7.4.2)."""
        url, preferred = order.url_of("certificate"), order.request.preferred_chain
        first, alternates = self._fetch(url)
        if preferred is None or first.leads_to(preferred):
            return first
        chains = [first]
        for alternate in alternates[:MAX_CHAINS]:
            # One that is broken or not to be had is none; the first is good enough to live on.
            with contextlib.suppress(CertfleetError):
                chains.append(self._fetch(alternate)[0])
            if chains[-1].leads_to(preferred):
                return chains[-1]
        ends = ", ".join(chain.end for chain in chains)
        order.warnings.append(f"the CA has no chain that leads to {preferred!r}, so its own choice is taken: {ends}")
        return first

    def _fetch(self, url: str) -> tuple[Chain, list[str]]:
        """A chain, and where the CA has others."""
        reply = self._session.post(url, None, accept=PEM_CHAIN)
        return Chain(reply.body, load_certificates(reply.body)), reply.links("alternate")


__all__ = ("Issuance",)
