# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders whose challenges the module answers itself, against a real CA."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process as process
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import load_account_key, thumbprint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.modules import acme_http01_order

from lab.pebble import AcmeCa
from lab.ports import is_open
from unit.plugins.modules import accounts

HOST = "127.0.0.1"
KEY = accounts.new_key()
Order = Callable[..., Outcome]


@pytest.fixture
def order(ca: AcmeCa, tmp_path: Path) -> Order:
    """`order("name", …)`: one certificate for these names, validated at the port where the CA looks."""
    accounts.run(ca, account_key_content=KEY)

    def run(*names: str, check_mode: bool = False, **options: Any) -> Outcome:
        arguments = {
            "acme_directory": ca.directory_url,
            "ca_path": ca.ca_file,
            "account_key_content": KEY,
            "certificates": [{"name": "web", "domains": list(names), "key_type": "ec256"}],
            "output_dir": str(tmp_path / "out"),
            "listen": f"{HOST}:{ca.http_port}",
            **options,
        }
        spec = acme_http01_order.ARGUMENTS
        checked = ArgumentSpecValidator(spec.spec, **spec.rules()).validate(arguments)
        assert not checked.error_messages
        return acme_http01_order.run(checked.validated_parameters, check_mode)

    return run


def test_answers_by_itself(ca: AcmeCa, order: Order) -> None:
    names = ["a.listen.example", "b.listen.example"]
    for name in names:
        ca.add_a(name, HOST)
    outcome = order(*names)
    assert outcome.failure is None
    assert [[one.outcome for one in ca.validations(name)] for name in names] == [["valid"], ["valid"]]
    assert not is_open(HOST, ca.http_port)
    seen = outcome.facts["responder"]
    assert {hit["name"] for hit in seen["hits"]} == set(names)
    assert seen["sources"] == [HOST]
    # Pebble asks three times for each.
    assert (seen["requests"], seen["joined"]) == (6, False)

    again = order(*names)
    assert not again.changed
    assert "responder" not in again.facts


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_f32_answers_on_ipv6(ca: AcmeCa, order: Order) -> None:
    ca.add_aaaa("v6.listen.example", "::1")
    outcome = order("v6.listen.example", listen=f"[::1]:{ca.http_port}")
    assert outcome.failure is None
    assert outcome.facts["responder"]["sources"] == ["::1"]


def test_f32_a_port_that_is_taken_costs_no_request(ca: AcmeCa, order: Order) -> None:
    before = ca.requests()
    with (
        socket.create_server((HOST, ca.http_port)),
        pytest.raises(CertfleetError, match=f"{HOST}:{ca.http_port}") as caught,
    ):
        order("taken.listen.example")
    assert caught.value.stage == "responder"
    assert caught.value.remedy
    assert ca.requests() == before


def test_what_did_not_arrive_is_told(ca: AcmeCa, order: Order) -> None:
    """One name leads here, the other does not."""
    ca.add_a("here.listen.example", HOST)
    ca.add_a("astray.listen.example", "127.0.0.2")
    outcome = order("here.listen.example", "astray.listen.example")
    assert outcome.failure is not None
    assert {hit["name"] for hit in outcome.facts["responder"]["hits"]} == {"here.listen.example"}
    assert not is_open(HOST, ca.http_port)


def test_joins_a_responder_that_runs(ca: AcmeCa, order: Order) -> None:
    ca.add_a("joined.listen.example", HOST)
    process.start(HOST, ca.http_port, thumbprint(load_account_key(content=KEY)), 60)
    try:
        outcome = order("joined.listen.example")
        assert outcome.failure is None
        assert outcome.facts["responder"]["joined"]
        assert is_open(HOST, ca.http_port)
    finally:
        assert process.stop(HOST, ca.http_port)


def test_f33_check_mode_binds_nothing_but_reads_the_address(ca: AcmeCa, order: Order) -> None:
    before = ca.requests()
    with socket.create_server((HOST, ca.http_port)):
        assert order("checked.listen.example", check_mode=True).changed
    with pytest.raises(CertfleetError, match="localhost:8080") as caught:
        order("checked.listen.example", check_mode=True, listen="localhost:8080")
    assert caught.value.stage == "responder"
    assert ca.requests() == before


def test_check_mode_makes_nothing_and_knows_what_is_there(ca: AcmeCa, order: Order, tmp_path: Path) -> None:
    """Where the files of a certificate that would be obtained should be, there is nothing, not even a former one."""
    name = "foreseen.listen.example"
    ca.add_a(name, HOST)
    (would,) = order(name, check_mode=True).facts["certificates"]
    assert would["changed"]
    assert not (tmp_path / "out").exists()
    (did,) = order(name).facts["certificates"]
    for check_mode in (True, False):
        again = order(name, check_mode=check_mode)
        assert (again.changed, again.facts["certificates"]) == (False, [{**did, "changed": False, "validated": False}])
        assert again.as_result(show_diff=True).get("diff") is None
    (would,) = order(name, "other.listen.example", check_mode=True).facts["certificates"]
    assert would["changed"]
    assert not any(Path(would[key]).exists() for key in ("certificate_path", "private_key_path"))
