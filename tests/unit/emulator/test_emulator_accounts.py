# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who an administrator is and what his profile lets him do can be read, if the profile lets him."""

from __future__ import annotations

import pytest
from sophosfirewall_python.firewallapi import SophosFirewall

ME = '<Get><User><Filter><key name="Username" criteria="=">{}</key></Filter></User><AdministrationProfile/></Get>'


def test_an_account_reads_its_own_profile_in_one_request(box):
    answer = box.ask(ME.format("no-waf"), username="no-waf", password="x")
    (user,) = answer.findall("User")
    assert (user.findtext("Username"), user.findtext("UserType")) == ("no-waf", "Administrator")
    (mine,) = [
        one for one in answer.findall("AdministrationProfile") if one.findtext("Name") == user.findtext("Profile")
    ]
    assert mine.findtext("WAF/OtherWAFConfiguration") == "Read-Only"
    assert {one.text for one in mine.iter() if not len(one) and one.tag not in ("Name", "OtherWAFConfiguration")} == {
        "Read-Write"
    }
    assert len([one for one in mine.iter() if not len(one)]) == 51, "a name and fifty switches"


def test_the_administrator_may_everything(box):
    answer = box.ask(ME.format("admin"))
    assert answer.findtext("User/Profile") == "Administrator"
    names = [one.findtext("Name") for one in answer.findall("AdministrationProfile")]
    assert names == ["Administrator", "reader profile", "no-waf profile"]


def test_who_may_not_read_them_is_refused_one_by_one(configured):
    accounts = [
        {"username": f"blind{number}", "password": "x", "profile": {"default": "Read-Only", right: "None"}}
        for number, right in enumerate(("System/Profile", "Identity/Authentication"))
    ]
    box = configured(accounts=accounts)
    for number, refused in enumerate(("AdministrationProfile", "User")):
        answer = box.ask(ME.format("admin"), username=f"blind{number}", password="x")
        codes = {one.tag: one.find("Status").get("code") for one in answer if one.find("Status[@code]") is not None}
        assert codes == {refused: "599"}


@pytest.mark.parametrize("entity", ["User", "AdministrationProfile"])
def test_they_are_not_changed_here(box, entity):
    key = "Username" if entity == "User" else "Name"
    assert box.code(f"<Set><{entity}><{key}>new</{key}></{entity}></Set>") == "500"
    assert box.code(f"<Remove><{entity}><{key}>admin</{key}></{entity}></Remove>") in ("500", "504")


def test_the_vendors_sdk_reads_them(box):
    sdk = SophosFirewall(username="admin", password="secret", hostname=box.address, port=4444, verify=False)
    assert sdk.get_admin_profile(name="no-waf profile")["Response"]["AdministrationProfile"]["Firewall"] == "Read-Write"
    assert sdk.get_user(username="no-waf")["Response"]["User"]["Profile"] == "no-waf profile"
