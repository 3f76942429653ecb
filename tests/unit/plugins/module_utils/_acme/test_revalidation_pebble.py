# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CA that reuses what it validated, made to forget it."""

from __future__ import annotations

import contextlib

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import ensure_account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import (
    CertificateRequest,
    IssuedCertificate,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import obtain
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.revalidation import forget_validations
from cryptography.hazmat.primitives.asymmetric import ec

from lab.nowhere import Nowhere
from lab.pebble import AcmeCa

ONE = CertificateRequest("one", ("a.forget.test", "b.forget.test"), "ec256")
OTHER = CertificateRequest("other", ("c.forget.test",), "ec256")
NO_SUCH_PROFILE = CertificateRequest("odd", ("d.forget.test",), "ec256", profile="gold")


def test_every_name_is_validated_again_and_no_other() -> None:
    settings = {"extra_env": {"PEBBLE_VA_ALWAYS_VALID": "1"}, "extra_config": {"domainBlocklist": ["blocked.test"]}}
    with AcmeCa(authz_reuse=100, **settings) as ca:
        client = AcmeClient(ca.directory_url, ec.generate_private_key(ec.SECP256R1()), ca_path=ca.ca_file)
        ensure_account(client, contact=[], terms_agreed=True)

        def challenged(*requests: CertificateRequest) -> list[bool]:
            made = obtain(client, requests, window=contextlib.nullcontext, store=Nowhere(), timeout=30.0).results
            assert all(isinstance(result, IssuedCertificate) for result in made)
            return [result.challenged for result in made if isinstance(result, IssuedCertificate)]

        forget_validations(client, [ONE])
        assert challenged(ONE, OTHER) == [True, True]
        assert challenged(ONE, OTHER) == [False, False]
        # What cannot be ordered stands in nobody's way.
        blocked = CertificateRequest("blocked", ("blocked.test",), "ec256")
        forget_validations(client, [blocked, NO_SUCH_PROFILE, ONE])
        assert challenged(ONE, OTHER) == [True, False]
