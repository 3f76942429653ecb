# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Which firewall, as whom, and by what its host key is known."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where and how to log in by SSH.

    password, private_key: one of them at least; the key is tried first. private_key: PEM or OpenSSH's format, decrypted
    by `passphrase`. known_hosts: files in OpenSSH's format; those that do not exist are passed over. fingerprints:
    "SHA256:…" as `ssh-keygen -l` prints them; where there are any, no file is read. timeout: seconds that the way to
    the shell may take in all, and one command by default.
    """

    host: str
    port: int = 22
    username: str = "admin"
    password: str | None = dataclasses.field(default=None, repr=False)
    private_key: str | None = dataclasses.field(default=None, repr=False)
    passphrase: str | None = dataclasses.field(default=None, repr=False)
    known_hosts: tuple[str, ...] = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
    fingerprints: tuple[str, ...] = ()
    timeout: float = 60.0

    def __str__(self) -> str:
        return f"{self.username}@{self.host}:{self.port}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may have."""
        return tuple(filter(None, (self.password, self.passphrase, self.private_key)))


__all__ = ("Endpoint",)
