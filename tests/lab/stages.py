# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instants of a renewal: its requests to firewall and CA, in their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.proxy import AUTHORIZATION, CERTIFICATE, CHALLENGE, FINALIZE, NEW_ACCOUNT, NEW_ORDER, ORDER


@dataclass(frozen=True)
class Instant:
    """step: selects a request to the firewall, as a fault does; path: or one to the CA; neither: the responder listens.

    done: not when it arrives, but when it is carried out and not yet answered.
    """

    label: str
    step: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    done: bool = False

    def __str__(self) -> str:
        return f"{self.label}, carried out" if self.done else self.label

    @property
    def carried_out(self) -> Instant:
        return dataclasses.replace(self, done=True)


def _step(label: str, operation: str, entity: str, nth: int = 1) -> Instant:
    return Instant(label, step={"operation": operation, "entity": entity, "nth": nth})


_ALL = (
    _step("plan: get Certificate", "get", "Certificate"),
    Instant("account", path=NEW_ACCOUNT),
    Instant("responder listens"),
    Instant("newOrder", path=NEW_ORDER),
    Instant("get authorization", path=AUTHORIZATION),
    _step("open: get Time", "get", "Time"),
    _step("open: add IPHost", "add", "IPHost"),
    _step("open: add Services", "add", "Services"),
    _step("open: add Schedule", "add", "Schedule"),
    _step("open: add FirewallRule", "add", "FirewallRule"),
    _step("open: add NATRule", "add", "NATRule"),
    Instant("challenge", path=CHALLENGE),
    Instant("poll", path=ORDER),
    _step("close: remove NATRule", "remove", "NATRule"),
    _step("close: remove FirewallRule", "remove", "FirewallRule"),
    _step("close: remove Schedule", "remove", "Schedule"),
    _step("close: remove Services", "remove", "Services"),
    _step("close: remove IPHost", "remove", "IPHost"),
    Instant("finalize", path=FINALIZE),
    Instant("download", path=CERTIFICATE),
    _step("upload: get Certificate", "get", "Certificate", 2),
    _step("upload: add CertificateAuthority", "add", "CertificateAuthority"),
    _step("upload: add Certificate", "add", "Certificate"),
    _step("bind: update FirewallRule", "update", "FirewallRule"),
    _step("bind: update FirewallRuleGroup", "update", "FirewallRuleGroup"),
    # What comes next is the handshake; the next but one follows it.
    _step("verify: get FirewallRuleGroup", "get", "FirewallRuleGroup", 3),
    _step("prune: get Certificate", "get", "Certificate", 5),
    _step("prune: remove Certificate", "remove", "Certificate"),
)
# By what they are called.
STAGES = {each.label: each for each in _ALL}

__all__ = ("STAGES", "Instant")
