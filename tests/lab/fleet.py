# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole fleet: a real CA, its DNS, and emulated firewalls whose port 80 it validates through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from emulator.client import Emulator
from lab.handshake import Shown, shake_hands
from lab.pebble import AcmeCa
from lab.ports import free_port, is_open

USERNAME, PASSWORD = "acme-api", "correct horse <battery> & staple"
RESPONDER = "127.0.0.1"


class Fleet:
    """`with Fleet([{"name": "fw1", "address": "127.18.0.1", …}], workdir) as fleet: …`

    `firewalls` are the emulator's configuration, `names` the DNS: {name: firewall}. Everything is
    on loopback; port 80 of a firewall is a high port of its address, so that no root is needed.
    """

    def __init__(
        self,
        firewalls: Sequence[Mapping[str, Any]],
        workdir: Path,
        names: Mapping[str, str],
        ca_options: Mapping[str, Any] | None = None,
        **emulator_options: Any,
    ) -> None:
        self.workdir = workdir
        self.http_port = free_port()
        self.responder_port = free_port()
        self.addresses = {firewall["name"]: str(firewall["address"]) for firewall in firewalls}
        self._names = names
        self._stack = ExitStack()
        self.ca = AcmeCa(workdir / "ca", http_port=self.http_port, **(ca_options or {}))
        self.emulator = Emulator(
            {
                "username": USERNAME,
                "password": PASSWORD,
                "http_port": self.http_port,
                **emulator_options,
                "firewalls": [dict(firewall) for firewall in firewalls],
            }
        )

    def __enter__(self) -> Fleet:
        with ExitStack() as stack:
            stack.enter_context(self.ca)
            stack.enter_context(self.emulator)
            for name, firewall in self._names.items():
                self.ca.add_a(name, self.addresses[firewall])
            self.roots = self.ca.root_pem()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def inventory(self, hosts: Mapping[str, Mapping[str, Any]], **variables: Any) -> dict[str, Any]:
        """An inventory as a user would write it; `hosts` holds what each firewall has of its own.

        A firewall shows its own certificate until it gets one of the CA's: so both are trusted.
        """
        common = {
            "ansible_user": USERNAME,
            "ansible_password": PASSWORD,
            "ansible_httpapi_ca_path": self.ca.root_file(),
            "xgs_letsencrypt_directory": self.ca.directory_url,
            "xgs_letsencrypt_directory_ca_path": self.ca.ca_file,
            "xgs_letsencrypt_account_key_path": str(self.workdir / "account.pem"),
            "xgs_letsencrypt_email": "ops@example.com",
            "xgs_letsencrypt_responder_address": RESPONDER,
            "xgs_letsencrypt_responder_bind": RESPONDER,
            "xgs_letsencrypt_responder_port": self.responder_port,
        }
        return {
            "all": {
                "children": {
                    "xgs": {
                        "vars": {**common, **variables},
                        "hosts": {name: {**self._reach(name), **own} for name, own in hosts.items()},
                    }
                }
            }
        }

    def _reach(self, name: str) -> dict[str, Any]:
        state = self.emulator.firewall(name)
        return {
            "ansible_host": state["address"],
            "ansible_httpapi_port": state["admin_port"],
            "xgs_fingerprint": state["appliance_fingerprint"],
        }

    def shown(self, firewall: str, port: int, name: str) -> Shown:
        """What a visitor of `name` is shown by this port of the firewall."""
        return shake_hands(self.addresses[firewall], port, name, self.roots)

    def port80_open(self, firewall: str) -> bool:
        """Whether a connection to the firewall's port 80 comes about."""
        return is_open(self.addresses[firewall], self.http_port)

    def counters(self) -> dict[str, dict[str, int]]:
        return {firewall["name"]: firewall["counters"] for firewall in self.emulator.firewalls()}

    def writes(self) -> int:
        return sum(counters["writes"] for counters in self.counters().values())
