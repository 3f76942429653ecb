# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a night is measured: emulated firewalls, a CA, and a directory for what the tool keeps."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from account import new_account
from lab.fleet import Fleet
from lab.held import made
from lab.processes import Daemon
from nights import Night, entries

HERE = Path(__file__).resolve().parent
# Age in days, of 90: nobody renews the one, everybody the other.
FRESH, OLD = 10.0, 80.0


class WrongResult(Exception):
    """A tool said that all is well, and it is not."""


class Town:
    """`with Town(night, directory) as town:`; the tool's own files go to `kept`, its logs to `work`.

    For one run: the next has a town of its own.
    """

    def __init__(self, night: Night, directory: Path) -> None:
        self.night = night
        self.work, self.kept = directory / "work", directory / "kept"
        self.account_key = self.work / "account.pem"
        self.account_uri = ""
        self._directory = directory
        self._before: dict[str, dict[str, int]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Town:
        shutil.rmtree(self._directory, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.kept.mkdir(mode=0o700)
        due = self.night.due_hosts()
        names = {names[0]: host for host, names in self.night.hosts().items() if host in due}
        with ExitStack() as stack:
            self.fleet = stack.enter_context(Fleet(self.night.configurations(), self._directory / "fleet", names))
            ca = self.fleet.ca
            self.account_uri = new_account(ca.directory_url, ca.ca_file, self.account_key)
            if not self.night.new:
                self._hand_out()
            self._before = self.fleet.counters()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _hand_out(self) -> None:
        """The certificates of earlier nights, on the firewalls and in files as other tools keep them."""
        due = set(self.night.due_hosts())
        for host, names in self.night.hosts().items():
            (self.kept / host).mkdir()
            for number, name in enumerate(names):
                certificate, key = made(name, age=OLD if host in due and number == 0 else FRESH)
                self.fleet.emulator.put_certificate(host, f"c{number}", certificate, key)
                _keep(self.kept / host / f"c{number}", name, certificate, key)

    def inventory(self) -> Path:
        """As a user of the collection would write it; what another tool wants to know is in there too."""
        due = set(self.night.due_hosts())
        hosts = {
            host: {"xgs_letsencrypt_certificates": entries(names, host in due)}
            for host, names in self.night.hosts().items()
        }
        path = self.work / "inventory.json"
        document = self.fleet.inventory(hosts, xgs_letsencrypt_account_key_path=str(self.account_key))
        path.write_text(json.dumps(document))
        return path

    def serve_webroot(self, webroot: Path) -> None:
        """Where the firewalls forward port 80 to."""
        port = self.fleet.responder_port
        command = [sys.executable, str(HERE / "webroot.py"), str(port), str(webroot)]
        log = self._directory / "webroot.log"
        self._stack.enter_context(Daemon("webroot", command, log=log, answers=(self.fleet.responder, port)))

    # After the run

    def check(self) -> None:
        """Whatever was due has come from the CA and is served, and nothing else was issued."""
        due = self.night.due_hosts()
        if self.fleet.ca.issued() != len(due):
            raise WrongResult(f"{self.fleet.ca.issued()} certificates were issued for {len(due)}")
        names = self.night.hosts()
        wrong = [host for host in due if not self.fleet.shown(host, 8443, names[host][0]).trusted]
        if wrong:
            raise WrongResult(f"{', '.join(wrong)}: another certificate is served")
        still_open = [host for host in due if self.fleet.port80(host) == "open"]
        if still_open:
            raise WrongResult(f"{', '.join(still_open)}: port 80 is open")

    def used(self) -> Mapping[str, int]:
        """Reads and writes of all firewalls since the start."""
        after = self.fleet.counters()
        return {key: sum(after[host][key] - self._before[host][key] for host in after) for key in ("reads", "writes")}

    def open_seconds(self) -> list[float]:
        """How long port 80 was open, for each firewall where it was."""
        found: list[Any] = [self.fleet.emulator.firewall(host)["open_intervals"] for host in self.night.due_hosts()]
        return [sum(interval["seconds"] for interval in intervals) for intervals in found if intervals]


def _keep(path: Path, name: str, certificate: str, key: str) -> None:
    """As community.crypto has left it: certificate, key and the request for it."""
    signer = serialization.load_pem_private_key(key.encode(), None)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(names, critical=False)
    path.with_suffix(".pem").write_text(certificate)
    path.with_suffix(".csr").write_bytes(
        request.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]
    )
    path.with_suffix(".key").touch(0o600)
    path.with_suffix(".key").write_text(key)
