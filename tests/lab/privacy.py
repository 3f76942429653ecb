# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies on the control node's disk: keys that others can read, files that are half there."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

KEY_FILES = 0o600


def exposed(*directories: Path) -> list[str]:
    """Files with a private key that anybody else may read, wherever they lie below."""
    return [
        f"{path}: {stat.S_IMODE(path.stat().st_mode):04o}"
        for directory in directories
        for path in directory.rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes() and stat.S_IMODE(path.stat().st_mode) != KEY_FILES
    ]


def halves(state: Path) -> list[str]:
    """What is wrong with the files of a state directory: others may enter it, or a file is no whole one."""
    return [f"{path}: {what}" for path in [state, *state.rglob("*")] if path.exists() for what in _faults(path)]


def _faults(path: Path) -> Iterator[str]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode != (0o700 if path.is_dir() else KEY_FILES):
        yield f"mode {mode:04o}"
    try:
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.name == "privkey.pem":
            load_pem_private_key(path.read_bytes(), None)
        elif path.name == "fullchain.pem":
            leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
            key = load_pem_private_key(path.with_name("privkey.pem").read_bytes(), None)
            if leaf.public_key() != key.public_key():
                yield "of another key"
    except (OSError, ValueError) as error:
        yield str(error)
