# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fleet lives: `Loopback`, or `Namespaces` with a kernel's own routes and packet filter.

Both have the same face (`Plane`), so that an end-to-end test runs on either. Loopback needs nothing. Namespaces need
Linux, `ip`, `nsenter`, `iptables-restore` and `ip6tables-restore`, and either root or unprivileged user namespaces.
"""

from __future__ import annotations

from lab.plane.loopback import Loopback
from lab.plane.machine import LocalMachine, Machine, Plane
from lab.plane.namespaces import Namespaces, has_ipv6, kernel_without_ipv6, missing

__all__ = [
    "LocalMachine",
    "Loopback",
    "Machine",
    "Namespaces",
    "Plane",
    "has_ipv6",
    "kernel_without_ipv6",
    "missing",
]
