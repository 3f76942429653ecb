# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, and whose host key is believed."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.endpoint import Endpoint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.session import shell

from lab.console import PASSWORD, Console
from lab.ports import free_port
from unit.plugins.module_utils._shell.conftest import Make, endpoint_of

KEYS_ONLY = "PasswordAuthentication no"


def logs_in(endpoint: Endpoint) -> bool:
    with shell(endpoint) as session:
        return session.run("id -u").output == "0\n"


def refusal(endpoint: Endpoint) -> str:
    with pytest.raises(CertfleetError) as caught, shell(endpoint):
        pass
    assert caught.value.stage == "shell"
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_password(console: Make) -> None:
    _, endpoint = console()
    assert logs_in(endpoint)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa", "PEM"])
def test_private_key(console: Make, tmp_path: Path, kind: str) -> None:
    made, endpoint = console(server={"more": KEYS_ONLY})
    key = tmp_path / "key"
    options = {"rsa": ["-t", "rsa", "-b", "2048"], "PEM": ["-t", "rsa", "-b", "2048", "-m", "PEM"]}.get(
        kind, ["-t", kind]
    )
    subprocess.run(["ssh-keygen", "-q", *options, "-N", "open sesame", "-f", key], check=True)
    (made.home / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    locked = dataclasses.replace(endpoint, password=None, private_key=key.read_text())
    assert logs_in(dataclasses.replace(locked, passphrase="open sesame"))
    assert "Set its passphrase" in refusal(locked)
    assert "cannot be read" in refusal(dataclasses.replace(locked, passphrase="shut up"))
    assert made.events().count("login") == 1


def test_an_unknown_private_key(console: Make, tmp_path: Path) -> None:
    made, _ = console(server={"more": KEYS_ONLY})
    (made.home / "authorized_keys").write_text("")
    assert "was refused" in refusal(endpoint_of(made, password=None, private_key=made.key.read_text()))
    assert "cannot be read" in refusal(endpoint_of(made, private_key="no key"))


def test_a_wrong_password_is_tried_once(console: Make) -> None:
    made, _ = console()
    said = refusal(endpoint_of(made, password="wrong-Pass-1"))
    assert "was refused" in said
    assert "wrong-Pass-1" not in said
    assert (made.home / "sshd.log").read_text().count("Failed password for admin") == 1


def known(made: Console, tmp_path: Path, line: str) -> Endpoint:
    file = tmp_path / "known_hosts"
    file.write_text(f"# mine\n\nelsewhere {made.known_hosts.partition(' ')[2]}{line}")
    return endpoint_of(made, fingerprints=(), known_hosts=(str(tmp_path / "absent"), str(file)))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_known_host(console: Make, tmp_path: Path, kind: str) -> None:
    made, _ = console(server={"host_key": kind})
    assert logs_in(known(made, tmp_path, made.known_hosts))


def test_a_known_host_whose_name_is_hashed(console: Make, tmp_path: Path) -> None:
    made, _ = console()
    endpoint = known(made, tmp_path, made.known_hosts)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", tmp_path / "known_hosts"], check=True, capture_output=True)
    assert made.address not in (tmp_path / "known_hosts").read_text()
    assert logs_in(endpoint)


def test_an_unknown_host_is_told_and_not_trusted(console: Make, tmp_path: Path) -> None:
    made, _ = console()
    said = refusal(known(made, tmp_path, ""))
    assert f"set xgs_ssh_fingerprint to {made.fingerprint}" in said
    assert made.events() == []
    assert "Failed" not in (made.home / "sshd.log").read_text(), "the password was sent"


def test_a_changed_host_key(console: Make, tmp_path: Path) -> None:
    made, _ = console()
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    name = made.known_hosts.partition(" ")[0]
    said = refusal(known(made, tmp_path, f"{name} {other.with_suffix('.pub').read_text()}"))
    assert "has changed" in said
    assert made.fingerprint in said
    assert made.events() == []


def test_another_fingerprint_is_pinned(console: Make) -> None:
    made, _ = console()
    said = refusal(endpoint_of(made, fingerprints=("SHA256:" + "A" * 43,)))
    assert made.fingerprint in said
    assert made.events() == []
    assert logs_in(endpoint_of(made, fingerprints=("SHA256:" + "A" * 43, made.fingerprint)))


def test_broken_known_hosts(console: Make, tmp_path: Path) -> None:
    made, _ = console()
    assert logs_in(known(made, tmp_path, f"host ssh-ed25519 &&&\nhost new-kind AAAA\nnonsense\n{made.known_hosts}"))
    (tmp_path / "known_hosts").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refusal(endpoint_of(made, fingerprints=(), known_hosts=(str(tmp_path / "known_hosts"),)))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paramiko", None)
    assert "pip install paramiko" in refusal(Endpoint("127.0.0.1", 1, password=PASSWORD))


def test_nobody_listens(tmp_path: Path) -> None:
    nobody = Endpoint("127.0.0.1", free_port(), password=PASSWORD)
    assert "Look at address and port" in refusal(nobody)


def test_who_answers_speaks_no_ssh(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], password=PASSWORD, timeout=1.0)
        silent = threading.Thread(target=lambda: listener.accept()[0].recv(1000), daemon=True)
        silent.start()
        assert "no SSH connection" in refusal(endpoint)


def test_old_signatures_alone(console: Make) -> None:
    """A firmware that signs with SHA-1 only: the library says no, and we say what helps."""
    made, endpoint = console(server={"host_key": "rsa", "more": "HostKeyAlgorithms ssh-rsa"})
    assert "'paramiko<5'" in refusal(endpoint)
    assert made.events() == []
