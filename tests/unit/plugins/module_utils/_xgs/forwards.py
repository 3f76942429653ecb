# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of forwards share: other people's objects, opening and closing, and who gets through port 80."""

from __future__ import annotations

import datetime
import urllib.request
import xml.etree.ElementTree as ET

from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Firewall
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.dnat import (
    ENTITIES,
    Forward,
    plan_absent,
    plan_swept,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.objects import Objects
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.window import Window, send_all

from unit.plugins.module_utils._xgs.firewalls import Box

NAME = "certfleet-http01"
RULE = f"{NAME}-run1"
MINUTE, HOUR = datetime.timedelta(minutes=1), datetime.timedelta(hours=1)
EXPIRED = "certfleet: run=old expires=2020-01-01T00:00:00Z"

HOST = (
    "<IPHost><Name>{0}</Name><Description>{1}</Description><IPFamily>IPv4</IPFamily><HostType>IP</HostType>"
    "<IPAddress>{2}</IPAddress></IPHost>"
)
SERVICE = (
    "<Services><Name>{0}</Name><Type>TCPorUDP</Type><ServiceDetails><ServiceDetail><SourcePort>1:65535</SourcePort>"
    "<DestinationPort>{1}</DestinationPort><Protocol>TCP</Protocol></ServiceDetail></ServiceDetails></Services>"
)
NAT = (
    "<NATRule><Name>{0}</Name><Description>{1}</Description><Status>{2}</Status><Position>Top</Position>"
    "<TranslatedSource>MASQ</TranslatedSource><OriginalDestinationNetworks><Network>#Port2</Network>"
    "</OriginalDestinationNetworks><TranslatedDestination>web</TranslatedDestination><OriginalServices>"
    "<Service>HTTP</Service></OriginalServices><TranslatedService>HTTP</TranslatedService></NATRule>"
)
GROUP = "<IPHostGroup><Name>g</Name><IPFamily>IPv4</IPFamily><HostList><Host>{}</Host></HostList></IPHostGroup>"


def fetch(box: Box) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{box.address}:5080/.well-known/acme-challenge/x", timeout=3) as answer:
        return str(answer.read().decode())


def forward(responder: int, **more: object) -> Forward:
    return Forward(**{"name": NAME, "target": "127.0.0.1", "target_port": responder, **more})


def present(firewall: Firewall, wanted: Forward, run: str = "run1") -> bool:
    window = Window(firewall, wanted, run)
    plan = window.plan()
    window.open(plan)
    return plan.changed


def absent(firewall: Firewall, run: str = "run1") -> bool:
    objects = Objects(firewall, like=NAME)
    plan = plan_absent(objects, NAME, run, objects.now(), left=True)
    return len(send_all(firewall, plan.writes)) < len(plan.writes)


def sweep(firewall: Firewall, ahead: datetime.timedelta = datetime.timedelta(0)) -> None:
    objects = Objects(firewall)
    send_all(firewall, plan_swept(objects, objects.now() + ahead).writes)


def description(box: Box, entity: str = "FirewallRule") -> str:
    """Of the one that is ours."""
    (found,) = [text for one in records(box, entity) if (text := one.findtext("Description", ""))[:10] == "certfleet:"]
    return str(found)


def records(box: Box, entity: str) -> list[ET.Element]:
    return box.ask(f"<Get><{entity}/></Get>").findall(entity)


def ours(box: Box) -> dict[str, list[str]]:
    found = {entity: [name for name in box.names(entity) if name.startswith("certfleet")] for entity in ENTITIES}
    return {entity: names for entity, names in found.items() if names}
