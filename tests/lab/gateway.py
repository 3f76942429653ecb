# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From this machine's 127.0.0.1 to an island's: PID PORT... (see island.py). Standard library only."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import sys

# Seconds for a server of the island to listen; until then its clients wait.
PATIENCE = 15.0


def main(pid: str, *ports: str) -> None:
    # A socket stays in the network where it was made: so these are here, and what is made later is there.
    sockets = [socket.create_server(("127.0.0.1", int(port)), backlog=128) for port in ports]
    for namespace in ("user", "net"):
        descriptor = os.open(f"/proc/{pid}/ns/{namespace}", os.O_RDONLY)
        # Python has setns() from 3.12 on.
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"cannot enter the {namespace} namespace of {pid}")
        os.close(descriptor)
    asyncio.run(_serve(sockets))


async def _serve(sockets: list[socket.socket]) -> None:
    servers = [await asyncio.start_server(_connect, sock=each) for each in sockets]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    port = writer.get_extra_info("sockname")[1]
    try:
        there = await _reach(port)
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
    except OSError:
        writer.close()


async def _reach(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    ends = loop.time() + PATIENCE
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            if loop.time() > ends:
                raise
            await asyncio.sleep(0.05)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
