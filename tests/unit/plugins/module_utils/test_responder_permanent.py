# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The permanent responders of docs/responder.md, as they are written there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _http_probe, _responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock, Deadline

from lab.pages import ROOT, block, text_of
from lab.ports import free_port
from lab.processes import Daemon

HOST = "127.0.0.1"
PRINT = "t-" + "T" * 41
PAGE = "docs/responder.md"
AROUND = """
daemon off;
master_process off;
pid {base}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {base}/body;
    proxy_temp_path {base}/proxy;
    fastcgi_temp_path {base}/fastcgi;
    uwsgi_temp_path {base}/uwsgi;
    scgi_temp_path {base}/scgi;
    {server}
}}
"""


def own(text: str, port: int) -> str:
    return text.replace("8080", str(port)).replace("THUMBPRINT", PRINT)


def assert_answers(port: int) -> None:
    assert _http_probe.who_answers(HOST, port, PRINT, 5) is None
    assert _http_probe.ask(HOST, port, "any.example.com", Deadline(Clock(), 5)) is None
    stray = _http_probe.who_answers(HOST, port, "o" * 43, 5)
    assert stray is not None
    assert stray.certain


def test_nginx_as_the_page_has_it(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "fetch-nginx.sh"
    done = subprocess.run([script, ROOT / "build" / "nginx"], capture_output=True, text=True, timeout=110)
    if done.returncode:
        pytest.skip(f"no nginx here: {done.stderr.strip().splitlines()[-1:]}")
    port = free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(AROUND.format(base=tmp_path, server=own(block(PAGE, "location = "), port)))
    nginx = str(ROOT / "build" / "nginx" / "nginx")
    command = [nginx, "-p", str(tmp_path), "-c", str(config), "-e", "stderr"]
    with Daemon("nginx", command, log=tmp_path / "log", answers=(HOST, port)):
        assert_answers(port)


def test_our_own_as_the_page_has_it(tmp_path: Path) -> None:
    port = free_port()
    (lease,) = re.findall(r"`lease.json` of `(.*?)`", text_of(ROOT / PAGE))
    (tmp_path / "lease.json").write_text(lease)
    (line,) = re.findall(r"^ExecStart=(.*)$", own(block(PAGE, "ExecStart"), port), re.MULTILINE)
    command = shlex.split(line.replace("/opt/certfleet/_responder.py", str(_responder.__file__)))
    command = [word.replace("/opt/certfleet", str(tmp_path)) for word in command]
    with Daemon("responder", [sys.executable, *command[1:]], log=tmp_path / "log", answers=(HOST, port)):
        assert_answers(port)
