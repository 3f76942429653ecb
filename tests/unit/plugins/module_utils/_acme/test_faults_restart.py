# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""F16: a real CA that forgets everything, accounts included, between the order and its end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import (
    CertificateRequest,
    FailedCertificate,
    IssuedCertificate,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import obtain
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._store import Store

from lab.faults import KEY
from lab.pebble import AcmeCa


@pytest.fixture(scope="module")
def ca() -> Iterator[AcmeCa]:
    with AcmeCa(retry_after=None, extra_env={"PEBBLE_VA_ALWAYS_VALID": "1"}) as made:
        yield made


class Restarting:
    """A client at whose first request of this kind the CA is restarted."""

    def __init__(self, ca: AcmeCa, where: str) -> None:
        self.pending = [where]
        pending = self.pending

        class Client(AcmeClient):
            def post(self, url: str, *rest: object, **options: object) -> object:  # type: ignore[override]
                if pending and pending[0] in url:
                    pending.pop()
                    ca.restart()
                return super().post(url, *rest, **options)  # type: ignore[arg-type]

        self.client = Client(ca.directory_url, KEY, ca_path=ca.ca_file)
        account.ensure_account(self.client, terms_agreed=True)


@pytest.mark.parametrize("where", ["/authZ/", "/chalZ/", "/finalize-order/", "/certZ/"])
def test_f16_a_ca_that_forgets_everything(ca: AcmeCa, tmp_path: Path, where: str) -> None:
    """It fails with what is to be done; after acme_account the next run gets its certificate, whatever was left."""
    request = CertificateRequest("web", (f"{where.strip('/').lower()}.f16.example.com",), "ec256")
    store = Store(str(tmp_path))

    def run(client: AcmeClient) -> IssuedCertificate | FailedCertificate:
        return obtain(client, [request], window=contextlib.nullcontext, store=store, timeout=20.0).results[0]

    failed = run(Restarting(ca, where).client)
    assert isinstance(failed, FailedCertificate)
    error = failed.error
    assert isinstance(error, AcmeError)
    assert error.is_a("accountDoesNotExist")
    assert (error.stage, error.certificate) == ("order", "web")
    assert "acme_account" in error.remedy

    fresh = AcmeClient(ca.directory_url, KEY, ca_path=ca.ca_file)
    assert account.ensure_account(fresh, terms_agreed=True).created
    assert isinstance(run(fresh), IssuedCertificate)
    assert ca.issued() == 1
    assert not (tmp_path / "web/unfinished.json").exists()
