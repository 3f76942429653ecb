# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls in network namespaces: an internet outside, a control node behind, and the kernel in between.

    inet   the CA, its DNS                   198.18.0.1/16 on br-wan
    fwN    wan 198.18.1.N/16 (.2.N, …)       one namespace each; filter and NAT as the emulator's rules say
           lan 198.19.SITE.N/24
           vpn 198.19.255.N/24               between the sites
    ctl    the control node, on site 1       198.19.1.200/24; its gateway is the first firewall of site 1

No namespace has a link to the machine's own network, and the addresses are those set aside for benchmarks (RFC 2544).
A firewall is of site 1 unless its configuration says `site: 2` or more: a branch, whose way to the control node leads
through the VPN and the first firewall of site 1.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from lab.plane.window import Window
from lab.plane.world import World

__all__ = ["NamespacedMachine", "Namespaces", "missing"]

IPTABLES = Path(__file__).resolve().parents[3] / "build" / "iptables"
OUTSIDE, CONTROL = "198.18.0.1", "198.19.1.200"
HEADQUARTERS = 1
VPN = 255
# What an administrator has allowed: the sites talk to each other and to the internet, from their own address.
OBJECTS = [
    """<FirewallRule><Name>Inside out</Name><IPFamily>IPv4</IPFamily><Status>Enable</Status><Position>Bottom</Position>
    <PolicyType>Network</PolicyType><NetworkPolicy><Action>Accept</Action><Schedule>All The Time</Schedule>
    <SourceZones><Zone>LAN</Zone><Zone>VPN</Zone></SourceZones></NetworkPolicy></FirewallRule>""",
    """<NATRule><Name>Default SNAT</Name><IPFamily>IPv4</IPFamily><Status>Enable</Status><Position>Bottom</Position>
    <TranslatedSource>MASQ</TranslatedSource><OutboundInterfaces><Interface>Port2</Interface></OutboundInterfaces>
    </NATRule>""",
]
# Routes decide, not where a packet came from: as it would be on the way through somebody else's network.
SYSCTLS = {"ip_forward": "1", "conf/all/rp_filter": "0", "conf/default/rp_filter": "0"}


def _address(kind: int, net: int, number: int) -> str:
    return f"198.{kind}.{net}.{number}"


class Firewall:
    """Where one firewall stands."""

    def __init__(self, number: int, config: Mapping[str, Any]) -> None:
        self.number = number
        self.site: int = config.get("site", HEADQUARTERS)
        self.wan, self.lan, self.vpn = (
            _address(18, 1, number),
            _address(19, self.site, number),
            _address(19, VPN, number),
        )
        # More WAN addresses, by the name of their system host.
        self.aliases = {name: _address(18, net, number) for net, name in enumerate(config.get("wan_hosts", ()), 2)}

    @property
    def lan_net(self) -> str:
        return _address(19, self.site, 0) + "/24"

    def links(self, path: str) -> Iterator[tuple[str, str]]:
        """Namespace and line for ip: the links, each made straight between its two ends."""
        yield "inet", f"link add wan{self.number} type veth peer name wan netns {path}"
        yield "inet", f"link add vpn{self.number} type veth peer name vpn netns {path}"
        yield from (("inet", f"link set {side}{self.number} master br-{side} up") for side in ("wan", "vpn"))
        if self.site == HEADQUARTERS:
            yield "ctl", f"link add lan{self.number} type veth peer name lan netns {path}"
            yield "ctl", f"link set lan{self.number} master br-lan up"

    def addresses(self) -> Iterator[str]:
        if self.site != HEADQUARTERS:
            yield "link add lan type bridge"
        yield "link set lo up"
        for interface, address in (("wan", f"{self.wan}/16"), ("lan", f"{self.lan}/24"), ("vpn", f"{self.vpn}/24")):
            yield f"addr add {address} dev {interface}"
            yield f"link set {interface} up"
        yield from (f"addr add {address}/16 dev wan" for address in self.aliases.values())

    def routes(self, others: Sequence[Firewall]) -> Iterator[str]:
        """To every other site, through its first firewall."""
        gateways = {other.lan_net: other.vpn for other in reversed(others) if other.site != self.site}
        yield from (f"route add {net} via {gateway}" for net, gateway in gateways.items())

    def config(self, path: str, others: Sequence[Firewall]) -> dict[str, Any]:
        elsewhere = {other.lan_net for other in others if other.site != self.site}
        zones = {"LAN": [self.lan_net], "VPN": [_address(19, VPN, 0) + "/24", *sorted(elsewhere)]}
        own = {"address": self.wan, "wan_hosts": self.aliases, "lan_address": self.lan}
        return {**own, "namespace": path, "zones": zones}


class NamespacedMachine:
    """A machine whose network is a namespace of the world."""

    def __init__(self, world: World, name: str, address: str, windows: ExitStack) -> None:
        self.address = address
        self._world, self._name, self._windows = world, name, windows
        # Nobody else listens there.
        self._ports = count(14000)

    def command(self, command: Sequence[str]) -> list[str]:
        return self._world.command(self._name, command)

    def free_port(self) -> int:
        return next(self._ports)

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        made = self._world.tcp_socket(self._name)
        try:
            made.settimeout(timeout)
            made.connect(address)
        except OSError:
            made.close()
            raise
        return made

    def listen(self, port: int) -> socket.socket:
        made = self._world.tcp_socket(self._name)
        made.bind((self.address, port))
        made.listen()
        return made

    def window(self, port: int) -> tuple[str, int]:
        window = Window(lambda: self.connect((self.address, port), 5.0))
        self._windows.callback(window.close)
        return window.address


class Namespaces:
    """`rootless`: in a user namespace, as any user; else this process has to be root."""

    http_port = 80

    def __init__(self, firewalls: Sequence[Mapping[str, Any]], rootless: bool) -> None:
        self._firewalls = {config["name"]: Firewall(number, config) for number, config in enumerate(firewalls, 1)}
        self._rootless = rootless

    def __enter__(self) -> Namespaces:
        with ExitStack() as stack:
            self._world = stack.enter_context(World(["inet", "ctl", *self._firewalls], self._rootless))
            self.prefix = [*self._world.prefix, "env", f"PATH={_path()}"]
            self.outside = NamespacedMachine(self._world, "inet", OUTSIDE, stack)
            self.control = NamespacedMachine(self._world, "ctl", CONTROL, stack)
            self._connect()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def firewall(self, config: Mapping[str, Any]) -> dict[str, Any]:
        name = config["name"]
        own = {key: value for key, value in config.items() if key != "site"}
        place = self._firewalls[name].config(self._world.paths[name], list(self._firewalls.values()))
        return {**own, **place, "objects": [*own.get("objects", ()), *OBJECTS]}

    def admin_address(self, name: str) -> str:
        return self._firewalls[name].lan

    def _connect(self) -> None:
        """Links, addresses, routes: one call of ip for each namespace, and one before for all links."""
        firewalls = list(self._firewalls.values())
        lines: dict[str, list[str]] = {"inet": ["link add br-vpn type bridge", "link set br-vpn up"], "ctl": []}
        for name, bridge, address in (("inet", "br-wan", f"{OUTSIDE}/16"), ("ctl", "br-lan", f"{CONTROL}/24")):
            lines[name] += ["link set lo up", f"link add {bridge} type bridge", f"addr add {address} dev {bridge}"]
            lines[name].append(f"link set {bridge} up")
        for firewall_name, firewall in self._firewalls.items():
            for namespace, line in firewall.links(self._world.paths[firewall_name]):
                lines[namespace].append(line)
        for name, firewall in self._firewalls.items():
            lines[name] = [*firewall.addresses(), *firewall.routes(firewalls)]
            self._run(name, ["sh", "-c", "".join(f"echo {v} >/proc/sys/net/ipv4/{k};" for k, v in SYSCTLS.items())])
        for name, batch in lines.items():
            self._run(name, ["ip", "-batch", "-"], batch)
        gateway = next((each.lan for each in firewalls if each.site == HEADQUARTERS), None)
        if gateway:
            self._run("ctl", ["ip", "route", "add", "default", "via", gateway])

    def _run(self, name: str, command: Sequence[str], lines: Sequence[str] = ()) -> None:
        done = subprocess.run(
            self._world.command(name, command),
            input="\n".join(lines),
            env={**os.environ, "PATH": _path()},
            capture_output=True,
            text=True,
            timeout=30,
        )
        if done.returncode:
            raise RuntimeError(f"{name}: {' '.join(command)}: {done.stderr.strip()}")


def _path() -> str:
    """Where the tools are: what bootstrap fetched first, and what a user's PATH leaves out."""
    return os.pathsep.join([str(IPTABLES), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


@cache
def missing(rootless: bool) -> str:
    """Why this machine cannot have the plane; "" when it can."""
    absent = [tool for tool in ("ip", "nsenter", "unshare", "iptables-restore") if not shutil.which(tool, path=_path())]
    if absent:
        return f"not installed: {', '.join(absent)} (scripts/bootstrap.sh tells more)"
    try:
        with Namespaces([{"name": "probe"}], rootless) as plane:
            empty = "*nat\nCOMMIT\n*filter\n-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\nCOMMIT\n"
            plane._run("probe", ["iptables-restore"], [empty])
    except RuntimeError as error:
        return str(error)
    return ""
