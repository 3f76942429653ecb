# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot, standalone; one call for each certificate. Its account key is RSA: it offers nothing else."""

from __future__ import annotations

import shlex
import subprocess

from place import HOST, PEERS, Place
from tools.tool import Tool


def _base(place: Place) -> list[str]:
    directories = [f"--{name}-dir={place.work / name}" for name in ("config", "work", "logs")]
    return ["-q", "-n", "--server", place.directory_url, *directories]


def _environment(place: Place) -> dict[str, str]:
    return place.environment(REQUESTS_CA_BUNDLE=place.ca.ca_file)


def _prepare(place: Place) -> None:
    register = [str(PEERS / "certbot"), "register", "--agree-tos", "-m", "ops@example.com", *_base(place)]
    subprocess.run(register, check=True, env=_environment(place), capture_output=True, timeout=60)


def _command(place: Place) -> tuple[list[str], dict[str, str]]:
    base = [str(PEERS / "certbot"), "certonly", *_base(place), "--standalone", "--force-renewal"]
    base += ["--http-01-address", HOST, "--http-01-port", str(place.http_port)]
    base += ["--key-type", "ecdsa", "--elliptic-curve", "secp256r1"]
    calls = ["set -e"]
    for names in place.certificates:
        domains = [word for name in names for word in ("-d", name)]
        calls.append(shlex.join([*base, "--cert-name", names[0], *domains]))
        calls.append(f"cp -L {place.work}/config/live/{names[0]}/fullchain.pem {place.out}/{names[0]}.pem")
    return ["bash", "-c", "\n".join(calls)], _environment(place)


TOOL = Tool("certbot", _prepare, _command, "*.pem", most_runs=3, needs_peers=True)
