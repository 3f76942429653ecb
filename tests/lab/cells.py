# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of firewall faults: a firewall for each fault at each call of a renewal, and what is seen from outside."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.entries import certificate, certificates, firewall, waf_rule
from lab.expiring import Expiring
from lab.fleet import Fleet
from lab.playbook import PlaybookResult

# What a call is answered with, as the emulator has it.
FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"kind": "leave"},
    "reset": {"kind": "reset_before"},
    "reset, done": {"kind": "reset_after"},
    "silent": {"kind": "timeout"},
    "silent, done": {"kind": "timeout", "applied": True},
    "500": {"kind": "status", "code": 500, "text": "Operation could not be performed on Entity."},
    "502": {"kind": "status", "code": 502, "text": "Entity having same name already exists."},
    "504": {"kind": "status", "code": 504, "text": "Deleting entity referred by another entity."},
    "529": {"kind": "envelope", "code": 529, "text": "Input request file is Invalid"},
    "534": {"kind": "envelope", "code": 534, "text": "API operations are not allowed from the requester IP address"},
    "password": {"kind": "auth"},
    "HTML": {"kind": "html"},
    "empty": {"kind": "empty"},
    "cut off": {"kind": "truncated"},
    "other entity": {"kind": "wrong_entity"},
    "lie": {"kind": "lie"},
}
# A read that was carried out is no other than one that was not, and a refusal of it is a refusal.
OF_WRITES = ("reset, done", "silent, done", "502", "504", "lie")
# Seconds for which a firewall that refuses once does so: longer than the way to the next call, whatever the load.
AWAY = 25
# Before the first call, which is the only one then: until then much has to start.
AWAY_AT_FIRST = 600
ONCE, FOR_GOOD = "once", "until healed"
LASTING = {ONCE: 1, FOR_GOOD: 0}
# One of each kind: what goes on failing is retried and given up in one way, whatever the words.
FAILING_FOR_GOOD = ("refused", "reset", "silent", "500", "534", "password", "HTML", "lie")

# Many, since most wait; but not all, as two cores have to answer them, and the CA's questions within seconds.
FORKS = 64
# A firewall whose address no cell has.
APART = 250
WEB, RULE = "web", "Site"
PORTS = {"waf": 8443, "webadmin": 4443}
# With every object of somebody else's that ours might be mistaken for, or get in the way of.
FOREIGN = (
    "<IPHost><Name>certfleet-http01-10.9.9.9</Name><HostType>IP</HostType><IPAddress>10.9.9.9</IPAddress></IPHost>",
    (
        "<Services><Name>certfleet-http01-tcp-25</Name><Type>TCPorUDP</Type><ServiceDetails><ServiceDetail><SourcePort>"
        "1:65535</SourcePort><DestinationPort>25</DestinationPort><Protocol>TCP</Protocol></ServiceDetail>"
        "</ServiceDetails></Services>"
    ),
    (
        "<FirewallRule><Name>Mail</Name><IPFamily>IPv4</IPFamily><Status>Enable</Status><Position>Top</Position>"
        "<PolicyType>Network</PolicyType><NetworkPolicy><Action>Accept</Action><SourceZones><Zone>WAN</Zone></SourceZones>"
        "<DestinationZones><Zone>LAN</Zone></DestinationZones><Schedule>All The Time</Schedule><DestinationNetworks>"
        "<Network>#Port2</Network></DestinationNetworks><Services><Service>certfleet-http01-tcp-25</Service></Services>"
        "</NetworkPolicy></FirewallRule>"
    ),
    (
        "<NATRule><Name>Mail</Name><IPFamily>IPv4</IPFamily><Status>Enable</Status><Position>Top</Position>"
        "<LinkedFirewallrule>None</LinkedFirewallrule><TranslatedSource>Original</TranslatedSource>"
        "<OriginalDestinationNetworks><Network>#Port2</Network></OriginalDestinationNetworks><TranslatedDestination>"
        "certfleet-http01-10.9.9.9</TranslatedDestination><OriginalServices><Service>certfleet-http01-tcp-25</Service>"
        "</OriginalServices><TranslatedService>Original</TranslatedService></NATRule>"
    ),
)
ENTITIES = (
    "IPHost",
    "Services",
    "Schedule",
    "NATRule",
    "FirewallRule",
    "FirewallRuleGroup",
    "Certificate",
    "CertificateAuthority",
    "AdminSettings",
)
MARK = "certfleet: "
VERSION = re.compile(rf"{WEB}-\d{{8}}-[0-9a-f]{{8}}")
# "fw7: web: open: … ." and what to do about it.
SENTENCE = re.compile(r"(?P<firewall>fw\d+): (\S+: )?(?P<stage>[a-z]+): \S.*\. [A-Z].*\.?")

Play = Callable[..., PlaybookResult]


@dataclass(frozen=True)
class Call:
    """The `number`th entity that an undisturbed renewal asks for or writes, from 1."""

    number: int
    operation: str
    entity: str

    def __str__(self) -> str:
        return f"{self.number:02} {self.what}"

    @property
    def what(self) -> str:
        return f"{'read' if self.operation == 'get' else self.operation} {self.entity}"

    @property
    def answers(self) -> Iterator[tuple[str, str]]:
        """(fault, how long). Where all fails from a read on, it is as from the write beside it; the first has none."""
        reads = self.operation == "get"
        for fault in FAULTS:
            if not (reads and fault in OF_WRITES):
                yield fault, ONCE
                if fault in FAILING_FOR_GOOD and (not reads or self.number == 1):
                    yield fault, FOR_GOOD


@dataclass(frozen=True)
class Cell:
    """A firewall of its own, fwNUMBER, for one fault at one call."""

    number: int
    call: Call
    fault: str
    lasting: str

    @property
    def host(self) -> str:
        return f"fw{self.number}"

    def __str__(self) -> str:
        return f"{self.host} ({self.call}, {self.fault}, {self.lasting})"

    def documents(self) -> list[dict[str, Any]]:
        """For the emulator. Refused is what comes after the call before; the first one has none."""
        fault, count, number = FAULTS[self.fault], LASTING[self.lasting], self.call.number
        if self.fault != "refused":
            return [{**fault, "nth": number, "count": count}]
        if number == 1:
            return [{"kind": "refuse", "seconds": AWAY_AT_FIRST if count else 0}]
        return [{**fault, "nth": number - 1, "seconds": AWAY if count else 0}]


@dataclass(frozen=True)
class Seen:
    """One firewall from outside. serves: consumer -> "new" or "old"; anything else is told in words.

    port80: as knocking gives it; foreign: what is not ours, comparable; ours: what is, but for the certificate.
    """

    serves: dict[str, str]
    port80: str
    foreign: dict[str, str]
    ours: list[str]
    versions: int
    # Since the fault was set.
    requests: int
    login_failures: int


def cells(calls: Iterable[Call]) -> list[Cell]:
    found = [(call, *answer) for call in calls for answer in call.answers]
    return [Cell(number, *one) for number, one in enumerate(found, start=1)]


class Town:
    """A fleet with one certificate for a web server protection rule and the console on each firewall; it is due."""

    def __init__(self, make_fleet: Callable[..., Fleet], play: Play, directory: Path, numbers: Sequence[int]) -> None:
        self._play = play
        self._directory = directory
        self._hosts = {f"fw{number}": self._host(number) for number in numbers}
        self._expiring = Expiring(directory / "previous")
        self.fleet = make_fleet(list(map(self._box, numbers)), {_domain(number): f"fw{number}" for number in numbers})
        self.roots = self.fleet.roots + self._expiring.root
        (directory / "roots.pem").write_text(self.roots)
        # A thousand looks a second at hosts that wait would take the time of those that do not.
        (directory / "ansible.cfg").write_text("[defaults]\ninternal_poll_interval = 0.05\n")

    def _box(self, number: int) -> dict[str, Any]:
        previous = self._expiring.issue(WEB, _domain(number))
        rule = waf_rule(RULE, _domain(number), certificate=previous["name"], group="Published")
        console = (
            f"<AdminSettings><WebAdminSettings><Certificate>{previous['name']}</Certificate><HTTPSport>4444</HTTPSport>"
            "<UserPortalHTTPSPort>4443</UserPortalHTTPSPort><VPNPortalHTTPSPort>443</VPNPortalHTTPSPort>"
            "</WebAdminSettings></AdminSettings>"
        )
        return firewall(number, rule, certificates=[previous], objects=[*FOREIGN, console], webadmin_delay=0)

    @staticmethod
    def _host(number: int) -> dict[str, Any]:
        wanted = certificate(WEB, _domain(number), consumers=[f"waf:{RULE}", "webadmin"], key_type="ec256")
        return certificates(wanted, xgs_tls_server_name=_domain(number))

    def patience(self, host: str, seconds: int) -> None:
        """How long an answer of this firewall is waited for."""
        self._hosts[host].update(xgs_timeout=seconds)

    def renew(self) -> dict[str, dict[str, Any]]:
        """A plain run for all. The report's row of each firewall."""
        report = self._directory / "report.json"
        tell = {"content": "{{ hostvars[groups.xgs[0]].xgs_letsencrypt_report | to_json }}", "dest": str(report)}
        told = {"name": "Tell", "hosts": "localhost", "gather_facts": False, "tasks": [{"ansible.builtin.copy": tell}]}
        result = self._run([{"ansible.builtin.import_playbook": "certfleet.sophos_xgs.renew"}, told])
        rows = {row["firewall"]: row for row in json.loads(report.read_text())}
        assert set(rows) == set(self._hosts), result.stdout
        report.unlink()
        return rows

    def sweep(self, hosts: Iterable[str]) -> None:
        """The janitor, on these firewalls."""
        self._run("certfleet.sophos_xgs.close_ports", flags=["--limit", ",".join(hosts)])

    def _run(self, playbook: Any, flags: Sequence[str] = ()) -> PlaybookResult:
        result = self._play(
            self.fleet,
            self._hosts,
            playbook,
            variables={
                "ansible_httpapi_ca_path": str(self._directory / "roots.pem"),
                "xgs_letsencrypt_state_dir": str(self._directory / "state"),
                "xgs_letsencrypt_verify_timeout": 4,
                "xgs_letsencrypt_alarm_days": 0,
            },
            flags=["--forks", str(FORKS), *flags],
            env={"ANSIBLE_CONFIG": str(self._directory / "ansible.cfg")},
            timeout=1800,
            foreseen=False,
        )
        assert "Traceback" not in result.stdout + result.stderr, result.stdout + result.stderr
        return result

    def look(self) -> dict[str, Seen]:
        with ThreadPoolExecutor(16) as pool:
            return dict(zip(self._hosts, pool.map(self._look, self._hosts), strict=True))

    def _look(self, host: str) -> Seen:
        objects = {entity: self.fleet.emulator.objects(host, entity) for entity in ENTITIES}
        counters = self.fleet.emulator.firewall(host)["counters"]
        versions = [name for name in objects["Certificate"] if VERSION.fullmatch(name)]
        known = {f"{entity} {name}": text for entity, found in objects.items() for name, text in found.items()}
        ours = [one for one, text in known.items() if MARK in text]
        return Seen(
            {consumer: self._serves(host, port) for consumer, port in PORTS.items()},
            self.fleet.port80(host),
            {one: _comparable(text) for one, text in known.items() if one not in ours and not _expected(one)},
            ours,
            len(versions),
            counters["requests"],
            counters["auth_failures"],
        )

    def _serves(self, host: str, port: int) -> str:
        """Only what a visitor accepts has a name here."""
        domain = _domain(int(host.removeprefix("fw")))
        try:
            shown = self.fleet.shown(host, port, domain)
            if shown.trusted:
                return "new"
            shown = self.fleet.shown(host, port, domain, self.roots)
        except OSError as error:
            return f"nothing: {error}"
        return "old" if shown.trusted else f"what is not trusted: {shown.distrust}"

    def later(self, host: str, seconds: int) -> str:
        """What port 80 comes to when so much time has gone by."""
        self.fleet.emulator.settings(host, clock_offset=seconds)
        state = self.fleet.port80(host)
        self.fleet.emulator.settings(host, clock_offset=0)
        return state


def undisturbed(make_fleet: Callable[..., Fleet], play: Play, directory: Path) -> tuple[list[Call], int]:
    """Every call of a renewal that nothing disturbs, and in how many requests they came."""
    directory.mkdir()
    town = Town(make_fleet, play, directory, [APART])
    assert town.renew()[f"fw{APART}"]["status"] == "renewed"
    state = town.fleet.emulator.firewall(f"fw{APART}")
    calls = [Call(number, one["operation"], one["entity"]) for number, one in enumerate(state["log"], start=1)]
    return calls, state["counters"]["requests"]


def _domain(number: int) -> str:
    return f"cell{number}.example.com"


def _comparable(xml: str) -> str:
    """Without what a renewal is for, and without where a rule stands: ours may stand above it."""
    root = ET.fromstring(VERSION.sub(WEB, xml))  # our own emulator
    for child in [child for child in root if child.tag in ("Position", "After", "Before")]:
        root.remove(child)
    return ET.tostring(root, encoding="unicode")


def _expected(one: str) -> bool:
    """What a renewal leaves."""
    entity, _, name = one.partition(" ")
    return bool(VERSION.fullmatch(name)) or (entity == "CertificateAuthority" and name.startswith("Pebble"))


def row_of(call: Call, lasting: str, words: Mapping[str, str]) -> dict[str, str]:
    """A row of the table."""
    return {"call": str(call), "answered so": lasting, **{fault: words.get(fault, "-") for fault in FAULTS}}
