# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""HTTP-01 (RFC 8555 §8.3): one challenge of an authorization, and what has to be served for it."""

from __future__ import annotations

import dataclasses
import typing as t

from .._responder import TOKEN
from .errors import AcmeNetworkError


@dataclasses.dataclass(frozen=True)
class Challenge:
    """An http-01 challenge."""

    url: str
    token: str
    status: str


def challenges(authorization: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """The challenges of an authorization object, without what is none."""
    listed = authorization.get("challenges")
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def pick_http01(authorization: dict[str, t.Any]) -> Challenge | None:
    """The http-01 challenge of an authorization object, None when the CA offers none.

    AcmeNetworkError when its token is no token, which a responder must never echo.
    """
    for item in challenges(authorization):
        # Other types need not have a token at all.
        if item.get("type") != "http-01":
            continue
        url, token = str(item.get("url", "")), str(item.get("token", ""))
        if not TOKEN.fullmatch(token):
            raise AcmeNetworkError("the CA's http-01 challenge has no proper token", url=url)
        return Challenge(url, token, str(item.get("status", "")))
    return None


__all__ = ("TOKEN", "Challenge", "challenges", "pick_http01")
