# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""One question to port 80: does a responder of ours answer there?"""

from __future__ import annotations

import http.client

from ._acme.errors import clean
from ._clock import Deadline
from ._responder import READY as PATH
from ._watch import Watch

READY = b"ready"
# A firewall needs a moment until a rule counts that it has stored.
PAUSES = (0.3, 0.6, 1.2, 2.0)


def ask(address: str, port: int, host: str, deadline: Deadline) -> str | None:
    """Why no responder answered for the host at this address in time; None when one did. No redirect is followed."""
    problem = "was not asked for want of time"
    for _try in deadline.tries(PAUSES):
        if deadline.over:
            break
        try:
            problem = _ask(address, port, host, deadline.remaining)
        except (OSError, http.client.HTTPException) as error:
            problem = f"does not answer: {clean(error) or type(error).__name__}"
        if not problem:
            return None
    return problem


def _ask(address: str, port: int, host: str, timeout: float) -> str:
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    watch = Watch(timeout)
    try:
        with watch:
            connection.connect()
            watch.begin(connection.sock)
            return _answer(connection, host)
    finally:
        connection.close()


def _answer(connection: http.client.HTTPConnection, host: str) -> str:
    connection.request("GET", PATH, headers={"Host": host})
    answer = connection.getresponse()
    if answer.status == 200 and answer.read(len(READY) + 2).strip() == READY:
        return ""
    aim = f" to {clean(answer.headers['Location'])}" if "Location" in answer.headers else ""
    return f"answers {answer.status} {clean(answer.reason)}{aim}"


__all__ = ("ask",)
