# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client for tests: starts the emulator, talks to its control interface, stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from .namespace import die_with_parent, in_main_thread

__all__ = ["Emulator", "EmulatorError"]

TESTS = Path(__file__).resolve().parents[1]


class EmulatorError(RuntimeError):
    """The emulator did not start, or refused a control call."""


class Emulator:
    """``with Emulator({"firewalls": [...]}) as emulator: ...``"""

    def __init__(
        self,
        config: Mapping[str, Any],
        control: str = "127.0.0.1:0",
        patience: float = 60.0,
        prefix: Sequence[str] = (),
    ) -> None:
        """`prefix`: a command that runs the emulator, for example as root of a user namespace."""
        self._config = dict(config)
        self._prefix = prefix
        self._control = control
        self._patience = patience
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.control = ""

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="emulator-")
        folder = Path(self._directory.name)
        config, ready = folder / "fleet.yml", folder / "ready.json"
        config.write_text(json.dumps(self._config), encoding="utf-8")
        with (folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    sys.executable,
                    "-m",
                    "emulator",
                    "--config",
                    str(config),
                    "--control",
                    self._control,
                    "--ready-file",
                    str(ready),
                ],
                cwd=TESTS,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                preexec_fn=die_with_parent if in_main_thread() else None,  # noqa: PLW1509  # one system call
            )
        deadline = time.monotonic() + self._patience
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = self.errors() or "no ready file"
                self.stop()
                raise EmulatorError(message)
            time.sleep(0.02)
        self.control = json.loads(ready.read_text(encoding="utf-8"))["control"]

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def cut_power(self) -> None:
        """Killed in whatever it does; `start()` goes on with what `keep` has."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise EmulatorError("not started")
        return self._process.pid

    def errors(self) -> str:
        """What the process has written so far."""
        if self._directory is None:
            return ""
        return (Path(self._directory.name) / "stderr").read_text(encoding="utf-8").strip()

    # --- control ------------------------------------------------------------------------------------------------

    def firewalls(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", "/firewalls")
        return found

    def firewall(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", f"/firewalls/{name}")
        return found

    def objects(self, name: str, entity: str) -> dict[str, str]:
        """Name -> XML as a Get shows it, without asking the API (nothing is counted or logged)."""
        found: dict[str, str] = self._call("GET", f"/firewalls/{name}/objects/{entity}")
        return found

    def reset(self, name: str, to: Mapping[str, Any] | None = None) -> None:
        """Counters and log start anew, or go on from an earlier answer of `firewall(name)`."""
        self._call("POST", f"/firewalls/{name}/reset", to and {"counters": to["counters"], "log": to["log"]})

    def add_faults(self, name: str, *faults: Mapping[str, Any]) -> None:
        self._call("POST", f"/firewalls/{name}/faults", list(faults))

    def clear_faults(self, name: str) -> None:
        self._call("DELETE", f"/firewalls/{name}/faults")

    def settings(self, name: str, **values: Any) -> None:
        self._call("PUT", f"/firewalls/{name}/settings", values)

    def put_certificate(self, name: str, certificate_name: str, certificate: str, key: str = "") -> None:
        document = {"certificate": certificate, "key": key}
        self._call("PUT", f"/firewalls/{name}/certificates/{quote(certificate_name, safe='')}", document)

    def _call(self, method: str, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(
            f"http://{self.control}{path}", body, method=method, headers={"Content-Type": "application/json"}
        )
        # The control interface is on loopback: no proxy of the environment may be asked.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise EmulatorError(f"{method} {path}: {error.code} {error.read().decode()}") from None
