# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What has to be done on the firewall even if the session breaks off."""

from __future__ import annotations

import typing as t

from .._clock import Clock, Deadline
from .._errors import CertfleetError
from .endpoint import Endpoint
from .errors import LoginRefused, ShellError
from .session import Shell, shell

PAUSES = (2.0, 4.0, 8.0, 16.0, 30.0)
Result = t.TypeVar("Result")


def surely(
    endpoint: Endpoint, session: Shell | None, work: t.Callable[[Shell], Result], patience: float, clock: Clock
) -> Result:
    """work(session), and where that breaks off, work() in a new session; so it may be carried out twice.

    patience: seconds for which logging in anew is tried. Raises what the work raises in a session that holds.
    """
    failure: CertfleetError = ShellError("the session in the firewall's shell is of no use any more")
    for _try in Deadline(clock, patience).tries(PAUSES):
        try:
            if session is not None and not session.broken:
                return work(session)
            with shell(endpoint, clock) as session:
                return work(session)
        except LoginRefused as error:
            failure = error
            break
        except CertfleetError as error:
            failure = error
            if session is not None and not session.broken:
                break
            session = None
    raise failure


__all__ = ("surely",)
