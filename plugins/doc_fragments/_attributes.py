# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

from __future__ import annotations


class ModuleDocFragment:
    # A module that uses this says under `attributes` how far it supports check_mode and diff_mode.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return the changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed, or would change in check mode, when in diff mode.
  platform:
    description: Operating systems on which it runs.
    platforms: posix
    support: full
"""

    ACTIONGROUP_XGS = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/certfleet.sophos_xgs.xgs) in C(module_defaults) to set its defaults.
    support: full
    membership:
      - certfleet.sophos_xgs.xgs
"""

    ACTIONGROUP_ACME = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/certfleet.sophos_xgs.acme) in C(module_defaults) to set its defaults.
    support: full
    membership:
      - certfleet.sophos_xgs.acme
"""
