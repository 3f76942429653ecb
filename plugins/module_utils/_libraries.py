# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The libraries that Ansible does not bring, imported in one place.

Where one is missing, importing the collection still works (ansible-doc, the argument specification),
and the runner says what to install before anything is done.
"""

from __future__ import annotations

__all__ = (
    "MISSING",
    "InvalidSignature",
    "UnsupportedAlgorithm",
    "acme_jws",
    "ec",
    "hashes",
    "idna",
    "josepy",
    "rsa",
    "serialization",
    "urllib3",
    "x509",
)

MISSING: str | None = None

try:
    # idna, josepy and urllib3 come with acme.
    import idna
    import josepy
    import urllib3
    from acme import jws as acme_jws
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
except ImportError:
    globals().update(dict.fromkeys(__all__))
    import traceback

    MISSING = traceback.format_exc()
