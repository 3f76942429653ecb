# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renewals that are ended at a given instant, and what can be seen from outside afterwards."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lab import entries, proxy
from lab.ending import PATIENCE, Run, Signal
from lab.fleet import Fleet
from lab.handshake import shake_hands
from lab.playbook import PlaybookResult, prepare, run_playbook
from lab.ports import wait_closed
from lab.privacy import exposed, halves
from lab.processes import wait_until
from lab.stages import Instant
from lab.tls import Issuer, issue, make_issuer
from lab.visitor import Visitor

RENEW, JANITOR = "certfleet.sophos_xgs.renew", "certfleet.sophos_xgs.close_ports"
WAF_PORT = 8443
# Minutes by which a firewall's clock is moved to find out when it shuts the port.
LOOKS = range(0, 35, 5)
# Entities that certificates are made of; all others are to be as they were.
CERTIFICATES = ("Certificate", "CertificateAuthority")


class Held:
    """An action of the CA's proxy: a request waits there."""

    def __init__(self, done: bool) -> None:
        self._done = done
        self.arrived, self.released, self.over = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, exchange: proxy.Exchange) -> proxy.Answer:
        try:
            answer = exchange.forward() if self._done else None
            self.arrived.set()
            self.released.wait(PATIENCE)
            return answer or exchange.forward()
        finally:
            self.over.set()


@dataclass(frozen=True)
class Seen:
    """port: "shut", or "leased" for one that the firewall itself shuts when the lease ends. served: "previous" or
    "new". uploaded: whether the new one is on the firewall. left: objects of ours. grouped: whether the rule is in its
    group. issued: certificates, by this run.
    """

    port: str
    served: str
    uploaded: bool
    left: tuple[str, ...]
    grouped: bool
    issued: int

    def __str__(self) -> str:
        return f"{self.port}, {self.served}{'' if self.grouped else ', rule out of its group'}"


class Scene:
    """Firewalls, each with a site whose certificate is due, and renewals that can be ended."""

    def __init__(self, fleet: Fleet, ca: proxy.FaultProxy, collection: Path, state: bool, roots: str) -> None:
        """state: with a directory that outlives a run; else they lose what README says. roots: what visitors trust."""
        self.fleet, self.ca, self.roots = fleet, ca, roots
        self._collection, self._directory = collection, fleet.workdir / "node"
        self.state = self._directory / "state" if state else None
        self.sites = {firewall: site(firewall) for firewall in fleet.addresses}
        self._before = {firewall: self._objects(firewall) for firewall in self.sites}
        self._previous = {firewall: self.fingerprint(firewall) for firewall in self.sites}

    # -- runs ---------------------------------------------------------------------------------

    def _options(self, firewalls: Sequence[str]) -> dict[str, Any]:
        variables = {
            "xgs_letsencrypt_directory": self.ca.directory_url,
            "xgs_letsencrypt_directory_ca_path": self.ca.ca_file,
            "xgs_letsencrypt_account_key_path": str(self._directory / "account.pem"),
            **({"xgs_letsencrypt_state_dir": str(self.state)} if self.state else {}),
        }
        hosts = {
            firewall: entries.certificates(entries.certificate("OWA", self.sites[firewall], consumers=["waf:OWA rule"]))
            for firewall in firewalls
        }
        inventory = self.fleet.inventory(hosts, **variables)
        return {"collection_path": self._collection, "workdir": self._directory / "run", "inventory": inventory}

    def run(self, firewalls: Sequence[str], playbook: str = RENEW) -> PlaybookResult:
        """A whole run, visited all the time."""
        with self.visited(firewalls):
            return run_playbook(playbook, **self._options(firewalls), flags=["--forks", "8"])

    @contextlib.contextmanager
    def visited(self, firewalls: Sequence[str]) -> Iterator[None]:
        """Nobody may be shown anything but a valid certificate meanwhile."""
        sites = {self.sites[name]: self.fleet.addresses[name] for name in firewalls}
        with Visitor(sites, WAF_PORT, self.roots) as visitor:
            yield
        assert not visitor.complaints

    @contextlib.contextmanager
    def running(self, firewall: str) -> Iterator[Run]:
        """A renewal in a process group of its own, of which nothing but the responder is left in the end."""
        run = Run(*prepare(RENEW, **self._options([firewall])), self.log)
        try:
            yield run
            run.wait()
        except BaseException:
            run.kill_all()
            run.process.wait()
            raise

    @property
    def log(self) -> Path:
        return self._directory / "launched.log"

    def end_at(self, firewall: str, instant: Instant, by: Signal) -> Seen:
        """End a renewal at that request, which is carried out all the same."""
        with self.visited([firewall]), self.watched(firewall) as look:
            self.during(firewall, instant, by.send)
            wait_until(lambda: self._carried_out(firewall, instant), PATIENCE, lambda: instant.label)
            return look()

    def during(self, firewall: str, instant: Instant, act: Callable[[Run], object]) -> None:
        """A renewal, and what shall happen at that request."""
        with self.running(firewall) as run, self.held(firewall, instant) as arrived:
            wait_until(lambda: arrived() or run.process.poll() is not None, PATIENCE, self.log.read_text)
            assert run.process.poll() is None, f"it ended before {instant}\n{self.log.read_text()}"
            act(run)

    def end_after(self, firewall: str, seconds: float, by: Signal) -> Seen:
        with self.visited([firewall]), self.watched(firewall) as look:
            with self.running(firewall) as run:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.process.wait(seconds)
                if run.process.returncode is None:
                    by.send(run)
            return look()

    @contextlib.contextmanager
    def held(self, firewall: str, instant: Instant) -> Iterator[Callable[[], bool]]:
        """That request waits until the end of the block; tells whether it does."""
        if instant.path:
            gate = Held(instant.done)
            self.ca.on(instant.path, gate)
            try:
                yield gate.arrived.is_set
            finally:
                gate.released.set()
                if gate.arrived.is_set():
                    gate.over.wait(PATIENCE)
                self.ca.reset()
        elif instant.step:
            emulator = self.fleet.emulator
            emulator.add_faults(firewall, {"kind": "hold", "applied": instant.done, **instant.step})
            try:
                yield lambda: any(one["held"] for one in emulator.firewalls())
            finally:
                with contextlib.suppress(OSError):  # it may be without power
                    emulator.clear_faults(firewall)
        else:
            yield self.fleet.responder_open

    def _carried_out(self, firewall: str, instant: Instant) -> bool:
        wanted = (instant.step.get("operation"), instant.step.get("entity"))
        log = self.fleet.emulator.firewall(firewall)["log"]
        return [(one["operation"], one["entity"]) for one in log].count(wanted) >= instant.step.get("nth", 0)

    # -- what is to be seen -------------------------------------------------------------------

    @contextlib.contextmanager
    def watched(self, firewall: str) -> Iterator[Callable[[], Seen]]:
        """Gives what is to be seen after the run that is in the block, and ends the responder."""
        issued = self.fleet.ca.issued()

        def look() -> Seen:
            self.end_responder()
            self.check_files()
            return Seen(
                self.port(firewall),
                self.served(firewall),
                len(self.versions(firewall)) > 1 or self._previous_is_gone(firewall),
                tuple(self.left(firewall)),
                self.grouped(firewall),
                self.fleet.ca.issued() - issued,
            )

        yield look

    def port(self, firewall: str) -> str:
        """Port 80 from outside; open for how long by the firewall's clock."""
        try:
            for minutes in LOOKS:
                self.fleet.emulator.settings(firewall, clock_offset=60 * minutes)
                if self.fleet.port80(firewall) == "refused":
                    return "leased" if minutes else "shut"
        finally:
            self.fleet.emulator.settings(firewall, clock_offset=0)
        raise AssertionError(f"{firewall}: port 80 is open after {LOOKS[-1]} minutes, past the lease")

    def fingerprint(self, firewall: str) -> str:
        shown = shake_hands(self.fleet.addresses[firewall], WAF_PORT, self.sites[firewall], self.roots)
        assert shown.trusted, shown.distrust
        return shown.fingerprint

    def served(self, firewall: str) -> str:
        return "previous" if self.fingerprint(firewall) == self._previous[firewall] else "new"

    def versions(self, firewall: str) -> dict[str, str]:
        found = self.fleet.emulator.firewall(firewall)["certificates"]
        return {name: digest for name, digest in found.items() if name.startswith("OWA-")}

    def _previous_is_gone(self, firewall: str) -> bool:
        return self._previous[firewall] not in self.versions(firewall).values()

    def _objects(self, firewall: str) -> dict[str, list[str]]:
        found = self.fleet.emulator.firewall(firewall)["objects"]
        return {entity: names for entity, names in found.items() if entity not in CERTIFICATES}

    def left(self, firewall: str) -> list[str]:
        """Objects of ours that a port forward is made of."""
        after = self._objects(firewall)
        return [name for names in after.values() for name in names if name.startswith("certfleet")]

    def grouped(self, firewall: str) -> bool:
        return "OWA rule" in self.fleet.emulator.objects(firewall, "FirewallRuleGroup")["Published"]

    def age(self) -> None:
        """All that is served now is due, says the CA."""
        now = datetime.now(timezone.utc)
        for firewall, name in self.sites.items():
            shown = shake_hands(self.fleet.addresses[firewall], WAF_PORT, name, self.roots)
            self.fleet.ca.set_renewal_info(shown.pem, now - timedelta(days=2), now - timedelta(days=1))
            self._previous[firewall] = shown.fingerprint

    def check_undone(self, firewall: str) -> None:
        """Nothing of ours is there, and all else is."""
        assert self._objects(firewall) == self._before[firewall], firewall

    def check_files(self) -> None:
        temporary = Path(prepare(RENEW, **self._options([]))[1]["TMPDIR"])
        assert exposed(self._directory, temporary) == []
        assert halves(self.state) == [] if self.state else True

    def end_responder(self) -> None:
        """It outlives a killed run, until its lease ends."""
        temporary = Path(prepare(RENEW, **self._options([]))[1]["TMPDIR"])
        for lease in temporary.glob(f"certfleet-*/responder-*-{self.fleet.responder_port}.json"):
            lease.unlink()
        wait_closed(self.fleet.responder, self.fleet.responder_port)

    def sweep(self, firewalls: Sequence[str]) -> None:
        """The janitor removes what is left of ours, and nothing else."""
        self.run(firewalls, JANITOR).check()
        for firewall in firewalls:
            assert self.fleet.port80(firewall) == "refused"
            self.check_undone(firewall)

    def rerun(self, firewalls: Sequence[str]) -> None:
        """A plain re-run ends clean: the new certificate is served, and nothing else is left of it all."""
        grouped = [firewall for firewall in firewalls if self.grouped(firewall)]
        assert self.run(firewalls).check().failed == 0
        self.end_responder()
        self.check_files()
        for firewall in firewalls:
            assert self.fleet.port80(firewall) == "refused"
            self.check_undone(firewall)
            assert self.served(firewall) == "new"
            assert list(self.versions(firewall).values()) == [self.fingerprint(firewall)], "the old ones are gone"
        assert all(map(self.grouped, grouped))


def site(firewall: str) -> str:
    return f"owa.{firewall}.example.com"


@contextlib.contextmanager
def scene(
    make_fleet: Callable[..., Fleet], collection: Path, directory: Path, count: int, state: bool = True, **options: Any
) -> Iterator[Scene]:
    """That many firewalls whose certificates, of another CA, end soon. The options are the emulator's."""
    former = make_issuer(directory / "former", "former")
    boxes = [_due(number, former, directory / "former") for number in range(1, count + 1)]
    fleet = make_fleet(boxes, {site(box["name"]): box["name"] for box in boxes}, **options)
    upstream = fleet.ca.directory_url.rpartition("/")[0]
    roots = fleet.roots + (directory / "former/ca.pem").read_text()
    with proxy.FaultProxy(upstream, fleet.ca.ca_file, directory / "proxy") as ca:
        made = Scene(fleet, ca, collection, state, roots)
        try:
            yield made
        finally:
            made.end_responder()


def _due(number: int, issuer: Issuer, directory: Path) -> dict[str, Any]:
    files = issue(issuer, directory / str(number), [site(f"fw{number}")], days=(-80, 10))
    leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    name = f"OWA-{leaf.not_valid_after_utc:%Y%m%d}-{leaf.fingerprint(hashes.SHA256()).hex()[:8]}"
    seed = {"name": name, "cert_file": str(files.certificate), "key_file": str(files.key)}
    rule = entries.waf_rule("OWA rule", site(f"fw{number}"), certificate=name, group="Published")
    return entries.firewall(number, rule, certificates=[seed])
