# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firewall's inside, and on it a shell tool that renews certificates: real files, processes, mounts and rules.

It has a root file system of its own, read-only as on a firewall, with busybox for its commands, and processes and a
network of its own. All of it is in a user namespace, where whatever runs may remount nothing of this machine.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from lab.console.server import CONSOLE
from lab.plane.namespaces import IPTABLES

__all__ = ["ACCOUNT_KEY", "BOOT_SCRIPT", "CONFIG", "RULE", "START_LOOP", "Appliance"]

BOOT_SCRIPT = "/etc/rc.d/S01acme"
RULE = "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination :8000"
CHECKOUT = Path(__file__).resolve().parents[2]
INSTALLED = "/usr/sbin:/sbin:/usr/bin:/bin"
# Mapped one to one, so that a server may have users; 0 is not this machine's root for all that.
USERS = "0 0 65536\n"

# The machine's own below /usr, so that python3 and an SSH server run; what is found first is busybox.
START = """
mount -t tmpfs -o mode=755 firewall {root}
cd {root}
mkdir -p usr proc dev etc/rc.d var conf tmp run
for each in bin sbin lib lib64; do
  if [ -h /$each ]; then cp -P /$each .; elif [ -d /$each ]; then mkdir $each && mount --bind /$each $each; fi
done
mount --bind /usr usr
mount -t tmpfs tmpfs usr/local && mkdir usr/local/bin
cp -L {console}/busybox usr/local/bin/busybox
for each in $(usr/local/bin/busybox --list); do ln -s busybox usr/local/bin/$each 2>/dev/null || :; done
# What the lab needs has more options.
rm -f usr/local/bin/unshare usr/local/bin/nsenter
cp /etc/passwd /etc/shadow etc/
mount --rbind /dev dev
mount -t proc proc proc
for each in var conf tmp run; do mount -t tmpfs -o mode=1777 tmpfs $each; done
for each in {shared}; do mkdir -p .$each && mount --bind $each .$each; done
# By the path that a session looks in first; with the rules of its own network.
mkdir -p .{iptables}
printf '#!/bin/sh\\nexec nsenter --net={home}/net {home}/iptables "$@"\\n' >.{iptables}/iptables
chmod 755 .{iptables}/iptables
ln -s {iptables}/iptables usr/local/bin/iptables
mount --bind /proc/self/ns/net .{home}/net
[ ! -d {iptables} ] || mount --bind {iptables} .{home}/tools
mkdir -p conf/certificate/private
mount -o remount,ro {root}
exec chroot . /usr/local/bin/busybox sh -c '
  exec 3<&0; cat <&3 >/dev/null & end=$!
  echo ready; while kill -0 $end 2>/dev/null; do sleep 1 & wait $!; done'
"""

CONFIG = "OWA;owa.example.com,exchange.example.com\nvpn;vpn.example.com\n"
ACCOUNT_KEY = "key of the account\n"
# In a session, as the boot script would.
START_LOOP = "nsenter --net={home}/net setsid /var/acme/renew.sh >/dev/null 2>&1 &"
# What the public tools do, in as many words as that takes. A client that shall hang finds a file `hang`.
LOOP = """#!/bin/sh
while :; do
  while IFS=';' read -r name domains; do
    python3 -m http.server 8000 -d /var/acme/http >/dev/null 2>&1 &
    server=$!
    iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination :8000
    /var/acme/acme.sh "$name" "$domains"
    iptables -t nat -D PREROUTING -p tcp --dport 80 -j DNAT --to-destination :8000
    kill $server
  done </var/acme/config.csv
  echo done >>/var/acme/turns
  sleep 86400
done
"""
CLIENT = """#!/bin/sh
[ ! -e /var/acme/hang ] || { echo hangs >/var/acme/turns; sleep 86400; }
echo "certificate of $2" >/conf/certificate/$1.pem
echo "key of $2" >/conf/certificate/private/$1.key
"""


class Appliance:
    """`with Appliance(home) as box:`; what lies below `home` has the same name inside."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._process: subprocess.Popen[str] | None = None
        self._inside = 0

    def __enter__(self) -> Appliance:
        root = self.home / "firewall"
        root.mkdir(parents=True)
        (self.home / "net").touch()
        (self.home / "tools").mkdir()
        fetched = (IPTABLES / "iptables-restore").exists()
        real = self.home / "tools/iptables-restore" if fetched else shutil.which("iptables", path=INSTALLED)
        (self.home / "iptables").symlink_to(str(real))
        shared = " ".join(map(str, (self.home, CHECKOUT / "tests", CONSOLE)))
        start = START.format(root=root, home=self.home, console=CONSOLE, iptables=IPTABLES, shared=shared)
        own = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec", start]
        with (self.home / "appliance.log").open("w") as log:
            self._process = subprocess.Popen(
                ["unshare", "--user", "sh", "-c", f"echo user; read go; exec {shlex.join(own)}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._expect("user")
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{self._process.pid}/{kind}").write_text(USERS)
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self._expect("ready")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self._inside = int(children.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        """It ends with the end of its input, and so it does when the tests are killed."""
        assert self._process
        self._process.communicate(timeout=30)

    def _expect(self, word: str) -> None:
        assert self._process
        assert self._process.stdout
        if self._process.stdout.readline().strip() != word:
            self._process.kill()
            raise RuntimeError((self.home / "appliance.log").read_text())

    @property
    def prefix(self) -> list[str]:
        """Runs a command inside, but in the network of this machine: there it can be reached."""
        return ["nsenter", f"--target={self._inside}", "--user", "--mount", "--pid", "--root", "--wd", "--"]

    def run(self, script: str) -> str:
        done = subprocess.run(
            [*self.prefix, "/usr/local/bin/sh", "-ec", f"PATH=/usr/local/bin:$PATH\n{script}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        self.run(f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} >{path}; chmod {mode:o} {path}")

    def install_tool(self, config: str = CONFIG, boot_script: str = BOOT_SCRIPT) -> None:
        """As the tools' installers leave it; it is not started."""
        self.write("/var/acme/renew.sh", LOOP, 0o755)
        self.write("/var/acme/acme.sh", CLIENT, 0o755)
        self.write("/var/acme/config.csv", config)
        self.write("/var/acme/ca/acme.example/directory/account.key", ACCOUNT_KEY, 0o600)
        self.run("mkdir /var/acme/http; mount -o remount,rw /")
        self.write(boot_script, "#!/bin/sh\n/var/acme/renew.sh &\n", 0o755)
        self.run("mount -o remount,ro /")

    def rules(self) -> list[str]:
        return self.run("iptables -t nat -S PREROUTING").splitlines()[1:]

    def exists(self, path: str) -> bool:
        return self.run(f"[ -e {path} ] && echo there || :") != ""
