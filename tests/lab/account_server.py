# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second real ACME server on loopback, acme2certifier, for what servers see differently: accounts only.

It needs libraries of its own, so it lives in a virtual environment of its own (`pip install acme2certifier`), whose
Python the environment variable ACME2CERTIFIER_PYTHON names.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.ports import free_port
from lab.processes import Daemon
from lab.tls import make_tls

PYTHON = os.environ.get("ACME2CERTIFIER_PYTHON", "")
CONFIG = """\
[CAhandler]
# It issues nothing here, but does not start without something to issue with.
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_cert: {tls.certificate}
issuing_ca_key: {tls.key}
cert_save_path: {base}
[DBhandler]
handler: wsgi
dbfile: {base}/acme.db
[EABhandler]
eab_handler_file: {handler}
key_file: {base}/mac-keys.json
[Directory]
tos_url: https://ca.example.com/terms
"""


@dataclass(frozen=True)
class AccountServer:
    """Named as `AcmeCa` names them."""

    directory_url: str
    ca_file: str


@contextmanager
def acme2certifier(base: Path, mac_keys: Mapping[str, str]) -> Iterator[AccountServer]:
    """A server that demands external account binding, with these MAC keys by key identifier."""
    tls, port = make_tls(base / "tls", ("127.0.0.1",), "acme2certifier"), free_port()
    (base / "acme_srv.cfg").write_text(CONFIG.format(base=base, tls=tls, handler=_handler()))
    (base / "mac-keys.json").write_text(json.dumps(dict(mac_keys)))
    script = Path(__file__).with_name("acme2certifier_server.py")
    with Daemon(
        "acme2certifier",
        [PYTHON, str(script), str(port), str(tls.certificate), str(tls.key)],
        log=base / "acme2certifier.log",
        env={**os.environ, "ACME_SRV_CONFIGFILE": str(base / "acme_srv.cfg")},
        answers=("127.0.0.1", port),
    ):
        yield AccountServer(f"https://127.0.0.1:{port}/directory", str(tls.ca))


def _handler() -> str:
    """It wants the path of its own module."""
    code = "from acme2certifier.eabhandlers import json_handler; print(json_handler.__file__)"
    return subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
