# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A stateless HTTP-01 responder (RFC 8555 section 8.3): answers every order of one ACME account.

Feed this file to `python3 -` on any host with Python 3.7 or newer; it needs nothing else and writes nothing but its
log. It lives as long as its lease file says so.

One thread and no blocking call: an idle connection costs a few bytes and holds nobody up.
"""

from __future__ import annotations

import argparse
import collections
import ipaddress
import json
import os
import re
import selectors
import socket
import sys
import time
import typing as t

PREFIX = "/.well-known/acme-challenge/"
# Asked by whoever wants to know whether requests arrive. Below the prefix, which may be all that a proxy hands on, and
# never a token's path, because "~" is not base64url.
READY = PREFIX + "~ready"
# 128 bits in base64url are 22 characters (RFC 8555 section 8.3).
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}")
THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
# CAs read 128 bytes at most of the answer (Boulder).
MAX_BODY = 128
MAX_LINE = 2048
MAX_HEAD = 8192
MAX_CONNECTIONS = 256
BACKLOG = 256
# Seconds: for a whole connection; for the peer to take the answer; between two looks at the lease.
TIMEOUT = 5.0
LINGER = 1.0
LEASE_CHECK = 0.5

_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE
)
_REASONS = {
    200: "OK",
    301: "Moved Permanently",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
}


class Answer(t.NamedTuple):
    """What goes back: status, body, headers beside the usual ones; and what the log says of the request."""

    status: int
    body: bytes
    headers: t.Dict[str, str]
    note: str


def _plain(status: int, note: str, **headers: str) -> Answer:
    return Answer(status, _REASONS[status].encode(), headers, note)


def _host(lines: list[str]) -> str:
    """The host of the request without its port; "" unless exactly one proper one is named."""
    named = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
    host = re.sub(r":\d{1,5}\Z", "", named[0]) if len(named) == 1 else ""
    return host if _HOST.fullmatch(host) else ""


def answer(head: bytes, thumbprint: str) -> Answer:
    """What to say to a request's head (bytes, without the empty line)."""
    request, *lines = head.decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(request)
    if match is None:
        return _plain(400, "malformed")
    method, target = match.groups()
    if method not in ("GET", "HEAD"):
        return _plain(405, "method", Allow="GET, HEAD")
    if target == READY:
        return Answer(200, b"ready", {}, "ready")
    if not target.startswith(PREFIX):
        host = _host(lines)
        # The port served something before we took it, and that was a redirect more often than not.
        return _plain(301, "other", Location=f"https://{host}{target}") if host else _plain(404, "other")
    token = target[len(PREFIX) :]
    body = f"{token}.{thumbprint}".encode()
    if not TOKEN.fullmatch(token) or len(body) > MAX_BODY:
        return _plain(404, "no token")
    return Answer(200, body, {"Content-Type": "application/octet-stream"}, f"token {token[:8]}...")


def encode(reply: Answer, with_body: bool = True) -> bytes:
    """The answer as it goes over the wire."""
    headers = {
        "Content-Type": "text/plain",
        "Content-Length": str(len(reply.body)),
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
    }
    headers.update(reply.headers)
    lines = [f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (reply.body if with_body else b"")


class Connection:
    """A peer: first it is listened to, then answered, then given a moment to read that."""

    def __init__(self, sock: socket.socket, peer: str, now: float) -> None:
        self.sock = sock
        self.peer = peer
        self.deadline = now + TIMEOUT
        self.received = b""
        self.answered = False

    def head(self) -> bytes | None:
        """The request's head once it is complete, else None."""
        end = self.received.find(b"\r\n\r\n")
        return None if end < 0 else self.received[:end]

    def oversized(self) -> Answer | None:
        """The refusal of a request that is too long, else None."""
        line = self.received.find(b"\r\n")
        if line > MAX_LINE or (line < 0 and len(self.received) > MAX_LINE):
            return _plain(414, "too long")
        return _plain(431, "too long") if len(self.received) > MAX_HEAD else None


class Responder:
    """Serves on one listening socket until the lease ends."""

    def __init__(self, listener: socket.socket, thumbprint: str, lease_file: str, log: t.TextIO | None = None) -> None:
        self._listener = listener
        self._thumbprint = thumbprint
        self._lease_file = lease_file
        self._log = log
        self._selector = selectors.DefaultSelector()
        # Oldest first.
        self._connections: collections.OrderedDict[socket.socket, Connection] = collections.OrderedDict()

    def serve(self) -> None:
        """Return when the lease ends."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        check_at = 0.0
        while True:
            now = time.monotonic()
            if now >= check_at:
                if not lease_holds(self._lease_file):
                    return
                check_at = now + LEASE_CHECK
            for key, _events in self._selector.select(LEASE_CHECK):
                self._ready(key.fileobj)
            self._drop_late()

    def _ready(self, sock: t.Any) -> None:
        if sock is self._listener:
            self._accept()
        elif sock in self._connections:
            try:
                self._read(self._connections[sock])
            except BlockingIOError:
                pass
            except OSError:
                self._close(sock)

    def _accept(self) -> None:
        try:
            sock, peer = self._listener.accept()
        except OSError:
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            # Whoever came first had the most time.
            self._close(next(iter(self._connections)))
        sock.setblocking(False)
        self._connections[sock] = Connection(sock, peer[0], time.monotonic())
        self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, connection: Connection) -> None:
        data = connection.sock.recv(4096)
        if not data:
            self._close(connection.sock)
            return
        if connection.answered:
            # The rest of a request nobody asked for: closing with it unread would reset the answer away.
            return
        connection.received += data
        reply = connection.oversized()
        head = connection.head()
        if reply is None and head is not None:
            reply = answer(head, self._thumbprint)
        if reply is not None:
            self._answer(connection, reply)

    def _answer(self, connection: Connection, reply: Answer) -> None:
        self._note(connection, reply)
        # It fits into any socket's buffer: no need to wait for room.
        connection.sock.send(encode(reply, with_body=not connection.received.startswith(b"HEAD ")))
        connection.sock.shutdown(socket.SHUT_WR)
        connection.answered = True
        connection.deadline = time.monotonic() + LINGER

    def _note(self, connection: Connection, reply: Answer) -> None:
        if self._log is not None:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._log.write(f"{when} {connection.peer} {reply.status} {reply.note}\n")

    def _drop_late(self) -> None:
        now = time.monotonic()
        for sock in [sock for sock, connection in self._connections.items() if connection.deadline <= now]:
            self._close(sock)

    def _close(self, sock: socket.socket) -> None:
        del self._connections[sock]
        self._selector.unregister(sock)
        sock.close()


def lease_holds(path: str) -> bool:
    """Whether the lease file is there and its time is not over."""
    try:
        with open(path) as file:
            return bool(json.load(file)["expires"] > time.time())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def split_endpoint(text: str) -> tuple[str, int]:
    """(address, port) of ADDRESS:PORT, where an IPv6 address stands in brackets. ValueError for anything else."""
    address, _colon, port = text.rpartition(":")
    return str(ipaddress.ip_address(address.strip("[]"))), int(port)


def listen(address: str, port: int) -> socket.socket:
    """A listening socket; `::` takes IPv4 as well. OSError when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" else 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _detach() -> bool:
    """Go on in a process of its own session, tied to nobody's terminal or pipes. False in the one left behind."""
    if os.fork():
        return False
    os.setsid()
    os.chdir("/")
    return True


def _release_stdio() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def _open_log(path: str) -> t.TextIO:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o600)
    return open(fd, "a", buffering=1)


def _thumbprint(text: str) -> str:
    if not THUMBPRINT.fullmatch(text):
        raise argparse.ArgumentTypeError("not 43 characters of base64url")
    return text


def _report(**what: t.Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Serve as the arguments say. Prints one line of JSON: `listening` and `pid`, or `error`."""
    parser = argparse.ArgumentParser(prog="responder", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--thumbprint", required=True, type=_thumbprint)
    parser.add_argument("--lease-file", required=True, metavar="PATH", help='JSON: {"expires": SECONDS SINCE 1970}')
    parser.add_argument("--log", metavar="PATH")
    parser.add_argument("--detach", action="store_true", help="leave the foreground once it listens")
    options = parser.parse_args(arguments)
    try:
        listener = listen(*split_endpoint(options.listen))
        log = _open_log(options.log) if options.log else None
    except (OSError, ValueError) as error:
        _report(error=str(error))
        return 1
    if options.detach and not _detach():
        return 0
    _report(listening=options.listen, pid=os.getpid())
    if options.detach:
        _release_stdio()
    Responder(listener, options.thumbprint, options.lease_file, log).serve()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
