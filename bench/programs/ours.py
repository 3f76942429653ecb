# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's order engine as a program: `python ours.py JOB`, a JSON file that says what to order.

The responder runs in this process, in a thread, so that its work is counted like that of a standalone tool.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import load_account_key, thumbprint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import (
    CertificateRequest,
    IssuedCertificate,
    obtain,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._responder_thread import Listener
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._store import Store


def main(job_file: str) -> int:
    job = json.loads(Path(job_file).read_text())
    key = load_account_key(path=job["account_key"])
    client = AcmeClient(job["directory_url"], key, ca_path=job["ca_file"])
    client.account_uri = job["account_uri"]
    requests = [CertificateRequest(names[0], tuple(names), key_type="ec256") for names in job["certificates"]]
    with Listener(f"127.0.0.1:{job['http_port']}")(thumbprint(key)):
        done = obtain(
            client,
            requests,
            window=contextlib.nullcontext,
            store=Store(job["out"]),
            concurrency=job["concurrency"],
        )
    failed = [result for result in done.results if not isinstance(result, IssuedCertificate)]
    for result in failed:
        print(result.error, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
