# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools that are compared, one module each, in the order of the table."""

from __future__ import annotations

from tools import acme_tiny, certbot, crypto_playbook, floor, ours, ours_playbook
from tools.tool import Tool

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (ours.TOOL, floor.TOOL, certbot.TOOL, acme_tiny.TOOL, ours_playbook.TOOL, crypto_playbook.TOOL)
}

__all__ = ("TOOLS", "Tool")
