# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The CA's renewal information, remembered until the CA wants to be asked again (RFC 9773 §4.3.2).

What is remembered saves requests and decides nothing that the CA would decide otherwise: to lose it costs one request.
"""

from __future__ import annotations

import datetime
import json
import os
import typing as t

from .._errors import CertfleetError
from .._files import make_private_directory, read_private, write_private
from .._http_dates import MAX_RETRY_AFTER
from .._x509 import fingerprint
from .renewal import RenewalInfo, Source, fetch_window

if t.TYPE_CHECKING:
    from .._libraries import x509

# No certificate's directory in the store begins with a dot.
FILE = ".renewal-info.json"
TIMES = ("start", "end", "retry_after")


class Advice:
    """What one CA says about the certificates of one firewall. directory: where to remember it, None for nowhere."""

    def __init__(self, ca: Source, directory_url: str, directory: str | None = None) -> None:
        self.clock = ca.clock
        self._ca = ca
        self._directory_url = directory_url
        self._directory = directory
        self._remembered = self._read()
        self._valid: dict[str, RenewalInfo] = {}
        # What the user should know.
        self.warnings: list[str] = []

    def window(self, name: str, cert: x509.Certificate) -> RenewalInfo | None:
        """The CA's window for a certificate of that name, None where there is none to be had."""
        key = fingerprint(cert)
        info, trouble = self._remembered.get(key), ""
        if info is None or not self._holds(info):
            info, trouble = fetch_window(self._ca, cert)
        if trouble:
            self.warnings.append(f"{name}: {trouble}; so its lifetime decides when it is renewed")
        if info is not None and info.retry_after is not None:
            self._valid[key] = info
        return info

    def _holds(self, info: RenewalInfo) -> bool:
        """Whether the CA does not want to be asked yet. No later than in a day, whatever our clock has been since."""
        now = self.clock.now()
        return info.retry_after is not None and now < info.retry_after <= now + MAX_RETRY_AFTER

    def keep(self) -> None:
        """Remember what was used since the beginning; the rest is of certificates that are gone."""
        if self._directory is None or self._valid == self._remembered:
            return
        document = {
            "directory": self._directory_url,
            "certificates": {key: _as_json(info) for key, info in self._valid.items()},
        }
        try:
            make_private_directory(self._directory)
            write_private(self._path, json.dumps(document).encode())
        except CertfleetError as error:
            self.warnings.append(f"the CA's renewal information cannot be remembered: {error}")

    @property
    def _path(self) -> str:
        return os.path.join(self._directory or "", FILE)

    def _read(self) -> dict[str, RenewalInfo]:
        if self._directory is None:
            return {}
        try:
            document = json.loads(read_private(self._path))
            if document["directory"] != self._directory_url:
                return {}
            return {key: _from_json(info) for key, info in document["certificates"].items()}
        except (CertfleetError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            # Nothing, or nothing that can be relied on.
            return {}


def _as_json(info: RenewalInfo) -> dict[str, t.Any]:
    times = {name: getattr(info, name).isoformat() for name in TIMES}
    return {**times, "explanation_url": info.explanation_url}


def _from_json(entry: dict[str, t.Any]) -> RenewalInfo:
    times = {name: datetime.datetime.fromisoformat(entry[name]).astimezone(datetime.timezone.utc) for name in TIMES}
    info = RenewalInfo(explanation_url=str(entry["explanation_url"]), **times)
    if info.end <= info.start:
        raise ValueError("a window that ends before it starts")
    return info


__all__ = ("Advice",)
