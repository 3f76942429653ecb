# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a tool is measured: a fresh CA, its account, the distance to it, a web root, and a directory for results."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.parse
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from cryptography import x509

from account import new_account
from cases import CONCURRENCY, Case
from lab.pebble import AcmeCa
from lab.ports import free_port
from lab.processes import Daemon
from measure import environment

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
PEERS = CHECKOUT / "build" / "bench" / "peers" / "bin"
COLLECTIONS = CHECKOUT / "build" / "bench"
HOST = "127.0.0.1"


class WrongResult(Exception):
    """A tool said that all is well, and it is not."""


class Place:
    """`with Place(case, directory) as place:`; the CA validates at `http_port`, and there the web root is served.

    The result goes to `out`, all else to `work`. For one run: the next has a place of its own.
    """

    def __init__(self, case: Case, directory: Path) -> None:
        self.case = case
        self.certificates = case.domains()
        self.directory_url = self.account_uri = ""
        self.work = directory / "work"
        self.out = directory / "out"
        self.webroot = directory / "webroot"
        self.tokens = self.webroot / ".well-known" / "acme-challenge"
        self.account_key = self.work / "account.pem"
        self.http_port = free_port()
        self.ca = AcmeCa(directory / "ca", http_port=self.http_port)
        self._directory = directory
        self._stack = ExitStack()

    def __enter__(self) -> Place:
        shutil.rmtree(self._directory, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.out.mkdir(mode=0o700)
        self.tokens.mkdir(parents=True)
        with ExitStack() as stack:
            stack.enter_context(self.ca)
            for names in self.certificates:
                for name in names:
                    self.ca.add_a(name, HOST)
            self.directory_url = self.ca.directory_url
            if self.case.rtt:
                self._move_away(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _move_away(self, stack: ExitStack) -> None:
        url = urllib.parse.urlsplit(self.ca.directory_url)
        port = free_port()
        command = [sys.executable, str(HERE / "delay.py"), str(port), str(url.port), str(self.case.rtt)]
        stack.enter_context(Daemon("delay", command, log=self._directory / "delay.log", answers=(HOST, port)))
        # The CA makes all its URLs of the name that it was called by.
        self.directory_url = url._replace(netloc=f"{HOST}:{port}").geturl()

    # What tools need

    def make_account(self, *, key_type: str = "ec") -> None:
        """Register an account: `account_key` and `account_uri`."""
        self.account_uri = new_account(self.directory_url, self.ca.ca_file, self.account_key, key_type)

    def serve_webroot(self) -> None:
        command = [sys.executable, str(HERE / "webroot.py"), str(self.http_port), str(self.webroot)]
        self._stack.enter_context(
            Daemon("webroot", command, log=self._directory / "webroot.log", answers=(HOST, self.http_port))
        )

    def write_job(self, **more: Any) -> str:
        """What is to be done, as JSON; the path of the file."""
        job = {
            "directory_url": self.directory_url,
            "ca_file": self.ca.ca_file,
            "account_key": str(self.account_key),
            "account_uri": self.account_uri,
            "http_port": self.http_port,
            "certificates": self.certificates,
            "concurrency": CONCURRENCY,
            "out": str(self.out),
            **more,
        }
        path = self.work / "job.json"
        path.write_text(json.dumps(job))
        return str(path)

    def environment(self, **more: str) -> dict[str, str]:
        return environment(self.work, **more)

    # After the run

    def check(self, chains: str) -> None:
        """As many certificates as asked for, each for its names: the files `chains` (a pattern) below `out`."""
        found = sorted(sorted(_names(path)) for path in self.out.glob(chains))
        wanted = sorted(sorted(names) for names in self.certificates)
        if found != wanted:
            raise WrongResult(f"{len(found)} certificates of {len(wanted)}, or other names")


def _names(path: Path) -> list[str]:
    leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
    return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
