# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is due, as the module says it: certificates of a real CA on an emulated firewall.

F10 renewal information, F12 certificates of another CA, F27 revocation, F28 wrong clocks.
"""

from __future__ import annotations

import base64
import datetime
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _x509
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import revocation
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.advice import FILE, Advice
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.orders import IssuedCertificate
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme.transport import Transport
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._due import (
    NOTHING,
    RENEW,
    Rules,
    Verdict,
    Wanted,
    judge,
)
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._runner import Outcome
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._xgs.certificates import origin_of, version_name
from ansible_collections.certfleet.sophos_xgs.plugins.modules import xgs_cert_plan
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab import faults
from lab import proxy as fault
from lab.faults import Bench, LeapClock
from lab.pebble import AcmeCa
from lab.proxy import FaultProxy
from unit.plugins.module_utils._xgs.firewalls import Box, Issued

UTC = datetime.timezone.utc
HOUR = datetime.timedelta(hours=1)
DAY = 24 * HOUR
SECOND = datetime.timedelta(seconds=1)


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[tuple[AcmeCa, FaultProxy]]:
    """`brief` is a certificate of an hour and a half."""
    with faults.running(retry_after=None, profiles={"brief": 5400}) as made:
        yield made


@pytest.fixture
def bench(behind_proxy: tuple[AcmeCa, FaultProxy]) -> Bench:
    return Bench(*behind_proxy)


class Site:
    """A firewall and a CA, and what the module says of them."""

    def __init__(self, box: Box, bench: Bench, directory: Path) -> None:
        self.box, self.bench, self.directory = box, bench, directory

    def have(self, name: str, *, origin: str | None = None, **options: Any) -> IssuedCertificate:
        """A certificate of the CA on the firewall, and no word of it in the CA's log."""
        # Of several profiles this CA would take any.
        (one,) = self.bench.issue(self.bench.request(name, **{"profile": "default", **options}))
        self.put(one.chain_pem, one.private_key_pem, origin)
        self.bench.proxy.reset()
        return one

    def put(self, chain_pem: bytes, key_pem: bytes, origin: str | None = None) -> None:
        chain = _x509.load_certificates(chain_pem)
        origin = origin_of(self.bench.proxy.directory_url, None) if origin is None else origin
        self.box.put(version_name("web", _x509.facts(chain[0]), origin), Issued(chain, key_pem))

    def plan(self, name: str, check_mode: bool = False, **options: Any) -> Outcome:
        options = {
            "host": self.box.address,
            "username": "admin",
            "password": "secret",
            "fingerprint": self.box.fingerprint,
            "acme_directory": self.bench.proxy.directory_url,
            "acme_ca_path": self.bench.proxy.ca_file,
            "certificates": [{"name": "web", "domains": [name], "key_type": "ec256"}],
            **options,
        }
        checked = ArgumentSpecValidator(xgs_cert_plan.ARGUMENTS.spec).validate(options)
        assert not checked.error_messages
        return xgs_cert_plan.run(checked.validated_parameters, check_mode)

    def verdict(self, name: str, **options: Any) -> dict[str, Any]:
        (found,) = self.plan(name, **options).facts["certificates"]
        return dict(found)

    def judged(self, name: str, clock: LeapClock) -> Verdict:
        """By a control node with that clock."""
        url = self.bench.proxy.directory_url
        ca = Transport(url, ca_path=self.bench.proxy.ca_file, clock=clock)
        wanted = [Wanted("web", (name,), None, "ec256")]
        (found,) = judge(self.box.firewall(), wanted, Advice(ca, url), Rules(url, datetime.timedelta(minutes=1)))
        return found

    def remembering(self, name: str, **options: Any) -> Outcome:
        return self.plan(name, state_dir=str(self.directory), **options)

    @property
    def asked(self) -> int:
        return self.bench.proxy.count(fault.RENEWAL_INFO, "GET")

    @property
    def file(self) -> Path:
        return self.directory / FILE


@pytest.fixture
def site(boxes: Iterator[Box], bench: Bench, tmp_path: Path) -> Site:
    return Site(next(boxes), bench, tmp_path / "state" / "fw1")


# -- F10: renewal information of the CA itself


def _window(start: datetime.timedelta, end: datetime.timedelta, **more: Any) -> str:
    now = datetime.datetime.now(UTC)
    times = [f"{now + each:%Y-%m-%dT%H:%M:%SZ}" for each in (start, end)]
    return json.dumps({"suggestedWindow": {"start": times[0], "end": times[1]}, **more})


@pytest.mark.parametrize(
    ("answer", "action", "word", "warned"),
    [
        ('{"suggestedWindow": ', "none", "more than a third", "not a JSON object"),
        (_window(DAY, -DAY), "none", "more than a third", "ends before it starts"),
        (_window(-2 * DAY, -DAY, explanationURL="https://ca.example/why"), "renew", "https://ca.example/why", ""),
        (_window(3650 * DAY, 3651 * DAY), "none", "is to come", ""),
        (_window(3 * HOUR, 3 * HOUR + SECOND), "renew", "the next run would miss", ""),
        (_window(48 * HOUR, 48 * HOUR + SECOND), "none", "is to come", ""),
        (_window(-SECOND, 0 * SECOND), "renew", "renewal", ""),
    ],
    ids=["malformed", "end before start", "past", "far future", "a second soon", "a second later", "a second ago"],
)
def test_f10_what_the_ca_says(
    site: Site, request: pytest.FixtureRequest, answer: str, action: str, word: str, warned: str
) -> None:
    name = f"f10-{request.node.callspec.id.replace(' ', '-')}.plan.example.com"
    one = site.have(name)
    site.bench.ca.set_renewal_answer(one.chain_pem.decode(), answer)
    outcome = site.plan(name)
    (found,) = outcome.facts["certificates"]
    assert (found["action"], word in found["reason"]) == (action, True), found["reason"]
    assert site.asked == 1
    assert [warned in text and text.startswith("web: ") for text in outcome.warnings] == [True] * bool(warned)


def test_f27_a_revoked_certificate_is_due(site: Site) -> None:
    one = site.have("f27.plan.example.com")
    assert site.verdict("f27.plan.example.com")["action"] == NOTHING
    revocation.revoke(site.bench.client, _x509.load_certificates(one.chain_pem)[0])
    found = site.verdict("f27.plan.example.com")
    assert (found["action"], "early renewal" in found["reason"]) == (RENEW, True), found["reason"]


# -- F12: certificates of another CA


def payloads(site: Site) -> list[dict[str, Any]]:
    """What newOrder was asked."""
    posts = [one for one in site.bench.proxy.seen if one.path == fault.NEW_ORDER]
    encoded = [json.loads(one.payload)["payload"] for one in posts]
    return [json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) for text in encoded]


@pytest.mark.parametrize("foreign", [True, False])
def test_f12_the_ca_hears_nothing_of_a_certificate_of_another(site: Site, foreign: bool) -> None:
    name = f"f12-{foreign}.plan.example.com".lower()
    site.have(name, origin=origin_of("https://other.example.com/dir", None) if foreign else None)
    found = site.verdict(name, force=not foreign)
    assert found["action"] == RENEW
    assert site.asked == 0
    site.bench.issue(site.bench.request(name, replaces=found["replaces"]))
    (order,) = payloads(site)
    assert ("replaces" in order) is not foreign
    assert order["identifiers"] == [{"type": "dns", "value": name}]


def test_f12_without_a_key_identifier_nothing_is_asked(site: Site) -> None:
    """Nor is it due for that: who issued it is not known."""
    key, issuer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("some CA", "f12-aki")]
    now = datetime.datetime.now(UTC)
    builder = x509.CertificateBuilder(*names, key.public_key(), 5, now - DAY, now + 90 * DAY)
    san = x509.SubjectAlternativeName([x509.DNSName("f12-aki.plan.example.com")])
    leaf = builder.add_extension(san, False).sign(issuer, hashes.SHA256())
    pem = leaf.public_bytes(serialization.Encoding.PEM)
    site.put(pem, _x509.private_key_pem(key), "")
    found = site.verdict("f12-aki.plan.example.com")
    assert (found["action"], found["replaces"], site.asked) == (NOTHING, None, 0)


# -- what is remembered


def test_the_ca_is_not_asked_before_it_wants_to_be(site: Site) -> None:
    name = "remembered.plan.example.com"
    one = site.have(name)
    first = site.remembering(name)
    assert (site.asked, first.warnings) == (1, [])
    assert stat.S_IMODE(site.file.stat().st_mode) == 0o600
    assert [stat.S_IMODE(path.stat().st_mode) for path in (site.directory, site.directory.parent)] == [0o700] * 2
    kept = json.loads(site.file.read_text())["certificates"]
    assert list(kept) == [one.facts.fingerprint]
    before = site.file.stat()

    # Not even the directory, which another process would have to fetch.
    site.bench.proxy.on("/", fault.answer(500), method="GET", times=None)
    second = site.remembering(name)
    assert site.asked == 1
    assert second.facts == first.facts
    assert site.file.stat() == before, "nothing to write"
    assert site.plan(name).facts["certificates"][0]["reason"] != first.facts["certificates"][0]["reason"]


def test_what_is_remembered_decides(site: Site) -> None:
    """Until the CA wants to be asked again, which then it is."""
    name = "decides.plan.example.com"
    one = site.have(name)
    why = "https://ca.example/incident"
    site.bench.ca.set_renewal_answer(one.chain_pem.decode(), _window(-2 * DAY, -DAY, explanationURL=why))
    first = site.remembering(name).facts["certificates"][0]
    assert (first["action"], why in first["reason"]) == (RENEW, True)
    site.bench.ca.set_renewal_answer(one.chain_pem.decode(), _window(30 * DAY, 31 * DAY))
    assert site.remembering(name).facts["certificates"][0] == first

    document = json.loads(site.file.read_text())
    (entry,) = document["certificates"].values()
    entry["retry_after"] = f"{datetime.datetime.now(UTC) - SECOND:%Y-%m-%dT%H:%M:%S+00:00}"
    site.file.write_text(json.dumps(document))
    assert site.remembering(name).facts["certificates"][0]["action"] == NOTHING
    assert site.asked == 2


def _in(seconds: float) -> str:
    return (datetime.datetime.now(UTC) + seconds * SECOND).isoformat()


def _damaged(site: Site, how: str) -> None:
    document = json.loads(site.file.read_text())
    (entry,) = document["certificates"].values()
    edits: dict[str, Any] = {
        "years": {"retry_after": _in(3650 * 86400)},
        "no time": {"retry_after": None},
        "naive": {"retry_after": "tomorrow"},
        "end before start": {"end": _in(-3650 * 86400)},
    }
    contents = {"empty": "", "list": "[]", "deep": "[" * 100000, "null": "null", "string": '{"certificates": "x"}'}
    entry.update(edits.get(how, {}))
    site.file.write_text(contents.get(how, json.dumps(document)))
    if how == "missing":
        site.file.unlink()
    elif how == "readable by others":
        site.file.chmod(0o644)
    elif how == "not text":
        site.file.write_bytes(b"\xff\xfe\x00")


@pytest.mark.parametrize(
    "how",
    [
        "missing",
        "empty",
        "list",
        "deep",
        "null",
        "string",
        "not text",
        "readable by others",
        "years",
        "no time",
        "naive",
        "end before start",
    ],
)
def test_what_cannot_be_relied_on_costs_a_request(site: Site, how: str) -> None:
    name = f"damaged-{how}.plan.example.com".replace(" ", "-")
    site.have(name)
    first = site.remembering(name)
    _damaged(site, how)
    again = site.remembering(name)
    assert (again.facts, again.warnings, site.asked) == (first.facts, [], 2)
    assert site.remembering(name).facts == first.facts
    assert site.asked == 2, "and is as good as new"


def test_check_mode_remembers_nothing(site: Site) -> None:
    name = "check.plan.example.com"
    site.have(name)
    site.remembering(name, check_mode=True)
    assert not site.directory.parent.exists()
    site.remembering(name)
    site.remembering(name, check_mode=True)
    assert site.asked == 2, "but uses what is there"


def test_a_certificate_that_is_gone_is_forgotten(site: Site) -> None:
    name = "gone.plan.example.com"
    old = site.have(name)
    site.remembering(name)
    new = site.have(name)
    # The CA may have issued both in the same second, and then nothing tells which is the newer.
    there = site.box.state["certificates"]
    (gone,) = (certificate for certificate in there if there[certificate] == old.facts.fingerprint)
    site.box.ask(f"<Remove><Certificate><Name>{gone}</Name></Certificate></Remove>")
    site.remembering(name)
    kept = json.loads(site.file.read_text())["certificates"]
    assert list(kept) == [new.facts.fingerprint]


def test_what_another_ca_said_does_not_count(site: Site) -> None:
    """Of a certificate whose origin nobody knows."""
    name = "moved.plan.example.com"
    site.have(name, origin="")
    site.remembering(name)
    document = json.loads(site.file.read_text())
    site.file.write_text(json.dumps({**document, "directory": "https://other.example.com/dir"}))
    site.remembering(name)
    assert site.asked == 2


def test_a_directory_that_cannot_be_written_is_a_warning(site: Site) -> None:
    name = "open.plan.example.com"
    site.have(name)
    site.directory.mkdir(parents=True, mode=0o755)
    outcome = site.remembering(name)
    assert outcome.facts["certificates"][0]["action"] == NOTHING
    (warning,) = outcome.warnings
    assert "cannot be remembered" in warning
    assert "chmod 0700" in warning


# -- F28: wrong clocks


@pytest.mark.parametrize(
    ("hours", "window", "action"),
    [
        (2, (1.0, 1.5), NOTHING),
        (-2, (1.0, 1.5), NOTHING),
        (2, (-1.5, -1.0), RENEW),
        (-2, (-1.5, -1.0), RENEW),
    ],
)
def test_f28_the_cas_clock_decides(site: Site, hours: int, window: tuple[float, float], action: str) -> None:
    name = f"f28-{hours + 2}-{window[0] > 0}.plan.example.com".lower()
    one = site.have(name)
    site.bench.ca.set_renewal_answer(one.chain_pem.decode(), _window(window[0] * HOUR, window[1] * HOUR))
    assert site.judged(name, LeapClock(skew=hours * 3600.0)).action == action


@pytest.mark.parametrize("hours", [0, 2, -2])
def test_f28_a_short_life_is_measured_by_the_cas_clock(site: Site, hours: int) -> None:
    """Of an hour and a half, one that has just begun is not over; one that is over has not just begun."""
    name = f"f28-brief-{hours + 2}.plan.example.com"
    one = site.have(name, profile="brief")
    site.bench.proxy.on(fault.RENEWAL_INFO, fault.answer(404, Date=fault.http_date(0)), method="GET", times=None)
    found = site.judged(name, LeapClock(skew=hours * 3600.0))
    assert (found.action, found.reason) == (NOTHING, "more than half of its lifetime is left")

    (version,) = (each for each in site.box.state["certificates"] if each.startswith("web-"))
    site.box.ask(f"<Remove><Certificate><Name>{version}</Name></Certificate></Remove>")
    site.put(fault.forged(one.chain_pem, days=(-0.3, -1 / 24)), one.private_key_pem)
    assert site.judged(name, LeapClock(skew=hours * 3600.0)).reason.startswith("expired on")


def test_f28_a_wrong_clock_is_said(site: Site) -> None:
    """The CA's is two hours ahead of ours; what it tells from a cache is not believed."""
    name = "f28-said.plan.example.com"
    one = site.have(name)
    site.bench.ca.set_renewal_answer(one.chain_pem.decode(), _window(-HOUR, HOUR))
    assert site.plan(name).warnings == []
    later = {"Date": fault.http_date(7200)}
    site.bench.proxy.on(fault.RENEWAL_INFO, fault.headers(**later), method="GET")
    outcome = site.plan(name, period=0)
    assert "the CA asks for early renewal" in outcome.facts["certificates"][0]["reason"]
    (warning,) = outcome.warnings
    seconds = warning.removeprefix("the clock of this machine is ").split()[0]
    assert abs(int(seconds) - 7200) < 60
    assert "s behind the CA's" in warning
    site.bench.proxy.on(fault.RENEWAL_INFO, fault.headers(**later, Age="3"), method="GET", times=None)
    assert site.plan(name).warnings == []
