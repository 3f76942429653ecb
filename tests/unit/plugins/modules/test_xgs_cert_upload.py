# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as a task sees it: changed, diff, what it returns, and how many writes that took."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.certificates import read_certificates, versions
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsApiError, XgsError
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_cert_bind, xgs_cert_upload
from cryptography.hazmat.primitives import serialization

from emulator.personas import PERSONAS
from emulator.specimens import SPECIMENS, specimen
from unit.plugins.module_utils._xgs.firewalls import WAF_PORT, Box, Issued, authority, self_signed, special
from unit.plugins.modules import xgs_tasks
from unit.plugins.modules.xgs_tasks import documented

NAMES = ("owa.example.com", "mail.example.com")
PASSPHRASE = 'ü "p&w" <\'>'


def material(issued: Issued) -> dict[str, str]:
    return {"certificate_content": issued.chain_pem.decode(), "private_key_content": issued.key_pem.decode()}


def run(box: Box, check_mode: bool = False, **options: Any) -> Any:
    return xgs_tasks.run(xgs_cert_upload, box, check_mode, **{"name": "owa", **options})


def both(box: Box, **options: Any) -> Any:
    return xgs_tasks.both(xgs_cert_upload, box, **{"name": "owa", **options})


def as_pem(issued: Issued, form: str, passphrase: bytes | None = None) -> str:
    key = serialization.load_pem_private_key(issued.key_pem, None)
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(
        serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), encryption
    ).decode()


# --- check, do, do again, change, remove, remove again ---------------------------------------------------------------


def test_six_steps(box: Box) -> None:
    first, second = authority().issue(*NAMES, age=1), authority().issue(*NAMES)
    untouched = box.state["certificates"]

    did, writes = both(box, **material(first))
    assert (did.changed, writes) == (True, 2)
    name = did.facts["certificate"]
    assert did.facts["fingerprint"] == box.state["certificates"][name] == first.fingerprint
    assert did.before == {"certificate": None, "authorities": []}
    assert (did.after["certificate"]["name"], len(did.after["authorities"])) == (name, 1)

    again, writes = both(box, **material(first))
    assert (again.changed, writes, again.before, again.facts) == (False, 0, again.after, did.facts)

    changed, writes = both(box, **material(second))
    assert (changed.changed, writes) == (True, 1), "the intermediate is there"
    assert box.state["certificates"][name] == first.fingerprint, "nothing is overwritten"

    pruned, writes = both(box, state="absent", keep=1)
    assert (pruned.changed, writes, pruned.facts["removed"]) == (True, 1, [name])
    assert (pruned.before, pruned.after) == ({"certificates": [name]}, {"certificates": []})

    gone, writes = both(box, state="absent")
    assert (gone.changed, writes, gone.facts["removed"]) == (True, 1, [changed.facts["certificate"]])
    assert box.state["certificates"] == untouched

    again, writes = both(box, state="absent")
    assert (again.changed, writes, again.before, again.after) == (False, 0, {"certificates": []}, {"certificates": []})


def test_the_readme_counts_right(box: Box) -> None:
    counts = []
    for age in (2, 1):
        _outcome, writes = both(box, **material(authority().issue(*NAMES, age=age)))
        counts.append(writes)
    assert (min(counts), max(counts)) == documented("upload")
    _outcome, writes = both(box, state="absent", keep=1)
    assert (writes, writes) == documented("prune")


# --- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key_type", "form", "locked"),
    [
        ("rsa", "PKCS8", False),
        ("rsa", "TraditionalOpenSSL", False),
        ("rsa", "PKCS8", True),
        ("rsa", "TraditionalOpenSSL", True),
        ("ec", "PKCS8", True),
        ("ec", "TraditionalOpenSSL", False),
    ],
)
def test_keys_of_every_form(box: Box, tmp_path: Path, key_type: str, form: str, locked: bool) -> None:
    """The file may be called anything: the firewall always gets a *.key, unlocked (else 501, or 510)."""
    issued = authority().issue(*NAMES, key_type=key_type)
    (tmp_path / "fullchain").write_bytes(issued.chain_pem)
    (tmp_path / "privkey.pem").write_text(as_pem(issued, form, PASSPHRASE.encode() if locked else None))
    did = run(
        box,
        certificate_path=str(tmp_path / "fullchain"),
        private_key_path=str(tmp_path / "privkey.pem"),
        private_key_passphrase=PASSPHRASE if locked else None,
    )
    xgs_tasks.run(xgs_cert_bind, box, certificate=did.facts["certificate"], consumers=["waf:OWA"])
    shown = box.shown(WAF_PORT, NAMES[0])
    assert (shown.fingerprint, shown.trusted) == (issued.fingerprint, True)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "another key": ({"private_key_content": authority().issue("x.example.com").key_pem.decode()}, "does not belong to"),
    "no key": ({"private_key_content": "nothing"}, "the private key cannot be read"),
    "no certificate": ({"certificate_content": "nothing"}, "does not belong to"),
    "no passphrase": ({"private_key_content": None}, "needs a passphrase"),
    "wrong passphrase": ({"private_key_content": None, "private_key_passphrase": "wrong"}, "Check the passphrase"),
    "a passphrase too much": ({"private_key_passphrase": "x"}, "is not encrypted, but a passphrase was given"),
    "a foreign chain": ({"certificate_content": None}, "the chain is broken"),
    "a missing file": ({"certificate_content": None, "certificate_path": "/missing"}, "cannot be read: No such file"),
    "a bad name": ({"name": "ö"}, "cannot name a certificate"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_cost_no_request(box: Box, mistake: str) -> None:
    issued = authority().issue(*NAMES)
    options, told = MISTAKES[mistake]
    options = {**material(issued), **options}
    if "passphrase" in mistake and options["private_key_content"] is None:
        options["private_key_content"] = as_pem(issued, "PKCS8", b"right")
    if mistake == "a foreign chain":
        chain = [issued.chain[0], authority("Another CA").intermediate]
        options["certificate_content"] = Issued(chain, issued.key_pem).chain_pem.decode()
    options = {option: value for option, value in options.items() if value is not None}
    with pytest.raises(CertfleetError, match=told) as caught:
        run(box, **options)
    assert "PRIVATE KEY" not in str(caught.value)
    assert (box.reads, box.writes) == (0, 0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"certificate_content": "c"},
        {"private_key_content": "k"},
        {"certificate_content": "c", "certificate_path": "/c", "private_key_path": "/k"},
        {"certificate_path": "/c", "private_key_path": "/k", "private_key_content": "k"},
        {"state": "provisional"},
    ],
    ids=str,
)
def test_options_that_do_not_go_together(options: dict[str, str]) -> None:
    _params, errors = xgs_tasks.checked(xgs_cert_upload, {"name": "owa", **options})
    assert errors


def test_what_nobody_trusts_is_told(box: Box) -> None:
    (told,) = run(box, **material(authority("(STAGING) Fake Fennel").issue(*NAMES))).warnings
    assert re.match(r"owa-\S+ is of a staging CA, which nobody trusts; .* xgs_letsencrypt_staging ", told)
    assert run(box, **material(authority().issue(*NAMES))).warnings == []


def test_no_secret_in_the_result(box: Box) -> None:
    issued = authority().issue(*NAMES)
    shown = json.dumps(run(box, **material(issued)).as_result(show_diff=True))
    assert "PRIVATE KEY" not in shown
    secret = {"private_key_content", "private_key_passphrase", "password"}
    assert {name for name, option in xgs_cert_upload.ARGUMENTS.spec.items() if option.get("no_log")} == secret


def test_it_is_there_under_any_of_our_names(box: Box) -> None:
    issued = authority().issue(*NAMES)
    box.put("owa-20200101-00000000", issued)
    did, writes = both(box, **material(issued), acme_directory="https://ca.example.com/dir")
    assert (did.changed, writes, did.facts["certificate"]) == (False, 0, "owa-20200101-00000000")


# --- in the place of another -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["owa", "Exchange@2019.test"])
def test_replaced_in_place(box: Box, name: str) -> None:
    old, new = authority().issue(*NAMES, age=1), authority().issue(*NAMES)
    box.put(name, old)
    did, writes = both(box, **material(new), replace=name)
    assert (did.changed, writes, did.facts["certificate"]) == (True, 2, name)
    assert did.before["certificate"]["fingerprint"] == old.fingerprint
    assert box.state["certificates"][name] == did.after["certificate"]["fingerprint"] == new.fingerprint
    assert set(box.state["certificates"]) == {name, "ApplianceCertificate"}
    again, writes = both(box, **material(new), replace=name)
    assert (again.changed, writes) == (False, 0)


def test_the_consoles_own_certificate_replaced(box: Box, tmp_path: Path) -> None:
    """Which this task still trusts afterwards, although its server cuts the connections."""
    (tmp_path / "ca.pem").write_text(authority().root_pem)
    trust = {"ca_path": str(tmp_path / "ca.pem"), "fingerprint": box.fingerprint, "tls_server_name": NAMES[0]}
    box.put("owa", authority().issue(*NAMES, age=1))
    box.settings(webadmin_drop=True)
    xgs_tasks.run(xgs_cert_bind, box, certificate="owa", consumers=["webadmin"], **trust)
    new = authority().issue(*NAMES)
    assert run(box, **material(new), replace="owa", **trust).changed
    assert box.state["certificates"]["owa"] == new.fingerprint
    with pytest.raises(CertfleetError, match="would not be trusted from here, because it is not issued for"):
        run(box, **material(authority().issue("other.example.com")), replace="owa", **trust)


def test_nothing_to_replace(box: Box) -> None:
    with pytest.raises(CertfleetError, match=r"no certificate 'owa' to replace\. Leave replace out"):
        run(box, **material(authority().issue(*NAMES)), replace="owa")
    assert box.writes == 0


@pytest.mark.parametrize("version", sorted(PERSONAS))
def test_a_firewall_may_refuse_to_replace_what_a_rule_uses(version: str) -> None:
    rule = {"name": "OWA", "domains": list(NAMES), "listen_port": WAF_PORT}
    with special(firmware=version, waf_rules=[rule]) as box:
        old, new = authority().issue(*NAMES, age=1), authority().issue(*NAMES)
        box.put("owa", old)
        xgs_tasks.run(xgs_cert_bind, box, certificate="owa", consumers=["waf:OWA"])
        code = PERSONAS[version].update_in_use
        with pytest.raises(XgsApiError, match=f"status {code}.*waf:OWA uses owa: leave replace out"):
            run(box, **material(new), replace="owa")
        assert box.shown(WAF_PORT, NAMES[0]).fingerprint == old.fingerprint
        box.settings(allow_update_in_use=True)
        run(box, **material(new), replace="owa")
        assert box.shown(WAF_PORT, NAMES[0]).fingerprint == new.fingerprint


def test_a_replacement_that_its_users_cannot_take_is_refused(box: Box) -> None:
    box.put("owa", authority().issue(*NAMES))
    xgs_tasks.run(xgs_cert_bind, box, certificate="owa", consumers=["waf:OWA"])
    writes = box.writes
    for check_mode in (True, False):
        with pytest.raises(CertfleetError, match=r"waf:OWA answers for mail\.example\.com"):
            run(box, check_mode, **material(authority().issue(NAMES[0])), replace="owa")
    assert box.writes == writes


# --- removal ---------------------------------------------------------------------------------------------------------


def test_who_keeps_it_is_told(box: Box) -> None:
    """Every kind of consumer."""
    did = run(box, **material(authority().issue(*NAMES)))
    name = did.facts["certificate"]
    for entity in SPECIMENS:
        box.ask(f"<Set>{specimen(entity, name)}</Set>")
    users = ["webadmin", "waf:Specimen rule", "sslvpn", "smtp", "popimap", "hotspot", "remoteaccess", "ipsec:Branch"]
    users.append("l2tp:Roadwarriors_L2TP")
    for check_mode in (True, False):
        with pytest.raises(
            CertfleetError, match=f"{name} is used by {', '.join(users)}. Point them at another"
        ) as told:
            run(box, check_mode, state="absent", validate_certs=False)
        assert told.value.stage == "prune"
    kept, _writes = both(box, state="absent", keep=0, validate_certs=False)
    assert (kept.changed, kept.facts["in_use"]) == (False, {name: users})
    assert name in box.state["certificates"]


def test_who_is_not_seen_keeps_it_as_well(box: Box) -> None:
    """An account that may not read VPN settings: the firewall itself refuses (504)."""
    account = {"default": "Read-Write", "VPN/OtherVPNConfigurations": "None"}
    accounts = [{"username": "some", "password": "x", "profile": account}]
    with special(accounts=accounts, objects=[specimen("L2TPConnection")]) as firewall:
        name = run(firewall, **material(authority().issue(*NAMES))).facts["certificate"]
        firewall.ask(f'<Set operation="update">{specimen("L2TPConnection", name)}</Set>')
        login = {"username": "some", "password": "x"}
        with pytest.raises(CertfleetError, match=r"is used by something else \(SSL VPN, .*L2TP connection may not be"):
            run(firewall, state="absent", **login)
        kept = run(firewall, state="absent", keep=0, **login)
        assert (kept.changed, kept.facts["removed"], list(kept.facts["in_use"])) == (False, [], [name])
        assert name in firewall.state["certificates"]


def test_what_somebody_else_removed_first_is_gone(box: Box) -> None:
    name = run(box, **material(authority().issue(*NAMES))).facts["certificate"]
    box.faults({"kind": "reset_after", "operation": "remove", "entity": "Certificate"})
    did = run(box, state="absent")
    assert (did.changed, did.facts["removed"]) == (True, [name])
    assert name not in box.state["certificates"]


def test_a_removal_that_was_a_lie(box: Box) -> None:
    name = run(box, **material(authority().issue(*NAMES))).facts["certificate"]
    box.faults({"kind": "lie", "operation": "remove", "entity": "Certificate"})
    with pytest.raises(XgsError, match=f"accepted the removal of {name}, but still holds it"):
        run(box, state="absent")


def test_nothing_old_is_one_read(box: Box) -> None:
    run(box, **material(authority().issue(*NAMES)))
    reads = box.reads
    assert not run(box, state="absent", keep=1).changed
    assert box.reads == reads + 1


# --- provisional -----------------------------------------------------------------------------------------------------


def provisional(box: Box, check_mode: bool = False, **options: Any) -> Any:
    return run(box, check_mode, **{"state": "provisional", "domains": list(NAMES), **options})


def test_provisional_until_the_first_real_one(box: Box) -> None:
    assert provisional(box, check_mode=True).changed
    did = provisional(box)
    first = did.facts["certificate"]
    assert (did.changed, did.facts["self_signed"], box.writes) == (True, True, 1)
    assert "PRIVATE KEY" not in json.dumps(did.as_result(show_diff=True))
    for check_mode in (True, False):
        again = provisional(box, check_mode, domains=["other.example.com"])
        assert (again.changed, again.facts) == (False, did.facts)
    xgs_tasks.run(xgs_cert_bind, box, certificate=first, consumers=["waf:OWA"])
    shown = box.shown(WAF_PORT, NAMES[1])
    assert (shown.names, shown.trusted) == (list(NAMES), False)

    # A CA dates back, so this one began before the other was made.
    issued = authority().issue(*NAMES, age=1)
    real = run(box, **material(issued)).facts["certificate"]
    (bound,) = xgs_tasks.run(xgs_cert_bind, box, certificate=real).facts["consumers"]
    assert (bound["consumer"], bound["previous"], bound["verified"]) == ("waf:OWA", first, True)
    assert [one.name for one in versions("owa", read_certificates(box.firewall()))] == [real, first]
    pruned = run(box, state="absent", keep=3)
    assert pruned.facts["removed"] == [first], "it does not count as one of those to keep"
    assert box.shown(WAF_PORT, NAMES[1]).fingerprint == issued.fingerprint
    assert not provisional(box).changed


def test_an_expired_one_is_no_help(box: Box) -> None:
    expired = authority().issue(*NAMES, age=100, days=90)
    box.put("owa-20200101-00000000", expired)
    did = provisional(box, key_type="ec256")
    assert did.changed
    assert did.facts["not_after"] > f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}"


@pytest.mark.parametrize(
    ("domains", "names"), [(["Bücher.example.com"], ["xn--bcher-kva.example.com"]), (["n" * 60 + ".example.com"], None)]
)
def test_provisional_names(box: Box, domains: list[str], names: list[str] | None) -> None:
    provisional(box, domains=domains)
    (stored,) = versions("owa", read_certificates(box.firewall()))
    assert stored.facts is not None
    assert list(stored.facts.names) == (names or domains)


def test_an_administrators_own_self_signed_one_is_left(box: Box) -> None:
    box.put("owa", self_signed(*NAMES))
    assert not provisional(box).changed
    run(box, **material(authority().issue(*NAMES)))
    assert run(box, state="absent", keep=1).facts["removed"] == []
