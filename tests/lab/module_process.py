# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module in a process of its own, as Ansible runs it on a host (python -m lab.module_process NAME [LOG])."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible.module_utils import basic

MODULES = "ansible_collections.certfleet.sophos_xgs.plugins.modules"


class ModuleProcess:
    """A context manager: it runs inside the `with`, and is killed at its end if it still does.

    log: where everything that anything logs goes, at level DEBUG.
    """

    def __init__(self, name: str, log: Path | None = None, **arguments: Any) -> None:
        command = [sys.executable, "-m", "lab.module_process", name, *([str(log)] if log else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(arguments))
        self.process.stdin.close()
        self.process.stdin = None
        self.said = ""

    def result(self, timeout: float = 60.0) -> dict[str, Any]:
        """What the module returned, once it has ended. Whatever it wrote is in `said`."""
        out, error = self.process.communicate(timeout=timeout)
        self.said = out + error
        assert out.strip(), error
        result: dict[str, Any] = json.loads(out)
        assert bool(result.get("failed")) == (self.process.returncode != 0)
        return result

    def __enter__(self) -> ModuleProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()


def main(name: str, log: str | None = None) -> None:
    if log:
        logging.basicConfig(level=logging.DEBUG, filename=log)
    # What AnsiballZ does.
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.load(sys.stdin)}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    importlib.import_module(f"{MODULES}.{name}").main()


if __name__ == "__main__":
    main(*sys.argv[1:])
