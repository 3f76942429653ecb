# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way by SSH beside the one by the API, of one firewall and one name: `make bench-onbox`, see docs/bench.md."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "build" / "bench" / "collections")]

from fleet_tools import ours  # noqa: E402  # what the paths above are for
from lab import collection  # noqa: E402
from lab.console import PASSWORD, Box, Httpd, missing  # noqa: E402
from lab.console.box import LAN, WAN  # noqa: E402
from lab.pebble import AcmeCa  # noqa: E402
from lab.playbook import prepare  # noqa: E402
from measure import measure  # noqa: E402
from nights import Night  # noqa: E402
from place import COLLECTIONS  # noqa: E402
from table import columns  # noqa: E402
from town import Town, WrongResult  # noqa: E402

NAME = "onbox.example.com"
HEAD = ("what", "wall s", "least-most", "port 80 open s", "runs")


class Took(NamedTuple):
    """Seconds: of the whole, and for which port 80 was open."""

    wall: float
    open: float | None = None


class OnBox:
    """A firewall that is reached by SSH, what it serves, and a CA outside."""

    def __init__(self, box: Box, httpd: Httpd, ca: AcmeCa, work: Path) -> None:
        self._box, self._httpd, self._ca, self._work = box, httpd, ca, work

    def login(self) -> Took:
        """From nothing to the first command, and out again after it."""
        from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.endpoint import Endpoint
        from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._shell.session import shell

        ssh = self._box.ssh
        pins = tuple(ssh["fingerprint"])
        start = time.perf_counter()
        with shell(Endpoint(ssh["host"], ssh["port"], password=ssh["password"], fingerprints=pins)):
            return Took(time.perf_counter() - start)

    def renewal(self) -> Took:
        before, report = self._ca.issued(), self._work / "report.json"
        command, own = prepare(
            "certfleet.sophos_xgs.renew",
            collection_path=COLLECTIONS / "collections",
            workdir=self._work / "ansible",
            inventory={"xgs": {"hosts": {"fw1": {**self._variables(), "xgs_letsencrypt_report_json": str(report)}}}},
            machine=self._box.plane.control,
        )
        wall = measure(command, env=own, log=self._work / "log.txt", timeout=120).wall_s
        if self._ca.issued() != before + 1 or not self._httpd.shown(NAME, self._ca.root_pem()).trusted:
            raise WrongResult(f"no new certificate is served: see {self._work / 'log.txt'}")
        return Took(wall, json.loads(report.read_text())["certificates"][0]["port_open_seconds"])

    def _variables(self) -> dict[str, Any]:
        return {
            "ansible_host": LAN,
            "xgs_ssh_password": PASSWORD,
            "xgs_ssh_fingerprint": self._box.console.fingerprint,
            "xgs_letsencrypt_method": "ssh",
            "xgs_letsencrypt_force": True,
            # The API's renewals do not look for a shell tool either.
            "xgs_letsencrypt_notice_onbox_tool": False,
            "xgs_letsencrypt_directory": self._ca.directory_url,
            "xgs_letsencrypt_directory_ca_path": self._ca.ca_file,
            "xgs_letsencrypt_account_key_path": str(self._work / "account.pem"),
            "xgs_letsencrypt_certificates": [{"name": "OWA", "domains": [NAME], "key_type": "ec256"}],
            "xgs_letsencrypt_wan_host": [WAN],
            "xgs_letsencrypt_responder_address": "127.0.0.1",
            "xgs_letsencrypt_responder_managed": False,
            "xgs_letsencrypt_onbox_directory": str(self._httpd.certificates),
            "xgs_letsencrypt_verify_address": WAN,
        }


@contextmanager
def on_box(work: Path) -> Iterator[OnBox]:
    with (
        Box(work / "console") as box,
        AcmeCa(work / "ca", machine=box.plane.outside, http_port=80) as ca,
        Httpd(
            box.console,
            work / "httpd",
            {"OWA": [NAME]},
            address=WAN,
            port=443,
            machine=box.itself,
            connect=box.plane.control.connect,
        ) as httpd,
    ):
        ca.add_a(NAME, WAN)
        yield OnBox(box, httpd, ca, work)


def by_api(work: Path, pace: float) -> Took:
    with Town(Night("first", 1, 1, 1, new=True, pace=pace), work / "town") as town:
        command, own = ours(town)
        wall = measure(command, env=own, log=town.work / "log.txt", timeout=300).wall_s
        town.check()
        (seconds,) = town.open_seconds()
        return Took(wall, seconds)


def _row(what: str, once: Callable[[], Took], runs: int) -> dict[str, Any]:
    took = [once() for _run in range(runs)]
    walls, opened = [each.wall for each in took], [each.open for each in took if each.open is not None]
    return {
        "what": what,
        "wall_s": round(statistics.median(walls), 2),
        "min": round(min(walls), 2),
        "max": round(max(walls), 2),
        "open_s": round(statistics.median(opened), 2) if opened else None,
        "runs": runs,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    opened = "" if row["open_s"] is None else f"{row['open_s']:.1f}"
    return [row["what"], f"{row['wall_s']:.2f}", f"{row['min']:.2f}-{row['max']:.2f}", opened, str(row["runs"])]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/onbox.py", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each (default: 5)")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build/bench-onbox.json", help="the rows as JSON")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    reason = missing() or Httpd.fetch()
    if reason:
        raise SystemExit(f"this cannot be measured here: {reason}")
    collection.install(COLLECTIONS)
    # Where the shell of an emulated firewall can read, whoever has the checkout.
    with tempfile.TemporaryDirectory(prefix="certfleet-bench-") as work, on_box(Path(work)) as firewall:
        rows = [
            _row("by SSH: login to shell", firewall.login, options.runs * 2),
            _row("by SSH: renewal", firewall.renewal, options.runs),
            _row("by API: renewal, firewall that answers at once", lambda: by_api(Path(work), 0.0), options.runs),
        ]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(rows, indent=2) + "\n")
    print(columns([HEAD, *map(_cells, rows)], left=(0,)))
    return 0


if __name__ == "__main__":
    # As by Ctrl-C: what is being measured is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
