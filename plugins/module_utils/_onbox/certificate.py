# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""A certificate and its key as files on the firewall's disk, replaced in place.

The firewall's own list of certificates knows nothing of it, so what uses the certificate of that name goes on using it,
and the web admin console goes on showing the dates of before. (Paths and effect: public tools.)
"""

from __future__ import annotations

import dataclasses
import secrets
import shlex
import typing as t

from .. import _x509
from .._errors import CertfleetError
from .._shell.errors import CommandFailed
from .._shell.session import Shell
from .._xgs.certificates import StoredCertificate

if t.TYPE_CHECKING:
    from .._material import Material

DIRECTORY = "/conf/certificate"
PREVIOUS = ".previous"
# What a reload that failed ends with; the files are in place then.
_NO_RELOAD = 4
# What a run left that was killed, and is no other's that is at work.
_STALE = "find {directory} -name {name} -mmin +60 -exec rm -f {{}} \\;"
# Mode and owner are those of what it replaces.
_BESIDE = """
umask 077
cp -p {old} {new} && cat >{new} && [ $(wc -c <{new}) -eq {size} ] || {{ rm -f {new}; exit 1; }}
"""
_PREVIOUS_BESIDE = """
cp -p {cert}.previous {cert}.{mark}.new && cp -p {key}.previous {key}.{mark}.new ||
  {{ rm -f {cert}.{mark}.new {key}.{mark}.new; exit 1; }}
"""
# Nothing in between takes time, and no hang-up breaks it off: what is read at any moment belongs together, but for the
# instant between two renames.
_SWITCH = """
trap '' HUP
old={mark}.old.new new={mark}.new
cp -p {cert} {cert}.$old && cp -p {key} {key}.$old && sync &&
mv -f {cert}.$old {cert}.previous && mv -f {key}.$old {key}.previous && mv -f {key}.$new {key} ||
  {{ rm -f {cert}.$new {key}.$new {cert}.$old {key}.$old; exit 1; }}
mv -f {cert}.$new {cert} || {{ cp -p {key}.previous {key}.$old && mv -f {key}.$old {key}; rm -f {cert}.$new; exit 1; }}
sync
{reload}
"""
_RELOAD = """
( {command} ) || exit {failed}
"""


class NotReread(CommandFailed):
    """The files are in place, but the web server could not be told."""


@dataclasses.dataclass(frozen=True)
class CertificateFiles:
    """Of one name. reload: the shell command that has the web server read them. All methods raise ShellError; of those
    that write it is CommandFailed where the pair of before is in place, NotReread where the new one is."""

    name: str
    directory: str = DIRECTORY
    reload: str = ""

    @property
    def cert(self) -> str:
        """Path of the certificate and its chain, PEM."""
        return f"{self.directory}/{self.name}.pem"

    @property
    def key(self) -> str:
        """Path of the private key, PEM."""
        return f"{self.directory}/private/{self.name}.key"

    def read(self, shell: Shell) -> StoredCertificate:
        """What is there; its key stays on the firewall. Raises CertfleetError where a file is missing, for one that
        nothing refers to would be of no use."""
        absent = self._absent(shell)
        if absent:
            raise CertfleetError(
                f"the firewall has no {absent}, and without the XML API no new certificate can be given to anything",
                remedy=f"In the web admin console, upload any certificate as {self.name}, and choose it where it"
                " shall be used.",
            )
        return self._stored(shell)

    def read_previous(self, shell: Shell) -> StoredCertificate:
        """What put_back() would put back. Raises CertfleetError where there is none."""
        absent = self._absent(shell, PREVIOUS)
        if absent:
            raise CertfleetError(f"the firewall has no {absent}", remedy="There is nothing to go back to.")
        return self._stored(shell, PREVIOUS)

    def _absent(self, shell: Shell, suffix: str = "") -> str:
        paths = (self.cert + suffix, self.key + suffix)
        missing = (path for path in paths if shell.run(f"[ -s {shlex.quote(path)} ]", check=False).status)
        return next(missing, "")

    def _stored(self, shell: Shell, suffix: str = "") -> StoredCertificate:
        """One that cannot be read shall not hinder anybody from replacing it: there is none then."""
        content = shell.read_file(self.cert + suffix)
        try:
            chain = _x509.load_certificates(content)
        except CertfleetError:
            chain = []
        return StoredCertificate(self.cert + suffix, chain, has_key=True)

    def install(self, shell: Shell, material: Material) -> None:
        """The new pair in the place of the old one, which is kept; the web server reads it."""
        mark = secrets.token_hex(4)
        stale = {"directory": shlex.quote(self.directory), "name": shlex.quote(f"{self.name}.*.new")}
        shell.run(_STALE.format(**stale), check=False)
        for path, content in ((self.key, material.key_pem), (self.cert, material.chain_pem)):
            new = shlex.quote(f"{path}.{mark}.new")
            shell.run(_BESIDE.format(old=shlex.quote(path), new=new, size=len(content)), stdin=content)
        self._switch(shell, mark)

    def put_back(self, shell: Shell) -> None:
        """The pair of before, which changes places with the present one."""
        mark = secrets.token_hex(4)
        shell.run(_PREVIOUS_BESIDE.format(**self._paths(), mark=mark))
        self._switch(shell, mark)

    def reread(self, shell: Shell) -> None:
        """Have the web server read what is there."""
        self._told(shell, self._reload())

    def _switch(self, shell: Shell, mark: str) -> None:
        """mark: of this pair alone, so that two runs at the same time never mix theirs."""
        self._told(shell, _SWITCH.format(**self._paths(), mark=mark, reload=self._reload()))

    def _told(self, shell: Shell, script: str) -> None:
        done = shell.run(script, check=False)
        if done.status == _NO_RELOAD:
            raise NotReread(f"'{self.reload}'", done.status, done.output)
        if done.status:
            raise CommandFailed(f"replacing {self.cert}", done.status, done.output)

    def _paths(self) -> dict[str, str]:
        return {"cert": shlex.quote(self.cert), "key": shlex.quote(self.key)}

    def _reload(self) -> str:
        return _RELOAD.format(command=self.reload, failed=_NO_RELOAD)


__all__ = ("DIRECTORY", "CertificateFiles", "NotReread")
