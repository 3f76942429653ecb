# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""Replace a certificate's files, see by handshake that it is served, and put back what is not."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from .._clock import Clock
from .._errors import CertfleetError, stage
from .._handshakes import shown, wait_for
from .._names import is_address
from .._progress import tell
from .._shell.again import surely
from .._shell.endpoint import Endpoint
from .._shell.session import Shell
from .._tls_probe import Served, probe
from .._xgs.certificates import StoredCertificate
from .._xgs.endpoints import missing_intermediates
from .certificate import CertificateFiles, NotReread

# Seconds for which putting back is tried anew while the firewall cannot be reached.
PATIENCE = 60.0


@dataclasses.dataclass(frozen=True)
class Replacement:
    """Of `current`, which is there, by `new`.

    session: in the firewall's shell, by `endpoint`. timeout: seconds until the new one must be served. chain: whether
    its intermediates must be served as well.
    """

    endpoint: Endpoint
    session: Shell
    files: CertificateFiles
    current: StoredCertificate
    new: StoredCertificate
    timeout: float
    chain: bool
    clock: Clock = dataclasses.field(default_factory=Clock)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the new one that are served already."""
        old, new = (one.facts.names if one.facts else () for one in (self.current, self.new))
        return tuple(name for name in new if name in old) or new

    def look(self, address: str, port: int) -> list[Served]:
        """Who serves it now. Raises CertfleetError, stage "plan", where that cannot be seen, as nor would a new one."""
        places = dict.fromkeys((address, port, None if is_address(name) else name) for name in self.names)
        seen = [probe(*place) for place in places]
        strange = [one for one in seen if not one.certificate or not self._expected(one)]
        if strange:
            raise CertfleetError(
                f"{'; '.join(map(shown, strange))}, which is not what is in {self.files.cert}, so nobody could see"
                " whether a new one is served",
                stage="plan",
                remedy="Set verify_address (in the role: xgs_letsencrypt_verify_address) and verify_port to where this"
                " certificate is served, as it is reached from here.",
            )
        return seen

    def _expected(self, served: Served) -> bool:
        """What is there may be unreadable; or there already, and read by nobody yet."""
        known = (self.current.fingerprint, self.new.fingerprint)
        return self.there or not self.current.facts or served.fingerprint in known

    def settled(self, seen: t.Iterable[Served]) -> bool:
        """Whether nothing is left to do."""
        return self.there and all(one.fingerprint == self.new.fingerprint for one in seen)

    @property
    def there(self) -> bool:
        """Whether the files are the new one's already."""
        return self.current.fingerprint == self.new.fingerprint

    def reread(self, seen: list[Served]) -> None:
        """The files are as they should be, but not what is served. Raises CertfleetError, stage "verify"."""
        with stage("verify"):
            self.files.reread(self.session)
            self._verify(seen)

    def carry_out(self, seen: list[Served], write: t.Callable[[Shell], None]) -> None:
        """Raises CertfleetError, stage "upload" or "verify", with the files of before in place again."""
        try:
            tell("upload", self.files.cert)
            write(self.session)
            with stage("verify"):
                self._verify(seen)
        except CertfleetError as error:
            self._put_back(seen, error)
            raise

    def _verify(self, seen: list[Served]) -> None:
        tell("verify", f"what serves {self.files.name}")
        now = self._wait(seen, self.new)
        wrong = [one for one in now if one.fingerprint != self.new.fingerprint]
        if wrong:
            raise CertfleetError(
                f"the new certificate is not served {self.timeout:g} s after the web server was told to read it: "
                + "; ".join(map(shown, wrong))
            )
        for one in now if self.chain else ():
            missing = missing_intermediates(one, self.new)
            if missing:
                raise CertfleetError(
                    f"{one} serves the new certificate without {', '.join(missing)}, so many clients will not trust it",
                    remedy="If this firewall never sends intermediates, set verify_chain to false.",
                )

    def _put_back(self, seen: list[Served], error: CertfleetError) -> None:
        """The error tells the user what is served in the end."""
        tell("upload", f"{self.files.cert} as it was")
        try:
            surely(self.endpoint, self.session, self._undo, PATIENCE, self.clock)
        except CertfleetError as failure:
            error.advise(
                f"Putting the one of before back failed too ({failure}). Run onbox_cert with state=previous as soon as"
                " the firewall can be reached."
            )
            return
        old = [one for one in seen if one.fingerprint == self.current.fingerprint]
        wrong = [one for one in self._wait(old, self.current) if one.fingerprint != self.current.fingerprint]
        if wrong:
            error.advise(f"The files of before are back, but {'; '.join(map(shown, wrong))}: look at it now.")
        else:
            error.advise("The files of before are in place. Find out why, then run again.")

    def _undo(self, shell: Shell) -> None:
        """Nobody knows how far it came; and it may be done twice."""
        if self.files.read(shell).fingerprint == self.new.fingerprint:
            # What is served in the end, the handshake tells.
            with contextlib.suppress(NotReread):
                self.files.put_back(shell)

    def _wait(self, seen: list[Served], certificate: StoredCertificate) -> list[Served]:
        return wait_for(seen, certificate.fingerprint, self.clock, self.timeout)


__all__ = ("Replacement",)
