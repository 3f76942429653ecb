# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""acme2certifier's WSGI application over HTTPS; run by the Python that has it: PORT CERTIFICATE KEY."""

from __future__ import annotations

import socketserver
import ssl
import sys
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from acme2certifier.share import acme2certifier_wsgi


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


def over_https(environ: dict[str, Any], start_response: Any) -> Any:
    environ.update({"wsgi.url_scheme": "https", "HTTPS": "on"})
    return acme2certifier_wsgi.application(environ, start_response)


def main(port: str, certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Server(("127.0.0.1", int(port)), WSGIRequestHandler) as server:
        server.set_app(over_https)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
