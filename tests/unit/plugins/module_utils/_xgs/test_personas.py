# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Login, refusals and writes on every firmware that the emulator knows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import envelope
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Write
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import (
    XgsAccessError,
    XgsApiError,
    XgsConnectionError,
)

from emulator.client import Emulator
from emulator.personas import PERSONAS
from unit.plugins.module_utils._xgs.firewalls import NET, Box

HOST = ET.XML(
    "<IPHost><Name>h</Name><IPFamily>IPv4</IPFamily><HostType>IP</HostType><IPAddress>192.0.2.1</IPAddress></IPHost>"
)


@pytest.fixture(scope="module")
def fleet() -> Iterator[dict[str, Box]]:
    addresses = {version: f"{NET}.{number}" for number, version in enumerate(PERSONAS, 210)}
    config = [{"name": version, "address": address, "firmware": version} for version, address in addresses.items()]
    # Its redirect is what listens on port 80, without TLS.
    rule = {"name": "OWA", "domains": ["owa.example.com"], "listen_port": 8443, "redirect_http": True}
    with Emulator({"firewalls": config, "waf_rules": [rule]}) as emulator:
        yield {version: Box(emulator, version, address) for version, address in addresses.items()}


@pytest.fixture(params=PERSONAS)
def persona(request: pytest.FixtureRequest, fleet: dict[str, Box]) -> Box:
    box = fleet[request.param]
    box.settings(api_enabled=True, allowed_sources=[], auxiliary=False)
    box.emulator.reset(box.name)
    return box


def test_no_version_is_asked_for() -> None:
    """Without one the current schema counts, and no firmware refuses it."""
    assert b"APIVersion" not in envelope.request("u", "p", ET.Element("Get"), "read Zone")


def test_a_read_a_write_and_a_removal(persona: Box) -> None:
    firewall = persona.firewall()
    firewall.send(Write("add", HOST))
    assert firewall.get("IPHost", "h")
    firewall.send(Write("remove", HOST))
    assert firewall.get("IPHost", "h") == []


def test_a_wrong_password(persona: Box) -> None:
    with pytest.raises(XgsAccessError, match=r"user name and password.*one-time password"):
        persona.firewall(password="wrong").get("Zone")
    assert persona.state["counters"]["auth_failures"] == 1


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"api_enabled": False},
            r"the API is off \(status 532, .*\. Switch it on .* Backup & firmware > API \(SFOS 22: Administration",
        ),
        ({"allowed_sources": ["192.0.2.9"]}, r"\(status 534, .*Add this machine's address.*where sources are IP hosts"),
    ],
)
def test_the_api_is_closed(persona: Box, settings: dict[str, object], text: str) -> None:
    persona.settings(**settings)
    with pytest.raises(XgsAccessError, match=text) as refused:
        persona.firewall().get("Zone")
    assert persona.state["counters"]["requests"] == 1
    # What it says is what has to be allowed.
    (own,) = re.findall(r"that is ([\d.]+)\.$", str(refused.value))
    persona.settings(api_enabled=True, allowed_sources=[own])
    assert persona.firewall().get("Zone")


def test_the_auxiliary(persona: Box) -> None:
    persona.settings(auxiliary=True)
    with pytest.raises(XgsApiError, match="give the address of the cluster"):
        persona.firewall().send(Write("add", HOST))


@pytest.mark.parametrize(
    ("port", "text"),
    [(4443, "Give the port of the web admin"), (5080, r"no TLS handshake within 0\.5 s.*the port of the web admin")],
)
def test_another_port(persona: Box, port: int, text: str) -> None:
    with pytest.raises(XgsConnectionError, match=text):
        persona.firewall(port=port, connect_timeout=0.5).get("Zone")
