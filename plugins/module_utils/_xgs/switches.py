# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Which switch of an administration profile which part of the configuration hangs on.

Paths and levels: API document, and a live profile of SFOS 22 (reported). What hangs on which is inferred; the same
table is in docs/firewall.md.
"""

from __future__ import annotations

READ_ONLY, READ_WRITE = "Read-Only", "Read-Write"
# A web server protection rule; it is a firewall rule besides.
WAF_RULE = "FirewallRule of web server protection"

_CERTIFICATES = "System/OtherCertificateConfiguration"
_SYSTEM = "System/OtherSystemConfiguration"
_VPN = "VPN/OtherVPNConfigurations"
# The help's sample has the former two, a live profile the last.
_MAIL = ("AntiVirus/OtherAntiVirusConfigurations", "AntiSpam/OtherAntiSpamConfigurations", "EmailProtection")
# Hotspots are part of wireless protection, their sign-in page is a network setting in the API.
_HOTSPOT = ("Network", "WirelessProtection/WirelessProtectionSettings")

CALLED = {
    "Objects": "Objects",
    "Firewall": "Firewall",
    "Network": "Network",
    _CERTIFICATES: "System > Other certificate configuration",
    "System/DownloadCertificates": "System > Download certificates",
    _SYSTEM: "System > Other system configuration",
    _VPN: "VPN > Other VPN configurations",
    "WAF/OtherWAFConfiguration": "WAF > Other WAF configuration",
    _MAIL[0]: "AntiVirus > Other antivirus configurations",
    _MAIL[1]: "AntiSpam > Other antispam configurations",
    _MAIL[2]: "Email protection",
    _HOTSPOT[1]: "Wireless protection > Wireless protection settings",
}
# For each part all of these, and of each one of the alternatives.
NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(("IPHost", "Services", "Schedule", "IPHostGroup", "ServiceGroup"), (("Objects",),)),
    **dict.fromkeys(("FirewallRule", "NATRule", "FirewallRuleGroup"), (("Firewall",),)),
    WAF_RULE: (("WAF/OtherWAFConfiguration",),),
    **dict.fromkeys(("Certificate", "CertificateAuthority"), ((_CERTIFICATES,),)),
    **dict.fromkeys(("AdminSettings", "Time"), ((_SYSTEM,),)),
    **dict.fromkeys(("SSLTunnelAccessSettings", "SophosConnectClient"), ((_VPN,),)),
    **dict.fromkeys(("VPNIPSecConnection", "L2TPConnection"), ((_VPN,),)),
    "EmailConfiguration": (_MAIL,),
    "AdvancedConfiguration": (_HOTSPOT,),
}
# Certificates come with their keys.
_READ = dict.fromkeys(("Certificate", "CertificateAuthority"), (("System/DownloadCertificates",),))


def takes(part: str, *, reading: bool, rule_of_waf: bool = False) -> str:
    """In a sentence, what reading or writing it takes; "" where that is not known."""
    parts = (part, WAF_RULE) if rule_of_waf else (part,)
    table = {**NEEDED, **_READ} if reading else NEEDED
    switches = [" or ".join(CALLED[path] for path in paths) for one in parts for paths in table.get(one, ())]
    return f"It takes {READ_ONLY if reading else READ_WRITE} on {' and on '.join(switches)}." if switches else ""


__all__ = ("CALLED", "NEEDED", "READ_ONLY", "READ_WRITE", "WAF_RULE", "takes")
