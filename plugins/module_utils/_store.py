# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Keys and certificates on disk between order and upload, in DIRECTORY/NAME.

unfinished.json: key, CSR and URL of an order on its way, in one file, so that they always belong together.
privkey.pem, fullchain.pem, order.json: what came of it; until then, what came of the order before.

With a directory that outlives the run nothing is ordered twice: neither what a killed run left half done, nor what was
issued and did not reach the firewall.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from . import _x509
from ._acme.orders import CertificateRequest, IssuedCertificate, Progress
from ._acme.renewal import decide
from ._clock import Clock
from ._errors import CertfleetError
from ._files import (
    hold_lock,
    make_private_directory,
    read_private,
    remove_leftovers,
    unlink,
    write_private,
    write_private_files,
)

KEY, CHAIN, ORDER = "privkey.pem", "fullchain.pem", "order.json"
UNFINISHED, LOCK = "unfinished.json", "lock"


def _asked_for(request: CertificateRequest) -> dict[str, t.Any]:
    """What makes an unfinished order the right one for a request."""
    return {"domains": sorted(request.domains), "key_type": request.key_type, "profile": request.profile}


class Store:
    """Implements the order engine's Store on a private directory, made when it is locked. What cannot be read is taken
    for what is not there; what cannot be written raises CertfleetError.

    directory_url: of the CA that it all comes from.
    """

    def __init__(self, directory: str, directory_url: str = "", clock: Clock | None = None) -> None:
        self._directory = directory
        self._directory_url = directory_url
        self._clock = clock or Clock()

    def path(self, request: CertificateRequest, file: str) -> str:
        """Where a file of the request's certificate is. file: KEY, CHAIN or another of these."""
        return os.path.join(self._directory, request.name, file)

    @contextlib.contextmanager
    def locked(self, requests: t.Iterable[CertificateRequest]) -> t.Iterator[None]:
        """Keep other runs off these certificates. CertfleetError when one is at work on any of them."""
        make_private_directory(self._directory)
        with contextlib.ExitStack() as stack:
            # Sorted: of two runs one gets all.
            for directory in sorted({os.path.join(self._directory, request.name) for request in requests}):
                make_private_directory(directory)
                stack.enter_context(hold_lock(os.path.join(directory, LOCK)))
                remove_leftovers(directory)
            yield

    def unfinished(self, request: CertificateRequest) -> Progress | None:
        """See order.Store; from UNFINISHED, unless issued() came to its end."""
        try:
            left = json.loads(read_private(self.path(request, UNFINISHED)))
            if left["asked_for"] != _asked_for(request):
                return None
            progress = Progress(
                left["key"].encode(), bytes.fromhex(left["csr"]), str(left["account_uri"]), str(left["order_uri"])
            )
            _x509.load_private_key(progress.key_pem)
        except (CertfleetError, ValueError, LookupError, TypeError, AttributeError):
            # Nothing, or nothing that can be relied on.
            return None
        return None if self._is_done(request, progress.order_uri) else progress

    def _is_done(self, request: CertificateRequest, order_uri: str) -> bool:
        """Whether issued() came as far as the chain, which it writes after all else."""
        try:
            done = json.loads(read_private(self.path(request, ORDER)))["order_uri"]
        except (CertfleetError, ValueError, LookupError, TypeError):
            return False
        return bool(done == order_uri and os.path.exists(self.path(request, CHAIN)))

    def key_in_use(self, request: CertificateRequest) -> bytes | None:
        """See order.Store; from KEY."""
        try:
            key_pem = read_private(self.path(request, KEY))
            _x509.load_private_key(key_pem)
        except CertfleetError:
            return None
        return key_pem

    def remember(self, request: CertificateRequest, progress: Progress) -> None:
        """See order.Store; into UNFINISHED."""
        make_private_directory(os.path.join(self._directory, request.name))
        document = {
            "asked_for": _asked_for(request),
            "account_uri": progress.account_uri,
            "order_uri": progress.order_uri,
            "csr": progress.csr_der.hex(),
            "key": progress.key_pem.decode(),
        }
        write_private(self.path(request, UNFINISHED), json.dumps(document).encode())

    def issued(self, request: CertificateRequest, progress: Progress, chain_pem: bytes) -> None:
        """See order.Store; into KEY, ORDER and CHAIN, and UNFINISHED goes."""
        # A chain must never stand beside another's key. Whoever dies between these finds all he needs in UNFINISHED.
        unlink(self.path(request, CHAIN))
        order = {"order_uri": progress.order_uri, "directory": self._directory_url, "asked_for": _asked_for(request)}
        contents = {KEY: progress.key_pem, ORDER: json.dumps(order).encode(), CHAIN: chain_pem}
        write_private_files({self.path(request, file): data for file, data in contents.items()})
        unlink(self.path(request, UNFINISHED))

    def find(self, request: CertificateRequest, not_this: str | None) -> IssuedCertificate | None:
        """What an earlier run obtained for this request, if it is still fresh.

        not_this: fingerprint of the certificate that is to be replaced.
        """
        try:
            key_pem, chain_pem = (read_private(self.path(request, file)) for file in (KEY, CHAIN))
            order = json.loads(read_private(self.path(request, ORDER)))
            order_uri, origin = order["order_uri"], (order["directory"], order["asked_for"])
            chain = _x509.load_certificates(chain_pem)
            # No CA issues for the future: if a certificate seems to be not valid yet, it is our clock that is behind.
            now = max(self._clock.now(), chain[0].not_valid_before_utc)
            _x509.check_issued(chain, _x509.load_private_key(key_pem), request.domains, now)
        except (CertfleetError, ValueError, LookupError, TypeError):
            # Nothing, or nothing that can be relied on.
            return None
        facts = _x509.facts(chain[0])
        # Another CA's, or another profile's, would be due again at the next run.
        if origin != (self._directory_url, _asked_for(request)):
            return None
        if facts.fingerprint == not_this or decide(facts, now=now).due:
            return None
        return IssuedCertificate(request, key_pem, chain_pem, facts, str(order_uri), challenged=False)


__all__ = ("CHAIN", "KEY", "Store")
