# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates on the firewall: read without keys, uploaded once, pruned with care."""

from __future__ import annotations

import dataclasses
import io
import pickle
import posixpath
import tarfile

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.archive import certificate_files
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.certificates import (
    StoredCertificate,
    base_name,
    check_name,
    origin_of,
    read_certificates,
    version_name,
    versions,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.change import Change
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.errors import XgsConnectionError, XgsError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.pruning import plan_prune
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.uploads import (
    Material,
    check_uploaded,
    plan_upload,
)
from hypothesis import given
from hypothesis import strategies as st

from unit.plugins.module_utils._xgs.firewalls import Box, Issued, authority

NAMES = ("owa.example.com", "mail.example.com")


def stored(name: str, issued: Issued | None = None) -> StoredCertificate:
    return StoredCertificate(name, issued.chain if issued else [], has_key=True)


def material(issued: Issued) -> Material:
    return Material(issued.chain, issued.key_pem)


def upload(box: Box, issued: Issued, origin: str = "") -> str:
    """Plan and upload, as the module does; returns the object's name."""
    firewall = box.firewall()
    version, change = plan_upload(firewall, "owa", material(issued), read_certificates(firewall), origin)
    change.apply(firewall)
    return version


# --- archives --------------------------------------------------------------------------------------------------------


def archive(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


FILES = archive(("./Files/a.pem", b"A"), ("./Files/a.key", b"KEY"), ("./Entities.xml", b"<Response/>"))


def files(body: bytes) -> list[tuple[str, bytes | None]]:
    return [(posixpath.basename(name), content) for name, content in certificate_files(body)]


def test_files_without_keys() -> None:
    assert files(FILES) == [("a.pem", b"A"), ("a.key", None)]


@pytest.mark.parametrize("longer", [0, 3], ids=["overwritten", "shifted"])
@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_header_costs_no_file(damaged: int, longer: int) -> None:
    """As a name outside ASCII has it."""
    at = damaged * 1024
    body = FILES[:at] + b"\xc3\x83\xc2\xa4" + b"\xc3" * longer + FILES[at + 4 :]
    assert files(body) == [("a.pem", b"A"), ("a.key", None)]


@pytest.mark.parametrize(("at", "bytes_"), [(7, b"\0\0\0"), (124, b"9"), (156, b"5")])
def test_what_may_be_anything_is_no_certificate(at: int, bytes_: bytes) -> None:
    """Path, size or kind are not what they were."""
    body = FILES[:1024] + FILES[1024 : 1024 + at] + bytes_ + FILES[1024 + at + len(bytes_) :]
    assert files(body) == [("a.pem", b"A")]


@given(st.binary(max_size=600), st.integers(0, len(FILES)), st.booleans())
def test_no_archive_is_too_broken(noise: bytes, at: int, cut: bool) -> None:
    for _name, content in certificate_files(FILES[:at] + noise + (b"" if cut else FILES[at + len(noise) :])):
        assert content is None or b"KEY" not in content or b"KEY" in noise


def test_keys_are_never_read(box: Box) -> None:
    box.put("ec", authority().issue("a.example.com"))
    box.put("rsa", authority().issue("b.example.com", key_type="rsa"))
    firewall = box.firewall()
    body = firewall.fetch("Certificate").body
    assert body.count(b"PRIVATE KEY-----") >= 4, "the archive does hold keys"
    found = read_certificates(firewall)
    assert {certificate.name for certificate in found if certificate.has_key} >= {"ec", "rsa"}
    shown = [certificate.as_dict() for certificate in found], [content for _name, content in certificate_files(body)]
    assert b"PRIVATE KEY" not in pickle.dumps(shown)
    assert "PRIVATE KEY" not in repr(found)


def test_an_archive_with_a_damaged_header(box: Box) -> None:
    box.put("owa", authority().issue(*NAMES))
    box.settings(broken_tar=True)
    found = {certificate.name: certificate for certificate in read_certificates(box.firewall())}
    assert set(found) == {"owa", "ApplianceCertificate"}
    assert found["ApplianceCertificate"].as_dict()["fingerprint"] == box.fingerprint, "its file came first"


def test_an_empty_archive_is_an_error(box: Box) -> None:
    box.settings(empty_tar=True)
    with pytest.raises(XgsConnectionError, match="answer to 'read Certificate' is empty"):
        read_certificates(box.firewall())


def test_names_that_are_not_ascii(box: Box) -> None:
    box.put("Buero", authority().issue("a.example.com"))
    box.emulator.put_certificate(box.name, "B%C3%BCro", authority().issue("b.example.com").chain_pem.decode())
    ours = authority().issue(*NAMES)
    box.put("owa", ours)
    (found,) = versions("owa", read_certificates(box.firewall()))
    assert found.as_dict()["fingerprint"] == ours.fingerprint


@pytest.mark.parametrize("tar_names", ["object", "uploaded"])
def test_files_may_bear_either_name(box: Box, tar_names: str) -> None:
    box.settings(tar_names=tar_names)
    issued = authority().issue(*NAMES)
    version = upload(box, issued)
    (found,) = read_certificates(box.firewall(), version)
    assert (found.facts.fingerprint, found.has_key, len(found.chain)) == (issued.fingerprint, True, 2)


def test_two_uploads_under_one_file_name(box: Box) -> None:
    """With tar_names=uploaded only the folder tells them apart."""
    box.settings(tar_names="uploaded")
    both = {"a": authority().issue("a.example.com"), "b": authority().issue("b.example.com")}
    one_file_name = {".pem": "fullchain.pem", ".key": "privkey.key"}
    firewall = box.firewall()
    for name, issued in both.items():
        _version, change = plan_upload(firewall, name, material(issued), [])
        write = change.writes[-1]
        files = tuple(dataclasses.replace(file, name=one_file_name[file.name[-4:]]) for file in write.files)
        write.entity.find("Name").text = name
        write.entity.find("CertificateFile").text, write.entity.find("PrivateKeyFile").text = one_file_name.values()
        Change({}, {}, (*change.writes[:-1], dataclasses.replace(write, files=files))).apply(firewall)
    found = {one.name: one.facts.fingerprint for one in read_certificates(firewall) if one.name in both}
    assert found == {name: issued.fingerprint for name, issued in both.items()}


def test_a_foreign_certificate_that_nobody_understands_hides_nothing(box: Box) -> None:
    box.put("odd", authority().issue("odd.example.com", san=b"\x01\x02"))
    issued = authority().issue(*NAMES)
    version = upload(box, issued)
    assert box.state["certificates"][version] == issued.fingerprint
    assert [one.name for one in versions("owa", read_certificates(box.firewall()))] == [version]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "OWA", "www.example.org", "a_b-c.d", "x" * 32])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "x" * 33, "a b", "ä", "a@b", "a/b", "../a", "a\n", ".", ".."])
def test_bad_names(name: str) -> None:
    """The name is that of a directory below the store, too."""
    with pytest.raises(CertfleetError, match="cannot name a certificate") as caught:
        check_name(name)
    assert caught.value.stage == "plan"


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,32}", fullmatch=True))
def test_a_version_leads_back_to_its_name(name: str) -> None:
    issued = authority().issue("a.example.com")
    version = version_name(name, stored("x", issued).facts)
    assert len(version) <= 50
    assert base_name(version) == name


@pytest.mark.parametrize(
    ("version", "base"),
    [
        ("owa-20270219-1a2b3c4d", "owa"),
        ("owa", "owa"),
        ("owa-2027", "owa-2027"),
        ("owa-20270219-1A2B3C4D", "owa-20270219-1A2B3C4D"),
        ("owa-20270219-1a2b3c4d-x", "owa-20270219-1a2b3c4d-x"),
    ],
)
def test_base_names(version: str, base: str) -> None:
    assert base_name(version) == base


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,32}", fullmatch=True), st.sampled_from([None, "", "classic", "shortlived"]))
def test_a_version_tells_its_origin(name: str, profile: str | None) -> None:
    issued, origin = authority().issue("a.example.com"), origin_of("https://ca.example.com/dir", profile)
    version = version_name(name, stored("x", issued).facts, origin)
    assert len(version) <= 50
    assert base_name(version) == name
    assert stored(version, issued).origin in (origin, None)


def test_origins_differ() -> None:
    places = ["https://ca.example.com/dir", "https://ca.example.com/directory", "https://ca.example.com:8443/dir"]
    origins = {origin_of(place, profile) for place in places for profile in (None, "classic", "shortlived")}
    assert len(origins) == 9
    assert origin_of(places[0], None) == origin_of(places[0], "")


@pytest.mark.parametrize("name", ["owa", "owa-20270101-01234567", "owa-20270101-{}", "owa-20270101-{}-x"])
def test_a_name_that_is_not_ours_tells_no_origin(name: str) -> None:
    """Such as those from before, and an administrator's own."""
    issued = authority().issue("a.example.com")
    assert stored(name.format(issued.fingerprint[:8]), issued).origin is None


def test_versions_are_the_readable_ones_newest_first() -> None:
    new, old = authority().issue("a.example.com"), authority().issue("a.example.com", age=30)
    newest, oldest = (version_name("a", stored("x", issued).facts) for issued in (new, old))
    there = [
        stored("a", authority().issue("a.example.com", age=60)),
        stored(newest, new),
        stored("ab", new),
        stored("a-20270101-00000000"),
        stored(oldest, old),
    ]
    assert [certificate.name for certificate in versions("a", there)] == [newest, oldest, "a"]


# --- upload ----------------------------------------------------------------------------------------------------------


def test_upload_brings_certificate_key_and_intermediate(box: Box) -> None:
    issued = authority().issue(*NAMES)
    authorities = box.names("CertificateAuthority")
    version = upload(box, issued)
    assert version.startswith("owa-20")
    assert version.endswith(issued.fingerprint[:8])
    assert box.state["certificates"][version] == issued.fingerprint
    assert len(box.names("CertificateAuthority")) == len(authorities) + 1
    check_uploaded(box.firewall(), version, issued.fingerprint)


def test_the_intermediate_is_uploaded_once(box: Box) -> None:
    upload(box, authority().issue(*NAMES))
    upload(box, authority().issue(*NAMES))
    assert box.statuses("add", "CertificateAuthority") == ["200"]
    assert box.statuses("add", "Certificate") == ["200", "200"]


@pytest.mark.parametrize("name", ["owa", "owa-20200101-00000000"])
def test_the_same_certificate_is_not_uploaded_again(box: Box, name: str) -> None:
    issued = authority().issue(*NAMES)
    box.put(name, issued)
    assert upload(box, issued) == name
    assert box.writes == 0


def test_the_same_certificate_of_another_origin_is_not_uploaded_again(box: Box) -> None:
    issued = authority().issue(*NAMES)
    version = upload(box, issued, origin_of("https://ca.example.com/dir", None))
    box.emulator.reset(box.name)
    assert upload(box, issued, origin_of("https://other.example.com/dir", None)) == version
    assert upload(box, issued) == version
    assert box.writes == 0


def test_somebody_elses_upload_of_it_does_not_count(box: Box) -> None:
    issued = authority().issue(*NAMES)
    box.put("other", issued)
    assert upload(box, issued) in box.state["certificates"]


def test_an_authority_that_came_in_between(box: Box) -> None:
    first, second = authority().issue(*NAMES), authority().issue(*NAMES)
    version, change = plan_upload(box.firewall(), "owa", material(second), [])
    assert change.after["authorities"]
    upload(box, first)
    change.apply(box.firewall())
    assert box.statuses("add", "CertificateAuthority")[1] in ("502", "503")
    assert box.state["certificates"][version] == second.fingerprint


def test_the_plan_shows_no_key(box: Box) -> None:
    issued = authority().issue(*NAMES)
    _version, change = plan_upload(box.firewall(), "owa", material(issued), [])
    assert "PRIVATE KEY" not in repr(change) + repr(material(issued))


def test_a_lie_is_found_out(box: Box) -> None:
    issued = authority().issue(*NAMES)
    box.faults({"kind": "lie", "operation": "add", "entity": "Certificate"})
    version = upload(box, issued)
    with pytest.raises(XgsError, match=f"accepted {version}, but holds no such certificate"):
        check_uploaded(box.firewall(), version, issued.fingerprint)


def test_another_certificate_under_the_name_is_found_out(box: Box) -> None:
    box.put("owa", authority().issue(*NAMES))
    with pytest.raises(XgsError, match="holds no such certificate"):
        check_uploaded(box.firewall(), "owa", "ab" * 32)


def test_what_cannot_be_read_back_is_left_to_the_handshake(box: Box) -> None:
    issued = authority().issue(*NAMES)
    version = upload(box, issued)
    box.settings(broken_tar=True)
    check_uploaded(box.firewall(), version, issued.fingerprint)


# --- prune -----------------------------------------------------------------------------------------------------------


def test_prune_keeps_what_matters(box: Box) -> None:
    by_age = {}
    for age in range(5):
        issued = authority().issue(*NAMES, age=age * 10)
        by_age[age] = version_name("owa", stored("x", issued).facts)
        box.put(by_age[age], issued)
    box.put("owa", authority().issue(*NAMES, age=60))
    box.put("other-20200101-00000000", authority().issue(*NAMES, age=60))
    firewall = box.firewall()
    change = plan_prune("owa", 2, versions("owa", read_certificates(firewall)), {by_age[3]})
    change.apply(firewall)
    left = {"ApplianceCertificate", "owa", "other-20200101-00000000", by_age[0], by_age[1], by_age[3]}
    assert set(box.state["certificates"]) == left
    assert change.after == {"certificates": [by_age[3]]}
