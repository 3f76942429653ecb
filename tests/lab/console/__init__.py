# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emulated firewall's SSH side."""

from __future__ import annotations

from lab.console.box import Box
from lab.console.httpd import Httpd
from lab.console.server import PASSWORD, Console, Ways, missing

__all__ = ["PASSWORD", "Box", "Console", "Httpd", "Ways", "missing"]
