# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

from __future__ import annotations

import textwrap

from ._xgs import ModuleDocFragment as Xgs

OPTIONS = r"""
method:
  description:
    - V(api) has the firewall's XML API do it, with objects that the web admin console shows.
    - V(iptables) logs in by SSH and inserts rules of its own into the kernel's tables, for firewalls whose API stays off. The vendor does not
      support that. It takes one C(wan_host), which is an IPv4 address of the firewall or an interface, so that V(#Port2) means V(Port2);
      C(target) may be V(127.0.0.1), which is the firewall itself. What it cannot honour it refuses. Whatever else answers on that port of that
      address is interrupted meanwhile, so C(interrupt_waf) makes no difference. The lease is kept to the second by a process on the firewall,
      and nothing outlives a restart.
  type: str
  choices: [api, iptables]
  default: api
name:
  description:
    - The names of the objects that make up the forward begin with it. At most 32 characters.
  type: str
  default: certfleet-http01
target:
  description:
    - IPv4 address of the host that answers, as the firewall reaches it.
  type: str
target6:
  description:
    - Its IPv6 address, for the IPv6 addresses in C(wan_host).
  type: str
target_port:
  description:
    - TCP port on that host.
  type: int
  default: 8080
zone:
  description:
    - The firewall's zone in which the target is.
  type: str
  default: LAN
wan_host:
  description:
    - Host objects of the interfaces whose port is forwarded. The firewall makes one for each interface.
    - Or addresses of the firewall, IPv4 or IPv6; where no host object has one of them it is made.
  type: list
  elements: str
  default: ['#Port2']
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
    - Seconds, 60 to 86400, after which the firewall stops forwarding by itself, whatever has become of us.
    - By the XML API it counts in quarters of an hour, so the forward ends at the first quarter after that time.
  type: int
  default: 900
interrupt_waf:
  description:
    - Whether a web server protection rule that serves a site on that port may be without it meanwhile.
    - One that only redirects port 80 to HTTPS may in any case.
  type: bool
  default: false
"""


def _window(suboptions: str) -> str:
    return f"""
options:
  port_forward:
    description:
      - The firewall's port that is forwarded to the responder while the CA validates.
      - The options of M(certfleet.sophos_xgs.xgs_dnat_port), but for its state.
    type: dict
    suboptions:
{textwrap.indent(suboptions, "      ")}
"""


class ModuleDocFragment:
    FORWARD: str = "options:\n" + textwrap.indent(OPTIONS, "  ")
    # As an option of another module: without the firewall's connection, and with it.
    WINDOW: str = _window(OPTIONS)
    CONNECTED_WINDOW: str = _window(OPTIONS + textwrap.dedent(Xgs.DOCUMENTATION.partition("options:\n")[2]))
