# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ..modules import onbox_responder
from ..plugin_utils._run_action import RunAction


class ActionModule(RunAction):
    module_file = onbox_responder
