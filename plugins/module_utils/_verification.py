# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""How servers have to prove who they are: the same way on every Python."""

from __future__ import annotations

import ssl


def verifying_context(ca_path: str | None) -> ssl.SSLContext:
    """By the authorities in a file of PEM, or the system's. OSError or ssl.SSLError when the file cannot be read.

    Since 3.13 Python by itself demands extensions that private authorities often lack (VERIFY_X509_STRICT), and is
    content with an intermediate as authority (VERIFY_X509_PARTIAL_CHAIN).
    """
    context = ssl.create_default_context(cafile=ca_path)
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


__all__ = ("verifying_context",)
