# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection options as people write them, up to the endpoint that comes of them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.transport import Endpoint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs_options import firewall_from, xgs_spec

NEEDED = {"host": "192.0.2.1", "username": "admin", "password": "secret"}
PINS = ["ab" * 32, "cd" * 32]


def endpoint(**options: Any) -> Endpoint:
    checked = ArgumentSpecValidator(xgs_spec()).validate({**NEEDED, **options})
    assert checked.error_messages == []
    return firewall_from(checked.validated_parameters).endpoint


def test_defaults() -> None:
    assert endpoint() == Endpoint(
        "192.0.2.1", 4444, validate_certs=True, fingerprint="", connect_timeout=10.0, timeout=120.0
    )


@pytest.mark.parametrize("written", [PINS, ",".join(PINS), ", ".join(PINS)])
def test_several_pins(written: Any) -> None:
    assert endpoint(fingerprint=written).fingerprint.replace(" ", "") == ",".join(PINS)


def test_several_pins_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XGS_FINGERPRINT", ",".join(PINS))
    monkeypatch.setenv("XGS_CONNECT_TIMEOUT", "3")
    assert endpoint().fingerprint == ",".join(PINS)
    assert endpoint().connect_timeout == 3


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:db8::1]"])
def test_an_ipv6_address(host: str) -> None:
    assert endpoint(host=host).host == "2001:db8::1"
    assert str(endpoint(host=host)) == "[2001:db8::1]:4444"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"host": "https://192.0.2.1:4444"}, "is not the address of a firewall.*and port"),
        ({"host": "192.0.2.1:4444"}, "is not the address of a firewall.*and port"),
        ({"port": 0}, "port is 0.*between 1 and 65535"),
        ({"port": 70000}, "port is 70000"),
        ({"timeout": 0}, "timeout is 0"),
        ({"connect_timeout": -1}, "connect_timeout is -1"),
        ({"fingerprint": ["abc"]}, "'abc' is not the SHA-256"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(CertfleetError, match=text) as caught:
        endpoint(**options)
    assert caught.value.remedy
