# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bare minimum."""

from __future__ import annotations

import sys

from place import HERE, Place
from tools.tool import Tool


def _command(place: Place) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, str(HERE / "programs" / "floor.py"), place.write_job()], place.environment()


TOOL = Tool("floor", Place.make_account, _command, "*.pem")
