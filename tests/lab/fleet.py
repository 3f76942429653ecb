# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole fleet: a real CA, its DNS, and emulated firewalls whose port 80 it validates through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from emulator.client import Emulator
from lab.handshake import Shown, shake_hands
from lab.pebble import AcmeCa
from lab.plane import Loopback, Plane
from lab.ports import is_open, knock

USERNAME, PASSWORD = "acme-api", "correct horse <battery> & staple"


class Fleet:
    """`with Fleet([{"name": "fw1", "address": "127.18.0.1", …}], workdir) as fleet: …`

    `firewalls` are the emulator's configuration, `names` the DNS: {name: firewall}. Everything is
    on loopback unless another plane is given.
    """

    def __init__(
        self,
        firewalls: Sequence[Mapping[str, Any]],
        workdir: Path,
        names: Mapping[str, str],
        ca_options: Mapping[str, Any] | None = None,
        plane: Plane | None = None,
        **emulator_options: Any,
    ) -> None:
        self.workdir = workdir
        self.plane = plane or Loopback()
        self.http_port = self.plane.http_port
        self.addresses: dict[str, str] = {}
        # The first of IPv6, where there is one.
        self.addresses6: dict[str, str] = {}
        # Where the WAF listens on port 80 for the whole time.
        self.redirecting = [
            str(firewall["name"])
            for firewall in firewalls
            if any(rule.get("redirect_http") or not rule.get("https", True) for rule in firewall.get("waf_rules", ()))
        ]
        self._firewalls = firewalls
        self._names = names
        self._ca_options = dict(ca_options or {})
        self._emulator_options = emulator_options
        self._stack = ExitStack()

    def __enter__(self) -> Fleet:
        with ExitStack() as stack:
            stack.enter_context(self.plane)
            self.responder, self.responder6 = self.plane.control.address, self.plane.control.address6
            self.responder_port = self.plane.control.free_port()
            self.ca = stack.enter_context(self._ca())
            self.emulator = stack.enter_context(self._emulator())
            for name, firewall in self._names.items():
                self.ca.add_a(name, self.addresses[firewall])
            self.roots = self.ca.root_pem()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _ca(self) -> AcmeCa:
        plane = self.plane
        return AcmeCa(self.workdir / "ca", machine=plane.outside, http_port=self.http_port, **self._ca_options)

    def _emulator(self) -> Emulator:
        firewalls = [self.plane.firewall(firewall) for firewall in self._firewalls]
        self.addresses = {firewall["name"]: str(firewall["address"]) for firewall in firewalls}
        for firewall in firewalls:
            for address in firewall.get("wan_hosts", {}).values():
                if ":" in address:
                    self.addresses6.setdefault(firewall["name"], address)
        common = {"username": USERNAME, "password": PASSWORD, "http_port": self.http_port}
        return Emulator({**common, **self._emulator_options, "firewalls": firewalls}, prefix=self.plane.prefix)

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
            "xgs_letsencrypt_responder_address": self.responder,
            "xgs_letsencrypt_responder_bind": self.responder,
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
            "ansible_host": self.plane.admin_address(name),
            "ansible_httpapi_port": state["admin_port"],
            "xgs_fingerprint": state["appliance_fingerprint"],
        }

    def shown(self, firewall: str, port: int, name: str, roots: str = "") -> Shown:
        """What a visitor of `name` is shown by this port of the firewall: from outside, or an administrator inside.

        roots: what the visitor trusts (PEM), if not the CA.
        """
        if port == self.emulator.firewall(firewall)["admin_port"]:
            address, visitor = self.plane.admin_address(firewall), self.plane.control
        else:
            address, visitor = self.addresses[firewall], self.plane.outside
        return shake_hands(address, port, name, roots or self.roots, connect=visitor.connect)

    def port80(self, firewall: str, timeout: float = 1.0) -> str:
        """What a connection from outside to the firewall's port 80 comes to: see `knock`."""
        return self._knock(self.addresses[firewall], timeout)

    def port80_of_ipv6(self, firewall: str, timeout: float = 1.0) -> str:
        return self._knock(self.addresses6[firewall], timeout)

    def _knock(self, address: str, timeout: float) -> str:
        return knock(address, self.http_port, timeout, self.plane.outside.connect)

    def all_port80(self) -> dict[str, str]:
        """`port80` of every firewall, asked at once: silence takes its time."""
        with ThreadPoolExecutor(len(self.addresses)) as pool:
            return dict(zip(self.addresses, pool.map(self.port80, self.addresses), strict=True))

    def responder_open(self) -> bool:
        return is_open(self.responder, self.responder_port, connect=self.plane.control.connect)

    def counters(self) -> dict[str, dict[str, int]]:
        return {firewall["name"]: firewall["counters"] for firewall in self.emulator.firewalls()}

    def writes(self) -> int:
        return sum(counters["writes"] for counters in self.counters().values())
