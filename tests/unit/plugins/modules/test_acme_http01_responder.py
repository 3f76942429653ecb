# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.modules import acme_http01_responder

from lab.ports import free_port, is_open


def run(port: int, check_mode: bool = False, **options: Any) -> Outcome:
    params = {
        "state": "started",
        "address": "127.0.0.1",
        "port": port,
        "thumbprint": "t" * 43,
        "lease": 30,
        "redirect": True,
        "log_path": None,
        "holder": None,
        **options,
    }
    return acme_http01_responder.run(params, check_mode)


def test_started_and_stopped() -> None:
    port = free_port()
    assert run(port, True).changed
    assert not is_open("127.0.0.1", port)
    started = run(port)
    try:
        assert (started.changed, started.before, started.after) == (True, {"state": "stopped"}, {"state": "started"})
        for check_mode in (True, False):
            again = run(port, check_mode)
            assert not again.changed
            assert again.facts["pid"] == started.facts["pid"] > 0
        assert run(port, True, state="stopped").changed
        assert is_open("127.0.0.1", port)
    finally:
        assert run(port, state="stopped").changed
    assert not is_open("127.0.0.1", port)
    for check_mode in (True, False):
        assert not run(port, check_mode, state="stopped").changed


@pytest.mark.parametrize("options", [{"address": "localhost"}, {"lease": 0}, {"port": 0}])
def test_refuses(options: dict[str, Any]) -> None:
    with pytest.raises(CertfleetError) as caught:
        run(**{"port": 8080, **options})
    assert caught.value.stage == "responder"
