# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upload, bind and prune in check mode, one after the other, before there is a certificate: as the run will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_cert_bind, xgs_cert_upload

from unit.plugins.module_utils._xgs.firewalls import Box, authority
from unit.plugins.modules import xgs_tasks

NAMES = ("owa.example.com", "mail.example.com")
UNISSUED = "owa-YYYYMMDD-FFFFFFFF"


def files(directory: Path) -> dict[str, str]:
    return {"certificate_path": str(directory / "fullchain.pem"), "private_key_path": str(directory / "privkey.pem")}


def issue(directory: Path, *names: str, age: int = 0) -> None:
    issued = authority().issue(*names, age=age)
    directory.mkdir(exist_ok=True)
    for path, content in zip(files(directory).values(), (issued.chain_pem, issued.key_pem), strict=True):
        Path(path).write_bytes(content)


def renewal(box: Box, directory: Path, check_mode: bool, **binding: Any) -> list[Any]:
    """The three tasks, each told what the ones before returned."""
    upload = xgs_tasks.run(xgs_cert_upload, box, check_mode, name="owa", **files(directory))
    name = upload.facts["certificate"]
    bind = xgs_tasks.run(xgs_cert_bind, box, check_mode, certificate=name, **binding)
    consumers = [each["consumer"] for each in bind.facts["consumers"]]
    foreseen = {"certificate": name, "consumers": consumers}
    prune = xgs_tasks.run(xgs_cert_upload, box, check_mode, name="owa", state="absent", keep=1, foreseen=foreseen)
    return [upload, bind, prune]


@pytest.mark.parametrize(
    "binding", [{"consumers": ["waf:OWA"]}, {"consumers": ["waf"], "domains": list(NAMES)}], ids=str
)
def test_first_issuance_renewal_and_rest(box: Box, tmp_path: Path, binding: dict[str, Any]) -> None:
    removed: list[list[str]] = []
    for number in (2, 1):
        would = renewal(box, tmp_path / str(number), True, **binding)
        issue(tmp_path / str(number), *NAMES, age=number)
        did = renewal(box, tmp_path / str(number), False, **binding)
        assert [each.changed for each in would] == [each.changed for each in did]
        assert would[0].facts["certificate"] == UNISSUED
        assert [each["consumer"] for each in would[1].facts["consumers"]] == ["waf:OWA"]
        assert would[1].before == did[1].before
        assert would[1].after == {"waf:OWA": UNISSUED}
        assert [each.facts["foreseen"] for each in (would[1], did[1])] == [True, False]
        assert would[2].facts == did[2].facts
        removed.append(did[2].facts["removed"])
    assert [len(names) for names in removed] == [0, 1], "the first one goes with the second"
    for check_mode in (True, False):
        assert not any(each.changed for each in renewal(box, tmp_path / "1", check_mode, **binding))


def test_an_older_version_that_something_else_uses_stays(box: Box, tmp_path: Path) -> None:
    issue(tmp_path / "old", *NAMES, age=1)
    old = renewal(box, tmp_path / "old", False, consumers=["waf:OWA", "sslvpn"])[0].facts["certificate"]
    would = renewal(box, tmp_path / "new", True, consumers=["waf:OWA"])[2]
    issue(tmp_path / "new", *NAMES)
    did = renewal(box, tmp_path / "new", False, consumers=["waf:OWA"])[2]
    assert (
        (would.changed, would.facts)
        == (did.changed, did.facts)
        == (False, {"removed": [], "in_use": {old: ["sslvpn"]}})
    )


def test_names_that_do_not_cover_a_rule_are_told_before_they_are_ordered(box: Box) -> None:
    binding = {"certificate": UNISSUED, "consumers": ["waf:OWA"], "domains": [NAMES[0]]}
    with pytest.raises(CertfleetError, match=r"waf:OWA answers for mail\.example\.com"):
        xgs_tasks.run(xgs_cert_bind, box, True, **binding)


def test_which_file_is_missing_is_told_unless_an_order_said_so(box: Box, tmp_path: Path) -> None:
    missing = files(tmp_path)
    would = xgs_tasks.run(xgs_cert_upload, box, True, name="owa", **missing)
    assert would.changed
    assert [warning.partition(" ")[0] for warning in would.warnings] == list(missing.values())
    assert would.after["certificate"]["not there yet"] == list(missing.values())
    known = xgs_tasks.run(xgs_cert_upload, box, True, name="owa", **files(tmp_path / "not-issued-yet"))
    assert (known.changed, known.warnings) == (True, [])


def test_in_the_place_of_another(box: Box, tmp_path: Path) -> None:
    box.put("fixed", authority().issue(*NAMES))
    would = xgs_tasks.run(xgs_cert_upload, box, True, name="owa", replace="fixed", **files(tmp_path))
    assert (would.facts["certificate"], would.before["certificate"]["name"]) == ("fixed", "fixed")
    with pytest.raises(CertfleetError, match="no certificate 'nothing' to replace"):
        xgs_tasks.run(xgs_cert_upload, box, True, name="owa", replace="nothing", **files(tmp_path))
