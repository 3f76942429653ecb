# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Requests in the name of an ACME account: signed, each with a fresh nonce."""

from __future__ import annotations

import json
import re
import threading
import typing as t

from .._clock import Clock, Deadline
from .._errors import CertfleetError
from .._libraries import acme_jws, ec, josepy
from .errors import AcmeNetworkError
from .transport import Reply, Transport

if t.TYPE_CHECKING:
    from .._x509 import PrivateKey

NONCE = re.compile(r"[A-Za-z0-9_-]+")
MAX_NONCES = 64
# Seconds. CAs forget nonces, and an old one costs a request.
MAX_NONCE_AGE = 300.0


class NoncePool:
    """Nonces in stock, newest first (RFC 8555 §6.5)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stock: list[tuple[float, str]] = []

    def add(self, headers: t.Mapping[str, str]) -> None:
        """Keep the nonce of a reply, if it has a valid one (RFC 8555 §6.5.1)."""
        nonce = headers.get("Replay-Nonce")
        if nonce and NONCE.fullmatch(nonce) and len(nonce) % 4 != 1:
            with self._lock:
                self._stock = [*self._stock[1 - MAX_NONCES :], (self._clock.monotonic(), nonce)]

    def take(self) -> str | None:
        """The newest nonce, None when there is none fresh enough."""
        with self._lock:
            made, nonce = self._stock.pop() if self._stock else (0.0, "")
        return nonce if nonce and self._clock.monotonic() - made < MAX_NONCE_AGE else None


def jwk(key: PrivateKey) -> josepy.JWK:
    """The key as josepy takes it (RFC 7517). RSA and EC are all that load_private_key() lets through."""
    return josepy.JWKEC(key=key) if isinstance(key, ec.EllipticCurvePrivateKey) else josepy.JWKRSA(key=key)


def _algorithm(key: PrivateKey) -> t.Any:
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return josepy.RS256
    algorithms = {256: josepy.ES256, 384: josepy.ES384}
    if key.curve.key_size not in algorithms:
        raise CertfleetError(
            f"the account key is on the curve {key.curve.name}", remedy="Use P-256, P-384 or RSA.", stage="account"
        )
    return algorithms[key.curve.key_size]


class AcmeClient(Transport):
    """Signed requests to one CA for one account; safe for threads. For the arguments see Transport.

    account_uri: set once the account is known, see ensure_account().
    AcmeError when the CA refuses, AcmeNetworkError when there is no proper answer: whoever is handed a client lets them
    pass, unless it says otherwise. CertfleetError (stage "account") when the key's curve is neither P-256 nor P-384.
    """

    def __init__(self, directory_url: str, account_key: PrivateKey, **options: t.Any) -> None:
        super().__init__(directory_url, **options)
        self.account_key = account_key
        self.account_uri: str | None = None
        self._jwk = jwk(account_key)
        self._alg = _algorithm(account_key)
        self._nonces = NoncePool(self.clock)

    def received(self, reply: Reply) -> None:
        """Keep its nonce."""
        self._nonces.add(reply.headers)

    def post(
        self,
        url: str,
        payload: dict[str, t.Any] | None,
        *,
        accept: str | None = None,
        repeatable: bool = True,
        by_key: bool = False,
        deadline: Deadline | None = None,
    ) -> Reply:
        """Signed POST of a payload; None is POST-as-GET (RFC 8555 §6.3).

        by_key: the request names the key itself, not the account; so may a certificate's key revoke (RFC 8555 §7.6).
        CertfleetError (stage "account") when it takes an account that is not known yet; for the rest see persist().
        """
        data = b"" if payload is None else json.dumps(payload).encode()
        return self.persist(lambda: self._post(url, data, accept, by_key), repeatable=repeatable, deadline=deadline)

    def _post(self, url: str, payload: bytes, accept: str | None, by_key: bool) -> Reply:
        """One attempt, with a nonce and therefore a signature of its own."""
        # newAccount is where the CA learns the key; elsewhere it knows the account (RFC 8555 §6.2).
        kid = None if by_key or url == self.directory.get("newAccount") else self._known_account()
        nonce = self._nonces.take() or self._new_nonce()
        body = self.signed(payload, url, kid=kid, nonce=josepy.decode_b64jose(nonce))
        headers = {"Content-Type": "application/jose+json"}
        if accept:
            headers["Accept"] = accept
        return self.attempt("POST", url, json.dumps(body).encode(), headers)

    def signed(
        self, payload: bytes, url: str, *, kid: str | None = None, nonce: bytes | None = None
    ) -> dict[str, t.Any]:
        """The payload signed by the account key, a flattened JWS (RFC 8555 §6.2); no kid: with the public key."""
        jws = acme_jws.JWS.sign(payload, key=self._jwk, alg=self._alg, nonce=nonce, url=url, kid=kid)
        return t.cast(t.Dict[str, t.Any], jws.to_json())

    @property
    def public_jwk(self) -> dict[str, t.Any]:
        """The public part of the account key (RFC 7517)."""
        return t.cast(t.Dict[str, t.Any], self._jwk.public_key().to_json())

    def _known_account(self) -> str:
        if self.account_uri is None:
            raise CertfleetError("the ACME account is not known yet", remedy="Run acme_account first.", stage="account")
        return self.account_uri

    def _new_nonce(self) -> str:
        url = self.endpoint("newNonce")
        self.attempt("HEAD", url)
        nonce = self._nonces.take()
        if nonce is None:
            raise AcmeNetworkError("the CA sends no nonce", url=url)
        return nonce


__all__ = ("AcmeClient", "NoncePool", "jwk")
