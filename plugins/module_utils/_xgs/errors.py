# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""What can go wrong between us and a firewall."""

from __future__ import annotations

from .._errors import CertfleetError


class XgsError(CertfleetError):
    """Any failure of the firewall's side."""


class XgsConnectionError(XgsError):
    """No answer, or none that can be trusted. `sent` tells whether the firewall may have acted on the request."""

    def __init__(self, problem: str, *, remedy: str = "", sent: bool) -> None:
        super().__init__(problem, remedy=remedy)
        self.sent = sent


class XgsAccessError(XgsError):
    """The firewall refuses the API, the source address or the account (532, 534, Authentication Failure)."""


class XgsApiError(XgsError):
    """The firewall refuses one operation: a status code of 500 or more (API document, status table of the entity)."""

    def __init__(self, code: int, text: str, *, operation: str, parameters: tuple[str, ...] = ()) -> None:
        detail = f" ({', '.join(parameters)})" if parameters else ""
        super().__init__(
            f"the firewall refused to {operation}: status {code}, {text}{detail}", remedy=_REMEDIES.get(code, "")
        )
        self.code = code
        self.text = text


# "This account may not" (reported).
NO_RIGHT = 599

_REMEDIES = {
    501: "The firewall finds a value invalid; compare the options of this task with what exists there.",
    504: "Something still refers to the object; remove that reference first.",
    510: "The private key does not fit the certificate, or its passphrase is wrong.",
    541: "The certificate file is damaged or not PEM.",
    596: "Sophos Central owns this object; change it there.",
    NO_RIGHT: "The API account's administration profile lacks the right to this part of the configuration.",
}

__all__ = ("NO_RIGHT", "XgsAccessError", "XgsApiError", "XgsConnectionError", "XgsError")
