# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One firewall, and the fleet that shares one HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import struct
import xml.etree.ElementTree as ET
from email.utils import formatdate
from html import escape
from pathlib import Path

from aiohttp import web

from . import accounts, entities, wire
from .api import Api, Dropped
from .config import ConfigError, FirewallConfig, Settings
from .dataplane import DataPlane
from .defaults import element, fill, host, waf_rule
from .device import Device
from .envelope import Refused, Step
from .faults import Faults
from .material import Material, read_certificates, read_key
from .rules import has_schedules
from .schema import text

__all__ = ["Firewall", "Fleet"]

API_PATH = "/webconsole/APIController"
NOT_FOUND = "<!DOCTYPE html><html><body>Error:404 Page not found</body></html>"
RESET = struct.pack("ii", 1, 0)


class Firewall:
    def __init__(self, config: FirewallConfig, server: web.Server) -> None:
        self.device = Device(config, config.settings)
        self.faults = Faults()
        self._kept = Path(config.keep) / f"{config.name}.pickle" if config.keep else None
        if self._kept and self._kept.exists():
            self.device.store = pickle.loads(self._kept.read_bytes())
        else:
            fill(self.device.store, config)
            accounts.fill(self.device.store, config.administrators)
            self._seed(config)
        self.plane = DataPlane(self.device, self.faults, server)
        self.api = Api(self.device, self.faults, self._changed)

    async def _changed(self) -> None:
        """Kept before the answer, whole or not at all."""
        if self._kept:
            partial = self._kept.with_suffix(".partial")
            partial.write_bytes(pickle.dumps(self.device.store))
            partial.replace(self._kept)
        await self.plane.refresh()

    # --- seeding: what an administrator did before ------------------------------------------------------------

    def _seed(self, config: FirewallConfig) -> None:
        try:
            for seed in config.certificates:
                key = Path(seed.key_file).read_bytes() if seed.key_file else b""
                self._store_certificate(seed.name, Path(seed.cert_file).read_bytes(), key)
            for rule in config.waf_rules:
                self._add(waf_rule(rule))
                if rule.group:
                    group = {
                        "Name": rule.group,
                        "SecurityPolicyList": {"SecurityPolicy": rule.name},
                        "Policytype": "WAF rule",
                    }
                    self._add(element("FirewallRuleGroup", group))
            for xml in config.objects:
                self._add(ET.fromstring(xml))
            for xml in config.central_rules:
                self._add_central(ET.fromstring(xml))
            self._hold_sources()
        except (OSError, ET.ParseError, Refused) as error:
            raise ConfigError(f"{config.name}: {error} {' '.join(getattr(error, 'invalid', ()))}") from None

    def _add(self, entity: ET.Element) -> None:
        for outcome in entities.write(self.device, Step("set", entity), {}):
            if outcome.code >= 500:
                raise Refused(outcome.code, outcome.text, outcome.invalid)

    def _add_central(self, rule: ET.Element) -> None:
        """Only firewall rules are documented to show their section; NAT rules just stand above ours."""
        section = rule.findtext("Section") or "Central_TOP"
        rule[:] = [child for child in rule if child.tag != "Section"]
        ET.SubElement(rule, "Position").text = "Bottom"
        self._add(rule)
        self.device.store.put_central(rule.tag, text(rule, "Name"), section)

    def _hold_sources(self) -> None:
        """From 22 on, who may use the API is a list of IP hosts; those of an upgrade are called apiconfig…"""
        store = self.device.store
        store.held.clear()
        for source in self.device.settings.allowed_sources if self.device.persona.source_hosts else ():
            name = f"apiconfig_{source}"
            store.put("IPHost", name, host(name, source, "Network" if "/" in source else "IP"))
            store.held.add(("IPHost", name))

    def _store_certificate(self, name: str, pem: bytes, key: bytes, password: str = "") -> None:
        certificates = read_certificates(pem, "pem")
        material = Material(certificates, read_key(key, password, certificates) if key else b"")
        record = element("Certificate", {"Action": "UploadCertificate", "Name": name, "CertificateFormat": "pem"})
        self.device.store.put("Certificate", name, record, material)

    # --- control ------------------------------------------------------------------------------------------------

    async def put_certificate(self, name: str, pem: str, key: str) -> None:
        self._store_certificate(name, pem.encode(), key.encode())
        await self._changed()

    async def change(self, settings: Settings) -> None:
        self.device.settings = settings
        self._hold_sources()
        await self.plane.refresh()

    async def set_faults(self, documents: object | None) -> None:
        """None clears."""
        if documents is None:
            self.faults.clear()
            self.plane.refused = False
        else:
            for fault in self.faults.add(documents):
                if fault.kind == "refuse" and (fault.operation, fault.entity, fault.name) == ("*", "*", "*"):
                    self.faults.waiting.remove(fault)
                    self._refuse(fault.seconds)
        await self.plane.refresh()

    def _refuse(self, seconds: float) -> None:
        """Nobody listens on the admin port for a while (0: until the faults are cleared)."""
        self.plane.refused = True
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._accept_again)

    def _accept_again(self) -> None:
        self.plane.refused = False
        self._accepting = asyncio.ensure_future(self.plane.refresh())

    # --- HTTP ---------------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest, port: int) -> web.StreamResponse:
        role = self.plane.role_of(port)
        if role == "admin":
            return await self._answer_admin(request)
        if role == "WAF":
            site = self.plane.site_for(port, (request.host or "").partition(":")[0])
            if site is None:
                return web.Response(status=404, text=NOT_FOUND, content_type="text/html")
            role = f"WAF rule {site.rule}"
        page = f"<!DOCTYPE html><html><body>{escape(self.device.config.name)}: {escape(role)}</body></html>"
        return web.Response(text=page, content_type="text/html")

    async def _answer_admin(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != API_PATH or request.method not in ("GET", "POST"):
            return web.Response(status=404, text=NOT_FOUND, content_type="text/html")
        body = await request.read()
        incoming = wire.read(request.headers.get("Content-Type", ""), request.query_string, body)
        try:
            reply = await self.api.handle(incoming, request.remote or "")
        except Dropped as dropped:
            _reset(request)
            if dropped.refuse_for:
                self._refuse(dropped.refuse_for)
                await self.plane.refresh()
            return web.Response()
        headers = {"Content-Type": reply.content_type, "Date": formatdate(self.device.clock, usegmt=True)}
        response = web.Response(body=reply.body, headers=headers)
        if reply.then_refuse is not None:
            response.force_close()
            self._refuse(reply.then_refuse)
            await self.plane.refresh()
        return response


def _reset(request: web.BaseRequest) -> None:
    transport = request.transport
    if transport is None:
        return
    with contextlib.suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


class Fleet:
    def __init__(self, configs: list[FirewallConfig]) -> None:
        # One HTTP server for all: the address that a connection came in on tells the firewall.
        self._server = web.Server(self._answer, access_log=None, keepalive_timeout=75)
        self.firewalls = {config.name: Firewall(config, self._server) for config in configs}
        self._by_address = {
            address: firewall for firewall in self.firewalls.values() for address in firewall.device.config.addresses
        }
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> None:
        for firewall in self.firewalls.values():
            try:
                await firewall.plane.start()
            except OSError as error:
                raise ConfigError(f"{firewall.device.config.name}: {error}") from None
        self._clock = asyncio.ensure_future(self._watch_schedules())

    async def stop(self) -> None:
        if self._clock:
            self._clock.cancel()
        for firewall in self.firewalls.values():
            firewall.plane.stop()
        await self._server.shutdown(timeout=1)

    async def _watch_schedules(self) -> None:
        while True:
            await asyncio.sleep(1)
            for firewall in self.firewalls.values():
                if has_schedules(firewall.device.store):
                    await firewall.plane.refresh_port80()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        address, port = request.transport.get_extra_info("sockname")[:2]
        return await self._by_address[address].answer(request, port)
