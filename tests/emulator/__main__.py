# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""python -m emulator --config FLEET.yml --control 127.0.0.1:PORT [--ready-file PATH]"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
from pathlib import Path

from aiohttp import web

from .config import ConfigError, load
from .control import application
from .firewall import Fleet


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="emulator", description="Emulated Sophos XGS firewalls on loopback.")
    parser.add_argument("--config", type=Path, required=True, help="fleet configuration (YAML or JSON)")
    parser.add_argument("--control", required=True, metavar="HOST:PORT", help="address of the control interface")
    parser.add_argument("--ready-file", type=Path, help="written when every listener is up")
    return parser.parse_args()


def _raise_file_limit() -> None:
    """A large fleet needs a few sockets per firewall."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(arguments: argparse.Namespace) -> None:
    fleet = Fleet(load(arguments.config))
    host, _, port = arguments.control.rpartition(":")
    runner = web.AppRunner(application(fleet), access_log=None)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        await fleet.start()
        await runner.setup()
        site = web.TCPSite(runner, host, int(port), shutdown_timeout=1)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"control: cannot listen on {arguments.control}: {error.strerror}") from None
        address = runner.addresses[0]
        if arguments.ready_file:
            _write_ready(arguments.ready_file, f"{address[0]}:{address[1]}", list(fleet.firewalls))
        await stopped.wait()
    finally:
        await runner.cleanup()
        await fleet.stop()


def _write_ready(path: Path, control: str, names: list[str]) -> None:
    """Whoever waits for the file must never see half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"control": control, "pid": os.getpid(), "firewalls": names}), encoding="utf-8")
    partial.replace(path)


def main() -> int:
    _raise_file_limit()
    try:
        asyncio.run(_serve(_arguments()))
    except (ConfigError, ValueError) as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
