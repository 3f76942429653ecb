# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a firewall holds and who uses it, as the module says it; and what endpoints serve, without an account."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._endpoints import parse_endpoint
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.chains import Authorities, missing_issuer
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.inventory import read_inventory
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_cert_info
from cryptography import x509

from emulator.client import Emulator
from emulator.specimens import SPECIMENS, specimen
from lab.ports import free_port
from unit.plugins.module_utils._xgs.firewalls import NET, WAF_PORT, Box, Issued, authority, self_signed

# An account for each entity that may be closed to it, and the right that is missing.
VPN = {"SSLTunnelAccessSettings", "SophosConnectClient", "VPNIPSecConnection", "L2TPConnection"}
CLOSED = {"novpn": ("VPN/OtherVPNConfigurations", VPN)}


@pytest.fixture(scope="module")
def whole() -> Iterator[Box]:
    """A firewall with everything that can name a certificate, and every documented child of it."""
    accounts = [
        {"username": user, "password": "x", "profile": {"default": "Read-Only", right: "None"}}
        for user, (right, _entities) in CLOSED.items()
    ]
    one = {
        "name": "whole",
        "address": f"{NET}.200",
        "accounts": accounts,
        "certificate_names": "free",
        "objects": [specimen(entity) for entity in SPECIMENS],
    }
    with Emulator({"firewalls": [one]}) as emulator:
        yield Box(emulator, "whole", f"{NET}.200")


def info(box: Box, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    options = {"host": box.address, "username": "admin", "password": "secret", **options}
    if "endpoints" not in options:
        options["fingerprint"] = box.fingerprint
    checked = ArgumentSpecValidator(xgs_cert_info.ARGUMENTS.spec).validate(options)
    assert not checked.error_messages
    outcome = xgs_cert_info.run(checked.validated_parameters, check_mode)
    assert not outcome.changed
    return outcome.as_result(show_diff=True)


def only(result: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in result["certificates"] if entry["name"] == name]
    return dict(found)


def test_all_that_there_is_to_tell(box: Box) -> None:
    issued = authority().issue("owa.example.com", "mail.example.com", key_type="rsa", days=90, age=10)
    box.put("OWA", issued)
    before = box.reads
    entry = only(info(box), "OWA")
    assert box.reads == before + 10, "certificates, authorities, and eight entities that can name a certificate"
    assert box.writes == 0
    assert entry == {
        "name": "OWA",
        "names": ["owa.example.com", "mail.example.com"],
        "subject": "CN=owa.example.com",
        "issuer": "CN=Lab Issuing CA",
        "serial": f"{issued.chain[0].serial_number:x}",
        "key_type": "rsa2048",
        "fingerprint": issued.fingerprint,
        "self_signed": False,
        "not_before": f"{issued.chain[0].not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{issued.chain[0].not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "days_left": 80.0,
        "chain_length": 2,
        "chain_complete": False,
        "chain_missing": "CN=Lab Issuing CA root",
        "has_key": True,
        "used_by": [],
    }


def test_one_read_is_enough_for_what_is_there(box: Box) -> None:
    result = info(box, consumers=False, authorities=False)
    assert box.reads == 1
    assert set(result) == {"certificates", "unread", "changed"}
    assert result["unread"] == []
    assert "used_by" not in result["certificates"][0]
    assert "chain_complete" not in result["certificates"][0]


@pytest.mark.parametrize("check_mode", [False, True])
def test_every_kind_of_user(whole: Box, check_mode: bool) -> None:
    result = info(whole, check_mode)
    users = {
        "webadmin",
        "waf:Specimen rule",
        "sslvpn",
        "smtp",
        "popimap",
        "hotspot",
        "remoteaccess",
        "remoteaccess-peer",
        "ipsec:Branch",
        "l2tp:Roadwarriors_L2TP",
    }
    assert set(only(result, "ApplianceCertificate")["used_by"]) == users
    assert {"consumer": "ipsec-peer:Branch", "certificate": "ExternalCertificate"} in result["consumers"]
    assert result["unread"] == []
    assert whole.writes == 0


def test_the_users_that_the_firewall_itself_knows_of(whole: Box) -> None:
    """The emulator keeps account of references for its own rules."""
    known = sorted((binding["entity"], binding["certificate"]) for binding in whole.state["bindings"])
    assert len(info(whole)["consumers"]) == len(known)
    assert sorted(use["certificate"] for use in info(whole)["consumers"]) == sorted(name for _entity, name in known)


@pytest.mark.parametrize("user", CLOSED)
def test_what_the_account_may_not_read_is_told(whole: Box, user: str) -> None:
    result = info(whole, username=user, password="x")
    assert {each["entity"] for each in result["unread"]} == CLOSED[user][1]
    assert all("599" in each["reason"] for each in result["unread"])
    assert "waf:Specimen rule" in only(result, "ApplianceCertificate")["used_by"]


@pytest.mark.parametrize(("how", "told"), [("zero", False), ("fail", False), ("unknown", True)])
def test_what_the_firmware_does_not_have_is_no_failure(whole: Box, how: str, told: bool) -> None:
    whole.settings(absent_entities={"L2TPConnection": how, "EmailConfiguration": how})
    try:
        result = info(whole)
    finally:
        whole.settings(absent_entities={})
    assert {each["entity"] for each in result["unread"]} == (
        {"L2TPConnection", "EmailConfiguration"} if told else set()
    )
    assert "smtp" not in {use["consumer"] for use in result["consumers"]}
    assert "ipsec:Branch" in {use["consumer"] for use in result["consumers"]}


def test_no_key_is_returned(whole: Box) -> None:
    issued = authority().issue("keys.example.com")
    whole.put("keys", issued)
    said = json.dumps(info(whole))
    assert "PRIVATE" not in said
    for line in issued.key_pem.decode().splitlines()[1:-1]:
        assert line not in said


def test_names_of_any_kind_and_a_damaged_header(whole: Box) -> None:
    names = ("Grüße-aus-Köln", "über & <unter> \"quer'", "plain")
    for name in names:
        whole.put(name, authority().issue(f"n{names.index(name)}.example.com"))
    assert {only(info(whole), name)["names"][0] for name in names} == {f"n{number}.example.com" for number in range(3)}
    assert only(info(whole, name=[names[0]]), names[0])["has_key"]
    whole.settings(broken_tar=True)
    try:
        result = info(whole)
    finally:
        whole.settings(broken_tar=False)
    assert set(names) <= {entry["name"] for entry in result["certificates"]}
    assert all(entry["fingerprint"] for entry in result["certificates"])


def test_without_an_archive_it_tells_who_uses_what(whole: Box) -> None:
    whole.settings(empty_tar=True)
    try:
        result = read_inventory(whole.firewall(), None, uses=True, chains=True)
        with pytest.raises(CertfleetError, match="empty"):
            read_inventory(whole.firewall(), None, uses=False, chains=False)
    finally:
        whole.settings(empty_tar=False)
    assert result["certificates"] == []
    assert [each["entity"] for each in result["unread"]] == ["Certificate"]
    assert {"consumer": "sslvpn", "certificate": "ApplianceCertificate"} in result["consumers"]


def test_some_by_name_newest_first(box: Box) -> None:
    for name, age in (("web-20270101-aaaaaaaa", 40), ("web-20270301-bbbbbbbb", 5), ("web", 60), ("webmail", 1)):
        box.put(name, authority().issue(f"{name}.example.com", age=age))
    result = info(box, name="web", consumers=False)
    assert [entry["name"] for entry in result["certificates"]] == [
        "web-20270301-bbbbbbbb",
        "web-20270101-aaaaaaaa",
        "web",
    ]
    assert [entry["name"] for entry in info(box, name=["webmail", "none"])["certificates"]] == ["webmail"]


# --- chains ----------------------------------------------------------------------------------------------------------


def missing(chain: list[x509.Certificate], *known: x509.Certificate) -> str | None:
    return missing_issuer(chain, Authorities(known))


def test_chains() -> None:
    ca = authority()
    leaf, intermediate = ca.issue("chain.example.com").chain
    assert missing([leaf]) == "CN=Lab Issuing CA"
    assert missing([leaf, intermediate]) == "CN=Lab Issuing CA root"
    assert missing([leaf, intermediate], ca.root) is None
    assert missing([leaf], intermediate, ca.root) is None
    assert missing([leaf], ca.root) == "CN=Lab Issuing CA"
    assert missing([leaf, ca.root, intermediate]) is None
    assert missing(self_signed("alone.example.com").chain) is None
    # The same name is not the same authority.
    assert missing([leaf], authority.__wrapped__("Lab Issuing CA").intermediate) == "CN=Lab Issuing CA"


def test_an_authority_on_the_firewall_completes_a_chain(box: Box) -> None:
    box.put("OWA", authority().issue("owa.example.com"))
    root = authority().root_pem
    assert only(info(box), "OWA")["chain_missing"] == "CN=Lab Issuing CA root"
    upload_authority(box, root)
    entry = only(info(box), "OWA")
    assert (entry["chain_complete"], entry["chain_missing"]) == (True, None)


def upload_authority(box: Box, pem: str) -> None:
    """By the module's own library: what is under test here is reading."""
    from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.uploads import Material, plan_upload

    ca = x509.load_pem_x509_certificate(pem.encode())
    issued = authority().issue("other.example.com")
    with_root = Issued([*issued.chain, ca], issued.key_pem)
    material = Material(with_root.chain, with_root.key_pem)
    plan_upload(box.firewall(), "other", material, [])[1].apply(box.firewall())


# --- query -----------------------------------------------------------------------------------------------------------


def test_a_query(whole: Box) -> None:
    assert info(whole, query="certificates[?name=='ApplianceCertificate'].has_key")["query_result"] == [True]
    assert "hotspot" in info(whole, query="consumers[?certificate=='ApplianceCertificate'].consumer")["query_result"]


@pytest.mark.parametrize("expression", ["certificates[", "nofunction(@)"])
def test_a_wrong_query_is_told_before_any_request(box: Box, expression: str) -> None:
    with pytest.raises(CertfleetError, match=re.escape(repr(expression))):
        info(box, query=expression)
    if expression == "certificates[":
        assert box.state["counters"]["requests"] == 0


def test_a_query_without_its_library(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jmespath", None)
    with pytest.raises(CertfleetError, match="pip install jmespath"):
        info(box, query="certificates")
    assert box.state["counters"]["requests"] == 0


# --- endpoints -------------------------------------------------------------------------------------------------------


def test_endpoints_need_no_account(box: Box, tmp_path: Any) -> None:
    root = tmp_path / "root.pem"
    root.write_text(authority().root_pem)
    issued = authority().issue("owa.example.com", "mail.example.com")
    box.put("OWA", issued)
    rule = box.ask("<Get><FirewallRule/></Get>").find("FirewallRule")
    assert rule is not None
    box.settings(api_enabled=False)
    endpoints = [f"{box.address}:4444", f"{box.address}:{WAF_PORT}:owa.example.com", f"{box.address}:{free_port()}"]
    before = box.state["counters"]["requests"]
    result = info(box, endpoints=endpoints, ca_path=str(root), username="", password="")
    assert box.state["counters"]["requests"] == before, "nothing is asked of the API"
    assert "certificates" not in result
    console, rule_shown, nothing = result["endpoints"]
    assert [entry["endpoint"] for entry in result["endpoints"]] == endpoints
    assert console["fingerprint"] == box.fingerprint
    assert (console["problem"], console["trusted"]) == ("", False)
    assert "self" in console["distrust"].lower() or "unable" in console["distrust"].lower()
    assert rule_shown["days_left"] > 0
    assert "fingerprint" not in nothing
    assert nothing["problem"]
    assert not nothing["trusted"]


def test_an_endpoint_that_is_trusted(tmp_path: Any) -> None:
    from emulator.client import Emulator as Another

    issued = authority().issue("good.example.com")
    files = {"cert_file": tmp_path / "c.pem", "key_file": tmp_path / "k.pem", "root": tmp_path / "root.pem"}
    files["cert_file"].write_bytes(issued.chain_pem)
    files["key_file"].write_bytes(issued.key_pem)
    files["root"].write_text(authority().root_pem)
    rule = {"name": "Good", "domains": ["good.example.com"], "listen_port": WAF_PORT, "certificate": "good"}
    stored = {"name": "good", "cert_file": str(files["cert_file"]), "key_file": str(files["key_file"])}
    address = f"{NET}.201"
    with Another(
        {"firewalls": [{"name": "good", "address": address, "certificates": [stored], "waf_rules": [rule]}]}
    ) as emulator:
        box = Box(emulator, "good", address)
        both = [f"{address}:{WAF_PORT}:good.example.com", f"{address}:{WAF_PORT}:good.example.org"]
        result = info(box, endpoints=both, ca_path=str(files["root"]), query="endpoints[].trusted")
    assert result["endpoints"][0]["fingerprint"] == issued.fingerprint
    assert result["query_result"] == [True, False]


@pytest.mark.parametrize(
    ("text", "address", "port", "name"),
    [
        ("fw.example.com:443", "fw.example.com", 443, "fw.example.com"),
        ("192.0.2.1:4444", "192.0.2.1", 4444, None),
        ("192.0.2.1:443:a.example.com", "192.0.2.1", 443, "a.example.com"),
        ("[2001:db8::1]:443", "2001:db8::1", 443, None),
        ("[2001:db8::1]:443:a.example.com", "2001:db8::1", 443, "a.example.com"),
    ],
)
def test_how_endpoints_are_written(text: str, address: str, port: int, name: str | None) -> None:
    endpoint = parse_endpoint(text)
    assert (endpoint.address, endpoint.port, endpoint.name) == (address, port, name)


@pytest.mark.parametrize(
    "text", ["", "fw", "fw:", ":443", "fw:0", "fw:65536", "2001:db8::1:443", "a b:443", "fw:443:x:y"]
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(CertfleetError, match="in brackets"):
        parse_endpoint(text)
