# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls in network namespaces: an internet outside, a control node behind, and the kernel in between.

    inet   the CA, its DNS                   198.18.0.1/16 on br-wan
    fwN    wan 198.18.1.N/16 (.2.N, …)       one namespace each; filter and NAT as the emulator's rules say
           lan 198.19.SITE.N/24
           vpn 198.19.255.N/24               between the sites
    ctl    the control node, on site 1       198.19.1.200/24; its gateway is the first firewall of site 1

No namespace has a link to the machine's own network, and the addresses are those set aside for benchmarks (RFC 2544).
A firewall with an IPv6 address among its `wan_hosts` has IPv6 on the same links, and so have the CA and the control
node: 198.KIND.NET.N has fd00:198:KIND:NET::N beside it, a unique local address (RFC 4193).
A firewall is of site 1 unless its configuration says `site: 2` or more: a branch, whose way to the control node leads
through the VPN and the first firewall of site 1.
"""

from __future__ import annotations

import ipaddress
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
from lab.ports import family_of

__all__ = ["NamespacedMachine", "Namespaces", "has_ipv6", "kernel_without_ipv6", "missing"]

TOOLS = ("ip", "nsenter", "unshare", "iptables-restore", "ip6tables-restore")
PROBE = """*nat
-A POSTROUTING -m conntrack --ctorigdstport 80 -p tcp -j MASQUERADE
COMMIT
*filter
-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT
COMMIT
"""
IPTABLES = Path(__file__).resolve().parents[3] / "build" / "iptables"
OUTSIDE, CONTROL = "198.18.0.1", "198.19.1.200"
HEADQUARTERS = 1
VPN = 255
# What an administrator has allowed: the sites talk to each other and to the internet, from their own address.
OBJECTS = [
    """<FirewallRule><Name>Inside out {0}</Name><IPFamily>{0}</IPFamily><Status>Enable</Status>
    <Position>Bottom</Position><PolicyType>Network</PolicyType><NetworkPolicy><Action>Accept</Action>
    <Schedule>All The Time</Schedule><SourceZones><Zone>LAN</Zone><Zone>VPN</Zone></SourceZones></NetworkPolicy>
    </FirewallRule>""",
    """<NATRule><Name>Default SNAT {0}</Name><IPFamily>{0}</IPFamily><Status>Enable</Status><Position>Bottom</Position>
    <TranslatedSource>MASQ</TranslatedSource><OutboundInterfaces><Interface>Port2</Interface></OutboundInterfaces>
    </NATRule>""",
]
# Routes decide, not where a packet came from: as it would be on the way through somebody else's network.
ROUTER = {"ipv4/ip_forward": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0"}
# Addresses count at once, without looking for a second owner; on machines that switched IPv6 off, too.
HOST6 = {f"ipv6/conf/{which}/{key}": "0" for which in ("all", "default") for key in ("disable_ipv6", "accept_dad")}
ROUTER6 = {**HOST6, "ipv6/conf/all/forwarding": "1"}


def _address(kind: int, net: int, number: int) -> str:
    return f"198.{kind}.{net}.{number}"


def _beside(address: str) -> str:
    """The IPv6 address of who has this one."""
    return str(ipaddress.ip_address("fd00:{}:{}:{}::{}".format(*address.split("."))))


def _network6(net: str) -> str:
    """The IPv6 network beside 198.KIND.NET.0/24."""
    return _beside(net.partition("/")[0]) + "/64"


def has_ipv6(config: Mapping[str, Any]) -> bool:
    """Whether this configuration of a firewall asks for it."""
    return any(":" in address for address in config.get("wan_hosts", {}).values())


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
        self.ipv6 = has_ipv6(config)
        # More WAN addresses, by the name of their system host.
        self.aliases: dict[str, str] = {}
        for net, (name, given) in enumerate(config.get("wan_hosts", {}).items(), 2):
            alias = _address(18, net, number)
            self.aliases[name] = _beside(alias) if ":" in given else alias

    @property
    def families(self) -> tuple[str, ...]:
        return ("IPv4", "IPv6") if self.ipv6 else ("IPv4",)

    @property
    def sysctls(self) -> dict[str, str]:
        return {**ROUTER, **ROUTER6} if self.ipv6 else ROUTER

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
        if self.ipv6:
            yield from (
                f"addr add {_beside(address)}/64 dev {on}" for on, address in (("lan", self.lan), ("vpn", self.vpn))
            )
        for address in self.aliases.values():
            yield f"addr add {address}/{48 if ':' in address else 16} dev wan"

    def routes(self, others: Sequence[Firewall]) -> Iterator[str]:
        """To every other site, through its first firewall."""
        for other in _first_of_each([other for other in others if other.site != self.site]):
            yield f"route add {other.lan_net} via {other.vpn}"
        for other in _first_of_each(
            [other for other in others if other.site != self.site and other.ipv6 and self.ipv6]
        ):
            yield f"route add {_network6(other.lan_net)} via {_beside(other.vpn)}"

    def config(self, path: str, others: Sequence[Firewall]) -> dict[str, Any]:
        elsewhere = {other.lan_net for other in others if other.site != self.site}
        zones = {"LAN": [self.lan_net], "VPN": [_address(19, VPN, 0) + "/24", *sorted(elsewhere)]}
        if self.ipv6:
            zones = {zone: [*networks, *map(_network6, networks)] for zone, networks in zones.items()}
        own = {"address": self.wan, "wan_hosts": self.aliases, "lan_address": self.lan}
        return {**own, "namespace": path, "zones": zones}


def _first_of_each(firewalls: Sequence[Firewall]) -> list[Firewall]:
    """A site's first firewall, for every site."""
    return list({firewall.site: firewall for firewall in reversed(firewalls)}.values())


class NamespacedMachine:
    """A machine whose network is a namespace of the world."""

    def __init__(self, world: World, name: str, address: str, windows: ExitStack) -> None:
        self.address, self.address6 = address, _beside(address)
        self._world, self._name, self._windows = world, name, windows
        # Nobody else listens there.
        self._ports = count(14000)

    def command(self, command: Sequence[str]) -> list[str]:
        return self._world.command(self._name, command)

    def free_port(self) -> int:
        return next(self._ports)

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        made = self._world.tcp_socket(self._name, family_of(address[0]))
        try:
            made.settimeout(timeout)
            made.connect(address)
        except OSError:
            made.close()
            raise
        return made

    def listen(self, port: int, address: str = "") -> socket.socket:
        address = address or self.address
        made = self._world.tcp_socket(self._name, family_of(address))
        made.bind((address, port))
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
        objects = [xml.format(family) for family in self._firewalls[name].families for xml in OBJECTS]
        return {**own, **place, "objects": [*own.get("objects", ()), *objects]}

    def admin_address(self, name: str) -> str:
        return self._firewalls[name].lan

    def _connect(self) -> None:
        """Links, addresses, routes: one call of ip for each namespace, and one before for all links."""
        firewalls = list(self._firewalls.values())
        ipv6 = any(firewall.ipv6 for firewall in firewalls)
        lines = self._hosts(ipv6)
        for firewall_name, firewall in self._firewalls.items():
            for namespace, line in firewall.links(self._world.paths[firewall_name]):
                lines[namespace].append(line)
        for name, firewall in self._firewalls.items():
            lines[name] = [*firewall.addresses(), *firewall.routes(firewalls)]
        for name in lines:
            self._set(name, self._firewalls[name].sysctls if name in self._firewalls else HOST6 if ipv6 else {})
        for name, batch in lines.items():
            self._run(name, ["ip", "-batch", "-"], batch)
        inside = [firewall for firewall in firewalls if firewall.site == HEADQUARTERS]
        ways = [firewall.lan for firewall in inside[:1]]
        ways += [_beside(firewall.lan) for firewall in inside if firewall.ipv6][:1]
        self._run("ctl", ["ip", "-batch", "-"], [f"route add default via {gateway}" for gateway in ways])

    def _hosts(self, ipv6: bool) -> dict[str, list[str]]:
        """Lines for ip in the namespaces that are no firewalls."""
        lines: dict[str, list[str]] = {"inet": ["link add br-vpn type bridge", "link set br-vpn up"], "ctl": []}
        for name, bridge, address, lengths in (
            ("inet", "br-wan", OUTSIDE, (16, 48)),
            ("ctl", "br-lan", CONTROL, (24, 64)),
        ):
            lines[name] += ["link set lo up", f"link add {bridge} type bridge", f"link set {bridge} up"]
            lines[name].append(f"addr add {address}/{lengths[0]} dev {bridge}")
            if ipv6:
                lines[name].append(f"addr add {_beside(address)}/{lengths[1]} dev {bridge}")
        return lines

    def _set(self, name: str, sysctls: Mapping[str, str]) -> None:
        writes = [f"echo {value} >/proc/sys/net/{key}" for key, value in sysctls.items()]
        self._run(name, ["sh", "-c", " && ".join(writes) or ":"])

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
    absent = [tool for tool in TOOLS if not shutil.which(tool, path=_path())]
    if absent:
        return f"not installed: {', '.join(absent)} (scripts/bootstrap.sh tells more)"
    return _refused({"name": "probe"}, rootless, "iptables-restore")


@cache
def kernel_without_ipv6(rootless: bool) -> str:
    """Why the kernel, which can have the plane, cannot have it with IPv6; "" when it can."""
    return _refused({"name": "probe", "wan_hosts": {"#Port2_v6": "::1"}}, rootless, "ip6tables-restore")


def _refused(config: Mapping[str, Any], rootless: bool, tool: str) -> str:
    """What the kernel said to such a firewall and to what its rules are made of; "" when it took all."""
    try:
        with Namespaces([config], rootless) as plane:
            plane._run("probe", [tool], [PROBE])
    except RuntimeError as error:
        return str(error)
    return ""
