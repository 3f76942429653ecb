# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upload, Get as an archive, authorities, references."""

from __future__ import annotations

import io
import ssl
import tarfile
import time
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from emulator.specimens import SPECIMENS, specimen

UPLOAD = (
    "<Certificate><Action>{action}</Action><Name>{name}</Name><CertificateFormat>{format}</CertificateFormat>"
    "<CertificateFile>{cert}</CertificateFile><PrivateKeyFile>{key}</PrivateKeyFile>"
    "<Password>{password}</Password></Certificate>"
)


def upload(box, pair, operation="add", files=None, **fields):
    values = {
        "action": "UploadCertificate",
        "name": "a",
        "format": "pem",
        "cert": "c.pem",
        "key": "c.key",
        "password": "",
        **fields,
    }
    sent = {values["cert"]: pair.cert, values["key"]: pair.key} if files is None else files
    return box.code(f'<Set operation="{operation}">{UPLOAD.format(**values)}</Set>', sent)


def encrypted(pair, password=b"topsecret"):
    return pair.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(password)
    )


class TestUpload:
    def test_good(self, box, issue):
        assert upload(box, issue("a.test", kind="rsa")) == "200"
        assert upload(box, issue("a.test")) == "502"

    @pytest.mark.parametrize(
        "fields",
        [
            {"name": "with space"},
            {"name": "a" * 51},
            {"name": "ä"},
            {"action": "GenerateSelfSignedCertificate"},
            {"format": "PEM"},
            {"key": "c.pem2"},
            {"cert": "c.txt"},
            {"password": "abc"},
        ],
    )
    def test_bad_fields(self, box, issue, fields):
        assert upload(box, issue("a.test"), **fields) == "501"
        assert box.state["objects"]["Certificate"] == ["ApplianceCertificate"]

    def test_parts_are_matched_by_file_name(self, box, issue):
        pair = issue("a.test")
        assert upload(box, pair, files={"c.pem": pair.cert, "other.key": pair.key}) == "500"
        assert upload(box, pair, files={"c.key": pair.key, "c.pem": pair.cert}) == "200"

    def test_bad_material(self, box, issue):
        pair, other = issue("a.test"), issue("b.test")
        for files, code in (
            ({"c.pem": pair.cert, "c.key": other.key}, "510"),
            ({"c.pem": pair.cert, "c.key": b"garbage"}, "510"),
            ({"c.pem": b"garbage", "c.key": pair.key}, "541"),
            ({"c.pem": pair.cert, "c.key": encrypted(pair)}, "510"),
        ):
            assert upload(box, pair, files=files) == code

    def test_encrypted_key_with_password(self, box, issue):
        pair = issue("a.test")
        files = {"c.pem": pair.cert, "c.key": encrypted(pair)}
        assert upload(box, pair, files=files, password="wrong1") == "510"
        assert upload(box, pair, files=files, password="topsecret") == "200"

    @pytest.mark.parametrize("kind", ["rsa", "ec"])
    def test_kinds_of_key_files(self, box, issue, kind):
        pair, lock = issue("a.test", kind=kind), serialization.BestAvailableEncryption(b"topsecret")
        openssl, pkcs8 = serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8
        forms = [(form, locked) for form in (openssl, pkcs8) for locked in (False, True)]
        for number, (form, locked) in enumerate(forms):
            key = pair.private.private_bytes(
                serialization.Encoding.PEM, form, lock if locked else serialization.NoEncryption()
            )
            files, name = {"c.pem": pair.cert, "c.key": key}, f"key{number}"
            if locked:
                assert upload(box, pair, files=files, name=name) == "510"
                assert upload(box, pair, files=files, name=name, password="notsecret") == "510"
            assert upload(box, pair, files=files, name=name, password="topsecret" if locked else "") == "200"
        keys = {content for path, content in box.archive("Certificate") if path.endswith(".key") and "/key" in path}
        # All are stored alike.
        assert len(keys) == 1
        assert b"ENCRYPTED" not in keys.pop()

    @pytest.mark.parametrize("name", ["with space", "Größe & \"A\" 'B' <C>", "ü" * 50])
    def test_free_names(self, box, issue, name):
        pair = issue("a.test")
        assert upload(box, pair, name=escape(name)) == "501"
        box.settings(certificate_names="free")
        assert upload(box, pair, name=escape(name)) == "200"
        assert upload(box, pair, name=escape(name)) == "502"
        assert upload(box, pair, name="x" * 51) == "501"
        where = f'<Filter><key name="Name" criteria="=">{escape(name)}</key></Filter>'
        body = box.post(f"<Get><Certificate>{where}</Certificate></Get>").content
        xml = body[body.rindex(b"<?xml") : body.rindex(b"</Response>") + len(b"</Response>")]
        assert ET.fromstring(xml).findtext("Certificate/Name") == name
        assert box.remove("Certificate", escape(name)) == "200"

    def test_other_formats(self, box, issue):
        pair = issue("a.test")
        parsed = x509.load_pem_x509_certificate(pair.cert)
        der = parsed.public_bytes(serialization.Encoding.DER)
        assert (
            upload(box, pair, format="der", cert="c.der", name="der", files={"c.der": der, "c.key": pair.key}) == "200"
        )
        bundle = pkcs12.serialize_key_and_certificates(
            b"a", pair.private, parsed, None, serialization.BestAvailableEncryption(b"topsecret")
        )
        assert (
            upload(
                box,
                pair,
                format="pkcs12",
                cert="c.pfx",
                key="",
                name="p12",
                password="topsecret",
                files={"c.pfx": bundle},
            )
            == "200"
        )
        certificates = box.state["certificates"]
        assert certificates["der"] == certificates["p12"] == pair.fingerprint

    def test_without_key(self, box, issue):
        assert upload(box, issue("a.test"), key="") == "200"

    def test_damaged_key_as_in_the_wild(self, box, issue):
        box.settings(key_mode="like-real")
        assert upload(box, issue("a.test"), key="key.pem") == "200"
        assert box.update(specimen("AdminSettings", "a")) == "200"
        time.sleep(0.5)
        with pytest.raises(ssl.SSLError):
            box.served(4443)

    def test_update(self, box, issue):
        old, new = issue("a.test"), issue("a.test")
        assert upload(box, new, "update") == "500"
        upload(box, old)
        assert upload(box, new, "update") == "200"
        assert box.state["certificates"]["a"] == new.fingerprint

    def test_update_while_a_waf_rule_uses_it(self, box, issue):
        upload(box, issue("a.test"))
        assert box.add(specimen("FirewallRule", "a")) == "200"
        assert upload(box, issue("a.test"), "update") == "500"
        box.settings(allow_update_in_use=True)
        new = issue("a.test")
        assert upload(box, new, "update") == "200"
        assert box.served(8443, "specimen.example.com") == new.fingerprint


class TestArchive:
    @pytest.mark.parametrize(("kind", "header"), [("rsa", b"BEGIN RSA PRIVATE KEY"), ("ec", b"BEGIN EC PRIVATE KEY")])
    def test_layout(self, box, issue, kind, header):
        pair, chain = issue("a.test", kind=kind), issue("ca", authority=True)
        box.upload(pair, "a", cert=pair.cert + chain.cert)
        entries = box.archive("Certificate", '<Filter><key name="Name" criteria="=">a</key></Filter>')
        names = [name for name, _ in entries]
        assert names[:2] == ["./Files/Certificate/a.pem", "./Files/Certificate/a.key"]
        assert names[-1] == "./Entities.xml"
        contents = dict(entries)
        assert contents[names[0]] == pair.cert + chain.cert
        assert header in contents[names[1]]
        record = ET.fromstring(contents["./Entities.xml"]).find("Certificate")
        assert record.findtext("CertificateFile") == "a.pem"
        assert record.find("ValidUpto") is None
        assert record.find("Password") is None

    def test_no_match_is_xml(self, box):
        answer = box.ask('<Get><Certificate><Filter><key name="Name" criteria="=">x</key></Filter></Certificate></Get>')
        assert answer.findtext("Certificate/Status") == "No. of records Zero."

    def test_uploaded_names(self, box, issue):
        box.settings(tar_names="uploaded")
        box.upload(issue("a.test"), "a")
        assert "./Files/Certificate/a/c.pem" in [name for name, _ in box.archive("Certificate")]

    def test_a_name_that_is_not_ascii_breaks_the_chain_of_blocks(self, box, issue):
        pair, plain = issue("a.test"), issue("b.test")
        for name, one in (("aaa", plain), ("bbb-ü", pair), ("ccc", plain)):
            box.emulator.put_certificate(box.name, name, one.cert.decode(), one.key.decode())
        body = box.post("<Get><Certificate/></Get>").content
        assert "bbb-ü.pem".encode().decode("latin-1").encode() in body
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            readable = tar.getnames()
        assert "./Files/Certificate/aaa.key" in readable
        assert "./Entities.xml" not in readable
        assert body.count(b"BEGIN CERTIFICATE") == 4
        assert b"</Response>" in body

    def test_broken_and_empty(self, box):
        box.settings(broken_tar=True)
        body = box.post("<Get><Certificate/></Get>").content
        assert b"<Response" in body
        assert not body.startswith(b"./Files")
        box.settings(empty_tar=True)
        assert box.post("<Get><Certificate/></Get>").content == b""


class TestAuthorities:
    def add(self, box, pair, name, format_="PEM"):
        return box.add(
            f"<CertificateAuthority><Name>{name}</Name><Format>{format_}</Format>"
            "<CACertFile>ca.pem</CACertFile></CertificateAuthority>",
            {"ca.pem": pair.cert},
        )

    def test_rules(self, box, issue):
        ca = issue("ca", authority=True)
        assert self.add(box, ca, "mine") == "200"
        assert self.add(box, issue("x", authority=True), "mine") == "502"
        assert self.add(box, ca, "again") == "503"
        assert self.add(box, issue("leaf.test"), "leaf") == "500"
        assert self.add(box, issue("y", authority=True), "lower", "pem") == "501"

    def test_archive_holds_the_built_in_ones(self, box, issue):
        self.add(box, issue("ca", authority=True), "mine")
        contents = dict(box.archive("CertificateAuthority"))
        kinds = {
            entry.findtext("Name"): entry.findtext("Type")
            for entry in ET.fromstring(contents["./Entities.xml"]).findall("CertificateAuthority")
        }
        assert kinds["mine"] == "Uploaded"
        assert kinds["Default"] == "Internal"
        assert box.remove("CertificateAuthority", "mine") == "200"


class TestReferences:
    @pytest.mark.parametrize("consumer", sorted(SPECIMENS))
    def test_every_consumer_holds_its_certificate(self, box, issue, consumer):
        box.upload(issue("a.test"), "a")

        def bind(certificate):
            return box.code(f"<Set>{specimen(consumer, certificate)}</Set>")

        assert bind("missing") == "501"
        assert bind("a") in ("200", "201")
        assert box.remove("Certificate", "a") == "504"
        assert any(binding["certificate"] == "a" for binding in box.state["bindings"])
        assert bind("ApplianceCertificate") in ("200", "201")
        assert box.remove("Certificate", "a") == "200"
        assert box.remove("Certificate", "a") == "504"

    def test_an_authority_may_stand_in_the_mail_settings(self, box):
        assert box.update(specimen("EmailConfiguration", "SecurityAppliance_SSL_CA")) == "200"
