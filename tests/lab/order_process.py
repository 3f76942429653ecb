# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order module's work in a process of its own, which kills itself at a given point (python -m lab.order_process).

Standard input is a JSON object: directory_url, ca_path, account_key, output_dir, domains, and `kill`: null, or a point
such as "after POST finalize-order 1" or "before write fullchain.pem 1" (the number counts from the start of the run).
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import PurePath
from types import ModuleType
from typing import Any

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _files, _store
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import CertificateRequest, obtain


class Points:
    """Everything that may be the last thing this process does."""

    def __init__(self, kill: str | None) -> None:
        self._kill = kill
        self._counts: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def around(self, what: str) -> Any:
        self._counts[what] += 1
        self._check(f"before {what} {self._counts[what]}")
        yield
        self._check(f"after {what} {self._counts[what]}")

    def _check(self, point: str) -> None:
        if point == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    task = json.load(sys.stdin)
    points = Points(task["kill"])
    _wrap(_files, "_replace", "write", points)
    _wrap(_store, "unlink", "unlink", points)
    client = _client(task, points)
    account.ensure_account(client, contact=[], terms_agreed=True)
    one = _obtained(task, client)
    print(json.dumps({"order_uri": one.order_uri, "key": one.private_key_pem.decode()}))


def _client(task: dict[str, Any], points: Points) -> AcmeClient:
    class Client(AcmeClient):
        def post(self, url: str, *rest: Any, **options: Any) -> Any:
            found = re.search(r"//[^/]+/([^/]+)", url)
            with points.around(f"POST {found[1] if found else url}"):
                return super().post(url, *rest, **options)

    key = account.load_account_key(content=task["account_key"])
    return Client(task["directory_url"], key, ca_path=task["ca_path"])


def _obtained(task: dict[str, Any], client: AcmeClient) -> Any:
    """The certificate: from an earlier run, or ordered now."""
    request = CertificateRequest("web", tuple(task["domains"]), "ec256")
    store = _store.Store(task["output_dir"])
    with store.locked([request]):
        one: Any = store.find(request, None)
        if one is None:
            (one,) = obtain(client, [request], window=contextlib.nullcontext, store=store, timeout=20.0).results
    return one


def _wrap(module: ModuleType, name: str, about: str, points: Points) -> None:
    original = getattr(module, name)

    def wrapped(path: str, *rest: Any) -> Any:
        with points.around(f"{about} {PurePath(path).name}"):
            return original(path, *rest)

    setattr(module, name, wrapped)


if __name__ == "__main__":
    main()
