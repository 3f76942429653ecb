# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody at a control node who does what README and guides say."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.pages import PAGES, block, commands, name_of
from lab.plane.machine import LocalMachine, Machine
from lab.playbook import BIN, PlaybookResult, clean_environment, parse_recap


class Reader:
    """Has a home with the collection installed, and works in ~/xgs.

    `values`: what stands in the pages for something of his own, and what that is.
    """

    def __init__(self, directory: Path, collection_path: Path, machine: Machine | None = None) -> None:
        private = clean_environment(collection_path, directory)
        self._environment = {name: value for name, value in private.items() if not name.startswith("ANSIBLE_")}
        self._machine = machine or LocalMachine()
        self.home = directory / "home"
        self.values: dict[str, str] = {}
        self._place = self.home / "xgs"
        self._place.mkdir(parents=True)
        (self.home / ".ansible").mkdir()
        (self.home / ".ansible/collections").symlink_to(collection_path)

    def knows(self, **variables: Any) -> None:
        """Variables that pages cannot have: of the lab, and secrets."""
        self.writes("group_vars/all.yml", yaml.safe_dump(variables))

    def sets(self, **environment: str) -> None:
        self._environment.update(environment)

    def writes(self, file: str, text: str) -> None:
        path = self._place / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)

    def copies(self, file: str, page: str, part: str) -> None:
        """The block of the page that has this part."""
        self.writes(file, self._own(block(page, part)))

    def types(self, command: str, more: str = "") -> PlaybookResult:
        """Exactly what stands on some page; `more` is what the lab wants besides."""
        assert any(command in commands(name_of(page)) for page in PAGES), f"no page has: {command}"
        return self.runs(f"{self._own(command)} {more}")

    def runs(self, script: str, environment: Mapping[str, str] | None = None, shell: str = "bash") -> PlaybookResult:
        done = subprocess.run(
            self._machine.command([shell, "-c", script]),
            cwd=self._place,
            env=dict(environment or self._environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
        )
        return PlaybookResult(done.returncode, done.stdout, done.stderr, parse_recap(done.stdout))

    def at_night(self, page: str, part: str) -> PlaybookResult:
        """What cron does with the only line of a crontab, and its settings, in the environment that it gives."""
        *settings, line = self._own(block(page, part)).strip().splitlines()
        given = dict(each.split("=", 1) for each in settings if not each.startswith("#"))
        bare = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "TMPDIR": self._environment["TMPDIR"], **given}
        return self.runs(line.split(maxsplit=5)[5], bare, "sh")

    def activates(self) -> None:
        """The virtual environment that the quick start makes, as far as that is done."""
        (self.home / "certfleet").symlink_to(BIN.parent)

    def _own(self, text: str) -> str:
        for there, own in self.values.items():
            text = text.replace(there, own)
        return text
