# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No refusal without words, and every documented code with words of its own."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs import status_codes
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.api import Write
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsAccessError, XgsApiError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.status_codes import in_words

from unit.plugins.module_utils._xgs.firewalls import Box

# Typed from the API document's tables and what is reported beside them, not taken from the code.
REFUSALS = (
    *(500, 501, 502, 503, 504, 505, 508, 510, 519, 521, 522, 523, 526, 529, 532, 534),
    *(541, 542, 543, 544, 545, 546, 547, 550, 551, 552, 553, 554, 596, 599),
)
DONE = (200, 201, 202, 203, 211, 212, 213, 214, 215, 216, 217, 222)
# What means something else for these.
PARTICULAR = (
    *(("Certificate", 500), ("Certificate", 541), ("Certificate", 542)),
    *(("CertificateAuthority", 503), ("CertificateAuthority", 504), ("CertificateAuthority", 541)),
    *(("IPHost", 541), ("NATRule", 503), ("NATRule", 541), ("LocalServiceACL", 541)),
    *(("FirewallRule", 542), ("FirewallRule", 552), ("FirewallRule", 553)),
    *(("WebAdminSettings", 541), ("WebAdminSettings", 542), ("EmailConfiguration", 545)),
)
UNKNOWN = in_words(599 - 1)
HOST = "<IPHost><Name>h</Name><IPFamily>IPv4</IPFamily><HostType>IP</HostType><IPAddress>192.0.2.1</IPAddress></IPHost>"


@pytest.mark.parametrize("code", REFUSALS)
def test_every_documented_refusal_has_words(code: int) -> None:
    meaning, remedy = in_words(code)
    assert (meaning, remedy) != UNKNOWN
    assert meaning == meaning.strip().rstrip(".")
    assert remedy[0].isupper()
    assert remedy.endswith((".", "?"))


@pytest.mark.parametrize(("entity", "code"), PARTICULAR)
def test_what_a_code_means_for_one_entity(entity: str, code: int) -> None:
    assert in_words(code, entity) not in (in_words(code), UNKNOWN)


def test_the_table_has_nothing_else() -> None:
    assert set(status_codes._ANY) == set(REFUSALS)
    assert set(status_codes._PARTICULAR) == set(PARTICULAR)


def test_every_refusal_as_a_user_sees_it(box: Box) -> None:
    """With the number, the firewall's own words, ours, and what to do. 535 and 999 are documented nowhere."""
    firewall = box.firewall()
    for code in (*REFUSALS, 535, 999):
        box.faults({"kind": "status", "operation": "add", "code": code, "text": "own words"})
        with pytest.raises(XgsApiError) as caught:
            firewall.send(Write("add", ET.XML(HOST)))
        meaning, remedy = in_words(code, "IPHost")
        right = " It takes Read-Write on Objects." if code == 599 else ""
        expected = f"the firewall refused to add IPHost h: status {code}, own words: {meaning}. {remedy}{right}"
        assert (str(caught.value), caught.value.code) == (expected, code)
    assert "h" not in box.names("IPHost")


@pytest.mark.parametrize("code", DONE)
def test_every_remark_is_a_success(box: Box, code: int) -> None:
    box.faults({"kind": "status", "operation": "add", "code": code})
    box.firewall().send(Write("add", ET.XML(HOST)))


@pytest.mark.parametrize("operation", ["add", "update", "remove"])
def test_an_auxiliary_says_where_to_turn(box: Box, operation: str) -> None:
    box.settings(auxiliary=True)
    firewall = box.firewall()
    assert firewall.get("Zone"), "it may be read"
    with pytest.raises(XgsApiError, match=r"auxiliary device .*address of the cluster: only the primary takes changes"):
        firewall.send(Write(operation, ET.XML(HOST)))
    assert "h" not in box.names("IPHost")


def test_an_unknown_entity_is_named(box: Box) -> None:
    with pytest.raises(XgsApiError, match=r"read Nonsense: status 529.*does not know the entity"):
        box.firewall().get("Nonsense")


def test_the_api_switched_off_names_both_menus(box: Box) -> None:
    box.settings(api_enabled=False)
    with pytest.raises(XgsAccessError, match=r"status 532.*Backup & firmware > API \(SFOS 22: Administration"):
        box.firewall().get("Zone")
