# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Connections to the CA: verified, through the environment's proxy, and none that waits for ever."""

from __future__ import annotations

import ssl
import typing as t
import urllib.parse
import urllib.request

from .._libraries import urllib3
from .._verification import verifying_context
from .._watch import Watch
from .errors import AcmeNetworkError


def tls_context(ca_path: str | None, validate_certs: bool) -> ssl.SSLContext:
    """How the CA has to prove itself. AcmeNetworkError when the CA file cannot be read."""
    try:
        context = verifying_context(ca_path)
    except (OSError, ssl.SSLError) as error:
        raise AcmeNetworkError(
            f"the CA file {ca_path} cannot be read: {error}", url="", remedy="Check ca_path: it must be a PEM file."
        ) from error
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # Who switched it off knows.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return context


def connections(directory_url: str, context: ssl.SSLContext, seconds: float) -> t.Any:
    """Connections for as many threads as there are, through the environment's proxy if it names one.

    seconds: for the head of an answer.
    """
    host = urllib.parse.urlsplit(directory_url).hostname or ""
    proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get("https")
    reqs = "CERT_REQUIRED" if context.verify_mode is ssl.CERT_REQUIRED else "CERT_NONE"
    options: dict[str, t.Any] = {"maxsize": 32, "ssl_context": context, "cert_reqs": reqs}
    manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"https": _watched(seconds)}
    return manager


def _watched(seconds: float) -> t.Any:
    """urllib3's pool, with connections that wait no longer for a head, in however many drops it comes."""

    class Connection(urllib3.connection.HTTPSConnection):
        def getresponse(self, *args: t.Any, **options: t.Any) -> t.Any:
            watch = Watch(seconds)
            with watch:
                watch.begin(self.sock)
                answer = super().getresponse(*args, **options)
            if watch.over:
                # Headers that are cut off look as if they were all.
                raise TimeoutError(f"no whole head within {seconds:g} s")
            return answer

    class Pool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


__all__ = ("connections", "tls_context")
