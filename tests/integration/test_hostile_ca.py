# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA that is ill, limited or hostile, and whole playbooks: what is told, and that the old certificate still serves.

Each row is a run. Whatever fails there, nothing is uploaded, nothing that serves is changed and no port stays open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509

from lab import proxy as fault
from lab.entries import certificate, certificates, firewall, waf_rule
from lab.playbook import PlaybookResult
from lab.proxy import FaultProxy

pytestmark = [pytest.mark.any_firmware, pytest.mark.no_check_run]


@pytest.fixture
def between(tmp_path):
    """`between(fleet)`: the proxy in front of the fleet's CA, and the variables that lead through it."""
    made = []

    def start(fleet) -> tuple[FaultProxy, dict[str, Any]]:
        upstream = fleet.ca.directory_url.rpartition("/")[0]
        made.append(FaultProxy(upstream, fleet.ca.ca_file, tmp_path / "proxy").__enter__())
        names = {
            "xgs_letsencrypt_directory": made[-1].directory_url,
            "xgs_letsencrypt_directory_ca_path": made[-1].ca_file,
        }
        return made[-1], names

    yield start
    for proxy in made:
        proxy.__exit__(None, None, None)


def uploads(fleet) -> list[str]:
    """What was written that has to do with certificates, on any firewall."""
    log = [entry for name in fleet.addresses for entry in fleet.emulator.firewall(name)["log"]]
    written = {entry["entity"] for entry in log if entry["operation"] in ("set", "add", "update")}
    return sorted(written & {"Certificate", "CertificateAuthority", "WebAdminSettings"})


def told(result: PlaybookResult, name: str) -> str:
    """The report's line about a certificate."""
    lines = [line for line in result.stdout.splitlines() if re.match(rf"\S+ +{name} +\S+", line.strip(' "'))]
    assert lines, f"nothing is told of {name}\n{result.stdout}"
    return " ".join(lines)


# --- certificates that must not reach a firewall ---------------------------------------------------------------------

Make = Callable[[bytes], bytes]
END = b"-----END CERTIFICATE-----\n"


def broken(real: bytes) -> bytes:
    """The leaf, and then somebody else's authority."""
    return real[: real.index(END) + len(END)] + fault.forged(real)


# certificate: (what the CA makes of it, what is told). It is known by its first label.
CHAINS: dict[str, tuple[Make, str]] = {
    "key": (lambda real: fault.forged(real, own_key=False), "does not belong to the private key"),
    "names": (lambda real: fault.forged(real, names=("other.example.com",)), r"lacks the name\(s\) names\.forged"),
    "more": (lambda real: fault.forged(real, names=("*.example.com",)), r"lacks the name\(s\) more\.forged"),
    "expired": (lambda real: fault.forged(real, days=(-90, -1)), "which is not now"),
    "future": (lambda real: fault.forged(real, days=(2, 90)), "which is not now"),
    "broken": (broken, "chain is broken"),
    "long": (lambda real: fault.forged(real, links=1000), "the chain has 1001 certificates"),
    "empty": (lambda real: b"", "no certificate"),
    "page": (lambda real: b"<html>sorry</html>", "no certificate"),
    "beginnings": (lambda real: b"-----BEGIN CERTIFICATE-----\n" * 30_000, "no certificate"),
    "damaged": (lambda real: real.replace(b"MII", b"???", 1), "cannot be read"),
    "key-too": (lambda real: real + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "renewed"),
}


def name_of(chain: bytes) -> str:
    names = x509.load_pem_x509_certificate(chain).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return str(names.value.get_values_for_type(x509.DNSName)[0]).partition(".")[0]


def test_f22_what_a_ca_must_not_get_onto_a_firewall(make_fleet, play, between):
    """One run with a certificate of each kind; the last is as it should be, and the only one that arrives."""
    domains = {name: f"{name}.forged.example.com" for name in CHAINS}
    rules = [waf_rule(name, domain) for name, domain in domains.items()]
    fleet = make_fleet([firewall(1, *rules)], dict.fromkeys(domains.values(), "fw1"))
    before = {name: fleet.shown("fw1", 8443, domain) for name, domain in domains.items()}
    own = certificates(
        *(certificate(name, domain, consumers=[f"waf:{name}"], key_type="ec256") for name, domain in domains.items())
    )
    proxy, variables = between(fleet)
    proxy.on(fault.CERTIFICATE, fault.body(lambda real: CHAINS[name_of(real)][0](real)), times=None)
    result = play(fleet, {"fw1": own}, variables=variables)
    assert result.rc != 0
    for name, (_make, says) in CHAINS.items():
        assert re.search(says, told(result, name)), told(result, name)
    after = {name: fleet.shown("fw1", 8443, domain) for name, domain in domains.items()}
    assert [name for name in CHAINS if after[name] != before[name]] == ["key-too"]
    assert after["key-too"].trusted
    there = fleet.emulator.firewall("fw1")["certificates"]
    assert {name.rpartition("-2")[0] for name in there if name.rpartition("-2")[0] in CHAINS} == {"key-too"}


# --- a CA that is ill ------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """rules: of the proxy. says: in the report. orders: asked for at the most. issued: by the CA, for nothing."""

    rules: list[tuple[str, fault.Action, dict[str, Any]]]
    says: str
    orders: int = 0
    issued: int = 0


def setting(**fields: Any) -> fault.Action:
    return fault.change(lambda document: document.update(fields))


def failed(detail: str) -> fault.Action:
    problem = {"type": fault.URN + "connection", "detail": detail, "status": 400}
    edit = {"status": "invalid", "error": problem}

    def act(document: dict[str, Any]) -> None:
        document["status"] = "invalid"
        for challenge in document["challenges"]:
            challenge.update(edit)

    return fault.change(act)


ALWAYS: dict[str, Any] = {"times": None}
GET: dict[str, Any] = {"times": None, "method": "GET"}
DAY = 86400
ELSEWHERE = "https://127.0.0.2:1/x"

ROWS: dict[str, Row] = {
    "directory away": Row([(fault.DIRECTORY, fault.drop_before, GET)], "no answer from"),
    "directory is a page": Row([(fault.DIRECTORY, fault.answer(200, b"<html>"), GET)], "not a JSON object"),
    "directory too deep": Row([(fault.DIRECTORY, fault.answer(200, b'{"a":' * 100_000), GET)], "not a JSON object"),
    "directory too large": Row([(fault.DIRECTORY, fault.endless, GET)], "longer than"),
    "directory elsewhere": Row([(fault.DIRECTORY, fault.answer(302, Location=ELSEWHERE), GET)], "status 302"),
    "503": Row([(fault.NEW_ORDER, fault.problem(503, "serverInternal", "busy", Retry_After="1"), ALWAYS)], "busy", 5),
    "503 for long": Row(
        [(fault.NEW_ORDER, fault.problem(503, "serverInternal", "busy", Retry_After=str(9 * DAY)), ALWAYS)],
        r"busy \(not before 20",
        1,
    ),
    "429": Row(
        [(fault.NEW_ORDER, fault.problem(429, "rateLimited", "too many new orders", Retry_After="3600"), ALWAYS)],
        r"too many new orders \(not before 20",
        1,
    ),
    "nonces, a storm": Row([(fault.NEW_ORDER, fault.problem(400, "badNonce", "bad nonce"), ALWAYS)], "bad nonce", 30),
    "an order elsewhere": Row([(fault.NEW_ORDER, fault.headers(Location=ELSEWHERE), ALWAYS)], "outside its own", 1),
    "an order for others": Row(
        [(fault.NEW_ORDER, setting(identifiers=[{"type": "dns", "value": "x.example.com"}]), ALWAYS)], "other names", 1
    ),
    "a redirect": Row([(fault.NEW_ORDER, fault.answer(307, Location=ELSEWHERE), ALWAYS)], "status 307", 1),
    "secondary validation": Row(
        [
            (fault.ORDER, setting(status="invalid"), ALWAYS),
            (
                fault.AUTHORIZATION,
                failed("During secondary validation: 127.0.0.1: Timeout during connect (likely firewall problem)"),
                {"first": 2, **ALWAYS},
            ),
        ],
        "During secondary validation",
        1,
    ),
    "pending for ever": Row([(fault.ORDER, setting(status="pending"), ALWAYS)], "left the order pending", 1),
    "processing for ever": Row(
        [(f"{fault.FINALIZE}|{fault.ORDER}", setting(status="processing"), {"first": 3, **ALWAYS})],
        "left the order processing",
        1,
        1,
    ),
    "a certificate elsewhere": Row(
        [(f"{fault.FINALIZE}|{fault.ORDER}", setting(certificate=ELSEWHERE), ALWAYS)], "outside its own server", 1, 1
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_f18_to_f23_a_ca_that_is_ill(make_fleet, play, between, row):
    """Told with the reason; the fixture looks that the port and the responder are closed."""
    domain = f"{re.sub('[^a-z0-9]+', '-', row)}.ill.example.com"
    fleet = make_fleet([firewall(1, waf_rule("Site", domain))], {domain: "fw1"})
    before = fleet.shown("fw1", 8443, domain)
    proxy, variables = between(fleet)
    expected = ROWS[row]
    for path, action, options in expected.rules:
        proxy.on(path, action, **options)
    hosts = {"fw1": certificates(certificate("site", domain, consumers=["waf:Site"], key_type="ec256"))}
    result = play(fleet, hosts, variables={**variables, "xgs_letsencrypt_order_timeout": 10})
    assert result.rc != 0
    assert re.search(expected.says, result.stdout), result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert proxy.count(fault.NEW_ORDER) <= expected.orders
    assert fleet.ca.issued() <= expected.issued
    assert fleet.shown("fw1", 8443, domain) == before
    assert uploads(fleet) == []


@pytest.mark.parametrize("percent", [50])
def test_f1_a_storm_of_bad_nonces_passes(make_fleet, play, percent):
    domain = "storm.example.com"
    options = {"nonce_reject": percent}
    fleet = make_fleet([firewall(1, waf_rule("Site", domain))], {domain: "fw1"}, ca_options=options)
    play(fleet, {"fw1": certificates(certificate("site", domain, consumers=["waf:Site"]))}).check()
    assert fleet.shown("fw1", 8443, domain).trusted
    assert uploads(fleet) == ["Certificate", "CertificateAuthority"]


# --- a CA that says no to some ---------------------------------------------------------------------------------------


def test_one_name_of_several_fails(make_fleet, play):
    """Its certificate does not come, those of the others do."""
    domains = ["good.several.example.com", "lost.several.example.com", "other.several.example.com"]
    fleet = make_fleet(
        [firewall(1, waf_rule("Both", *domains[:2]), waf_rule("Other", domains[2])), firewall(2)],
        {domains[0]: "fw1", domains[1]: "fw2", domains[2]: "fw1"},
    )
    before = fleet.shown("fw1", 8443, domains[0])
    own = certificates(
        certificate("both", *domains[:2], consumers=["waf:Both"]),
        certificate("other", domains[2], consumers=["waf:Other"]),
    )
    result = play(fleet, {"fw1": own})
    assert result.rc != 0
    assert domains[1] in told(result, "both")
    assert domains[0] not in told(result, "both"), "nothing was wrong with it"
    assert fleet.shown("fw1", 8443, domains[0]) == before
    assert fleet.shown("fw1", 8443, domains[2]).trusted
    assert fleet.ca.issued() == 1


FLEET, BEFORE_LIMIT = 10, 4


@pytest.mark.timeout(400)
def test_f26_a_limit_in_the_middle_of_the_fleet(make_fleet, play, between):
    """Those before it are renewed, those after it say when to come again; the next run does these and no others."""
    domains = {f"fw{number}": f"n{number}.limit.example.com" for number in range(1, FLEET + 1)}
    fleet = make_fleet(
        [firewall(number, waf_rule("Site", domains[f"fw{number}"])) for number in range(1, FLEET + 1)],
        {domain: name for name, domain in domains.items()},
    )
    hosts = {
        name: certificates(certificate("site", domain, consumers=["waf:Site"], key_type="ec256"))
        for name, domain in domains.items()
    }
    proxy, variables = between(fleet)
    limit = fault.problem(429, "rateLimited", "too many new orders recently", Retry_After="3600")
    proxy.on(fault.NEW_ORDER, limit, first=BEFORE_LIMIT + 1, times=None)
    result = play(fleet, hosts, variables=variables, timeout=180)
    assert result.rc != 0
    served = {name for name, domain in domains.items() if fleet.shown(name, 8443, domain).trusted}
    assert len(served) == fleet.ca.issued() == BEFORE_LIMIT
    for name in sorted(set(domains) - served):
        assert re.search(rf"{name} +site +failed .*too many new orders recently \(not before 20", result.stdout)
    assert proxy.count(fault.NEW_ORDER) <= FLEET, "each firewall asks once"

    proxy.reset()
    play(fleet, hosts, variables=variables, timeout=180).check()
    assert all(fleet.shown(name, 8443, domain).trusted for name, domain in domains.items())
    assert fleet.ca.issued() == FLEET
    payloads = [one for one in proxy.seen if one.path == fault.NEW_ORDER]
    assert len(payloads) == FLEET - BEFORE_LIMIT
    assert json.loads(payloads[0].payload), "they were signed requests"
