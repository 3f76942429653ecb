# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real CA does when it is told to: rejected nonces, names it refuses, DNS that is wrong, profiles.

F1, F2, F4 to F7, F11, F12, F15, F33 and F35 of the injected faults; the others are in test_faults_proxy.py and
test_faults_answers.py.
"""

from __future__ import annotations

import datetime
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account, renewal
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.client import AcmeClient
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.errors import AcmeError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.order import (
    CertificateRequest,
    FailedCertificate,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._errors import CertfleetError
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._names import normalise_domains
from ansible_collections.certfleet.sophos_xgs.plugins.modules import acme_http01_order

from lab import faults
from lab import proxy as fault
from lab.faults import Bench
from lab.pebble import AcmeCa
from lab.proxy import FaultProxy

UTC = datetime.timezone.utc
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[tuple[AcmeCa, FaultProxy]]:
    """With a policy and with profiles, in place of the plain one."""
    options: dict[str, Any] = {
        "profiles": {"shortlived": 160 * 3600},
        "extra_config": {"domainBlocklist": ["blocked.f4.example.com"]},
    }
    with faults.running(**options) as made:
        yield made


# -- F1, F2: what costs requests


@pytest.mark.parametrize(("percent", "names", "bound"), [(5, 1, 2), (15, 100, 2), (50, 3, 8)])
def test_f1_rejected_nonces_cost_requests_only(percent: int, names: int, bound: int) -> None:
    """Load-balanced CAs reject nonces every day. The certificate comes; the requests stay in proportion."""
    with faults.running(nonce_reject=percent, retry_after=None) as made:
        bench = Bench(*made)
        bench.issue(CertificateRequest("web", bench.names(*(f"n{n}.f1.example.com" for n in range(names))), "ec256"))
        assert bench.issued == 1
        assert bench.proxy.count("/") <= bound * (2 * names + 15) + 10


def test_f1_nearly_all_nonces_rejected(bench: Bench) -> None:
    """Eighteen of nineteen, at every step, and without a new one in the refusal: it comes all the same."""
    steps = (fault.NEW_ORDER, fault.AUTHORIZATION, fault.CHALLENGE, fault.FINALIZE, fault.CERTIFICATE)
    for path in steps:
        bench.proxy.on(path, fault.problem(400, "badNonce"), times=18)
    bench.issue(bench.request("most.f1.example.com"))
    assert [bench.proxy.count(path) for path in steps] == [19] * 5
    # Each rejection costs a nonce and the request itself, and never more.
    assert bench.proxy.count(fault.NEW_NONCE, "HEAD") <= 19 * 5 + 1


@pytest.mark.parametrize("percent", [0, 100])
def test_f2_authorizations_that_the_ca_reuses(percent: int) -> None:
    """The second certificate of the same names opens no port when the CA still trusts them."""
    with faults.running(authz_reuse=percent, retry_after=None) as made:
        bench = Bench(*made)
        for _again in range(2):
            bench.proxy.reset()
            bench.issue(bench.request("again.f2.example.com"))
        validated = len(bench.ca.validations("again.f2.example.com"))
        # Pebble reuses one in a hundred when told to reuse none.
        assert validated == 1 if percent else validated in (1, 2)
        assert bench.opened == validated
        polls = bench.proxy.count(fault.ORDER)
        posts = len([one for one in bench.proxy.seen if one.method == "POST"]) - polls
        assert posts == (3 if validated == 1 else 5)


# -- F4 to F7: names


def test_f4_a_name_that_the_ca_refuses(bench: Bench) -> None:
    """One of five is against its policy: which one is said, and the other certificates come."""
    names = bench.names(*(f"{name}.f4.example.com" for name in ("a", "b", "blocked", "c", "d")))
    good = bench.request("good.f4.example.com")
    refused, issued = bench.obtain(CertificateRequest("five", names, "ec256"), good).results
    assert isinstance(refused, FailedCertificate)
    assert not isinstance(issued, FailedCertificate)
    error = refused.error
    assert isinstance(error, AcmeError)
    assert error.is_a("rejectedIdentifier")
    assert [sub["identifier"] for sub in error.subproblems] == ["blocked.f4.example.com"]
    assert "blocked.f4.example.com" in error.remedy
    assert bench.proxy.count(fault.NEW_ORDER) == 2


def test_f5_names_that_do_not_resolve(bench: Bench) -> None:
    """Unknown, and name servers that fail: each name is told, and only those."""
    bench.ca.servfail("servfail.f5.example.com")
    names = (*bench.names("good.f5.example.com"), "unknown.f5.example.com", "servfail.f5.example.com")
    error = bench.refused(CertificateRequest("web", names, "ec256"))
    assert isinstance(error, AcmeError)
    # Once one has failed, the order is over: the CA may not have got to the other.
    told = {sub["identifier"] for sub in error.subproblems}
    assert told
    assert told <= set(names[1:])
    assert all("resolve" in sub["detail"] for sub in error.subproblems)
    assert all(name in error.remedy for name in told)


def refused_with(bench: Bench, name: str, typ: str, detail: str) -> AcmeError:
    """What comes of a validation of which the CA says so."""

    def edit(document: dict[str, Any]) -> None:
        document["status"] = "invalid"
        for challenge in document["challenges"]:
            challenge["error"] = {"type": fault.URN + typ, "detail": detail, "status": 400}

    bench.proxy.on(fault.ORDER, fault.change(lambda document: document.update(status="invalid")), times=None)
    bench.proxy.on(fault.AUTHORIZATION, fault.change(edit), first=2, times=None)
    error = bench.refused(bench.request(name))
    assert isinstance(error, AcmeError)
    assert error.is_a(typ)
    return error


@pytest.mark.parametrize(
    ("typ", "detail", "begins"),
    [
        (
            "connection",
            "203.0.113.9: Fetching http://a/: Connection refused",
            "The CA asked 203.0.113.9: if that is not",
        ),
        (
            "unauthorized",
            "2001:db8::9: Invalid response from http://a/: 404",
            "The CA asked the IPv6 address 2001:db8::9:",
        ),
        ("connection", "Timeout after connect (your server may be slow)", "Check that "),
        ("dns", "SERVFAIL looking up A at 203.0.113.9", "Check that "),
    ],
)
def test_f6_the_address_that_was_asked_is_told(bench: Bench, own_name: str, typ: str, detail: str, begins: str) -> None:
    """In the words of Boulder, which are not those of the CA of the lab."""
    assert refused_with(bench, own_name, typ, detail).remedy.startswith(begins)


@pytest.mark.parametrize(("typ", "word"), [("dns", "public DNS"), ("caa", "CAA records"), ("dnssec", "DNSSEC")])
def test_f5_the_kind_of_dns_failure_is_told(bench: Bench, own_name: str, typ: str, word: str) -> None:
    """As Let's Encrypt types them, per name and with what to look at."""
    error = refused_with(bench, own_name, typ, "SERVFAIL looking up it")
    assert error.subproblems[0]["identifier"] == own_name
    assert word in error.remedy
    assert own_name in error.remedy


def test_f6_an_ipv6_address_that_leads_elsewhere(bench: Bench) -> None:
    """CAs prefer it and do not fall back: the hint has to name the record that nobody thinks of."""
    (name,) = bench.names("six.f6.example.com")
    bench.ca.add_aaaa(name, "::1")
    error = bench.refused(CertificateRequest("web", (name,), "ec256"))
    assert isinstance(error, AcmeError)
    assert error.is_a("connection")
    assert error.subproblems[0]["identifier"] == name
    assert "[::1]" in error.problem
    assert error.remedy.startswith(f"The CA asked the IPv6 address ::1: remove the AAAA record of {name}, unless ")


class _Redirecting(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.path + "x")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""


def test_f7_a_port_80_that_redirects_for_ever(bench: Bench) -> None:
    """Something else has the port: the name is told, and what to look at."""
    with http.server.ThreadingHTTPServer(("127.0.0.79", bench.ca.http_port), _Redirecting) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        bench.ca.add_a("loop.f7.example.com", "127.0.0.79")
        error = bench.refused(CertificateRequest("web", ("loop.f7.example.com",), "ec256"))
        server.shutdown()
    assert isinstance(error, AcmeError)
    assert error.subproblems[0]["identifier"] == "loop.f7.example.com"
    assert error.remedy


# -- F11, F12: replaces


def test_f11_what_was_replaced_before(bench: Bench) -> None:
    """A run that died after the order: the next one gets its certificate without `replaces`."""
    (first,) = bench.issue(bench.request("twice.f11.example.com"))
    replaces = renewal.ari_id(_x509.load_certificates(first.chain_pem)[0])
    bench.issue(bench.request("twice.f11.example.com", replaces=replaces))
    bench.proxy.reset()
    bench.issue(bench.request("twice.f11.example.com", replaces=replaces))
    assert bench.proxy.statuses(fault.NEW_ORDER) == [409, 201]
    assert bench.issued == 3


def test_f12_a_certificate_of_another_ca(bench: Bench) -> None:
    """On the day that somebody changes the CA: it says nothing about it, and orders all the same."""
    (first,) = bench.issue(bench.request("foreign.f12.example.com"))
    foreign = _x509.load_certificates(fault.forged(first.chain_pem))[0]
    window, why = renewal.fetch_window(bench.client, foreign)
    assert window is None
    assert why
    bench.proxy.reset()
    replaces = renewal.ari_id(foreign)
    assert replaces
    bench.issue(bench.request("foreign.f12.example.com", replaces=replaces))
    assert bench.proxy.statuses(fault.NEW_ORDER)[-1] == 201
    assert bench.proxy.count(fault.NEW_ORDER) == 2


def test_f12_a_ca_that_fails_over_the_former_certificate(bench: Bench) -> None:
    """It would at each renewal, until there is none to replace."""
    (first,) = bench.issue(bench.request("fails.f12.example.com"))
    replaces = renewal.ari_id(_x509.load_certificates(first.chain_pem)[0])
    bench.proxy.reset()
    fails = fault.problem(500, "serverInternal", "could not find order resulting in the given certificate")
    bench.proxy.on(fault.NEW_ORDER, fails, times=3)
    bench.issue(bench.request("fails.f12.example.com", replaces=replaces))
    assert bench.proxy.statuses(fault.NEW_ORDER) == [500, 500, 500, 201]


# -- F15: profiles


def test_f15_a_short_life_is_renewed_at_half(bench: Bench) -> None:
    """Of 160 hours: not with 85 left, but with 75."""
    (one,) = bench.issue(bench.request("short.f15.example.com", profile="shortlived"))
    assert one.facts.not_after - one.facts.not_before < 161 * HOUR
    decisions = [renewal.decide(one.facts, now=one.facts.not_after - left * HOUR).due for left in (85, 75)]
    assert decisions == [False, True]


def test_f15_no_profile_is_the_choice_of_the_ca(bench: Bench) -> None:
    assert bench.issue(bench.request("any.f15.example.com"))


def test_f15_an_unknown_profile_costs_no_order(bench: Bench) -> None:
    """The CA's own list is told, and it is not asked."""
    error = bench.refused(bench.request("unknown.f15.example.com", profile="gold"))
    assert "gold" in error.problem
    assert "shortlived" in error.remedy
    assert bench.proxy.count(fault.NEW_ORDER) == 0


@pytest.mark.parametrize("meta", [None, 7, "x", [], {"profiles": 7}, {"profiles": ["gold"]}], ids=range(6))
def test_f15_a_directory_that_says_nothing_of_profiles(bench: Bench, request: pytest.FixtureRequest, meta: Any) -> None:
    """Or says it so that nobody can read it: told as a certificate's error, and the account is found all the same."""
    bench.proxy.on(fault.DIRECTORY, fault.change(lambda directory: directory.update(meta=meta)), method="GET")
    # A directory of its own, for they are read once per process.
    url = f"{bench.proxy.directory_url}?{request.node.callspec.id}"
    bench.client = AcmeClient(url, faults.KEY, ca_path=bench.proxy.ca_file, clock=bench.clock)
    assert not account.ensure_account(bench.client).created
    error = bench.refused(bench.request("meta.f15.example.com", profile="gold"))
    assert "offers none" in error.remedy


# -- F33: check mode


def test_f33_check_mode_asks_nothing_of_the_ca(bench: Bench, tmp_path: Path) -> None:
    outcome = acme_http01_order.run(_params(bench, tmp_path, ["a.f33.example.com"]), True)
    assert outcome.changed
    assert bench.proxy.seen == []
    assert list(tmp_path.iterdir()) == []


# -- F35: names that no CA would validate


@pytest.mark.parametrize(
    "domains",
    [
        ["*.f35.example.com"],
        [f"{'a' * 64}.f35.example.com"],
        ["a.b.c.d.e.f.g.h.i.j.k"],
        [f"n{number}.f35.example.com" for number in range(101)],
        ["192.0.2.1"],
        ["2001:db8::1"],
        ["xn--a.f35.example.com"],
        ["a..f35.example.com"],
        [],
    ],
    ids=["wildcard", "label", "labels", "names", "IPv4", "IPv6", "IDN", "dots", "none"],
)
def test_f35_wrong_names_cost_no_request(bench: Bench, tmp_path: Path, domains: list[str]) -> None:
    """Neither for this certificate nor for the good one beside it: the inventory is to be mended first."""
    with pytest.raises(CertfleetError) as caught:
        acme_http01_order.run(_params(bench, tmp_path, ["good.f35.example.com"], domains), False)
    assert (caught.value.stage, caught.value.certificate) == ("plan", "c1")
    assert caught.value.remedy
    assert bench.proxy.seen == []
    assert list(tmp_path.iterdir()) == []


def _params(bench: Bench, tmp_path: Path, *lists: list[str]) -> dict[str, Any]:
    certificates = [
        {
            "name": f"c{number}",
            "domains": domains,
            "key_type": "ec256",
            "profile": "classic",
            "reuse_key": False,
            "preferred_chain": None,
            "replaces": None,
            "fingerprint": None,
        }
        for number, domains in enumerate(lists)
    ]
    return {
        "acme_directory": bench.proxy.directory_url,
        "account_key_path": None,
        "account_key_content": account.new_account_key(),
        "account_key_passphrase": None,
        "account_uri": None,
        "ca_path": bench.proxy.ca_file,
        "validate_certs": True,
        "certificates": certificates,
        "output_dir": str(tmp_path / "out"),
        "port_forward": None,
        "concurrency": 8,
        "listen": None,
        "order_timeout": 30,
        "preflight": None,
        "revalidate": False,
    }


def test_f35_names_as_people_write_them(bench: Bench) -> None:
    """Capitals, umlauts, a dot at the end, the same twice: the CA gets each once and in its own spelling."""
    domains = normalise_domains(["BÜRO.F35.example.com.", "büro.f35.example.com", "Mail.f35.Example.COM"])
    (one,) = bench.issue(CertificateRequest("web", bench.names(*domains), "ec256"))
    assert sorted(one.facts.names) == ["mail.f35.example.com", "xn--bro-hoa.f35.example.com"]
