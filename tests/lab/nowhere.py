# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store for orders that keeps nothing."""

from __future__ import annotations

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import CertificateRequest, Progress


class Nowhere:
    """Fits the order engine's Store."""

    def unfinished(self, request: CertificateRequest) -> Progress | None:
        return None

    def key_in_use(self, request: CertificateRequest) -> bytes | None:
        return None

    def remember(self, request: CertificateRequest, progress: Progress) -> None:
        pass

    def issued(self, request: CertificateRequest, progress: Progress, chain_pem: bytes) -> None:
        pass
