# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data plane, from outside: what is served."""

from __future__ import annotations

import socket
import ssl
import subprocess

import pytest
import requests

from lab.processes import wait_until
from unit.emulator.forwarding import nat, rule

pytestmark = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")

WAF = (
    "<FirewallRule><Name>{name}</Name><Position>Bottom</Position><PolicyType>HTTPBased</PolicyType>"
    "<HTTPBasedPolicy><HostedAddress>#Port2</HostedAddress><HTTPS>Enable</HTTPS><RedirectHTTP>{redirect}</RedirectHTTP>"
    "<ListenPort>8443</ListenPort><Domains><Domain>{domain}</Domain></Domains>"
    "<Certificate>{certificate}</Certificate></HTTPBasedPolicy></FirewallRule>"
)


def waf(**fields):
    return WAF.format(
        **{"name": "w", "redirect": "Disable", "domain": "w.test", "certificate": "ApplianceCertificate", **fields}
    )


class TestServing:
    def test_waf_by_server_name(self, box, issue):
        one, two = issue("one.test"), issue("two.test", "*.two.test", kind="rsa")
        box.upload(one, "one")
        box.upload(two, "two")
        assert box.add(waf(name="1", domain="one.test", certificate="one")) == "200"
        assert box.add(waf(name="2", domain="*.two.test", certificate="two")) == "200"
        assert box.served(8443, "one.test") == one.fingerprint
        assert box.served(8443, "www.two.test") == two.fingerprint
        for unknown in ("three.test", None):
            with pytest.raises(ssl.SSLError):
                box.served(8443, unknown)
        box.update(waf(name="1", domain="one.test", certificate="two"))
        assert box.served(8443, "one.test") == two.fingerprint
        assert box.state["served"]["8443"]["certificates"]["one.test"] == two.fingerprint
        box.remove("FirewallRule", "1")
        box.remove("FirewallRule", "2")
        with pytest.raises(ConnectionRefusedError):
            box.served(8443, "one.test")

    def test_waf_clashes(self, box):
        assert box.add(waf()) == "200"
        assert box.add(waf(name="other")) == "546"
        assert box.add(waf(name="other", domain="x.test").replace("8443", "4444")) == "545"
        assert box.add(waf(name="other", domain="x.test").replace("8443", "4443")) == "550"

    def test_page_names_the_rule(self, box):
        box.add(waf(domain=box.address))
        box.add(waf(name="named", domain="w.test"))
        with socket.create_connection((box.address, 8443), 5) as plain:
            context = ssl._create_unverified_context()
            with context.wrap_socket(plain, server_hostname="w.test") as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nHost: w.test\r\nConnection: close\r\n\r\n")
                assert b"WAF rule named" in secure.makefile("rb").read()

    def test_redirect_and_dnat_before_it(self, objects):
        objects.add(waf(redirect="Enable"))
        answer = objects.fetch("/p", Host="w.test")
        assert (answer.status_code, answer.headers["Location"]) == (301, "https://w.test:8443/p")
        assert objects.fetch("/p", Host="unknown.test").status_code == 404
        objects.add(nat())
        objects.add(rule())
        assert objects.fetch("/p", Host="w.test").text.endswith("asked for /p")
        objects.remove("NATRule", "nat")
        assert objects.fetch("/p", Host="w.test").status_code == 301

    def test_web_admin_switch_takes_a_moment(self, box, issue):
        pair = issue("admin.test")
        box.upload(pair, "admin")
        appliance = box.state["appliance_fingerprint"]
        body = (
            "<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>4443"
            "</UserPortalHTTPSPort><VPNPortalHTTPSPort>443</VPNPortalHTTPSPort><Certificate>admin</Certificate>"
            "</WebAdminSettings></AdminSettings>"
        )
        answer = box.ask(f'<Set operation="update">{body}</Set>')
        assert answer.find("WebAdminSettings/Status").get("code") == "200"
        assert box.served(4444) == appliance
        wait_until(lambda: box.served(4444) == pair.fingerprint, 5, lambda: "the certificate is not served")
        assert box.served(4443) == pair.fingerprint
        assert box.update(body.replace("<HTTPSport>4444</HTTPSport>", "")) == "501"
        assert box.update(body.replace(">4443<", ">4444<")) == "541"

    def test_portal_moves_to_another_port(self, box):
        body = (
            "<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>6443"
            "</UserPortalHTTPSPort><VPNPortalHTTPSPort>443</VPNPortalHTTPSPort>"
            "<Certificate>ApplianceCertificate</Certificate></WebAdminSettings></AdminSettings>"
        )
        assert box.update(body) == "200"
        wait_until(lambda: "6443" in box.state["served"], 5, lambda: "the portal is not there")
        assert box.served(6443) == box.state["appliance_fingerprint"]
        with pytest.raises(ConnectionRefusedError):
            box.served(4443)

    def test_switch_may_cut_the_connection(self, box, issue):
        box.settings(webadmin_drop=True)
        box.upload(issue("admin.test"), "admin")
        with requests.Session() as session:
            session.post(box.url, data={"reqxml": "<Request/>"}, verify=False, timeout=5)
            pools = session.get_adapter(box.url).poolmanager.pools
            box.update(
                "<AdminSettings><WebAdminSettings><HTTPSport>4444</HTTPSport><UserPortalHTTPSPort>4443"
                "</UserPortalHTTPSPort><VPNPortalHTTPSPort>443</VPNPortalHTTPSPort>"
                "<Certificate>admin</Certificate></WebAdminSettings></AdminSettings>"
            )
            connection = pools[next(iter(pools.keys()))].pool.get()
            wait_until(
                lambda: connection is None or not connection.is_connected, 5, lambda: "the connection is still there"
            )

    def test_exactly_the_uploaded_blocks(self, box, issue):
        pair, chain = issue("w.test"), issue("ca", authority=True)
        box.upload(pair, "w", cert=pair.cert + chain.cert)
        box.add(waf(certificate="w"))
        command = ["openssl", "s_client", "-connect", f"{box.address}:8443", "-servername", "w.test", "-showcerts"]
        assert _run(command).count("BEGIN CERTIFICATE") == 2
        box.settings(leaf_only=True)
        assert _run(command).count("BEGIN CERTIFICATE") == 1

    def test_certificate_put_by_the_administrator(self, box, issue):
        pair, other = issue("w.test"), issue("w.test")
        box.emulator.put_certificate(box.name, "w", pair.cert.decode(), pair.key.decode())
        box.add(waf(certificate="w"))
        assert box.served(8443, "w.test") == pair.fingerprint
        box.emulator.put_certificate(box.name, "w", other.cert.decode(), other.key.decode())
        assert box.served(8443, "w.test") == other.fingerprint


def _run(command):
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=10).stdout
