# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scanner finds what is planted. If it did not, finding nothing elsewhere would mean nothing."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.parse
import xml.sax.saxutils
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.account import new_account_key

from lab.leaks import Secrets, arguments_of_all, open_to_others
from lab.processes import wait_until

PASSWORD = 'correct horse <battery> & "st\'aple" ü%+'
KEY = new_account_key().decode()
LINE = KEY.splitlines()[1]

PLANTED = {
    "raw": PASSWORD,
    "xml": xml.sax.saxutils.escape(PASSWORD),
    "url": urllib.parse.quote(PASSWORD),
    "form": urllib.parse.urlencode({"reqxml": f"<P>{xml.sax.saxutils.escape(PASSWORD)}</P>"}),
    "json": json.dumps({"a": PASSWORD}),
    "json, not ascii": json.dumps({"a": PASSWORD}, ensure_ascii=False),
    "json in json": json.dumps(json.dumps({"a": PASSWORD})),
    "repr": repr([PASSWORD]),
    "base64": base64.b64encode(PASSWORD.encode()).decode(),
    "base64 in the middle": base64.b64encode(b"login=admin:" + PASSWORD.encode() + b"\n").decode(),
    "base64url in the middle": base64.urlsafe_b64encode(b"x" + PASSWORD.encode() + b"yz").decode(),
    "hex": PASSWORD.encode().hex(),
}


@pytest.mark.parametrize("spelling", PLANTED)
def test_a_password_is_found_in_every_spelling(spelling: str) -> None:
    secrets = Secrets({"password": PASSWORD, "other": "something else"})
    assert secrets.within(f"before {PLANTED[spelling]} after") == {"password"}
    assert secrets.within("correct horse") == set()


@pytest.mark.parametrize("text", [KEY, json.dumps(KEY), LINE, f"x{LINE}x", urllib.parse.quote(KEY)], ids=range(5))
def test_a_key_is_found_by_each_line(text: str) -> None:
    secrets = Secrets({"key": KEY})
    assert secrets.within(text) == {"key"}
    assert secrets.within("-----BEGIN PRIVATE KEY-----") == set()


def test_files_and_their_modes(tmp_path: Path) -> None:
    for name, text in (("one", "nothing"), ("deep/two", f"a {PASSWORD} b")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "one").chmod(0o600)
    (tmp_path / "deep/two").chmod(0o640)
    assert Secrets({"password": PASSWORD}).below(tmp_path) == {tmp_path / "deep/two": {"password"}}
    assert open_to_others(tmp_path / "one", tmp_path / "deep/two") == [tmp_path / "deep/two"]


def test_lists_of_arguments() -> None:
    secrets = Secrets({"password": PASSWORD, "key": KEY})
    command = [sys.executable, "-c", "input()", PASSWORD]
    with arguments_of_all() as seen, subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_until(lambda: any("input()" in str(one) for one in seen), 30, lambda: "not seen")
        process.communicate(b"\n")
    assert set().union(*map(secrets.within, seen)) == {"password"}
