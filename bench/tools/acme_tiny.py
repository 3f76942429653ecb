# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""acme-tiny with a web root, openssl for key and request; one call for each certificate. Its account key is RSA."""

from __future__ import annotations

import shlex

from place import PEERS, Place
from tools.tool import Tool


def _prepare(place: Place) -> None:
    place.make_account(key_type="rsa")
    place.serve_webroot()


def _command(place: Place) -> tuple[list[str], dict[str, str]]:
    tiny = [str(PEERS / "acme-tiny"), "--quiet", "--disable-check", "--directory-url", place.directory_url]
    tiny += ["--account-key", str(place.account_key), "--acme-dir", str(place.tokens)]
    calls = ["set -e"]
    for names in place.certificates:
        key, csr, chain = (str(place.out / f"{names[0]}.{kind}") for kind in ("key", "csr", "pem"))
        alternative = "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)
        calls += [
            shlex.join(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]),
            shlex.join(["openssl", "req", "-new", "-key", key, "-subj", "/", "-addext", alternative, "-out", csr]),
            f"{shlex.join([*tiny, '--csr', csr])} >{shlex.quote(chain)}",
        ]
    return ["bash", "-c", "\n".join(calls)], place.environment(SSL_CERT_FILE=place.ca.ca_file)


TOOL = Tool("acme-tiny", _prepare, _command, "*.pem", most_runs=3, needs_peers=True)
