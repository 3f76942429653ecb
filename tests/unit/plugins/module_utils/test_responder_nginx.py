# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The responder behind a real nginx that hands on nothing but the challenges: for those who keep port 80 as it is."""

from __future__ import annotations

import http.client
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process as process
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account

from lab import faults
from lab.pebble import AcmeCa
from lab.ports import free_port
from lab.processes import Daemon
from lab.proxy import FaultProxy

HOST = "127.0.0.1"
PRINT = account.thumbprint(faults.KEY)
TOKEN = "abcdefghijklmnopqrstuvwxyz_-0123456789"
ROOT = Path(__file__).resolve().parents[4]
CONFIG = """
daemon off;
master_process off;
pid {base}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {base}/body;
    proxy_temp_path {base}/proxy;
    fastcgi_temp_path {base}/fastcgi;
    uwsgi_temp_path {base}/uwsgi;
    scgi_temp_path {base}/scgi;
    server {{
        listen {host}:{port};
        location ^~ /.well-known/acme-challenge/ {{ proxy_pass http://{host}:{responder}; }}
        location / {{ return 403; }}
    }}
}}
"""


@pytest.fixture(scope="module")
def nginx() -> Path:
    done = subprocess.run(
        [ROOT / "scripts" / "fetch-nginx.sh", ROOT / "build" / "nginx"], capture_output=True, text=True, timeout=110
    )
    if done.returncode:
        pytest.skip(f"no nginx here: {done.stderr.strip().splitlines()[-1:]}")
    return ROOT / "build" / "nginx" / "nginx"


@pytest.fixture(scope="module")
def port(nginx: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """nginx, and the responder behind it."""
    base = tmp_path_factory.mktemp("nginx")
    port, responder = free_port(), free_port()
    config = base / "nginx.conf"
    config.write_text(CONFIG.format(base=base, host=HOST, port=port, responder=responder))
    command = [str(nginx), "-p", str(base), "-c", str(config), "-e", "stderr"]
    process.start(HOST, responder, PRINT, 120)
    try:
        with Daemon("nginx", command, log=base / "log", answers=(HOST, port)):
            yield port
    finally:
        process.stop(HOST, responder)


def fetch(port: int, target: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.putrequest(method, target, skip_host=True)
        connection.putheader("Host", "fw.example.com")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_hands_on_the_challenges(port: int) -> None:
    assert fetch(port, _responder.PREFIX + TOKEN) == (200, f"{TOKEN}.{PRINT}".encode())
    assert fetch(port, _responder.PREFIX + TOKEN, "HEAD") == (200, b"")


def test_hands_on_the_question_whether_it_is_ready(port: int) -> None:
    assert fetch(port, "/.well-known/acme-challenge/~ready") == (200, b"ready")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 403),
        ("/.well-known/", 403),
        (f"/x/..{_responder.PREFIX}../../{TOKEN}", 403),
        (f"{_responder.PREFIX}..%2f{TOKEN}", 403),
        (f"{_responder.PREFIX}{TOKEN}%00", 400),
        (f"{_responder.PREFIX}{TOKEN}/x", 404),
        (f"{_responder.PREFIX}{TOKEN}?x", 404),
        (_responder.PREFIX + "a" * 129, 404),
        (_responder.PREFIX + "a" * 3000, 414),
    ],
)
def test_and_nothing_else(port: int, target: str, status: int) -> None:
    assert fetch(port, target)[0] == status


def test_two_hundred_at_once(port: int) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(port, _responder.PREFIX + TOKEN)[0])) for _ in range(200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 200


def test_a_ca_is_content_with_it(port: int, tmp_path: Path) -> None:
    with (
        AcmeCa(http_port=port, retry_after=None) as ca,
        FaultProxy(ca.directory_url.rpartition("/")[0], ca.ca_file, tmp_path) as proxy,
    ):
        bench = faults.Bench(ca, proxy)
        bench.issue(bench.request("nginx.example.com"))
        assert [one.outcome for one in ca.validations("nginx.example.com")] == ["valid"]
