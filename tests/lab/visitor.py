# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who visits sites all the time."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from lab.handshake import shake_hands


class Visitor:
    """A context manager. `complaints`: what was wrong with what was shown."""

    def __init__(self, sites: Mapping[str, str], port: int, roots: str) -> None:
        """sites: name -> address."""
        self._sites, self._port, self._roots = sites, port, roots
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)
        self.complaints: list[str] = []

    def _visit(self) -> None:
        while not self._over.is_set():
            for name, address in self._sites.items():
                self._look(name, address)
                self._over.wait(0.1)

    def _look(self, name: str, address: str) -> None:
        try:
            shown = shake_hands(address, self._port, name, self._roots)
        except OSError as error:
            self.complaints.append(f"{name}: {error}")
            return
        if not shown.trusted:
            self.complaints.append(f"{name}: {shown.distrust}")

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
