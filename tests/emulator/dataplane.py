# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user of the firewall sees: TLS listeners that follow the configuration, and WAN port 80."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .device import Device
from .faults import Faults
from .material import Material
from .netfilter import Netfilter
from .port80 import Port80
from .rules import WafSite, waf_sites
from .schema import text

__all__ = ["DataPlane"]

# What the WAN may reach of the firewall itself.
PUBLISHED = ("WAF", "SSL VPN")
Select = Callable[["str | None"], "Material | None"]


@dataclass(frozen=True)
class Portals:
    """What the web admin console and the portals serve: it follows the settings with a delay."""

    material: Material
    ports: tuple[tuple[int, str], ...]


class DataPlane:
    def __init__(self, device: Device, faults: Faults, server: web.Server) -> None:
        self._device = device
        self._faults = faults
        self._server = server
        self._listeners: dict[int, tuple[str, asyncio.Server]] = {}
        self._portals = self._configured_portals()
        self._switch: asyncio.TimerHandle | None = None
        self._switching: asyncio.Task[None] | None = None
        self._sites: list[tuple[WafSite, Material]] = []
        self._refreshing = asyncio.Lock()
        self.refused = False
        self.errors: list[str] = []
        self.ports80 = [Port80(device, address) for address in device.wan_addresses]
        self.netfilter = Netfilter(device) if device.config.namespace else None

    # --- lifecycle ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises OSError when an address cannot be bound."""
        # Port 80 is mostly closed: find out now, not when the first rule opens it.
        for address in self._device.wan_addresses:
            try:
                self._device.config.listening_socket(self._device.config.http_port, address).close()
            except OSError as error:
                self._failed(self._device.config.http_port, error, address)
        await self.refresh()
        if self.errors:
            raise OSError("; ".join(self.errors))

    def stop(self) -> None:
        if self._switch:
            self._switch.cancel()
        for _, listener in self._listeners.values():
            listener.close()
        for port80 in self.ports80:
            port80.stop()

    async def refresh(self) -> None:
        """Make the listeners what the configuration says."""
        async with self._refreshing:
            self._follow_waf()
            self._follow_portals()
            await self._listen()
            await self._follow_rules()

    async def refresh_port80(self) -> None:
        """The clock alone may have ended a schedule."""
        async with self._refreshing:
            await self._follow_rules()

    async def _follow_rules(self) -> None:
        try:
            for port80 in self.ports80:
                await port80.refresh()
        except OSError as error:
            self._failed(self._device.config.http_port, error)
        if self.netfilter:
            try:
                published = [port for port, (role, _) in self._listeners.items() if role in PUBLISHED]
                await self.netfilter.refresh(published)
            except OSError as error:
                self.errors.append(str(error))

    def _failed(self, port: int, error: OSError, address: str = "") -> None:
        address = address or self._device.config.address
        message = f"cannot listen on {address}:{port}: {os.strerror(error.errno or 0)}"
        if message not in self.errors:
            self.errors.append(message)

    # --- what should be served ------------------------------------------------------------------------------

    def _material(self, name: str) -> Material | None:
        material: Material | None = self._device.store.material("Certificate", name)
        return material

    def _configured_portals(self) -> Portals:
        stored = self._device.store.get("AdminSettings")
        assert stored is not None, "filled at start"
        config = self._device.config
        ports = [
            (int(text(stored, "WebAdminSettings/HTTPSport")), "admin"),
            (int(text(stored, "WebAdminSettings/UserPortalHTTPSPort")), "user portal"),
        ]
        if config.serve_vpn_portal:
            ports.append((int(text(stored, "WebAdminSettings/VPNPortalHTTPSPort")), "VPN portal"))
        material = self._material(text(stored, "WebAdminSettings/Certificate"))
        assert material is not None, "reference integrity"
        return Portals(material, tuple(ports))

    def _follow_portals(self) -> None:
        stale = self._faults.stale("AdminSettings") or self._faults.stale("WebAdminSettings")
        if stale or self._switch or self._configured_portals() == self._portals:
            return
        delay = self._device.settings.webadmin_delay
        self._switch = asyncio.get_running_loop().call_later(delay, self._switch_portals)

    def _switch_portals(self) -> None:
        self._switch = None
        before, self._portals = self._portals, self._configured_portals()
        if self._device.settings.webadmin_drop:
            self._cut({port for port, _ in before.ports})
        self._switching = asyncio.ensure_future(self.refresh())

    def _cut(self, ports: set[int]) -> None:
        for connection in list(self._server.connections):
            transport = connection.transport
            if transport is not None:
                local = transport.get_extra_info("sockname")
                if local and local[0] in self._device.config.addresses and local[1] in ports:
                    transport.abort()

    def _follow_waf(self) -> None:
        if not self._faults.stale("FirewallRule"):
            found = [(site, self._material(site.certificate)) for site in waf_sites(self._device.store)]
            self._sites = [(site, material) for site, material in found if site.https and material is not None]

    def _ssl_vpn(self) -> Material | None:
        stored = self._device.store.get("SSLTunnelAccessSettings")
        return self._material(text(stored, "SSLServerCertificate")) if stored is not None else None

    def _wanted(self) -> dict[int, str]:
        daemons = self._device.store.get("SystemServices")
        wanted = {port: role for port, role in self._portals.ports if not (self.refused and role == "admin")}
        if daemons is not None and text(daemons, "WAF/Status") != "Stopped":
            wanted |= {site.port: "WAF" for site, _ in self._sites}
        if self._device.config.ssl_vpn_port:
            wanted[self._device.config.ssl_vpn_port] = "SSL VPN"
        return wanted

    # --- listeners ------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        wanted = self._wanted()
        for port, (role, listener) in list(self._listeners.items()):
            if wanted.get(port) != role:
                listener.close()
                del self._listeners[port]
        for port, role in wanted.items():
            if port not in self._listeners:
                await self._bind(port, role)

    async def _bind(self, port: int, role: str) -> None:
        context = self._front(self._selector(port, role))
        try:
            listening = self._device.config.listening_socket(port)
            listener = await asyncio.get_running_loop().create_server(
                self._server, sock=listening, ssl=context, backlog=256
            )
        except OSError as error:
            self._failed(port, error)
        else:
            self._listeners[port] = (role, listener)

    def _selector(self, port: int, role: str) -> Select:
        if role == "WAF":
            return lambda name: self._waf_material(port, name)
        if role == "SSL VPN":
            return lambda name: self._ssl_vpn()
        return lambda name: self._portals.material

    def _waf_material(self, port: int, name: str | None) -> Material | None:
        if name is None:
            return None
        return next((material for site, material in self._sites if site.port == port and site.serves(name)), None)

    def _front(self, select: Select) -> ssl.SSLContext:
        """A context without a certificate of its own: each handshake picks what is bound at that moment."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A resumed session would not show the certificate that is bound now.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            material = select(name)
            if material is None:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            leaf_only = self._device.settings.leaf_only
            serving = material.leaf_context if leaf_only else material.context
            if serving is None:
                return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
            connection.context = serving
            return None

        context.sni_callback = choose
        return context

    # --- views ----------------------------------------------------------------------------------------------

    def role_of(self, port: int) -> str:
        return self._listeners[port][0] if port in self._listeners else ""

    def site_for(self, port: int, host: str) -> WafSite | None:
        return next((site for site, _ in self._sites if site.port == port and site.serves(host)), None)

    def served(self) -> dict[str, dict[str, Any]]:
        """Port -> role and SHA-256 of the leaf by server name ("*": any)."""
        view: dict[str, dict[str, Any]] = {}
        for port, (role, _) in sorted(self._listeners.items()):
            if role == "WAF":
                names = {
                    domain: material.fingerprint
                    for site, material in self._sites
                    if site.port == port
                    for domain in site.domains
                }
            else:
                material = self._selector(port, role)(None)
                names = {"*": material.fingerprint} if material else {}
            view[str(port)] = {"role": role, "certificates": names}
        return view
