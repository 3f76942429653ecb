# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

from __future__ import annotations


class ModuleDocFragment:
    """The option that _preflight_options.py reads."""

    DOCUMENTATION: str = r"""
options:
  preflight:
    description:
      - Look first whether the CA can succeed. What is sure to fail fails that certificate alone, before it is ordered and before a port is
        opened; what may fail is a warning. See RV(findings).
      - Names have to exist, to lead to the firewall by their A and AAAA records, and their CAA records (RFC 8659, RFC 8657) have to permit
        this CA, this account and this kind of validation.
      - Needs the Python library dnspython.
    type: dict
    suboptions:
      addresses:
        description:
          - All addresses, IPv4 and IPv6, at which the CA gets to the responder.
          - Without them it is the address that the firewall itself gives for O(port_forward.wan_host). That may be one behind another router,
            so then a name that leads elsewhere is but a warning.
        type: list
        elements: str
        default: []
      resolvers:
        description:
          - DNS servers to ask, C(ADDRESS) or C(ADDRESS:PORT), in place of the system's.
          - Name public ones where the own network sees another DNS than the Internet.
        type: list
        elements: str
        default: []
      caa_identities:
        description:
          - Domain names by which CAA records permit this CA. Without them, what the CA's directory says.
        type: list
        elements: str
      probe:
        description:
          - What becomes of it when the responder, asked from here through the port just opened, does not answer.
          - V(none) does not ask; V(warn) tells; V(require) fails the certificates that need the opening, and closes it.
          - Many firewalls let nobody inside reach their own WAN address, so a failure need not mean anything for the CA.
        type: str
        choices: [none, warn, require]
        default: warn
      probe_port:
        description: TCP port at which this host reaches port 80 of the WAN addresses, where that is not O(port_forward.wan_port) or 80.
        type: int
      responder:
        description:
          - What becomes of it when no responder for this account answers at O(port_forward.target) and O(port_forward.target6), asked from
            here before anything is opened. In check mode too.
          - V(none) does not ask, as where only the firewall may reach it; V(warn) tells; V(require) refuses all certificates.
          - One that answers for another account refuses them with V(warn) as well. Nobody is asked where the task itself answers (O(listen)).
        type: str
        choices: [none, warn, require]
        default: warn
"""
