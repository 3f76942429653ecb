# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""One question by HTTP: does a responder of ours answer at port 80? Does it answer for this account where it stands?"""

from __future__ import annotations

import http.client
import secrets
import typing as t

from ._acme.errors import clean
from ._clock import Deadline
from ._responder import MAX_BODY, PREFIX, THUMBPRINT
from ._responder import READY as PATH
from ._watch import Watch

READY = "ready"
# A firewall needs a moment until a rule counts that it has stored.
PAUSES = (0.3, 0.6, 1.2, 2.0)


def ask(address: str, port: int, host: str, deadline: Deadline) -> str | None:
    """Why no responder answered for the host at this address and TCP port before the deadline; None when one did.

    No redirect is followed.
    """
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


class Stray(t.NamedTuple):
    """What answers in place of the responder, or that nothing does. certain: it will not answer the CA otherwise."""

    problem: str
    certain: bool = False


def who_answers(address: str, port: int, thumbprint: str, timeout: float) -> Stray | None:
    """None where a responder for the thumbprint answers as it will answer the CA (RFC 8555 §8.3). timeout: seconds."""
    token = secrets.token_urlsafe(32)
    try:
        answer = _get(address, port, PREFIX + token, timeout)
    except ConnectionRefusedError:
        return Stray("nothing listens there")
    except (OSError, http.client.HTTPException) as error:
        return Stray(f"it does not answer: {clean(error) or type(error).__name__}")
    said, _dot, whose = answer.body.partition(".")
    if answer.status == 200 and (said, whose) == (token, thumbprint):
        return None
    if answer.status == 200 and said == token and THUMBPRINT.fullmatch(whose):
        return Stray(f"a responder for another ACME account answers, thumbprint {whose}", certain=True)
    return Stray(f"something else answers, with {answer.status} {clean(answer.reason)}")


class _Answer(t.NamedTuple):
    status: int
    reason: str
    location: str | None
    # Its beginning.
    body: str


def _get(address: str, port: int, path: str, timeout: float, headers: dict[str, str] | None = None) -> _Answer:
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    watch = Watch(timeout)
    try:
        with watch:
            connection.connect()
            watch.begin(connection.sock)
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read(MAX_BODY).decode("latin-1").strip()
            return _Answer(answer.status, answer.reason, answer.headers["Location"], body)
    finally:
        connection.close()


def _ask(address: str, port: int, host: str, timeout: float) -> str:
    answer = _get(address, port, PATH, timeout, {"Host": host})
    if answer.status == 200 and answer.body == READY:
        return ""
    aim = f" to {clean(answer.location)}" if answer.location else ""
    return f"answers {answer.status} {clean(answer.reason)}{aim}"


__all__ = ("Stray", "ask", "who_answers")
