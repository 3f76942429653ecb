# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The libraries that Ansible does not bring, imported in one place.

Where one is missing, importing the collection still works (ansible-doc, the argument specification),
and the runner says what to install before anything is done.
"""

from __future__ import annotations

import traceback

MISSING: str | None = None

try:
    import idna
    import josepy
    import requests
    import urllib3
    from acme import challenges as acme_challenges
    from acme import jws as acme_jws
    from acme import messages as acme_messages
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
except ImportError:
    MISSING = traceback.format_exc()
    globals().update(
        dict.fromkeys(
            (
                "idna",
                "josepy",
                "requests",
                "urllib3",
                "acme_challenges",
                "acme_jws",
                "acme_messages",
                "x509",
                "InvalidSignature",
                "UnsupportedAlgorithm",
                "hashes",
                "serialization",
                "ec",
                "padding",
                "rsa",
            )
        )
    )

__all__ = (
    "MISSING",
    "InvalidSignature",
    "UnsupportedAlgorithm",
    "acme_challenges",
    "acme_jws",
    "acme_messages",
    "ec",
    "hashes",
    "idna",
    "josepy",
    "padding",
    "requests",
    "rsa",
    "serialization",
    "urllib3",
    "x509",
)
