# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which script a process carries out, by its arguments and directory. That real ones are found: test_retire.py."""

from __future__ import annotations

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._onbox.tool import Process


@pytest.mark.parametrize(
    ("arguments", "cwd", "script"),
    [
        ("/bin/sh /var/acme/renew.sh", "/", "/var/acme/renew.sh"),
        ("sh ./renew.sh", "/var/acme", "/var/acme/renew.sh"),
        ("busybox sh ../acme/renew.sh --now", "/var/tmp", "/var/acme/renew.sh"),
        ("-sh", "/var/acme", ""),
        ("sh -x -e /var/acme/renew.sh", "/", "/var/acme/renew.sh"),
        ("sh -c /var/acme/renew.sh", "/", ""),
        ("sh -ec true /var/acme/renew.sh", "/", ""),
        ("vi /var/acme/renew.sh", "/", ""),
        ("tail -f /var/acme/renew.sh", "/", ""),
        ("busybox", "/", ""),
        ("", "/", ""),
    ],
)
def test_the_script_of_a_process(arguments: str, cwd: str, script: str) -> None:
    assert Process(1, 0, 0, tuple(arguments.split(" ")), cwd).script == script


@pytest.mark.parametrize(
    ("arguments", "directory"),
    [
        ("python3 -m http.server 8000 -d /var/acme/http", "/var/acme/http"),
        ("/usr/bin/python3 -m http.server 8000 -d http/", "/var/acme/http"),
        ("python3 -m http.server -d", ""),
        ("python3 -d /var/acme/http", ""),
    ],
)
def test_what_a_web_server_serves(arguments: str, directory: str) -> None:
    assert Process(1, 0, 0, tuple(arguments.split(" ")), "/var/acme").serves == directory
