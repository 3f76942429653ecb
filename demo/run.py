# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew three emulated firewalls from a real CA, three times, and show what happened.

What it claims comes from outside the collection: the CA's log, TLS handshakes that trust the CA's
root alone, attempts to connect to port 80, and the emulator's counters.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from scene import FIREWALLS, HOSTS, NAMES, PLACES, RECALLED

from emulator.client import EmulatorError
from lab import collection
from lab.fleet import Fleet
from lab.handshake import Shown
from lab.playbook import parse_recap, prepare
from lab.ports import is_open

WORKDIR = Path(__file__).resolve().parents[1] / "build" / "demo"
PLAYBOOK = "certfleet.sophos_xgs.renew"


class Demo:
    """Runs the playbook and holds what it claims against what can be seen from outside."""

    def __init__(self, fleet: Fleet, collection_path: Path) -> None:
        self.fleet = fleet
        self.inventory = fleet.inventory(HOSTS)
        self.collection_path = collection_path
        self.doubts: list[str] = []

    def renew(self) -> int:
        """Run the playbook as a user would, showing its output as it comes; how many tasks changed something."""
        command, environment = prepare(
            PLAYBOOK, collection_path=self.collection_path, workdir=WORKDIR / "run", inventory=self.inventory
        )
        say(f"$ ansible-playbook {PLAYBOOK} -i inventory.yml")
        lines = []
        with subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=WORKDIR / "run"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if line.strip() and not line.startswith("skipping:"):
                    print("  |", line.rstrip(), flush=True)
        recap = parse_recap("".join(lines))
        self.expect(process.returncode == 0, f"the playbook ended with status {process.returncode}")
        return sum(host["changed"] for host in recap.values())

    def expect(self, true: bool, doubt: str) -> None:
        if not true:
            self.doubts.append(doubt)
            say(f"!! {doubt}")

    def look(self) -> dict[tuple[str, int, str], Shown]:
        """Shake hands with every place as its visitors do."""
        shown = {}
        for place in PLACES:
            served = self.fleet.shown(place.firewall, place.port, place.name)
            shown[place.firewall, place.port, place.name] = served
            self.expect(served.trusted, f"a visitor of {place.name} is not convinced: {served.distrust}")
        return shown

    def check_closed(self) -> None:
        for firewall in self.fleet.addresses:
            self.expect(self.fleet.port80(firewall) != "open", f"port 80 of {firewall} is open")
        self.expect(not self.fleet.responder_open(), "the responder still runs")

    def table(self) -> None:
        shown = self.look()
        rows = [("firewall", "certificate", "name", "port", "days left", "served (SHA-256)", "port 80 was open")]
        for place in PLACES:
            served = shown[place.firewall, place.port, place.name]
            state = self.fleet.emulator.firewall(place.firewall)
            times = ", ".join(f"{interval['seconds']:.1f} s" for interval in state["open_intervals"])
            rows.append(
                (
                    place.firewall,
                    place.certificate,
                    place.name,
                    str(place.port),
                    str(served.days_left),
                    f"{served.fingerprint[:16]} {'trusted' if served.trusted else 'NOT TRUSTED'}",
                    times or "never",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        print()
        for row in rows:
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        print(flush=True)

    def run(self) -> None:
        ca, emulator = self.fleet.ca, self.fleet.emulator

        say("First run: nothing has a certificate yet")
        self.renew()
        self.expect(ca.issued() == 4, f"the CA issued {ca.issued()} certificates, not 4")
        self.check_closed()
        first = self.look()
        say(
            f"The CA's log: {ca.issued()} certificates issued, {len(ca.validations())} names validated through port 80."
        )
        self.table()

        say("Second run: nothing is due")
        for firewall in self.fleet.addresses:
            emulator.reset(firewall)
        changed = self.renew()
        self.expect(changed == 0, f"{changed} tasks changed something")
        self.expect(self.fleet.writes() == 0, f"{self.fleet.writes()} writes went to the firewalls")
        self.expect(ca.issued() == 4, "the CA issued another certificate")
        self.expect(self.look() == first, "something else is served than before")
        reads = {name: counters["reads"] for name, counters in self.fleet.counters().items()}
        say(f"changed={changed}, writes: {self.fleet.writes()}, reads: {reads}, issued: 0 more.")

        say(f"The CA asks for early renewal of one certificate: {RECALLED.certificate} of {RECALLED.firewall}")
        recalled = RECALLED.firewall, RECALLED.port, RECALLED.name
        now = datetime.now(timezone.utc)
        ca.set_renewal_info(
            first[recalled].pem, now - timedelta(days=2), now - timedelta(days=1), "https://ca.example/why"
        )

        say("Third run: just that one is due")
        self.renew()
        third = self.look()
        self.expect(ca.issued() == 5, f"the CA issued {ca.issued() - 4} certificates, not one")
        self.expect(third[recalled] != first[recalled], f"{RECALLED.name} still serves the recalled certificate")
        del third[recalled], first[recalled]
        self.expect(third == first, "another certificate changed as well")
        self.check_closed()
        say(f"The CA's log: {ca.issued() - 4} certificate issued.")
        self.table()


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def show(collection_path: Path) -> list[str]:
    """All three runs; what was not as it should be."""
    with Fleet(FIREWALLS, WORKDIR, NAMES, latency=0.2) as fleet:
        say(f"Port 80 of a firewall is TCP {fleet.http_port} of its address here, so that no root is needed")
        say("The inventory, if you want to read it: build/demo/run/inventory.yml")
        demo = Demo(fleet, collection_path)
        demo.run()
    for address in fleet.addresses.values():
        demo.expect(not is_open(address, fleet.http_port), f"{address}:{fleet.http_port} still listens")
    return demo.doubts


def main() -> int:
    begin = time.monotonic()
    shutil.rmtree(WORKDIR, ignore_errors=True)
    say("Building the collection and installing it, as ansible-galaxy does for a user")
    collection_path = collection.install(WORKDIR)
    say("Starting the CA (Pebble), its DNS and three emulated firewalls, all on loopback")
    try:
        doubts = show(collection_path)
    except EmulatorError as error:
        doubts = [f"{error}; is another demo running?"]
    seconds = time.monotonic() - begin
    if doubts:
        say(f"FAILED after {seconds:.0f} s: {'; '.join(doubts)}")
        return 1
    say(f"Done in {seconds:.0f} s: everything was seen to be so, nothing runs any more, nothing is open.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
