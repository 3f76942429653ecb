# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ..plugin_utils._check import check_verdict, renewal_summary
from ..plugin_utils._report import fleet_report, renewal_news, renewal_report, renewal_table, to_install, to_order


class FilterModule:
    """Filters of the role xgs_letsencrypt."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By the names that templates call them."""
        return {
            "to_order": to_order,
            "to_install": to_install,
            "fleet_report": fleet_report,
            "renewal_report": renewal_report,
            "renewal_news": renewal_news,
            "renewal_table": renewal_table,
            "renewal_summary": renewal_summary,
            "check_verdict": check_verdict,
        }
