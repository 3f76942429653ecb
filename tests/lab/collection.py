# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection's tarball and install it, as a user would get it. Nothing is downloaded."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.playbook import BIN, clean_environment

CHECKOUT = Path(__file__).resolve().parents[2]


def install(into: Path) -> Path:
    """Install the checkout below `into`; returns the path for ANSIBLE_COLLECTIONS_PATH."""
    dist, collections = into / "dist", into / "collections"
    environment = clean_environment(collections, into / "work")
    for earlier in dist.glob("certfleet-sophos_xgs-*.tar.gz"):
        earlier.unlink()
    _galaxy(["build", "--force", "--output-path", str(dist), str(CHECKOUT)], environment)
    (tarball,) = dist.glob("certfleet-sophos_xgs-*.tar.gz")
    _galaxy(["install", "--offline", "--force", "--no-deps", "-p", str(collections), str(tarball)], environment)
    return collections


def _galaxy(arguments: list[str], environment: dict[str, str]) -> None:
    command = [str(BIN / "ansible-galaxy"), "collection", *arguments]
    done = subprocess.run(command, env=environment, cwd=os.sep, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
