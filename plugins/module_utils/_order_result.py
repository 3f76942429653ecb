# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What acme_http01_order returns: one entry for each certificate, and the opening of the port."""

from __future__ import annotations

import typing as t

from ._acme.order import CertificateRequest, FailedCertificate, IssuedCertificate
from ._foreseen import place
from ._port_window import PortWindow
from ._runner import failure_result
from ._store import CHAIN, KEY, Store

FILES = {"certificate_path": CHAIN, "private_key_path": KEY}


def named(request: CertificateRequest, *, changed: bool) -> dict[str, t.Any]:
    """What every entry has."""
    return {"name": request.name, "domains": list(request.domains), "failed": False, "changed": changed}


def failed(result: FailedCertificate) -> dict[str, t.Any]:
    """The entry of a certificate that was not obtained. Its error may be that of others as well."""
    error = result.error.copy()
    error.locate(stage="order", certificate=result.request.name)
    return {**named(result.request, changed=False), **failure_result(error)}


def foreseen(store: Store, request: CertificateRequest) -> dict[str, t.Any]:
    """The entry of a certificate that would be obtained.

    Its files have a place where there is nothing: at that of the real ones a former certificate may be.
    """
    paths = {key: place(store.path(request, file)) for key, file in FILES.items()}
    return {**named(request, changed=True), **paths}


def entry(store: Store, result: IssuedCertificate | FailedCertificate, new: bool) -> dict[str, t.Any]:
    """The entry of a certificate; new: it comes from this run."""
    if isinstance(result, FailedCertificate):
        return failed(result)
    request = result.request
    return {
        **named(request, changed=new),
        **{key: store.path(request, file) for key, file in FILES.items()},
        "order_uri": result.order_uri,
        "validated": result.challenged,
        **{
            key: value for key, value in result.facts.as_dict().items() if key in ("fingerprint", "not_after", "issuer")
        },
    }


def blame_lease(window: PortWindow | None, results: t.Iterable[IssuedCertificate | FailedCertificate]) -> None:
    """What failed while the port was closed by its lease failed for that, whatever the CA says of it."""
    if window is None or not window.outlasted:
        return
    for error in dict.fromkeys(result.error for result in results if isinstance(result, FailedCertificate)):
        error.advise(
            f"The port's lease ended at {window.until:%H:%M} UTC, before the CA was done: raise lease (in the role:"
            " xgs_letsencrypt_lease)."
        )


def opening(window: PortWindow | None) -> dict[str, t.Any] | None:
    """From when to when the port was open (UTC), the writes it took, and who was without it; None where it was not.

    What was planned only (check mode) has no times.
    """
    if window is None:
        return None
    interrupts = {"interrupts": list(window.interrupts)}
    if window.opened_at is None:
        return interrupts if window.interrupts else None
    times = {"opened_at": window.opened_at, "closed_at": window.closed_at}
    shown = {key: f"{time:%Y-%m-%dT%H:%M:%SZ}" if time else None for key, time in times.items()}
    return {**shown, "seconds": round(window.seconds, 1), "writes": window.writes, **interrupts}


__all__ = ("blame_lease", "entry", "foreseen", "opening")
