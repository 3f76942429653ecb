# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""iptables on the firewall, through its shell: our rules read, made, removed, and what removes them if we cannot.

Commands and files: iptables(8), proc(5).
"""

from __future__ import annotations

import re
import shlex
import typing as t

from .errors import CommandFailed, ShellError
from .redirect import Mark, Rule, listed, mark_of
from .session import Shell

# Both are read; IPv6 has tables of its own.
TABLES = ("nat", "filter")
# Seconds between two looks of the watchdog; after so many without the rules it ends.
PULSE, MISSES = 3, 2
_REMEDY = (
    "This way needs iptables with the matches comment, conntrack and addrtype, and may not run on a firewall whose"
    " firmware has it otherwise; use the XML API there (method: api)."
)
# Started before the first rule and not by a file, so that nothing is left after a reboot. It goes by the time since
# boot, which nobody sets. It ends when a listing that succeeded no longer has the rules.
_WATCHDOG = """
trap '' HUP
echo watching
exec >/dev/null 2>&1
up() {{ read -r since rest </proc/uptime; echo "${{since%%.*}}"; }}
end=$(($(up) + {lease})) absent=0
while [ "$(up)" -lt "$end" ] && [ "$absent" -lt {misses} ]; do
  sleep {pulse}
  there=$(iptables -w -t nat -S PREROUTING) || continue
  case $there in *{mark}*) absent=0 ;; *) absent=$((absent + 1)) ;; esac
done
while :; do
{removals}
  there=$(iptables -w -t nat -S && iptables -w -t filter -S) && case $there in *{mark}*) ;; *) exit ;; esac
  sleep 1
done
"""
_OPEN = """
apart=$(command -v setsid || command -v nohup) || {{ echo "there is neither setsid nor nohup"; exit 1; }}
watchdog=$("$apart" sh -c {watchdog} </dev/null 2>/dev/null &)
[ "$watchdog" = watching ] || {{ echo "the watchdog did not start"; exit 1; }}
{insertions} || {{
{removals}
exit 1; }}
"""


class Iptables:
    """Of the firewall of this session. Raises ShellError."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        if shell.run("command -v iptables", check=False).status:
            raise ShellError("there is no iptables in the firewall's shell", remedy=_REMEDY)

    def now(self) -> int:
        """Seconds since 1970, by the firewall's clock."""
        said = self._shell.run("date +%s").output.strip()
        if not said.isdigit():
            raise ShellError(f"the firewall's clock says {said!r}")
        return int(said)

    def ours(self) -> list[tuple[Mark, Rule]]:
        """All rules that this collection made."""
        found = []
        for table in TABLES:
            try:
                listing = self._shell.run(f"iptables -w -t {table} -S").output
            except CommandFailed as error:
                error.advise(_REMEDY)
                raise
            marked = ((mark_of(rule), rule) for rule in listed(table, listing))
            found += [(mark, rule) for mark, rule in marked if mark]
        return found

    def addresses(self) -> set[str]:
        """Its own IPv4 addresses, as the kernel knows them."""
        tree = self._shell.run("cat /proc/net/fib_trie").output
        return set(re.findall(r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL", tree))

    def interfaces(self) -> list[str]:
        """Names of its network interfaces, as the kernel knows them (/proc/net/dev)."""
        return re.findall(r"^\s*([^\s:|]+):", self._shell.run("cat /proc/net/dev").output, re.MULTILINE)

    def open(self, mark: Mark, made: t.Sequence[Rule], lease: int) -> None:
        """The watchdog, then the rules; when one is refused, those before it are taken back. lease: seconds."""
        removals = "\n".join(f"{rule.command('-D')} 2>/dev/null" for rule in reversed(made))
        watchdog = _WATCHDOG.format(lease=lease, misses=MISSES, pulse=PULSE, mark=mark, removals=removals)
        insertions = " && ".join(rule.command("-I") for rule in made)
        done = self._shell.run(
            _OPEN.format(watchdog=shlex.quote(watchdog), insertions=insertions, removals=removals), check=False
        )
        if done.status:
            raise ShellError(f"the firewall refused the rules: {done.output.strip()}", remedy=_REMEDY)

    def remove(self, gone: t.Sequence[Rule]) -> None:
        """These very rules; what the watchdog was faster with is gone all the same. The forwarding ones go first."""
        for rule in sorted(gone, key=lambda rule: rule.chain != "PREROUTING"):
            done = self._shell.run(rule.command("-D"), check=False)
            if done.status and rule in [there for _mark, there in self.ours()]:
                raise ShellError(f"a rule of ours cannot be removed: {rule}: {done.output.strip()}")


__all__ = ("Iptables",)
