# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A stateless HTTP-01 responder (RFC 8555 section 8.3): answers every order of one ACME account.

Feed this file to `python3 -` on any host with Python 3.6 or newer; it needs nothing else and writes nothing but its
log. It lives as long as its lease file says so. (So no `from __future__ import annotations`: that is 3.7.)

One thread and no blocking call: an idle connection costs a few bytes and holds nobody up.
"""

import contextlib
import errno
import ipaddress
import json
import os
import re
import resource
import selectors
import socket
import stat
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
MAX_BODY = 127
MAX_LINE = 2048
MAX_HEAD = 8192
MAX_CONNECTIONS = 256
BACKLOG = 256
# Bytes: some hundred thousand requests. After that nothing is logged any more: the disk is not the visitors' to fill.
MAX_LOG = 16 * 1024 * 1024
# Seconds: for a whole connection; for the peer to take the answer; between two looks at the lease while nobody calls.
TIMEOUT = 5.0
LINGER = 1.0
LEASE_CHECK = 0.5

_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE
)
_ENDPOINT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")
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
    # The start of the token that was asked for, "" when none was.
    token: str = ""


class Visit(t.NamedTuple):
    """A request that was answered: the peer's address, the host it asked for ("" when improper), and the answer."""

    peer: str
    host: str
    answer: Answer


def _plain(status: int, note: str, **headers: str) -> Answer:
    return Answer(status, _REASONS[status].encode(), headers, note)


def _host(head: bytes) -> str:
    """The host of the request without its port; "" unless exactly one proper one is named."""
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    named = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
    host = re.sub(r":\d{1,5}\Z", "", named[0]) if len(named) == 1 else ""
    return host if _HOST.fullmatch(host) else ""


def answer(head: bytes, thumbprint: str, redirect: bool = True) -> Answer:
    """What to say to a request's head (bytes, without the empty line)."""
    match = _REQUEST_LINE.fullmatch(head.decode("latin-1").partition("\r\n")[0])
    if match is None:
        return _plain(400, "malformed")
    method, target = match.groups()
    if method not in ("GET", "HEAD"):
        return _plain(405, "method", Allow="GET, HEAD")
    if target == READY:
        return Answer(200, b"ready", {}, "ready")
    if not target.startswith(PREFIX):
        host = _host(head) if redirect else ""
        # The port served something before we took it, and that was a redirect more often than not.
        return _plain(301, "other", Location=f"https://{host}{target}") if host else _plain(404, "other")
    token = target[len(PREFIX) :]
    body = f"{token}.{thumbprint}".encode()
    if not TOKEN.fullmatch(token) or len(body) > MAX_BODY:
        return _plain(404, "no token")
    headers = {"Content-Type": "application/octet-stream"}
    return Answer(200, body, headers, f"token {token[:8]}...", token[:8])


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
    """A peer: first it is listened to, then answered, then given a moment to read that. now: monotonic, seconds."""

    def __init__(self, sock: socket.socket, peer: str, now: float) -> None:
        self.sock = sock
        self.peer = peer
        self.deadline = now + TIMEOUT
        self.received = b""
        self.answered = False

    def head(self) -> t.Optional[bytes]:
        """The request's head once it is complete, else None."""
        end = self.received.find(b"\r\n\r\n")
        return None if end < 0 else self.received[:end]

    def oversized(self) -> t.Optional[Answer]:
        """The refusal of a request that is too long, else None."""
        line = self.received.find(b"\r\n")
        if line > MAX_LINE or (line < 0 and len(self.received) > MAX_LINE):
            return _plain(414, "too long")
        return _plain(431, "too long") if len(self.received) > MAX_HEAD else None


def _most_connections() -> int:
    """As many as may be open at once: half of the descriptors at the most, since the lease file has to be read."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS if limit == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, limit // 2)


class Responder:
    """Serves on one listening socket.

    alive: whether to go on. It is asked before every answer, so whoever ends it only has to knock.
    seen: is told of each answer. redirect: send to https:// what asks for something else; else that gets 404.
    """

    def __init__(
        self,
        listener: socket.socket,
        thumbprint: str,
        alive: t.Callable[[], bool],
        seen: t.Optional[t.Callable[[Visit], None]] = None,
        redirect: bool = True,
    ) -> None:
        self._listener = listener
        self._thumbprint = thumbprint
        self._alive = alive
        self._seen = seen
        self._redirect = redirect
        self._selector = selectors.DefaultSelector()
        self._most = _most_connections()
        # Oldest first.
        self._connections: t.Dict[socket.socket, Connection] = {}

    def serve(self) -> None:
        """Return when it is to end, with everything closed."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        try:
            while True:
                ready = self._selector.select(LEASE_CHECK)
                if not self._alive():
                    return
                for key, _events in ready:
                    self._ready(key.fileobj)
                self._drop_late()
        finally:
            for sock in list(self._connections):
                self._close(sock)
            self._selector.close()
            self._listener.close()

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
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._drop_oldest()
            return
        if len(self._connections) >= self._most:
            self._drop_oldest()
        sock.setblocking(False)
        # An IPv4 peer of an IPv6 socket is written so.
        address = peer[0][7:] if peer[0].startswith("::ffff:") else peer[0]
        self._connections[sock] = Connection(sock, address, time.monotonic())
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
            reply = answer(head, self._thumbprint, self._redirect)
        if reply is not None:
            self._answer(connection, reply)

    def _answer(self, connection: Connection, reply: Answer) -> None:
        if self._seen is not None:
            self._seen(Visit(connection.peer, _host(connection.received), reply))
        # It fits into any socket's buffer: no need to wait for room.
        connection.sock.send(encode(reply, with_body=not connection.received.startswith(b"HEAD ")))
        connection.sock.shutdown(socket.SHUT_WR)
        connection.answered = True
        connection.deadline = time.monotonic() + LINGER

    def _drop_late(self) -> None:
        now = time.monotonic()
        for sock in [sock for sock, connection in self._connections.items() if connection.deadline <= now]:
            self._close(sock)

    def _drop_oldest(self) -> None:
        """Whoever came first had the most time."""
        if self._connections:
            self._close(next(iter(self._connections)))

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


def split_endpoint(text: str) -> t.Tuple[str, int]:
    """(address, port) of ADDRESS:PORT, where an IPv6 address stands in brackets. ValueError for anything else."""
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match.group(3)) < 65536:
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    return str(ipaddress.ip_address(match.group(1) or match.group(2))), int(match.group(3))


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


class Log:
    """A file (0600) with a line for each request: when, from where, for which host, what came of it.

    It grows up to MAX_LOG.
    """

    def __init__(self, path: str) -> None:
        """OSError when it cannot be written."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        self._fd = os.open(path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise OSError(f"{path} is not a file")
        os.fchmod(self._fd, 0o600)

    def __call__(self, visit: Visit) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = f"{when} {visit.peer} {visit.host or '-'} {visit.answer.status} {visit.answer.note}\n"
        # A full disk is no reason not to answer.
        with contextlib.suppress(OSError):
            if os.fstat(self._fd).st_size < MAX_LOG:
                os.write(self._fd, line.encode())


def _report(**what: t.Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _arguments(arguments: t.Optional[t.List[str]]) -> t.Any:
    # Not for those who import this file for its parts.
    import argparse

    def thumbprint(text: str) -> str:
        if not THUMBPRINT.fullmatch(text):
            raise argparse.ArgumentTypeError("not 43 characters of base64url")
        return text

    parser = argparse.ArgumentParser(
        prog="responder", description="Answers the HTTP-01 challenges of one ACME account."
    )
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--thumbprint", required=True, type=thumbprint)
    parser.add_argument("--lease-file", required=True, metavar="PATH", help='JSON: {"expires": SECONDS SINCE 1970}')
    parser.add_argument("--log", metavar="PATH")
    parser.add_argument("--no-redirect", dest="redirect", action="store_false", help="404 for all but challenges")
    parser.add_argument("--detach", action="store_true", help="leave the foreground once it listens")
    return parser.parse_args(arguments)


def main(arguments: t.Optional[t.List[str]] = None) -> int:
    """Serve as the arguments say; the exit status. Prints one line of JSON: `listening` and `pid`, or `error`."""
    options = _arguments(arguments)
    try:
        log = Log(options.log) if options.log else None
        listener = listen(*split_endpoint(options.listen))
    except (OSError, ValueError) as error:
        _report(error=str(error))
        return 1
    if options.detach and not _detach():
        return 0
    _report(listening=options.listen, pid=os.getpid())
    if options.detach:
        _release_stdio()
    Responder(listener, options.thumbprint, lambda: lease_holds(options.lease_file), log, options.redirect).serve()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
