# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ..modules import onbox_cert
from ..plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    module_file = onbox_cert
