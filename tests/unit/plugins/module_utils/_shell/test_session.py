# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and files in the firewall's shell."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.errors import CommandFailed, ShellError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.session import Shell, shell

from lab.console import PASSWORD, Console
from lab.processes import wait_until
from unit.plugins.module_utils._shell.conftest import Make, endpoint_of

SECRET = "-----BEGIN PRIVATE KEY-----\nkeepItDark0123456789\n-----END PRIVATE KEY-----\n"


@pytest.fixture(scope="module")
def session(consoles: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One for all, as a run has it."""
    with Console(tmp_path_factory.mktemp("session") / "console") as made, shell(endpoint_of(made)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("command", "status", "output"),
    [
        ("true", 0, ""),
        ("false", 1, ""),
        ("exit 42", 42, ""),
        ("printf 'no line end'", 0, "no line end"),
        ("printf 'tab\\there\\r\\n\\n'", 0, "tab\there\r\n\n"),
        ("echo oops >&2; false", 1, "oops\n"),
        ("cat", 0, ""),
        ("for i in 1 2\ndo\n  echo $i\ndone", 0, "1\n2\n"),
        ("kill -9 $(sh -c 'echo $PPID')", 137, "Killed\n"),
        (
            "echo ü; echo '<certfleet0123> 0;'; echo 'certfleet0123> 1;'",
            0,
            "ü\n<certfleet0123> 0;\ncertfleet0123> 1;\n",
        ),
        ("echo " + "x" * 9000, 0, "x" * 9000 + "\n"),
        ("echo \"$0 'quoted' $$\" >/dev/null; echo 'C:\\n'", 0, "C:\\n\n"),
    ],
)
def test_commands(session: Shell, command: str, status: int, output: str) -> None:
    assert session.run(command, check=False) == (status, output)
    assert session.run("echo still there") == (0, "still there\n")


def test_a_command_that_is_none(session: Shell) -> None:
    for command in ("echo 'unclosed", "if true", ")", "cat <<EOF"):
        session.run(command, check=False)
        assert session.run("echo still there").output == "still there\n"


def test_checked(session: Shell) -> None:
    with pytest.raises(CommandFailed, match=r"'ls /absent' ended with status 1: .*No such file") as caught:
        session.run("ls /absent")
    assert caught.value.status == 1


def test_one_session_for_all_and_nothing_stays_from_command_to_command(session: Shell) -> None:
    here = session.run("pwd").output
    session.run("cd /; X=1; exec >/dev/null", check=False)
    assert session.run('pwd; echo "$X"').output == f"{here}\n"


def test_binary_input(session: Shell) -> None:
    every = bytes(range(256)) * 40 + b"no line end"
    assert session.run("wc -c", stdin=every).output.strip() == str(len(every))
    assert session.run("od -An -tx1 | tr -d ' \\n'", stdin=every).output == every.hex()


def test_a_file_there_and_back(session: Shell, tmp_path: Path) -> None:
    content = os.urandom(200_000)
    path = str(tmp_path / "a file's name")
    session.write_file(path, content, 0o640)
    assert Path(path).read_bytes() == content
    assert Path(path).stat().st_mode & 0o777 == 0o640
    assert session.read_file(path) == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["a file's name"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_without_a_mode_the_old_one_is_kept(session: Shell, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    path.chmod(mode)
    os.chown(path, 1234, 4321)
    session.write_file(str(path), b"new")
    seen = path.stat()
    assert (path.read_text(), seen.st_mode & 0o777, seen.st_uid, seen.st_gid) == ("new", mode, 1234, 4321)


def test_a_new_file_is_its_owners_alone(session: Shell, tmp_path: Path) -> None:
    session.write_file(str(tmp_path / "new"), b"")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    assert session.read_file(str(tmp_path / "new")) == b""


def test_a_file_that_cannot_be_written(session: Shell, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(CommandFailed):
        session.write_file(str(tmp_path / "absent" / "file"), SECRET.encode(), 0o600)
    with pytest.raises(CommandFailed):
        session.read_file(str(tmp_path / "absent"))
    assert session.run("echo still there").output == "still there\n"


def test_a_command_without_end(console: Make) -> None:
    made, endpoint = console()
    with shell(endpoint) as session:
        with pytest.raises(ShellError, match=r"did not end in time; .*\n.*begun"):
            session.run("echo begun; sleep 1000", timeout=0.5)
        with pytest.raises(ShellError, match="of no use"):
            session.run("true")
    wait_until(lambda: made.processes() == [], 10, lambda: f"left behind: {made.processes()}")


def test_secrets_are_in_no_message(session: Shell) -> None:
    """Nor the password, if the firewall shows it."""
    with pytest.raises(CommandFailed) as caught:
        session.run('cat; echo "$1" lab-Admin\\\'s \'"pass" 7\'; false', stdin=SECRET.encode())
    assert "********" in str(caught.value)
    for secret in ("keepItDark", PASSWORD):
        assert secret not in str(caught.value)


def test_secrets_are_not_in_what_a_command_without_end_said(console: Make) -> None:
    _, endpoint = console()
    with shell(endpoint) as session, pytest.raises(ShellError) as late:
        session.run("cat; sleep 1000", stdin=SECRET.encode(), timeout=2.0)
    assert "********" in str(late.value)
    assert "keepItDark" not in str(late.value) + repr(late.value.details)


def everywhere() -> bytes:
    """All command lines and environments of this machine."""
    found = b""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
    return found


def test_secrets_are_in_no_process_and_no_history(console: Make, tmp_path: Path) -> None:
    made, endpoint = console()
    go_on = tmp_path / "go on"
    with shell(endpoint) as session:
        command = f": keepItDark0; cat >/dev/null; until [ -e '{go_on}' ]; do sleep 0.05; done"
        running = threading.Thread(target=session.run, args=(command,), kwargs={"stdin": SECRET.encode()})
        running.start()
        try:
            wait_until(lambda: any("sleep" in line for line in made.processes()), 20, lambda: str(made.processes()))
            seen = everywhere()
        finally:
            go_on.touch()
            running.join()
    assert str(made.home).encode() in seen
    for secret in (PASSWORD.encode(), b"keepItDark"):
        assert secret not in seen
    assert list((made.home / "home").iterdir()) == []


def run_until(session: Shell, end: float) -> None:
    """What runs on a console is gone a moment after it."""
    while time.monotonic() < end:
        session.run("true")


def test_the_console_goes_away(console: Make) -> None:
    made, endpoint = console()
    with shell(endpoint) as session:
        made.__exit__()
        with pytest.raises(ShellError, match=r"ended the session|does not take"):
            run_until(session, time.monotonic() + 10)
        with pytest.raises(ShellError, match="of no use"):
            session.run("true")
