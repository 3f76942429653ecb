# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of fleets that never were, of every kind of row; what the plans and tasks would have said is made up."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.certfleet.sophos_xgs.plugins.plugin_utils._report import PREFIX, fleet_report, renewal_report

TOWNS = ("helsinki", "berlin", "boston", "kraków", "osaka", "lima", "dakar", "perth", "zürich", "oslo")
# What names in an inventory may hold, and messages of a firewall even more so.
NASTY = (
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script>",
    "</noscript><img src=x onerror='window.pwned = 1'>",
    "<!--<script>",
    "\"quoted\" & 'quoted' \\ %DATA% {{ 7 * 191 }}",
    "Düsseldorf-Łódź-東京",
    "two\nlines",
)
FAILURES = {
    "order": "order: the CA could not reach {domain} on port 80 (urn:ietf:params:acme:error:connection). Look whether"
    " {domain} points to the firewall's WAN address, and whether a provider blocks port 80.",
    "open": "open: port 80 of 198.51.100.7 is forwarded by the NAT rule 'Mail relay' already. Disable that rule, or"
    " set xgs_letsencrypt_wan_host to another interface.",
    "verify": "verify: waf:Shop does not serve the new certificate 60 s after the switch: 198.51.100.7:443 for"
    " {domain} serves 3f2a9c0d11e8b7aa…. The previous certificate is still in place. Find out why, then run again:"
    " nothing has to be issued anew.",
}


def planned(name: str, domain: str, days_left: float | None, action: str = "none", **more: Any) -> dict[str, Any]:
    """A verdict of xgs_cert_plan."""
    end = datetime.now(timezone.utc) + timedelta(days=days_left or 0)
    there = days_left is not None
    return {
        "name": name,
        "domains": [domain, f"www.{domain}"],
        "consumers": [f"waf:{name} rule"],
        "action": action,
        "reason": "the CA's renewal window is to come" if action == "none" else "30 of 90 days are left",
        "current": f"{name}-{end:%Y%m%d}-1a2b3c4d" if there else None,
        "not_after": f"{end:%Y-%m-%dT%H:%M:%SZ}" if there else None,
        "days_left": days_left,
        "lifetime_days": 90.0 if there else None,
        "self_signed": False,
        "staging": False,
        **more,
    }


def made_report(firewalls: int, seed: int = 1, named: str | None = None) -> list[dict[str, Any]]:
    """Two certificates on each firewall: most are quiet, some renewed, some failed, few firewalls silent.

    named: the name of the second one, whose renewal fails.
    """
    draw = random.Random(seed)
    plans, variables = {}, {}
    for number in range(firewalls):
        firewall = f"fw-{TOWNS[number % len(TOWNS)]}-{number:03}"
        if named is not None and number == 1:
            firewall = named
        kind = draw.choices(("quiet", "renewed", "failed", "silent"), (94, 4, 1.7, 0.3))[0] if number > 2 else (
            "renewed", "failed", "quiet")[number]  # fmt: skip
        plans[firewall], variables[firewall] = _night(draw, firewall, kind)
    return fleet_report(plans, variables, 15)


def _night(draw: random.Random, firewall: str, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plan of one firewall, and what the role leaves in its variables."""
    if kind == "silent":
        told = f"{firewall}: plan: no connection to 192.0.2.9:4444: timed out. Is the API on, and this address allowed?"
        return {"failed": True, "msg": told, "stage": "plan"}, {}
    domain = f"{firewall.removeprefix('fw-')}.example.com"
    quiet = planned("admin", f"fw.{domain}", round(draw.uniform(31, 89), 1))
    if kind == "quiet":
        return {
            "certificates": [quiet, planned("OWA", f"owa.{domain}", round(draw.uniform(31, 89), 1))],
            "due": False,
        }, {}
    due = planned("OWA", f"owa.{domain}", round(draw.uniform(3, 30), 1), "renew")
    registered: dict[str, Any] = {"plan": {"certificates": [due, quiet], "due": True}}
    seconds = round(draw.uniform(6, 41), 1)
    if kind == "renewed":
        registered["order"] = {"certificates": [{"name": "OWA"}], "window": {"seconds": seconds}}
        registered["installed"] = {"OWA": _installed(due, f"owa.{domain}")}
    else:
        stage, message = draw.choice(list(FAILURES.items()))
        registered["order"] = {"certificates": [], "window": {"seconds": None if stage == "open" else seconds}}
        registered["failed"] = {"OWA": {"stage": stage, "msg": f"{firewall}: OWA: {message.format(domain=domain)}"}}
    variables = {"inventory_hostname": firewall, **{PREFIX + key: value for key, value in registered.items()}}
    return registered["plan"], {f"{PREFIX}rows": renewal_report(variables, 15)}


def _installed(due: dict[str, Any], domain: str) -> dict[str, Any]:
    end = datetime.now(timezone.utc) + timedelta(days=90, minutes=1)
    new = f"OWA-{end:%Y%m%d}-5e6f7a8b"
    used = {"previous": due["current"], "certificate": new, "served_by": [], "reason": None, "displaced": {}}
    return {
        "object": new,
        "not_after": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "lifetime_days": 90.0,
        "foreseen": False,
        "consumers": [
            {**used, "consumer": "waf:OWA rule", "verified": True, "served_by": [f"198.51.100.7:443 for {domain}"]},
            {**used, "consumer": "smtp", "verified": None, "reason": "its API does not tell where it answers mail"},
        ],
    }
