# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is due, judged against a firewall."""

from __future__ import annotations

import dataclasses
import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.advice import Advice
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._clock import Clock
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._due import (
    BIND,
    NOTHING,
    PRUNE,
    RENEW,
    Rules,
    Verdict,
    Wanted,
    judge,
    wanted_certificates,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.certificates import origin_of, version_name

from emulator.specimens import specimen
from unit.plugins.module_utils._xgs.firewalls import DAY, Box, Issued, authority, self_signed

NAMES = ("owa.example.com", "mail.example.com")
WANTED = Wanted("owa", NAMES, ("waf:OWA",), "ec256")
PRODUCTION = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
VERSION = "owa-20270101-01234567"


class Ca:
    """Answers for renewal information alone. window: days from now, from and to."""

    def __init__(self, window: tuple[float, float] | None = None) -> None:
        self.window = window
        self.clock = Clock()
        self.directory = {"renewalInfo": "https://ca.example.com/ari"} if window else {}
        self.asked: list[str] = []

    def get(self, url: str) -> Any:
        self.asked.append(url)
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = (f"{now + days * DAY:%Y-%m-%dT%H:%M:%SZ}" for days in self.window or ())
        return SimpleNamespace(json={"suggestedWindow": {"start": start, "end": end}}, retry_after=None)


def verdict(box: Box, wanted: Wanted = WANTED, ca: Ca | None = None, **rules: Any) -> Verdict:
    found_by = Rules(**{"directory_url": PRODUCTION, "period": DAY, **rules})
    (found,) = judge(box.firewall(), [wanted], Advice(ca or Ca(), found_by.directory_url), found_by)  # type: ignore[arg-type]
    return found


def use(box: Box, certificate: str) -> None:
    """The rule OWA uses it."""
    box.ask(
        f"""<Set operation="update"><FirewallRule><Name>OWA</Name><PolicyType>HTTPBased</PolicyType><HTTPBasedPolicy>
        <HostedAddress>#Port2</HostedAddress><HTTPS>Enable</HTTPS><ListenPort>8443</ListenPort>
        <Domains><Domain>OWA.example.com</Domain></Domains><Certificate>{certificate}</Certificate></HTTPBasedPolicy>
        </FirewallRule></Set>"""
    )
    assert box.bound("FirewallRule") == [certificate]
    box.emulator.reset(box.name)


def have(box: Box, issued: Issued, name: str = VERSION) -> None:
    box.put(name, issued)
    use(box, name)


def test_what_is_missing(box: Box) -> None:
    found = verdict(box)
    assert (found.action, found.reason) == (RENEW, "the firewall does not have it yet")
    assert found.consumers == ("waf:OWA",)
    facts = found.as_dict(datetime.datetime.now(datetime.timezone.utc))
    assert (facts["current"], facts["days_left"], facts["replaces"]) == (None, None, None)


def test_what_is_not_due_costs_one_read(box: Box) -> None:
    have(box, authority().issue(*NAMES, age=10))
    found = verdict(box)
    assert (found.action, found.current.name) == (NOTHING, VERSION), found.reason
    assert (box.reads, box.writes) == (1, 0)
    facts = found.as_dict(datetime.datetime.now(datetime.timezone.utc))
    assert (facts["days_left"], facts["lifetime_days"], facts["consumers"]) == (80.0, 90.0, ["waf:OWA"])
    assert facts["replaces"].count(".") == 1


def test_all_rules_that_the_names_cover(box: Box) -> None:
    rule = specimen("FirewallRule")
    have(box, authority().issue(*NAMES))
    box.add(rule)
    every = dataclasses.replace(WANTED, consumers=("waf",))
    found = verdict(box, every)
    assert (found.action, found.consumers) == (NOTHING, ("waf:OWA",))
    box.add(
        rule.replace("Specimen rule", "New")
        .replace("*.specimen.example.com", NAMES[1])
        .replace("<Domain>specimen.example.com</Domain>", "")
        .replace("8443", "9443")
    )
    found = verdict(box, every)
    assert (found.action, found.reason) == (BIND, "waf:New does not use it yet")
    assert found.consumers == ("waf:OWA", "waf:New")


@pytest.mark.parametrize(
    ("issued", "rules", "reason"),
    [
        ({"age": 61}, {}, "less than a third of its lifetime is left"),
        ({"age": 100}, {}, "expired on"),
        ({"names": ("owa.example.com",)}, {}, "its names are owa.example.com"),
        ({"names": (*NAMES, "old.example.com")}, {}, "its names are owa.example.com, mail.example.com, old."),
        ({"key_type": "rsa"}, {}, "its key is rsa2048, not ec256"),
        ({"ca": "(STAGING) Fake Fennel"}, {}, "issued by a staging CA"),
        ({}, {"force": True}, "forced"),
    ],
    ids=str,
)
def test_what_is_due(box: Box, issued: dict[str, Any], rules: dict[str, Any], reason: str) -> None:
    options = {"age": 10, **issued}
    names, ca = options.pop("names", NAMES), options.pop("ca", "Lab Issuing CA")
    have(box, authority(ca).issue(*names, **options))
    found = verdict(box, **rules)
    assert (found.action, found.consumers) == (RENEW, ("waf:OWA",))
    assert found.reason.find(reason) >= 0, found.reason


def test_a_lost_key(box: Box) -> None:
    box.emulator.put_certificate(box.name, VERSION, authority().issue(*NAMES, age=10).chain_pem.decode())
    use(box, VERSION)
    assert (verdict(box).action, verdict(box).reason) == (RENEW, "the firewall does not have its private key")


def test_a_staging_certificate_at_the_staging_ca(box: Box) -> None:
    have(box, authority("(STAGING) Fake Fennel").issue(*NAMES, age=10))
    found = verdict(box, directory_url=STAGING)
    assert found.action == NOTHING
    assert found.as_dict(datetime.datetime.now(datetime.timezone.utc))["staging"] is True
    assert found.reason.endswith("; it is of a staging CA, which nobody trusts")
    (told,) = found.remarks
    assert told.startswith("owa is of a staging CA, which nobody trusts; ")
    assert "take xgs_letsencrypt_staging out" in told
    assert verdict(box).remarks == (), "it is renewed"


def tagged(issued: Issued, directory_url: str = PRODUCTION, profile: str | None = None) -> str:
    return version_name("owa", _x509.facts(issued.chain[0]), origin_of(directory_url, profile))


SHORT = Wanted("owa", NAMES, ("waf:OWA",), "ec256", "shortlived")
ELSEWHERE = "https://acme.example.com/directory"
DIFFERS = "it was issued by another CA, or for another profile, than is asked for now"


@pytest.mark.parametrize(
    ("origin", "wanted", "asked"),
    [
        ((ELSEWHERE, None), WANTED, PRODUCTION),
        ((PRODUCTION, "shortlived"), WANTED, PRODUCTION),
        ((PRODUCTION, None), SHORT, PRODUCTION),
        ((PRODUCTION, "shortlived"), SHORT, ELSEWHERE),
    ],
    ids=["CA", "a profile", "no profile", "the CA of a profile"],
)
@pytest.mark.parametrize("force", [False, True])
def test_f12_another_ca_or_profile(
    box: Box, origin: tuple[str, str | None], wanted: Wanted, asked: str, force: bool
) -> None:
    """Due once; and what is of another CA, this one is neither asked about nor told of."""
    issued, ca = authority().issue(*NAMES, age=10), Ca((20, 25))
    have(box, issued, tagged(issued, *origin))
    found = verdict(box, wanted, ca, directory_url=asked, force=force)
    assert (found.action, found.reason) == (RENEW, "forced" if force else DIFFERS)
    assert found.as_dict(datetime.datetime.now(datetime.timezone.utc))["replaces"] is None
    assert ca.asked == []

    renewed = authority().issue(*NAMES, age=9)
    have(box, renewed, tagged(renewed, asked, wanted.profile))
    again = verdict(box, wanted, ca, directory_url=asked)
    assert (again.action, again.current.name) == (NOTHING, tagged(renewed, asked, wanted.profile))
    assert again.as_dict(datetime.datetime.now(datetime.timezone.utc))["replaces"]
    assert len(ca.asked) == 1


def test_f12_a_staging_certificate_or_a_self_signed_one(box: Box) -> None:
    ca = Ca((20, 25))
    for issued, reason in (
        (
            authority("(STAGING) Fake Fennel").issue(*NAMES, age=10),
            "it was issued by a staging CA, which nobody trusts",
        ),
        (self_signed(*NAMES), "it is self-signed"),
    ):
        have(box, issued, "owa")
        found = verdict(box, ca=ca)
        assert (found.action, found.reason) == (RENEW, reason)
        assert found.as_dict(datetime.datetime.now(datetime.timezone.utc))["replaces"] is None
    assert ca.asked == []


@pytest.mark.parametrize("age", [10, 85], ids=["sound", "due"])
def test_a_trial_takes_no_real_ones_place(box: Box, age: int) -> None:
    """Not even that of one which an earlier trial is newer than; unless that is said."""
    real, trial = authority().issue(*NAMES, age=age), authority("(STAGING) Fake Fennel").issue(*NAMES, age=5)
    have(box, real, tagged(real))
    for other in (False, True):
        if other:
            box.put(tagged(trial, STAGING), trial)
        with pytest.raises(CertfleetError, match=r"no trial.*Take xgs_letsencrypt_staging out") as caught:
            verdict(box, directory_url=STAGING)
        assert (caught.value.stage, caught.value.certificate) == ("plan", "owa")
    assert verdict(box, directory_url=STAGING, force=True).action == RENEW


@pytest.mark.parametrize("name", [VERSION, "owa"])
def test_an_unknown_origin_is_taken_for_the_right_one(box: Box, name: str) -> None:
    """What was there before, or was uploaded by hand, is not ordered anew all at once."""
    have(box, authority().issue(*NAMES, age=10), name)
    assert verdict(box, SHORT, directory_url=ELSEWHERE).action == NOTHING


def test_a_ca_that_dates_back(box: Box) -> None:
    """After a change of the CA, the new one's certificate may look older than the old one's."""
    old, new = authority().issue(*NAMES, age=10), authority().issue(*NAMES, age=10.02)
    box.put(tagged(old, ELSEWHERE), old)
    have(box, new, tagged(new))
    found = verdict(box)
    assert (found.action, found.current.name) == (NOTHING, tagged(new))


def test_the_order_of_the_names_does_not_matter(box: Box) -> None:
    have(box, authority().issue(*reversed(NAMES), age=10))
    assert verdict(box).action == NOTHING


@pytest.mark.parametrize(("window", "action"), [((-2, -1), RENEW), ((-1, 0.5), RENEW), ((20, 25), NOTHING)])
def test_the_ca_decides(box: Box, window: tuple[float, float], action: str) -> None:
    have(box, authority().issue(*NAMES, age=10))
    ca = Ca(window)
    found = verdict(box, ca=ca)
    assert found.action == action
    assert "renewal window" in found.reason or "early renewal" in found.reason
    assert len(ca.asked) == 1


def test_the_ca_is_asked_only_where_it_matters(box: Box) -> None:
    ca = Ca((20, 25))
    assert verdict(box, ca=ca).action == RENEW
    have(box, authority().issue("other.example.com", "owa.example.com"))
    assert verdict(box, ca=ca, force=True).action == RENEW
    assert ca.asked == []


def test_a_run_that_died_before_the_switch(box: Box) -> None:
    box.put(VERSION, authority().issue(*NAMES))
    found = verdict(box)
    assert (found.action, found.reason) == (BIND, "waf:OWA does not use it yet")
    use(box, VERSION)
    assert verdict(box).action == NOTHING


def test_a_run_that_died_after_the_switch(box: Box) -> None:
    old = "owa-20260101-01234567"
    box.put(old, authority().issue(*NAMES, age=40))
    have(box, authority().issue(*NAMES))
    found = verdict(box, keep=1)
    assert (found.action, found.reason) == (PRUNE, f"nobody uses {old} any more")
    assert [verdict(box, keep=keep).action for keep in (2, None)] == [NOTHING, NOTHING]
    box.add(specimen("FirewallRule", old))
    assert verdict(box, keep=1).action == NOTHING, "somebody does"


def test_what_a_run_left_long_ago_stays(box: Box) -> None:
    """Or else what cannot be removed would be tried every night."""
    box.put("owa-20260101-01234567", authority().issue(*NAMES, age=40))
    have(box, authority().issue(*NAMES, age=10))
    assert verdict(box, keep=1).action == NOTHING


def test_an_on_box_tool_that_is_still_at_work(box: Box) -> None:
    """It overwrites the object of the bare name; what was there before ours is not worth a word."""
    box.put("owa", authority().issue(*NAMES, age=20))
    have(box, authority().issue(*NAMES, age=10))
    assert not verdict(box).remarks
    box.put("owa", authority().issue(*NAMES, age=2))
    (remark,) = verdict(box).remarks
    assert f"owa is renewed by something else too: the object of that name is newer than {VERSION}" in remark


def test_an_older_version_that_is_still_used(box: Box) -> None:
    """Found out at any age, and without naming the consumers."""
    have(box, authority().issue(*NAMES, age=40), "owa-20260101-01234567")
    box.put(VERSION, authority().issue(*NAMES, age=10))
    found = verdict(box, Wanted("owa", NAMES, None, "ec256"))
    assert (found.action, found.consumers, found.current.name) == (BIND, ("waf:OWA",), VERSION)


def test_nobody_uses_it(box: Box) -> None:
    box.put(VERSION, authority().issue(*NAMES))
    found = verdict(box, Wanted("owa", NAMES, None, "ec256"))
    assert (found.action, found.consumers) == (NOTHING, ())


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Wanted("owa", NAMES[:1], ("waf:OWA",), "ec256"), "answers for mail.example.com, which the certificate"),
        (Wanted("owa", NAMES, ("waf:OVA",), "ec256"), r"no consumer 'waf:OVA'.*There are: waf:OWA"),
    ],
    ids=["uncovered name", "unknown rule"],
)
def test_mistakes(box: Box, wanted: Wanted, text: str) -> None:
    with pytest.raises(CertfleetError, match=text) as caught:
        verdict(box, wanted)
    assert (caught.value.stage, caught.value.certificate) == ("plan", "owa")
    assert box.writes == 0


def test_several_certificates_cost_one_read_together(box: Box) -> None:
    wanted = [Wanted(name, (f"{name}.example.com",), None, "ec256") for name in ("a", "b", "c")]
    for one in wanted:
        box.put(f"{one.name}-20270101-01234567", authority().issue(*one.domains, age=10))
    found = judge(box.firewall(), wanted, Advice(Ca(), PRODUCTION), Rules(PRODUCTION, DAY))  # type: ignore[arg-type]
    assert [one.action for one in found] == [NOTHING] * 3
    assert box.reads == 1


def test_a_damaged_archive_does_not_order_anew(box: Box) -> None:
    """The header of another certificate's file is damaged; night for night, that would end at the CA's rate limit."""
    have(box, authority().issue(*NAMES, age=10))
    box.settings(broken_tar=True)
    assert verdict(box).action == NOTHING


def test_what_cannot_be_read_is_not_missing(box: Box) -> None:
    have(box, authority().issue(*NAMES, san=b"\x01\x02"))
    with pytest.raises(CertfleetError, match=f"the firewall has {VERSION}, but does not show"):
        verdict(box)


# --- the inventory ---------------------------------------------------------------------------------------------------


def entry(**more: Any) -> dict[str, Any]:
    return {"name": "owa", "domains": ["OWA.example.com."], **more}


def test_the_inventorys_list() -> None:
    first, second = wanted_certificates([entry(), entry(name="b", consumers=["webadmin"], key_type="ec384")])
    assert first == Wanted("owa", ("owa.example.com",), None, "rsa2048")
    assert (second.consumers, second.key_type) == (("webadmin",), "ec384")


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([], "no certificate to keep"),
        ([entry(), entry()], "two certificates have this name"),
        ([entry(name="a b")], "cannot name a certificate"),
        ([entry(domains=["*.example.com"])], "is a wildcard"),
        ([entry(domains=[])], "has no list of names"),
        ([entry(consumers=["wav:OWA"])], "is not a consumer"),
    ],
)
def test_mistakes_in_the_inventory(entries: list[dict[str, Any]], text: str) -> None:
    with pytest.raises(CertfleetError, match=text) as caught:
        wanted_certificates(entries)
    assert caught.value.stage == "plan"
