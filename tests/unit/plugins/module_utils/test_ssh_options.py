# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of an SSH login as people write them, up to the endpoint that comes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.endpoint import Endpoint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._ssh_options import ssh_endpoint_from, ssh_spec

PIN, OTHER = "SHA256:" + "A" * 43, "SHA256:" + "b/+1" * 10 + "xyz"


def endpoint(**options: Any) -> Endpoint:
    checked = ArgumentSpecValidator(ssh_spec()).validate({"ssh": options} if options else {})
    assert checked.error_messages == []
    return ssh_endpoint_from(checked.validated_parameters)


def test_defaults() -> None:
    made = endpoint(host="192.0.2.1", password="secret")
    assert made == Endpoint("192.0.2.1", 22, "admin", "secret")
    assert made.known_hosts == ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
    assert "secret" not in repr(made) + str(made)


def test_everything(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the key")
    options = {"port": 2222, "username": "root", "passphrase": "open", "timeout": 5, "known_hosts": "/etc/known"}
    made = endpoint(
        host="[2001:db8::1]", private_key_path=str(tmp_path / "key"), fingerprint=f"{PIN}=,{OTHER}", **options
    )
    assert made == Endpoint(
        "2001:db8::1", 2222, "root", None, "the key", "open", ("/etc/known",), (PIN, OTHER), timeout=5.0
    )


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "192.0.2.7", "PASSWORD": "secret", "FINGERPRINT": PIN}.items():
        monkeypatch.setenv(f"XGS_SSH_{name}", value)
    assert endpoint() == Endpoint("192.0.2.7", 22, "admin", "secret", fingerprints=(PIN,))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"host": None}, "is not the address of a firewall for SSH"),
        ({"host": "fw:22"}, "'fw:22' is not the address"),
        ({"password": None}, "no password and no private key.*XML API's password is not tried"),
        ({"fingerprint": ["MD5:00:11"]}, "'MD5:00:11' is no fingerprint"),
        ({"port": 0}, "ssh.port is 0"),
        ({"timeout": 10000}, "ssh.timeout is 10000"),
        ({"private_key_path": "/absent/key"}, "private key for SSH cannot be read"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(CertfleetError, match=text) as caught:
        endpoint(**{"host": "192.0.2.1", "password": "secret", **options})
    assert caught.value.stage == "plan"
    assert caught.value.remedy
