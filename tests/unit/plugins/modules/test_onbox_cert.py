# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates replaced as files: a real SSH server, a real nginx that reads them, and handshakes from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.modules import onbox_cert

from lab.console import PASSWORD, Console, Httpd
from lab.handshake import Shown
from lab.tls import TlsFiles, issue, make_issuer

DOMAIN, OTHER = "owa.example.com", "vpn.example.com"
PAIR = ("OWA.pem", "private/OWA.key")
KEPT = tuple(f"{path}.previous" for path in PAIR)


@pytest.fixture(scope="module")
def console(consoles: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with Console(tmp_path_factory.mktemp("console")) as made:
        yield made


@pytest.fixture
def httpd(console: Console, nginx_installed: None, tmp_path: Path) -> Iterator[Httpd]:
    with Httpd(console, tmp_path / "httpd", {"OWA": [DOMAIN], "other": [OTHER]}) as made:
        yield made


@pytest.fixture
def new(tmp_path: Path) -> TlsFiles:
    return issue(make_issuer(tmp_path / "new"), tmp_path / "new", [DOMAIN])


@pytest.fixture
def task(console: Console, httpd: Httpd, new: TlsFiles) -> Callable[..., Outcome]:
    def run(check: bool = False, **options: Any) -> Outcome:
        pin = [console.fingerprint]
        ssh = {"host": console.address, "port": console.port, "password": PASSWORD, "fingerprint": pin}
        given = {"certificate_path": str(new.certificate), "private_key_path": str(new.key)}
        if options.get("state") == "previous":
            given = {}
        where = {"directory": str(httpd.certificates), "verify_port": httpd.port, "verify_timeout": 3}
        arguments = onbox_cert.ARGUMENTS
        checked = ArgumentSpecValidator(arguments.spec, **arguments.rules()).validate(
            {"ssh": ssh, "name": "OWA", **given, **where, **options}
        )
        assert checked.error_messages == []
        return onbox_cert.run(checked.validated_parameters, check)

    return run


def visit(httpd: Httpd, new: TlsFiles, domain: str = DOMAIN) -> Shown:
    return httpd.shown(domain, new.ca.read_text())


def test_installed_and_served(task: Callable[..., Outcome], httpd: Httpd, new: TlsFiles) -> None:
    before, first = httpd.files(), visit(httpd, new)
    assert not first.trusted
    foreseen = task(check=True)
    assert (foreseen.changed, httpd.files()) == (True, before)
    done = task()
    assert done.changed
    seen = visit(httpd, new)
    assert seen.trusted
    assert done.facts["fingerprint"] == seen.fingerprint
    (used,) = done.facts["consumers"]
    assert (used["previous"], used["served_by"]) == (first.fingerprint, [f"127.0.0.1:{httpd.port} for {DOMAIN}"])
    assert foreseen.after == done.after
    after = httpd.files()
    assert {path: after[path] for path in KEPT} == {f"{path}.previous": before[path] for path in PAIR}
    assert {path: after[path][0] for path in PAIR} == {path: before[path][0] for path in PAIR}
    assert after["OWA.pem"][1] == new.certificate.read_bytes()
    assert set(after) - set(before) == set(KEPT)
    assert {path: after[path] for path in before if "other" in path} == {
        path: what for path, what in before.items() if "other" in path
    }
    again = task()
    assert (again.changed, again.before, httpd.files()) == (False, again.after, after)


def test_back_to_the_one_of_before(task: Callable[..., Outcome], httpd: Httpd, new: TlsFiles) -> None:
    with pytest.raises(CertfleetError, match=r"has no .*OWA.pem.previous. There is nothing to go back to"):
        task(state="previous")
    before, first = httpd.files(), visit(httpd, new)
    task()
    assert task(check=True, state="previous").changed
    assert visit(httpd, new).trusted
    back = task(state="previous")
    assert (back.changed, back.facts["fingerprint"]) == (True, first.fingerprint)
    assert visit(httpd, new).fingerprint == first.fingerprint
    assert {path: httpd.files()[path] for path in PAIR} == {path: before[path] for path in PAIR}
    task(state="previous")
    assert visit(httpd, new).trusted


@pytest.mark.parametrize(
    ("reload", "told"),
    [
        ("true", r"verify: the new certificate is not served 3 s after .*serves [0-9a-f]{16}…"),
        ("echo no such service; false", r"'echo no such service; false' ended with status 4: no such service"),
        # The session goes, and with it all knowledge of how far it came.
        ("kill -9 $$ $PPID", "the firewall ended the session"),
    ],
)
def test_what_is_not_served_is_put_back(
    task: Callable[..., Outcome], httpd: Httpd, new: TlsFiles, reload: str, told: str
) -> None:
    before, first = httpd.files(), visit(httpd, new)
    with pytest.raises(CertfleetError, match=told) as caught:
        task(reload=reload)
    assert "The files of before are in place" in str(caught.value)
    assert {path: httpd.files()[path] for path in before} == before
    assert visit(httpd, new).fingerprint == first.fingerprint


def test_read_by_nobody_yet(task: Callable[..., Outcome], httpd: Httpd, new: TlsFiles) -> None:
    """As a run leaves it whose firewall lost its power between files and reload."""
    for path, source in zip(PAIR, (new.certificate, new.key), strict=True):
        (httpd.certificates / path).write_bytes(source.read_bytes())
    after = httpd.files()
    assert (task(check=True).changed, visit(httpd, new).trusted) == (True, False)
    assert (task().changed, visit(httpd, new).trusted) == (True, True)
    assert httpd.files() == after
    assert not task().changed


def test_where_nobody_could_see_it(task: Callable[..., Outcome], httpd: Httpd, new: TlsFiles) -> None:
    """The wrong address: nothing is changed on the firewall."""
    before = httpd.files()
    for where, told in (
        ({"verify_port": 1}, "Connection refused"),
        ({"name": "other"}, f"for {DOMAIN} serves"),
    ):
        with pytest.raises(CertfleetError, match=told) as caught:
            task(**where)
        assert "Set verify_address" in str(caught.value)
        assert caught.value.stage == "plan"
    assert httpd.files() == before


def test_what_is_not_there_or_does_not_fit(
    task: Callable[..., Outcome], httpd: Httpd, new: TlsFiles, tmp_path: Path
) -> None:
    before = httpd.files()
    with pytest.raises(CertfleetError, match=r"has no .*New.pem.*upload any certificate as New"):
        task(name="New")
    wrong = issue(make_issuer(tmp_path / "wrong"), tmp_path / "wrong", [DOMAIN])
    with pytest.raises(CertfleetError, match="does not belong to the certificate"):
        task(private_key_path=str(wrong.key))
    with pytest.raises(CertfleetError, match="cannot name a certificate"):
        task(name="../OWA")
    assert httpd.files() == before


def test_in_check_mode_before_it_is_issued(task: Callable[..., Outcome], httpd: Httpd) -> None:
    before = httpd.files()
    foreseen = task(check=True, certificate_path="/nowhere/chain.pem", private_key_path="/nowhere/key.pem")
    assert (foreseen.changed, foreseen.facts["fingerprint"], httpd.files()) == (True, None, before)
    assert "/nowhere/chain.pem is not there" in foreseen.warnings[0]
