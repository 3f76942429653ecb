# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole runs of the order module as processes, at a real CA and through an emulated firewall.

F29 a full disk, F31 two at once, F34 interrupted ones; and what libraries log meanwhile.
"""

from __future__ import annotations

import base64
import json
import re
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._x509 import load_private_key
from cryptography.hazmat.primitives.asymmetric import ec

from lab.gate import Gate
from lab.module_process import ModuleProcess
from lab.pebble import AcmeCa
from lab.processes import wait_until
from unit.plugins.module_utils._xgs.firewalls import Box
from unit.plugins.modules.accounts import client_of, connection, new_key, run

ACCOUNT = new_key()
# Seconds, for a busy machine.
PATIENCE = 60


@pytest.fixture(scope="module")
def ca() -> Iterator[AcmeCa]:
    """It validates at the port that the emulated firewalls call 80."""
    with AcmeCa(http_port=5080, retry_after=None) as authority:
        run(authority, account_key_content=ACCOUNT)
        yield authority


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate(account.thumbprint(account.load_account_key(content=ACCOUNT))) as made:
        yield made


class Site:
    """A certificate, the firewall that its name leads to, and what all that costs at the CA from here on."""

    def __init__(self, ca: AcmeCa, box: Box, gate: Gate, directory: Path) -> None:
        self.ca, self.box, self.directory = ca, box, directory / "state"
        self.domain = f"{re.sub('[^a-z0-9]', '', directory.name)}.example.com"
        ca.add_a(self.domain, box.address)
        self._issued, self._requests = ca.issued(), len(ca.requests())
        forward = {
            "host": box.address,
            "fingerprint": box.fingerprint,
            "username": "admin",
            "password": "secret",
            "target": "127.0.0.1",
            "target_port": gate.port,
        }
        self.arguments = connection(
            ca,
            account_key_content=ACCOUNT,
            certificates=[{"name": "web", "domains": [self.domain], "key_type": "ec256"}],
            output_dir=str(self.directory),
            port_forward=forward,
        )

    def start(self) -> ModuleProcess:
        return ModuleProcess("acme_http01_order", **self.arguments)

    def run(self) -> dict[str, Any]:
        with self.start() as process:
            return process.result()

    @property
    def issued(self) -> int:
        return self.ca.issued() - self._issued

    @property
    def ordered(self) -> int:
        return self.ca.requests()[self._requests :].count(("POST", "/order-plz"))

    def unfinished(self) -> dict[str, Any]:
        left: dict[str, Any] = json.loads((self.directory / "web/unfinished.json").read_text())
        return left

    def status(self) -> str:
        """Of the order that is not finished, as the CA has it."""
        client = client_of(self.ca, ACCOUNT)
        account.ensure_account(client, only_existing=True)
        return str(client.post(self.unfinished()["order_uri"], None).json["status"])

    def nothing_is_open(self) -> bool:
        ours = [name for names in self.box.state["objects"].values() for name in names if name.startswith("certfleet")]
        return not self.box.forwards and ours == []


@pytest.fixture
def site(ca: AcmeCa, box: Box, gate: Gate, tmp_path: Path) -> Site:
    return Site(ca, box, gate, tmp_path)


def test_f31_two_runs_at_once(site: Site, gate: Gate) -> None:
    """The second says which run is at work, and orders nothing; once that is done, it has its certificate."""
    with site.start() as first:
        assert gate.arrived.wait(PATIENCE)
        # Stopped amidst its order, it holds what it holds for as long as the second takes.
        first.process.send_signal(signal.SIGSTOP)
        gate.released.set()
        second = site.run()
        assert second["failed"]
        assert f"another run (process {first.process.pid}) is at work" in second["msg"]
        assert site.box.forwards, "the first one's port is still open"
        first.process.send_signal(signal.SIGCONT)
        made = first.result()
    assert made["changed"]
    again = site.run()
    assert not again["changed"]
    assert again["certificates"][0]["fingerprint"] == made["certificates"][0]["fingerprint"]
    assert (site.ordered, site.issued) == (1, 1)


def test_f29_a_disk_that_takes_nothing_costs_no_order(site: Site) -> None:
    """A limit on the size of files does what a full disk does."""
    with site.start() as process:
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        result = process.result()
    assert result["failed"]
    assert str(site.directory) in result["msg"]
    assert "File too large" in result["msg"]
    assert (site.ordered, site.nothing_is_open()) == (0, True)
    assert site.run()["changed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f34_interrupted_while_the_ca_validates(site: Site, gate: Gate, number: signal.Signals) -> None:
    """The port closes at once. What the CA makes of it is its own: the next run gets one certificate in any case."""
    with site.start() as process:
        assert gate.arrived.wait(PATIENCE)
        assert site.box.forwards
        process.process.send_signal(number)
        result = process.result()
    assert result["failed"]
    assert f"ended by {number.name}; the port is closed" in result["msg"]
    assert site.nothing_is_open()
    left = site.unfinished()
    assert "PRIVATE KEY" in left["key"]
    gate.released.set()
    wait_until(lambda: site.status() != "pending", PATIENCE, site.ca.log)
    alive = site.status() == "ready"
    assert site.run()["changed"]
    assert (site.issued, site.ordered) == (1, 1 if alive else 2)
    if alive:
        assert (site.directory / "web/privkey.pem").read_text() == left["key"]
    assert site.nothing_is_open()


REDIRECT = (
    "<FirewallRule><Name>site</Name><IPFamily>IPv4</IPFamily><Position>Top</Position><PolicyType>HTTPBased</PolicyType>"
    "<HTTPBasedPolicy><HostedAddress>#Port2</HostedAddress><HTTPS>Enable</HTTPS><RedirectHTTP>Enable</RedirectHTTP>"
    "<ListenPort>8444</ListenPort><Domains><Domain>site.example.com</Domain></Domains>"
    "<Certificate>ApplianceCertificate</Certificate></HTTPBasedPolicy></FirewallRule>"
)
IN_USE = {"kind": "status", "operation": "remove", "code": 504, "text": "referred"}
REMARK = {"kind": "remark", "operation": "add", "entity": "Schedule", "code": 211, "text": "own words"}


def test_what_the_opening_has_to_tell_is_told(site: Site, gate: Gate) -> None:
    """Who is without port 80 meanwhile, what stays because somebody uses it, and what the firewall remarked."""
    site.box.add(REDIRECT)
    gate.released.set()
    site.arguments["_ansible_check_mode"] = True
    assert site.run()["window"] == {"interrupts": ["site"]}
    site.arguments["_ansible_check_mode"] = False
    site.box.faults(REMARK, {**IN_USE, "entity": "IPHost"})
    result = site.run()
    assert result["window"]["interrupts"] == ["site"]
    # Plain texts, or records of ansible-core's from 2.19 on.
    stays, remark = map(str, result["warnings"])
    assert re.search(r"127\S+: 'add Schedule certfleet-http01-\S+' is done, with the status 211, own words", remark)
    assert "IPHost 'certfleet-http01-127.0.0.1' stays" in stays
    assert not site.box.state["port80_open"]


# What has been carried out when the signal comes, of host, service, schedule, firewall rule and NAT rule.
@pytest.mark.parametrize("writes", [1, 4])
def test_f34_interrupted_while_the_port_opens(site: Site, gate: Gate, writes: int) -> None:
    """The CA was not asked to validate yet, so the order is as good as before: the next run goes on with it."""
    gate.released.set()
    site.box.settings(latency=0.3)
    with site.start() as process:
        wait_until(lambda: site.box.writes >= writes, PATIENCE, site.ca.log)
        process.process.send_signal(signal.SIGTERM)
        assert "ended by SIGTERM" in process.result()["msg"]
    assert site.nothing_is_open()
    assert not gate.arrived.is_set()
    left = site.unfinished()
    assert site.status() == "pending"
    site.box.settings(latency=0)
    (one,) = site.run()["certificates"]
    assert one["order_uri"] == left["order_uri"]
    assert (site.directory / "web/privkey.pem").read_text() == left["key"]
    assert (site.issued, site.ordered) == (1, 1)
    assert site.nothing_is_open()


def test_f34_interrupted_while_the_port_closes(site: Site, gate: Gate) -> None:
    """It closes all the same, and the next run finalises what has been validated."""
    site.box.settings(latency={"write": 0.3})
    with site.start() as process:
        assert gate.arrived.wait(PATIENCE)
        opened = site.box.reads
        gate.released.set()
        wait_until(lambda: site.box.reads > opened, PATIENCE, site.ca.log)
        assert site.box.forwards
        process.process.send_signal(signal.SIGTERM)
        assert "ended by SIGTERM" in process.result()["msg"]
    assert site.nothing_is_open()
    left = site.unfinished()
    assert site.status() == "ready"
    assert site.run()["certificates"][0]["order_uri"] == left["order_uri"]
    assert (site.issued, site.ordered) == (1, 1)


# -- what is logged


MAC = base64.urlsafe_b64encode(bytes(range(100, 164))).decode().rstrip("=")


def secrets_of(pem: str) -> Iterator[str]:
    """All spellings in which a private key might turn up."""
    yield from (line for line in pem.splitlines() if "-----" not in line)
    numbers = load_private_key(pem.encode()).private_numbers()
    found = [numbers.private_value] if isinstance(numbers, ec.EllipticCurvePrivateNumbers) else [numbers.d, numbers.p]
    for number in found:
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        yield from (str(number), raw.hex(), base64.urlsafe_b64encode(raw)[:-4].decode(), base64.b64encode(raw).decode())


@pytest.mark.parametrize("key_type", ["ec256", "rsa2048"])
def test_no_key_is_logged(tmp_path: Path, key_type: str) -> None:
    """With all libraries at DEBUG: account with binding, order, change of the account key, revocation."""
    log, said, keys = tmp_path / "log", "", [new_key(), new_key()]
    demanding = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"customer": MAC}}
    with AcmeCa(extra_config=demanding, extra_env={"PEBBLE_VA_ALWAYS_VALID": "1"}, retry_after=None) as ca:

        def module(name: str, account_key: str, **arguments: Any) -> None:
            nonlocal said
            with ModuleProcess(name, log, **connection(ca, account_key_content=account_key, **arguments)) as process:
                assert process.result()["changed"]
                said += process.said

        binding = {"kid": "customer", "key": MAC, "alg": "HS256"}
        module("acme_account", keys[0], terms_agreed=True, external_account_binding=binding)
        certificate = {"name": "web", "domains": ["log.example.com"], "key_type": key_type}
        module("acme_http01_order", keys[0], certificates=[certificate], output_dir=str(tmp_path / "out"))
        module("acme_account", keys[0], state="changed_key", new_account_key_content=keys[1])
        module("acme_certificate_revoke", keys[1], certificate_path=str(tmp_path / "out/web/fullchain.pem"))
    keys.append((tmp_path / "out/web/privkey.pem").read_text())
    logged = log.read_text()
    assert "urllib3" in logged
    assert "/finalize-order/" in logged
    assert [secret for key in keys for secret in secrets_of(key) if secret in logged + said] == []
    assert MAC not in logged + said
