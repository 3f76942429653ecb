# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's engine, called as a program."""

from __future__ import annotations

import sys

from place import CHECKOUT, HERE, Place
from tools.tool import Tool


def _command(place: Place) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, str(HERE / "programs" / "ours.py"), place.write_job()]
    return command, place.environment(PYTHONPATH=str(CHECKOUT / "build" / "src"))


TOOL = Tool("ours", Place.make_account, _command, "*/fullchain.pem")
