# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headless Chromium, told what to do through a pipe (its DevTools protocol): a page is used as people use it.

Not by --dump-dom and --screenshot: a window that is opened so is never as narrow as a phone, nothing can be typed, and
no error of the page is heard of.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parents[2] / "build" / "chromium"
# No sandbox: as root, and in most containers, there is none to be had, and the pages are our own.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--remote-debugging-pipe"),
)
KEYS = {"Tab": 9, "Enter": 13, " ": 32}


class Browser:
    """`with Browser() as browser: browser.open(file)`. One page at a time."""

    def __enter__(self) -> Browser:
        self._profile = tempfile.TemporaryDirectory(prefix="cf-chromium-")
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # The protocol wants to be read from 3 and written to 4.
        command = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@" >/dev/null 2>&1'
        program = [str(HERE / "chromium"), *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", command, "chromium", *program],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs_in, theirs_out),
            env={**os.environ, "HOME": self._profile.name},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._out, self._in = os.fdopen(ours_out, "wb", buffering=0), os.fdopen(ours_in, "rb")
        self._number = 0
        self._session = ""
        self.messages: list[str] = []
        self.requested: list[str] = []
        (target,) = (each for each in self._call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()  # it ends when nobody speaks to it any more
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._in.close()
        self._profile.cleanup()

    def open(
        self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> None:
        """Load a file; what the page says on the console, and what it asks for, is heard from here on."""
        self.messages.clear()
        self.requested.clear()
        phone = width < 600
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Emulation.setScriptExecutionDisabled", value=not script)
        self._call("Page.navigate", url=page.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def js(self, expression: str) -> Any:
        """The value of an expression (a promise's, when it is there). AssertionError when it throws."""
        told = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def type(self, text: str) -> None:
        self._call("Input.insertText", text=text)
        self.settle()

    def press(self, key: str) -> None:
        known = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"Enter": {"text": "\r"}, " ": {"text": " "}}.get(key, {})
        self._call("Input.dispatchKeyEvent", type="keyDown", **known, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", **known)
        self.settle()

    def settle(self) -> None:
        """Until the page has drawn what it was told."""
        self.js("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def screenshot(self, whole: bool = False) -> bytes:
        """PNG of what is in the window, or of the whole page."""
        picture = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(picture["data"])

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._number, "method": method, "params": params, **session}
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told['error']}"
                result: dict[str, Any] = told["result"]
                return result

    def _wait_for(self, event: str) -> None:
        while self._read().get("method") != event:
            pass

    def _read(self) -> Mapping[str, Any]:
        data = bytearray()
        while (byte := self._in.read(1)) not in (b"\0", b""):
            data += byte
        assert data, f"Chromium ended with {self._process.wait()}"
        told: dict[str, Any] = json.loads(data)
        self._hear(told.get("method", ""), told.get("params", {}))
        return told

    def _hear(self, event: str, params: Mapping[str, Any]) -> None:
        if event == "Runtime.consoleAPICalled":
            self.messages.append(str([each.get("value", each.get("description")) for each in params["args"]]))
        elif event == "Runtime.exceptionThrown":
            self.messages.append(str(params["exceptionDetails"]))
        elif event == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
