# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the rules that make up the forward; the other objects' names are made from it.
    type: str
    default: certfleet-http01
  target:
    description:
      - IPv4 address of the host that answers, as the firewall reaches it.
    type: str
  target_port:
    description:
      - TCP port on that host.
    type: int
    default: 8080
  zone:
    description:
      - The firewall's zone in which O(target) is.
    type: str
    default: LAN
  wan_host:
    description:
      - Host object of the interface whose port is forwarded. The firewall makes one for each interface.
    type: str
    default: '#Port2'
  wan_port:
    description:
      - TCP port on that interface. An ACME CA only ever asks on port 80.
    type: int
    default: 80
  masquerade:
    description:
      - Whether the target sees the firewall's own address as the source.
      - Without it only a target answers whose way back to the Internet is this very firewall.
    type: bool
    default: true
  lease:
    description:
      - Seconds after which the firewall stops forwarding by itself, whatever has become of us. It counts in quarters of an hour,
        so the forward ends at the first quarter after that time.
    type: int
    default: 900
"""
