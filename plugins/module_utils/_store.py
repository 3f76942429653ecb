# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Keys and certificates on disk between order and upload: DIRECTORY/NAME/{privkey.pem,fullchain.pem,order.json}.

With a directory that outlives the run, what was issued and did not reach the firewall is found again, not ordered anew.
"""

from __future__ import annotations

import contextlib
import json
import os

from . import _x509
from ._acme.orders import CertificateRequest, IssuedCertificate
from ._acme.renewal import decide
from ._clock import Clock
from ._errors import CertfleetError
from ._files import make_private_directory, read_private, write_private

KEY, CHAIN, ORDER = "privkey.pem", "fullchain.pem", "order.json"


class Store:
    """Implements the order engine's Store on a private directory."""

    def __init__(self, directory: str, clock: Clock | None = None) -> None:
        self._directory = directory
        self._clock = clock or Clock()
        make_private_directory(directory)

    def path(self, request: CertificateRequest, file: str) -> str:
        return os.path.join(self._directory, request.name, file)

    def remember(self, request: CertificateRequest, key_pem: bytes, csr_der: bytes, order_uri: str | None) -> None:
        """Called before finalisation: whatever happens then, the key is not lost."""
        make_private_directory(os.path.join(self._directory, request.name))
        # A chain of the previous key must never stand beside the new one.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(request, CHAIN))
        write_private(self.path(request, KEY), key_pem)
        order = {"order_uri": order_uri, "domains": list(request.domains), "csr": csr_der.hex()}
        write_private(self.path(request, ORDER), json.dumps(order).encode())

    def issued(self, request: CertificateRequest, key_pem: bytes, chain_pem: bytes) -> None:
        write_private(self.path(request, CHAIN), chain_pem)

    def find(self, request: CertificateRequest, not_this: str | None) -> IssuedCertificate | None:
        """What an earlier run obtained for this request, if it is still fresh.

        not_this: fingerprint of the certificate that is to be replaced.
        """
        try:
            key_pem, chain_pem = (read_private(self.path(request, file)) for file in (KEY, CHAIN))
            order_uri = json.loads(read_private(self.path(request, ORDER)))["order_uri"]
            chain = _x509.load_certificates(chain_pem)
            now = self._clock.now()
            _x509.check_issued(chain, _x509.load_private_key(key_pem), request.domains, now)
        except (CertfleetError, ValueError, LookupError, TypeError):
            # Nothing, or nothing that can be relied on.
            return None
        facts = _x509.facts(chain[0])
        asked_for = (set(request.domains), request.key_type)
        if (
            facts.fingerprint == not_this
            or (set(facts.names), facts.key_type) != asked_for
            or decide(facts, now=now).due
        ):
            return None
        return IssuedCertificate(request, key_pem, chain_pem, facts, str(order_uri), challenged=False)


__all__ = ("CHAIN", "KEY", "Store")
