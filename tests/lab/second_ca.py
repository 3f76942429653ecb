# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other real ACME servers on loopback, for what servers see differently: acme2certifier, and Caddy.

Both validate at port 80 alone, so for orders they are put on an island (island.py). scripts/bootstrap.sh fetches them;
acme2certifier has an environment of its own, for it needs libraries of its own.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lab.island import Island
from lab.pebble import TOOLS
from lab.ports import free_port
from lab.processes import Daemon
from lab.tls import make_issuer, make_tls

PYTHON = TOOLS / "acme2certifier" / "bin" / "python"
CADDY = TOOLS / "caddy"
CADDYFILE = """\
{{
    admin off
    storage file_system {base}/storage
    skip_install_trust
    auto_https off
    ocsp_stapling off
}}
https://127.0.0.1:{port} {{
    bind 127.0.0.1
    tls {tls.certificate} {tls.key}
    acme_server {{
        challenges http-01
    }}
}}
"""


@dataclass(frozen=True)
class SecondCa:
    """Named as `AcmeCa` names them."""

    directory_url: str
    ca_file: str


@contextmanager
def acme2certifier(
    base: Path,
    *,
    mac_keys: Mapping[str, str] | None = None,
    island: Island | None = None,
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[SecondCa]:
    """acme2certifier; with MAC keys by key identifier it demands external account binding.

    settings: of its configuration, by section.
    """
    tls, port = make_tls(base / "tls", ("127.0.0.1",), "acme2certifier"), free_port()
    config = configparser.ConfigParser(interpolation=None)
    config.read_dict(_config(base))
    if mac_keys is not None:
        (base / "mac-keys.json").write_text(json.dumps(dict(mac_keys)))
        config["EABhandler"] = {"eab_handler_file": _eab_handler(), "key_file": f"{base}/mac-keys.json"}
    config.read_dict(settings or {})
    with (base / "acme_srv.cfg").open("w") as file:
        config.write(file)
    script = Path(__file__).with_name("acme2certifier_server.py")
    command = [str(PYTHON), str(script), str(port), str(tls.certificate), str(tls.key)]
    environment = {**os.environ, "ACME_SRV_CONFIGFILE": str(base / "acme_srv.cfg")}
    with _running("acme2certifier", command, base, port, island, environment):
        yield SecondCa(f"https://127.0.0.1:{port}/directory", str(tls.ca))


def _config(base: Path) -> dict[str, dict[str, str]]:
    issuer = make_issuer(base / "issuer")
    revoked = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    revoked = revoked.last_update(issuer.certificate.not_valid_before_utc)
    revoked = revoked.next_update(issuer.certificate.not_valid_after_utc)
    crl = revoked.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (base / "issuer" / "crl.pem").write_bytes(crl)
    (base / "issued").mkdir()
    return {
        "CAhandler": {
            "handler_module": "acme2certifier.cahandlers.openssl_ca_handler",
            "issuing_ca_cert": f"{base}/issuer/ca.pem",
            "issuing_ca_key": f"{base}/issuer/ca.key",
            "issuing_ca_crl": f"{base}/issuer/crl.pem",
            "ca_cert_chain_list": "[]",
            "cert_save_path": f"{base}/issued",
        },
        "DBhandler": {"handler": "wsgi", "dbfile": f"{base}/acme.db"},
        "Directory": {"tos_url": "https://ca.example.com/terms"},
        "DEFAULT": {"dns_server_list": '["127.0.0.1"]'},
    }


def _eab_handler() -> str:
    """It wants the path of its own module."""
    code = "from acme2certifier.eabhandlers import json_handler; print(json_handler.__file__)"
    return subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def caddy(base: Path, island: Island) -> Iterator[SecondCa]:
    """Caddy's `acme_server`, on an island."""
    tls, port = make_tls(base / "tls", ("127.0.0.1",), "caddy"), free_port()
    (base / "Caddyfile").write_text(CADDYFILE.format(base=base, tls=tls, port=port))
    command = [str(CADDY), "run", "--adapter=caddyfile", f"--config={base / 'Caddyfile'}"]
    home = {**os.environ, "HOME": str(base), "XDG_DATA_HOME": str(base), "XDG_CONFIG_HOME": str(base)}
    with _running("caddy", command, base, port, island, home):
        yield SecondCa(f"https://127.0.0.1:{port}/acme/local/directory", str(tls.ca))


@contextmanager
def _running(
    name: str, command: list[str], base: Path, port: int, island: Island | None, env: Mapping[str, str]
) -> Iterator[None]:
    if island is None:
        daemon = Daemon(name, command, log=base / f"{name}.log", env=env, answers=("127.0.0.1", port))
    else:
        daemon = island.daemon(name, command, env=env)
        island.open(port)
    with daemon:
        yield
