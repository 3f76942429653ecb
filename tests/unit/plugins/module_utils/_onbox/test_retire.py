# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An on-box tool that really runs is found and taken off through a real console, and nothing else is."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._onbox.retire import retire, save, targets
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._onbox.tool import (
    Found,
    look,
    read_config_csv,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.endpoint import Endpoint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.session import Shell, shell

from lab.console import PASSWORD, Console
from lab.onbox import ACCOUNT_KEY, BOOT_SCRIPT, CONFIG, RULE, START_LOOP, Appliance

OTHER_RULES = [
    "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.20:8000",
    "-A PREROUTING -p tcp -m tcp --dport 80 -m comment --comment other -j DNAT --to-destination :8000",
    "-A PREROUTING -i lo -p tcp -m tcp --dport 80 -j DNAT --to-destination :8000",
]


class Hurried(Clock):
    """An hour is over in three minutes, so that nobody waits for what never comes."""

    def monotonic(self) -> float:
        return 20 * super().monotonic()


@pytest.fixture
def box(consoles: None, tmp_path: Path) -> Iterator[Appliance]:
    with Appliance(tmp_path) as box:
        yield box


@pytest.fixture
def session(box: Appliance) -> Iterator[Shell]:
    with Console(box.home / "ssh", prefix=box.prefix) as console:
        endpoint = Endpoint("127.0.0.1", console.port, password=PASSWORD, fingerprints=(console.fingerprint,))
        with shell(endpoint) as session:
            yield session


def start_loop(box: Appliance, session: Shell) -> None:
    """It has been round once, and sleeps."""
    session.run(START_LOOP.format(home=box.home))
    session.run("until [ -s /var/acme/turns ]; do sleep 1; done")


def runs(session: Shell, word: str) -> bool:
    return word in session.run("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'").output.split()


def root_is_read_only(session: Shell) -> bool:
    return session.run("touch /etc/probe", check=False).status != 0


def nothing_is_there(session: Shell) -> bool:
    return look(session) == Found()


def test_the_tool_goes_and_what_the_web_server_has_stays(box: Appliance, session: Shell) -> None:
    box.install_tool()
    start_loop(box, session)
    box.run(f"iptables -t nat {RULE}; iptables -t nat {RULE}")
    found = look(session)
    assert [each.script for each in found.processes] == ["/var/acme/renew.sh", ""]
    assert found.certificates == ("OWA", "vpn")
    assert found.as_diff()["nat rules"] == ["-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination :8000"] * 2
    assert found.as_diff()["boot scripts"] == {BOOT_SCRIPT: "#!/bin/sh\n/var/acme/renew.sh &\n"}
    retire(session, found, Clock())
    assert nothing_is_there(session)
    assert found.without_tool() == Found()
    assert (box.rules(), root_is_read_only(session)) == ([], True)
    assert not box.exists("/var/acme")
    assert not box.exists(BOOT_SCRIPT)
    assert not runs(session, "/var/acme/renew.sh")
    assert not runs(session, "86400")
    assert box.run("cat /conf/certificate/OWA.pem") == "certificate of owa.example.com,exchange.example.com\n"
    assert box.run("cat /conf/certificate/private/vpn.key") == "key of vpn.example.com\n"


def test_nothing_else_is_touched(box: Appliance, session: Shell) -> None:
    """Rules that differ by a word, processes whose arguments only look like the tool's, files of the same names."""
    for rule in OTHER_RULES:
        box.run(f"iptables -t nat {rule}")
    other = "#!/bin/sh\nsleep 4242\n"
    box.write("/var/other/renew.sh", other, 0o755)
    box.write("/conf/acme/account.conf", "somebody else's")
    box.run("mount -o remount,rw /")
    box.write(BOOT_SCRIPT, "#!/bin/sh\n/var/other/renew.sh &\n", 0o755)
    session.run("setsid /var/other/renew.sh >/dev/null 2>&1 &")
    session.run("setsid sh -c 'sleep 4343; true' /var/acme/renew.sh >/dev/null 2>&1 &")
    found = look(session)
    assert not found.anything
    assert found.foreign == (BOOT_SCRIPT,)
    box.install_tool(boot_script=BOOT_SCRIPT.replace("acme", "lets"))
    retire(session, look(session), Clock())
    assert box.rules() == OTHER_RULES
    assert box.run("cat /var/other/renew.sh") == other
    assert box.exists("/conf/acme/account.conf")
    assert runs(session, "4242")
    assert runs(session, "4343")


def test_a_loop_that_was_killed_left_its_web_server_and_its_rule(box: Appliance, session: Shell) -> None:
    box.install_tool()
    box.run(f"iptables -t nat {RULE}")
    session.run("mount -o remount,rw /")
    session.run("setsid python3 -m http.server 8000 -d /var/acme/http >/dev/null 2>&1 &")
    session.run("cd /var/acme && rm renew.sh acme.sh")
    found = look(session)
    assert [each.serves for each in found.processes] == ["/var/acme/http"]
    assert found.root_writable
    retire(session, found, Clock())
    assert nothing_is_there(session)
    assert (box.rules(), root_is_read_only(session)) == ([], True)
    assert not runs(session, "/var/acme/http")


def test_one_that_does_not_want_to_end_is_ended(box: Appliance, session: Shell) -> None:
    box.install_tool()
    box.write("/var/acme/renew.sh", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 4242; done\n", 0o755)
    session.run("cd /var/acme && setsid sh -x ./renew.sh >/dev/null 2>&1 &")
    session.run("until grep -q 4242 /proc/[0-9]*/cmdline; do sleep 1; done")
    retire(session, look(session), Hurried())
    assert nothing_is_there(session)
    assert not runs(session, "./renew.sh")


def test_while_it_obtains_a_certificate_nothing_is_changed(box: Appliance, session: Shell) -> None:
    box.install_tool()
    box.write("/var/acme/hang", "")
    start_loop(box, session)
    with pytest.raises(CertfleetError, match="obtaining a certificate right now"):
        look(session)
    assert runs(session, "/var/acme/renew.sh")
    assert box.exists(BOOT_SCRIPT)


def test_what_the_web_server_reads_in_the_directory_itself_is_not_removed(box: Appliance, session: Shell) -> None:
    box.install_tool()
    box.run("ln -s /var/acme/OWA.key /conf/certificate/private/OWA.key; touch /var/acme/OWA.key")
    with pytest.raises(CertfleetError, match=r"links to the tool's own files, such as '/var/acme/OWA\.key'"):
        look(session)
    assert box.exists("/var/acme/OWA.key")


def test_what_is_worth_it_is_saved_first_for_nobody_else_to_read(
    box: Appliance, session: Shell, tmp_path: Path
) -> None:
    box.install_tool()
    found = look(session)
    save(session, found, str(tmp_path / "saved"))
    key = tmp_path / "saved/var/acme/ca/acme.example/directory/account.key"
    assert {Path(file) for file in targets(found, str(tmp_path / "saved")).values()} == {
        key,
        tmp_path / "saved/var/acme/config.csv",
    }
    assert key.read_text() == ACCOUNT_KEY
    assert (tmp_path / "saved/var/acme/config.csv").read_text() == CONFIG
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "saved", key.parent)} == {0o700}


def test_its_configuration_is_read_where_it_is_and_never_guessed(box: Appliance, session: Shell) -> None:
    with pytest.raises(CertfleetError, match=r"has no /var/acme/config\.csv and no /conf/acme/config\.csv"):
        read_config_csv(session)
    box.write("/conf/acme/config.csv", "OWA;b\u00fccher.example\r\n")
    assert read_config_csv(session) == "OWA;b\u00fccher.example\r\n".encode()
    box.install_tool()
    with pytest.raises(CertfleetError, match=r"has both /var/acme/config\.csv and /conf/acme/config\.csv"):
        read_config_csv(session)
