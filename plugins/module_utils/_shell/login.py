# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""An SSH login whose host key is known beforehand, by the library paramiko."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import os
import sys
import typing as t

from .._clock import Deadline
from .endpoint import Endpoint
from .errors import LoginRefused, ShellError

if t.TYPE_CHECKING:
    import paramiko

# Wider than any line that a shell would fold.
COLUMNS, ROWS = 1000, 50


def _library() -> t.Any:
    """paramiko. Not with the other libraries: only this way to a firewall needs it."""
    try:
        import paramiko
    except ImportError as error:
        raise ShellError(
            "SSH to a firewall needs the Python library paramiko, which is not installed",
            remedy=f"Install it for {sys.executable} (pip install paramiko), or use the XML API.",
        ) from error
    # Its own log would go to stderr where nobody set one up.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    return paramiko


def log_in(endpoint: Endpoint, deadline: Deadline) -> paramiko.SSHClient:
    """Connected and authenticated; the caller closes it. Raises ShellError.

    A refused password is not tried again: that may lock the account.
    """
    library = _library()
    client: paramiko.SSHClient = library.SSHClient()
    try:
        _know_hosts(client, endpoint, library)
        seconds = max(1.0, deadline.remaining)
        client.connect(
            endpoint.host,
            endpoint.port,
            endpoint.username,
            endpoint.password,
            pkey=_key(endpoint, library),
            timeout=seconds,
            banner_timeout=seconds,
            auth_timeout=seconds,
            channel_timeout=seconds,
            allow_agent=False,
            look_for_keys=False,
        )
    except BaseException as error:
        client.close()
        told = _told(endpoint, error, library)
        if told is None:
            raise
        raise told from error
    return client


def open_terminal(client: paramiko.SSHClient, deadline: Deadline) -> paramiko.Channel:
    """The login shell on a terminal of its own. Raises ShellError."""
    library = _library()
    try:
        channel = client.invoke_shell(term="vt100", width=COLUMNS, height=ROWS)
        channel.settimeout(max(1.0, deadline.remaining))
    except (library.SSHException, OSError, EOFError) as error:
        raise ShellError(
            f"the firewall opened no terminal: {error}", remedy="Look whether the account may use the console."
        ) from error
    return channel


def _key(endpoint: Endpoint, library: t.Any) -> paramiko.PKey | None:
    if not endpoint.private_key:
        return None
    problems = []
    for kind in (library.Ed25519Key, library.ECDSAKey, library.RSAKey):
        try:
            key: paramiko.PKey = kind.from_private_key(io.StringIO(endpoint.private_key), endpoint.passphrase)
        except (library.SSHException, ValueError, TypeError, AttributeError) as error:
            problems.append(type(error).__name__)
        else:
            return key
    locked = "PasswordRequiredException" in problems
    raise ShellError(
        "the private key for SSH " + ("is encrypted" if locked else "cannot be read"),
        remedy="Set its passphrase." if locked else "Give one of OpenSSH's format or PEM, and its right passphrase.",
    )


def _know_hosts(client: paramiko.SSHClient, endpoint: Endpoint, library: t.Any) -> None:
    class Policy(library.MissingHostKeyPolicy):
        def missing_host_key(self, _client: object, _hostname: str, key: paramiko.PKey) -> None:
            if fingerprint(key) not in endpoint.fingerprints:
                raise _stranger(endpoint, key)

    client.set_missing_host_key_policy(Policy())
    for path in () if endpoint.fingerprints else endpoint.known_hosts:
        file = os.path.expanduser(path)
        if not os.path.exists(file):
            continue
        try:
            client.load_system_host_keys(file)
        except (OSError, ValueError, library.hostkeys.InvalidHostKey) as error:
            raise ShellError(
                f"the file of known hosts {file} cannot be read: {error}", remedy="Mend it, or set known_hosts."
            ) from error


def fingerprint(key: paramiko.PKey) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def _stranger(endpoint: Endpoint, key: paramiko.PKey) -> ShellError:
    shown = fingerprint(key)
    where = "pinned" if endpoint.fingerprints else f"in {' or '.join(endpoint.known_hosts)}"
    return ShellError(
        f"the host key of {endpoint.host}:{endpoint.port} is not known: it shows {key.get_name()} {shown}, which is not"
        f" {where}",
        remedy="Compare that with what the firewall shows from a network that you trust (ssh-keyscan, ssh-keygen -l),"
        f" then set xgs_ssh_fingerprint to {shown}, or add the key to a file of known hosts.",
    )


def _told(endpoint: Endpoint, error: BaseException, library: t.Any) -> ShellError | None:
    """What went wrong in the user's words; None where it is not about SSH, or told already."""
    if isinstance(error, library.BadHostKeyException):
        return ShellError(
            f"the host key of {endpoint.host}:{endpoint.port} has changed: it shows {error.key.get_name()}"
            f" {fingerprint(error.key)}, known is {fingerprint(error.expected_key)}",
            remedy="Find out why before you go on: a new device or a factory reset changes it, and so does somebody in"
            " between. Then take the old line out of the file of known hosts.",
        )
    if isinstance(error, library.AuthenticationException):
        return LoginRefused(
            f"{endpoint} was refused: {error}",
            remedy="Look at the account's password or key (Administration > Device access). It was not tried twice.",
        )
    if isinstance(error, getattr(library.ssh_exception, "IncompatiblePeer", ())):
        return ShellError(
            f"{endpoint.host}:{endpoint.port} and paramiko {library.__version__} have no algorithm in common: {error}",
            remedy="An old firmware that signs with ssh-rsa (SHA-1) alone needs an older library: pip install"
            " 'paramiko<5'.",
        )
    if isinstance(error, (library.SSHException, OSError, EOFError)):
        return ShellError(
            f"no SSH connection to {endpoint.host}:{endpoint.port}: {error or type(error).__name__}",
            remedy="Look at address and port, and whether SSH is allowed from here (Administration > Device access).",
        )
    return None


__all__ = ("fingerprint", "log_in", "open_terminal")
