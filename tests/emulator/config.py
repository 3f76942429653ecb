# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet configuration: one YAML (or JSON) document, checked key by key."""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import yaml

from .namespace import tcp_socket
from .personas import LATEST, PERSONAS, Persona

__all__ = ["Account", "ConfigError", "FirewallConfig", "Latency", "Settings", "WafRule", "load", "parse"]

T = TypeVar("T")
MOST_SOURCES = 64


class ConfigError(ValueError):
    """The configuration cannot be used; the message is for the person who wrote it."""


@dataclass(frozen=True)
class Account:
    username: str
    password: str
    # None means the administrator with all rights; otherwise right -> None | Read-Only | Read-Write.
    profile: Mapping[str, str] | None = None


@dataclass(frozen=True)
class SeedCertificate:
    name: str
    cert_file: str
    key_file: str = ""


@dataclass(frozen=True)
class WafRule:
    name: str
    domains: list[str]
    listen_port: int = 443
    certificate: str = "ApplianceCertificate"
    redirect_http: bool = False
    https: bool = True
    group: str = ""


@dataclass(frozen=True)
class Latency:
    read: float = 0.0
    write: float = 0.0
    waf: float = 0.0

    @classmethod
    def parse(cls, value: Any) -> Latency:
        if value == "real":
            return cls.real(1.0)
        if isinstance(value, Mapping) and set(value) != {"real"}:
            return build(cls, value, "latency")
        try:
            if isinstance(value, Mapping):
                return cls.real(float(value["real"]))
            return cls(write=float(value), waf=float(value))
        except (TypeError, ValueError):
            raise ConfigError(f"latency: {value!r} is neither seconds, 'real' nor a mapping") from None

    @classmethod
    def real(cls, factor: float) -> Latency:
        """The lower ends of what was measured on live appliances: 5-8 s a write, 15-20 s a WAF rule."""
        return cls(write=5.0 * factor, waf=15.0 * factor)


@dataclass
class Settings:
    """What may also be changed while the firewall runs (control interface)."""

    api_enabled: bool = True
    allowed_sources: list[str] = field(default_factory=list)
    lan_gateway_for: list[str] = field(default_factory=list)
    latency: Any = 0
    key_mode: str = "strict"
    tar_names: str = "object"
    empty_tar: bool = False
    broken_tar: bool = False
    leaf_only: bool = False
    noise: bool = False
    auxiliary: bool = False
    allow_update_in_use: bool = False
    allow_duplicate_hosts: bool = False
    certificate_names: str = "strict"
    waf_updates: bool = True
    waf_blocks_dnat: bool = False
    group_order: str = "sent"
    # Entity -> zero | fail | unknown: not configured, not licensed, not known.
    absent_entities: Mapping[str, str] = field(default_factory=dict)
    reject_ec: list[str] = field(default_factory=list)
    webadmin_delay: float = 2.0
    webadmin_drop: bool = False
    clock_offset: float = 0.0

    def __post_init__(self) -> None:
        one_of("key_mode", self.key_mode, ("strict", "like-real"))
        one_of("tar_names", self.tar_names, ("object", "uploaded"))
        one_of("certificate_names", self.certificate_names, ("strict", "free"))
        one_of("group_order", self.group_order, ("sent", "end"))
        for kind in self.absent_entities.values():
            one_of("absent_entities", kind, ("zero", "fail", "unknown"))
        for name in ("allowed_sources", "lan_gateway_for"):
            networks(name, getattr(self, name))
        Latency.parse(self.latency)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        return build(Settings, {**dataclasses.asdict(self), **values}, "settings")


@dataclass(frozen=True)
class FirewallConfig:
    name: str
    address: str
    firmware: str = LATEST
    # Path of the network namespace whose interfaces wan, lan and vpn are this one's; "": loopback, no packet filter.
    namespace: str = ""
    username: str = "admin"
    password: str = "secret"
    http_port: int = 5080
    admin_port: int = 4444
    user_portal_port: int = 4443
    vpn_portal_port: int = 443
    serve_vpn_portal: bool = False
    # 0: the SSL VPN has its settings, but nothing listens for it.
    ssl_vpn_port: int = 0
    lan_address: str = "172.16.16.16"
    # More WAN addresses, by the name of their system host. That name is not documented, so it is free.
    wan_hosts: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "Europe/Berlin"
    zones: Mapping[str, list[str]] = field(default_factory=lambda: {"LAN": ["127.0.0.0/8", "::1/128"]})
    accounts: list[Account] = field(default_factory=list)
    certificates: list[SeedCertificate] = field(default_factory=list)
    waf_rules: list[WafRule] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    central_rules: list[str] = field(default_factory=list)
    # Directory that keeps the configuration when the power is cut; "": forgotten.
    keep: str = ""
    settings: Settings = field(default_factory=Settings)

    @property
    def administrators(self) -> list[Account]:
        return [Account(self.username, self.password), *self.accounts]

    def __post_init__(self) -> None:
        one_of("firmware", self.firmware, tuple(PERSONAS))
        networks("address", [self.address, *self.wan_hosts.values()])
        if not all(name.startswith("#") for name in self.wan_hosts):
            raise ConfigError(f"{self.name}: wan_hosts: the name of a system host starts with #")
        if self.serve_vpn_portal and not self.persona.vpn_portal:
            raise ConfigError(f"{self.name}: firmware {self.firmware} has no VPN portal")
        if self.persona.source_hosts and len(self.settings.allowed_sources) > MOST_SOURCES:
            raise ConfigError(f"{self.name}: allowed_sources: at most {MOST_SOURCES}")
        for zone, members in self.zones.items():
            networks(f"zones.{zone}", members)
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ConfigError(f"{self.name}: unknown time zone {self.timezone!r}") from None

    @property
    def persona(self) -> Persona:
        return PERSONAS[self.firmware]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it can be reached itself."""
        return (self.address, self.lan_address, *self.wan_hosts.values()) if self.namespace else (self.address,)

    def listening_socket(self, port: int, address: str = "") -> socket.socket:
        """Without an address: in a namespace on all, where the packet filter decides who gets that far. OSError."""
        address = address or ("0.0.0.0" if self.namespace else self.address)
        made = tcp_socket(self.namespace, socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
        except OSError:
            made.close()
            raise
        return made


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}: {value!r} is not one of {', '.join(allowed)}")


def networks(name: str, values: list[str]) -> None:
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ConfigError(f"{name}: {value!r} is no address or network") from None


def build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """A dataclass from a mapping; unknown and missing keys are named."""
    names = {entry.name for entry in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - names)
    if unknown:
        raise ConfigError(f"{where}: unknown key {', '.join(unknown)}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from None


NESTED = {"accounts": Account, "certificates": SeedCertificate, "waf_rules": WafRule}
SETTINGS = {entry.name for entry in dataclasses.fields(Settings)}


def _firewall(values: Mapping[str, Any]) -> FirewallConfig:
    where = str(values.get("name", "firewall without a name"))
    plain = {key: value for key, value in values.items() if key not in SETTINGS}
    for key, cls in NESTED.items():
        plain[key] = [build(cls, entry, f"{where}: {key}") for entry in plain.get(key, [])]
    settings = {key: value for key, value in values.items() if key in SETTINGS}
    plain["settings"] = build(Settings, settings, where)
    return build(FirewallConfig, plain, where)


def parse(document: Any) -> list[FirewallConfig]:
    if not isinstance(document, Mapping) or not document.get("firewalls"):
        raise ConfigError("the configuration needs a list 'firewalls'")
    defaults = {key: value for key, value in document.items() if key != "firewalls"}
    firewalls = [_firewall({**defaults, **entry}) for entry in document["firewalls"]]
    for attribute in ("name", "address"):
        seen: set[str] = set()
        for firewall in firewalls:
            value = getattr(firewall, attribute)
            if value in seen:
                raise ConfigError(f"two firewalls have the {attribute} {value}")
            seen.add(value)
    return firewalls


def load(path: Path) -> list[FirewallConfig]:
    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from None
