# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy on loopback that puts a distance before a server: each round trip takes so much longer.

`python delay.py PORT SERVER_PORT SECONDS`. Half of the time goes to each direction, in order and without a limit to
the amount of data under way. What a client sends first waits one round trip more: that is TCP's handshake, which the
proxy has answered at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

HOST = "127.0.0.1"
CHUNK = 65536


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, not_before: float) -> None:
    """Pass on what comes, each piece `delay` seconds after it came, until the sender has finished."""
    clock = asyncio.get_running_loop().time
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def take() -> None:
        data = b"."
        while data:
            try:
                data = await reader.read(CHUNK)
            except ConnectionError:
                data = b""
            under_way.put_nowait((max(clock(), not_before) + delay, data))

    taking = asyncio.create_task(take())
    try:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - clock())
            if not data:
                break
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except ConnectionError:
        pass
    finally:
        taking.cancel()


async def serve(port: int, server_port: int, round_trip: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_from = asyncio.get_running_loop().time() + round_trip
        server_reader, server_writer = await asyncio.open_connection(HOST, server_port)
        await asyncio.gather(
            _carry(reader, server_writer, round_trip / 2, open_from), _carry(server_reader, writer, round_trip / 2, 0.0)
        )
        for each in (writer, server_writer):
            each.close()
            with contextlib.suppress(ConnectionError):
                await each.wait_closed()

    server = await asyncio.start_server(connected, HOST, port, backlog=256)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
