# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real DNS server on loopback for what pebble-challtestsrv cannot: NXDOMAIN, any record, truncation, silence."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

from lab.ports import free_port

HOST = "127.0.0.1"


class DnsServer:
    """Answers from a zone file's text (absolute names), as a recursive resolver would.

    truncated: names whose answers do not fit into UDP; silent: names that are never answered;
    broken: names that yield SERVFAIL. questions: (name, type) of all that was asked.
    """

    def __init__(
        self,
        zone: str,
        *,
        truncated: Collection[str] = (),
        silent: Collection[str] = (),
        broken: Collection[str] = (),
    ) -> None:
        self._zone = dns.zone.from_text(zone, origin=".", relativize=False, check_origin=False)
        self._truncated, self._silent, self._broken = truncated, silent, broken
        self.questions: list[tuple[str, str]] = []
        self.port = free_port(HOST)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def answer(self, query: bytes, udp: bool) -> bytes | None:
        request = dns.message.from_wire(query)
        (question,) = request.question
        name = question.name.to_text(omit_final_dot=True)
        self.questions.append((name, dns.rdatatype.to_text(question.rdtype)))
        if name in self._silent:
            return None
        response = dns.message.make_response(request, recursion_available=True)
        if name in self._broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif udp and name in self._truncated:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, question.name, question.rdtype)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: Any) -> None:
        for _alias in range(10):
            node = self._zone.get_node(name)
            if node is None:
                below = any(other.is_subdomain(name) for other in self._zone)
                response.set_rcode(dns.rcode.NOERROR if below else dns.rcode.NXDOMAIN)
                return
            for wanted in (kind, dns.rdatatype.CNAME):
                found = node.get_rdataset(self._zone.rdclass, wanted)
                if found is not None:
                    response.answer.append(dns.rrset.from_rdata_list(name, found.ttl, list(found)))
                    break
            if found is None or found.rdtype == kind:
                return
            name = found[0].target


@contextmanager
def serving(zone: str, **options: Any) -> Iterator[DnsServer]:
    """A DnsServer that runs, by UDP and TCP."""
    server = DnsServer(zone, **options)

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, sock = self.request
            answer = server.answer(query, udp=True)
            if answer is not None:
                sock.sendto(answer, self.client_address)

    class Tcp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query = _exactly(self.request, struct.unpack("!H", _exactly(self.request, 2))[0])
            answer = server.answer(query, udp=False)
            if answer is not None:
                self.request.sendall(struct.pack("!H", len(answer)) + answer)

    with ExitStack() as stack:
        for kind, handler in ((socketserver.ThreadingUDPServer, Udp), (socketserver.ThreadingTCPServer, Tcp)):
            listener = stack.enter_context(kind((HOST, server.port), handler))
            listener.daemon_threads = True
            threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            stack.callback(listener.shutdown)
        yield server


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionError("the peer hung up")
        data += more
    return data
