# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret but where it has to be: output, events, files, caches, arguments and requests of whole renewals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import new_account_key

from lab import leaks, proxy
from lab.entries import certificate, certificates, firewall, waf_rule
from lab.leaks import Secrets
from lab.proxy import FaultProxy

pytestmark = [pytest.mark.any_firmware, pytest.mark.timeout(600)]

PASSWORD = 'correct <horse> & "bat\'tery" stäple %41+'
MAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
NAME = "owa.example.com"
HOST = certificates(certificate("OWA", NAME, consumers=["waf:OWA rule"]))
REGISTER = {
    "name": "Register with a binding",
    "hosts": "localhost",
    "gather_facts": False,
    "tasks": [
        {
            "certfleet.sophos_xgs.acme_account": {
                "acme_directory": "{{ groups.xgs | map('extract', hostvars, 'xgs_letsencrypt_directory') | first }}",
                "ca_path": "{{ groups.xgs | map('extract', hostvars, 'xgs_letsencrypt_directory_ca_path') | first }}",
                "terms_agreed": True,
                "external_account_binding": {"kid": "customer-1", "key": MAC},
            },
            "register": "account",
        }
    ],
}
RENEW = {"name": "Renew", "import_playbook": "certfleet.sophos_xgs.renew"}


class Watched:
    """A firewall behind a proxy that records, and runs whose every trace is searched."""

    def __init__(self, fleet, play, place: Path, firewall_proxy: FaultProxy, ca_proxy: FaultProxy) -> None:
        self.fleet = fleet
        self.ca_proxy = ca_proxy
        self.firewall_proxy = firewall_proxy
        self.account_key = new_account_key().decode()
        self.secrets = Secrets({"password": PASSWORD, "account key": self.account_key, "EAB key": MAC})
        self._play = play
        self._place = place
        self._runs = 0

    def host(self):
        return {
            **HOST,
            "ansible_host": self.firewall_proxy.host,
            "ansible_httpapi_port": self.firewall_proxy.port,
            "xgs_fingerprint": self.firewall_proxy.fingerprint,
        }

    def run(self, playbook=(RENEW,), env=None, **variables):
        """Run it as loudly as it gets; gives the result after all but the files was searched."""
        self._runs += 1
        traces = self._place / f"run{self._runs}"
        traces.mkdir()
        events = traces / "events"
        loud = {
            "TMPDIR": str(self._place / "t"),
            "LAB_EVERYTHING": str(events),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(proxy.__file__).parent),
            "ANSIBLE_CALLBACKS_ENABLED": "everything",
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(traces / "facts"),
            "ANSIBLE_LOG_PATH": str(traces / "log"),
            "ACME_ACCOUNT_KEY": self.account_key,
        }
        Path(loud["TMPDIR"]).mkdir(exist_ok=True)
        everything = {
            "ansible_password": PASSWORD,
            "xgs_letsencrypt_directory": self.ca_proxy.directory_url,
            "xgs_letsencrypt_directory_ca_path": self.ca_proxy.ca_file,
            **variables,
        }
        with leaks.arguments_of_all() as arguments:
            result = self._play(
                self.fleet,
                {"fw1": self.host()},
                list(playbook),
                variables=everything,
                env={**loud, **(env or {})},
                verbosity=4,
                flags=["--diff"],
                foreseen=False,
            )
        for number, key in enumerate(self.uploaded_keys()):
            self.secrets.add(f"certificate key {number}", key)
        assert any(b"ansible-playbook" in each for each in arguments)
        assert set().union(*map(self.secrets.within, arguments)) == set()
        assert "ok fw1" in events.read_text() or "failed fw1" in events.read_text()
        assert self.secrets.within(result.stdout + result.stderr) == set()
        assert self.secrets.below(traces) == {}
        return result

    def uploaded_keys(self):
        bodies = [seen.payload.decode("utf-8", "replace") for seen in self.firewall_proxy.seen]
        return list(dict.fromkeys(KEY.findall("".join(bodies))))

    def assert_nothing_left(self, workdir: Path) -> None:
        """Files of the control node, but for what the user wrote."""
        found = self.secrets.below(workdir, self._place)
        assert {path for path in found if path.name not in ("inventory.yml", "playbook.yml")} == set()

    def assert_only_what_must_be_sent(self) -> None:
        for seen in self.firewall_proxy.seen:
            sent = self.secrets.within(seen.payload)
            assert "password" in sent
            assert b"UploadCertificate" in seen.payload or sent == {"password"}, seen.payload[:200]
            assert not sent & {"account key", "EAB key"}
            assert self.secrets.within(seen.path) == set()
        for seen in self.ca_proxy.seen:
            assert self.secrets.within(seen.payload) | self.secrets.within(seen.path) == set()


@pytest.fixture
def watched(make_fleet, play, scratch, tmp_path):
    demands = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"customer-1": MAC}}
    box = firewall(1, waf_rule("OWA rule", NAME), password=PASSWORD)
    fleet = make_fleet([box], {NAME: "fw1"}, ca_options={"extra_config": demands})
    state = fleet.emulator.firewall("fw1")
    url = f"https://{state['address']}:{state['admin_port']}"
    ca = fleet.ca.directory_url.rpartition("/")[0]
    with (
        FaultProxy(url, None, tmp_path / "fw-proxy") as firewall_proxy,
        FaultProxy(ca, fleet.ca.ca_file, tmp_path / "ca-proxy") as ca_proxy,
    ):
        yield Watched(fleet, play, scratch, firewall_proxy, ca_proxy)


@pytest.mark.parametrize("keep", [False, True], ids=["", "remote files kept"])
def test_whole_renewals_leave_no_secret_anywhere(watched, tmp_path, keep):
    env = {"ANSIBLE_KEEP_REMOTE_FILES": "1"} if keep else {}
    watched.run([REGISTER, RENEW], env).check()
    assert watched.fleet.shown("fw1", 8443, NAME).trusted
    watched.run(env=env, xgs_letsencrypt_force=True).check()
    assert watched.fleet.ca.issued() == len(watched.uploaded_keys()) == 2
    watched.assert_nothing_left(tmp_path / "run")
    watched.assert_only_what_must_be_sent()


def test_a_state_directory_has_the_keys_for_this_user_alone(watched, tmp_path):
    state = tmp_path / "state"
    watched.run([REGISTER, RENEW], xgs_letsencrypt_state_dir=str(state)).check()
    watched.assert_nothing_left(tmp_path / "run")
    kept = watched.secrets.below(state)
    assert {name for labels in kept.values() for name in labels} == {"certificate key 0"}
    assert leaks.open_to_others(state, *state.rglob("*")) == []


def refuse_upload(exchange, answer):
    asked = exchange.body.decode("utf-8", "replace")
    return answer(asked) if "UploadCertificate" in asked else exchange.forward()


def said(text):
    """A status with such words."""
    words = leaks.xml_escaped(text)
    login = "<Login><status>Authentication Successful</status></Login>"
    body = f'<Response>{login}<Certificate><Status code="500">{words}</Status></Certificate></Response>'
    return proxy.Answer(200, {"Content-Type": "text/xml"}, body.encode())


def page(text):
    return proxy.Answer(500, {"Content-Type": "text/html"}, f"<html><pre>{text}</pre></html>".encode())


def login_of(asked):
    return asked[asked.index("<Login>") :][:300]


def key_of(asked):
    return asked[asked.index("PRIVATE KEY") :][:300]


ECHOES = {
    "the login in a status": lambda asked: said(login_of(asked)),
    "the key in a status": lambda asked: said(key_of(asked)),
    "the password in a status": lambda asked: said(PASSWORD),
    "all of it in a page": page,
    "nothing": lambda asked: said("Operation failed"),
}


@pytest.mark.any_firmware
@pytest.mark.parametrize("echo", ECHOES)
def test_a_failed_upload_tells_no_secret(watched, tmp_path, echo):
    """Whatever the firewall says back."""
    watched.firewall_proxy.on("/", lambda exchange: refuse_upload(exchange, ECHOES[echo]), times=None)
    result = watched.run([REGISTER, RENEW])
    assert result.rc != 0
    assert "fw1: OWA: upload: " in result.stdout
    watched.assert_nothing_left(tmp_path / "run")
    watched.assert_only_what_must_be_sent()


def test_a_wrong_password_is_not_told(watched, tmp_path):
    watched.fleet.emulator.add_faults("fw1", {"kind": "auth", "count": 0})
    result = watched.run([REGISTER, RENEW])
    assert result.rc != 0
    assert "does not accept user name and password" in result.stdout
    watched.assert_nothing_left(tmp_path / "run")
