# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""WAN port 80: really forwards while the rules say so; else the WAF's redirect; else nobody listens.

In a namespace of its own the kernel forwards (see netfilter), and only the redirect is served here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from dataclasses import asdict
from typing import Any

from .device import Device, utc
from .rules import Forward, WafSite, find_forward, waf_sites

__all__ = ["Port80"]

CHUNK = 65536
PATIENCE = 30.0
SILENCE = 300.0
GONE = (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
RESPONSE = "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"


class Port80:
    def __init__(self, device: Device, address: str) -> None:
        self._device = device
        self._address = address
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.forward: Forward | None = None
        self.intervals: list[dict[str, Any]] = []

    async def refresh(self) -> None:
        forward = find_forward(self._device.store, self._device.network(self._address))
        if forward != self.forward:
            self._record(forward)
            self.forward = forward
        wanted = self._relays(forward) or bool(self._sites())
        if wanted and self._server is None:
            listening = self._device.config.listening_socket(self._device.config.http_port, self._address)
            self._server = await asyncio.start_server(self._accept, sock=listening, backlog=256)
        elif not wanted and self._server is not None:
            # Only the listening ends: established connections are left to end by themselves.
            self._server.close()
            self._server = None

    def _relays(self, forward: Forward | None) -> bool:
        return forward is not None and not self._device.config.namespace

    def _record(self, forward: Forward | None) -> None:
        now = time.monotonic()
        if self.forward is not None:
            interval = self.intervals[-1]
            interval.update(closed_at=utc(), closed_monotonic=now, seconds=now - interval["opened_monotonic"])
        if forward is not None:
            self.intervals.append(
                {
                    "address": self._address,
                    "opened_at": utc(),
                    "opened_monotonic": now,
                    "closed_at": None,
                    "closed_monotonic": None,
                    "seconds": None,
                    "connections": 0,
                    **asdict(forward),
                }
            )

    def _sites(self) -> list[WafSite]:
        """The WAF's own on port 80 of this address."""
        return [site for site in waf_sites(self._device.store) if site.on_port_80 and site.address == self._address]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(*GONE):
                await self._serve(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = writer.get_extra_info("peername")[0]
        forward = find_forward(self._device.store, self._device.network(self._address), client)
        if forward is None or not self._relays(forward):
            await self._redirect(reader, writer)
            return
        self.intervals[-1]["connections"] += 1
        if forward.masquerade or self._comes_back_here(forward.host):
            await self._relay(forward, client, reader, writer)
        else:
            # The answer leaves through another gateway and never gets here.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(-1), SILENCE)

    def _comes_back_here(self, host: str) -> bool:
        address = ipaddress.ip_address(host)
        behind = self._device.settings.lan_gateway_for
        return any(address in ipaddress.ip_network(entry, strict=False) for entry in behind)

    async def _relay(
        self, forward: Forward, client: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        source = self._address if forward.masquerade else client
        # A loopback source cannot reach a target elsewhere.
        local = (source, 0) if ipaddress.ip_address(forward.host).is_loopback else None
        connecting = asyncio.open_connection(forward.host, forward.port, local_addr=local)
        there_reader, there_writer = await asyncio.wait_for(connecting, PATIENCE)
        try:
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        finally:
            there_writer.close()

    async def _redirect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode("latin-1")
        path = ([*head.split(" ", 2), "/"])[1]
        host = next(
            (
                line.partition(":")[2].strip().partition(":")[0]
                for line in head.splitlines()
                if line.lower().startswith("host:")
            ),
            "",
        )
        site = next((site for site in self._sites() if site.serves(host)), None)
        if site is None:
            answer = ("404 Not Found", "", "Not Found\n")
        elif site.redirect:
            port = "" if site.port == 443 else f":{site.port}"
            answer = ("301 Moved Permanently", f"Location: https://{host}{port}{path}\r\n", "")
        else:
            answer = ("200 OK", "", f"{site.rule}\n")
        status, headers, body = answer
        writer.write(RESPONSE.format(status=status, headers=headers, length=len(body), body=body).encode())
        await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
