# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What publishes sites on a firewall: a real nginx that is known there as `httpd`, with certificates from files."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.console.server import Console
from lab.handshake import Shown, shake_hands
from lab.plane.machine import LocalMachine, Machine
from lab.ports import Connect, free_port
from lab.processes import Daemon, wait_until
from lab.tls import Issuer, issue, make_issuer

__all__ = ["Httpd"]

CHECKOUT = Path(__file__).resolve().parents[3]
NGINX = CHECKOUT / "build" / "nginx"
CONFIG = """
daemon off;
worker_processes 1;
pid {home}/httpd.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    {sites}
}}
"""
SITE = """
    server {{
        listen {address}:{port} ssl;
        server_name {domains};
        ssl_certificate {certificates}/{name}.pem;
        ssl_certificate_key {certificates}/private/{name}.key;
        return 200 "{name}";
    }}
"""


class Httpd:
    """`with Httpd(console, home, {"OWA": ["owa.example.com"]}) as httpd:` each name with a certificate of its own.

    certificates: the folder that a firewall has as /conf/certificate. The first ones are from a CA that nobody knows,
    and valid for a year. machine: where the console is; connect: a connection from where it is visited.
    """

    def __init__(
        self,
        console: Console,
        home: Path,
        sites: Mapping[str, list[str]],
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        machine: Machine | None = None,
        connect: Connect = socket.create_connection,
    ) -> None:
        self.address, self.port = address, port or free_port(address)
        self.certificates = home / "certificate"
        (self.certificates / "private").mkdir(parents=True)
        self.issuer: Issuer = make_issuer(home / "ca")
        for name, domains in sites.items():
            files = issue(self.issuer, home / "issued" / name, domains)
            self._copy(files.certificate, self.certificates / f"{name}.pem", 0o644)
            self._copy(files.key, self.certificates / "private" / f"{name}.key", 0o640)
        shown = [
            SITE.format(
                address=address, port=self.port, domains=" ".join(domains), certificates=self.certificates, name=name
            )
            for name, domains in sites.items()
        ]
        (home / "httpd.conf").write_text(CONFIG.format(home=home, sites="".join(shown)))
        (home / "httpd").symlink_to(NGINX / "nginx")
        self._console, self._home, self._connect = console, home, connect
        command = [str(home / "httpd"), "-p", str(home), "-c", str(home / "httpd.conf"), "-e", "stderr"]
        self._daemon = Daemon(
            "httpd",
            (machine or LocalMachine()).command(console.inside(command)),
            log=home / "httpd.log",
            answers=(address, self.port),
            connect=connect,
        )

    @staticmethod
    def fetch() -> str:
        """Why there can be none; "" when all is there."""
        script = CHECKOUT / "scripts" / "fetch-nginx.sh"
        done = subprocess.run([script, NGINX], capture_output=True, text=True, timeout=110)
        return (done.stderr.strip().splitlines() or ["no nginx"])[-1] if done.returncode else ""

    @staticmethod
    def _copy(source: Path, target: Path, mode: int) -> None:
        target.write_bytes(source.read_bytes())
        target.chmod(mode)

    def __enter__(self) -> Httpd:
        self._daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        # nsenter passes no signal on.
        pid = (self._home / "httpd.pid").read_text().strip()
        subprocess.run(self._console.inside(["kill", pid]), check=True)
        wait_until(lambda: not self._daemon.alive(), 10, lambda: "nginx does not end")
        self._daemon.stop()

    def shown(self, domain: str, roots: str) -> Shown:
        """What a visitor is shown."""
        return shake_hands(self.address, self.port, domain, roots, connect=self._connect)

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Mode and content of all there is, by its path below the folder."""
        found = (path for path in sorted(self.certificates.rglob("*")) if path.is_file())
        return {
            str(path.relative_to(self.certificates)): (path.stat().st_mode & 0o777, path.read_bytes()) for path in found
        }
