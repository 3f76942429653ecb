# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ACME CA: Pebble (Let's Encrypt's test CA) and its DNS, pebble-challtestsrv."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import josepy
import requests as http
from acme import client, messages
from cryptography.hazmat.primitives.asymmetric import ec

from lab import pebble_log
from lab.pebble_log import Validation
from lab.plane.machine import LocalMachine, Machine
from lab.processes import Daemon
from lab.tls import make_tls

TOOLS = Path(__file__).resolve().parents[2] / "build" / "tools"
DAY = 86400


class AcmeCa:
    """Pebble and its DNS as a context manager.

    Names resolve only after `add_a`; others fail as unknown. It validates HTTP-01 at `http_port`
    of the address a name has. Deterministic unless told otherwise: no sleeps, no rejected nonces,
    no reused authorizations (but for one in a hundred: it compares the wrong way), one profile.
    Pebble locks up for good when very many orders run at once (letsencrypt/pebble #554): take a
    fresh one per test module, and few orders in parallel.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        machine: Machine | None = None,
        http_port: int = 5080,
        lifetime: int = 90 * DAY,
        profiles: Mapping[str, int] | None = None,
        retry_after: int | None = 1,
        nosleep: bool = True,
        nonce_reject: int = 0,
        authz_reuse: int = 0,
        alternate_roots: int = 0,
        extra_config: Mapping[str, Any] | None = None,
        extra_env: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing runs yet.

        `directory` holds logs and configuration (default: a temporary one, removed at the end).
        `lifetime` is the default profile's, `profiles` maps further names to lifetimes, all in
        seconds. `retry_after` is sent with authorizations and orders (in seconds or as a date,
        Pebble throws a coin). `nonce_reject` and `authz_reuse` are percentages. `extra_config`
        is merged into Pebble's configuration, `extra_env` into its environment. `machine` is
        where both run, this one unless told.
        """
        self._machine = machine or LocalMachine()
        self.http_port = http_port
        self._directory = directory
        self._profiles = {"default": lifetime, **(profiles or {})}
        self._retry_after = retry_after
        self._extra_config = dict(extra_config or {})
        self._env = {
            "PEBBLE_VA_NOSLEEP": "1" if nosleep else "0",
            "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
            "PEBBLE_AUTHZREUSE": str(authz_reuse),
            "PEBBLE_ALTERNATE_ROOTS": str(alternate_roots),
            **(extra_env or {}),
        }
        self._alternate_roots = alternate_roots
        self._stack = ExitStack()
        self._log_start = 0
        self._left_out: list[tuple[int, int]] = []
        self.directory_url = ""
        self.management_url = ""
        self.dns_address = ""
        self.ca_file = ""
        self.log_path = Path()

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> AcmeCa:
        """Start both, and prove by a signed request that orders would be taken."""
        with ExitStack() as stack:
            base = self._directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acme-ca-")))
            base.mkdir(parents=True, exist_ok=True)
            stack.enter_context(self._dns(base))
            self._server = stack.enter_context(self._pebble(base))
            self._ready()
            self._stack = stack.pop_all()
        return self

    def restart(self) -> None:
        """At the same address with the same certificate of HTTPS; all that Pebble knew is lost, its log too."""
        self._server.stop()
        self._server.start()
        self._ready()

    def _ready(self) -> None:
        self.check_health()
        self._log_start = self.log_path.stat().st_size

    def stop(self) -> None:
        self._stack.close()

    def check_health(self, timeout: float = 10.0) -> None:
        """Register an account. A wedged Pebble still answers GET, but no POST: this raises then."""
        key = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        net = client.ClientNetwork(
            key, alg=josepy.ES256, verify_ssl=self.ca_file, user_agent="lab-health", timeout=timeout
        )
        directory = client.ClientV2.get_directory(self._seen_url, net)
        registration = messages.NewRegistration.from_data(
            terms_of_service_agreed=True, external_account_binding=self._binding(key, directory)
        )
        try:
            client.ClientV2(directory, net).new_account(registration)
        except messages.Error as error:
            # An answer too: Pebble was told to refuse so many, and the library tries but twice.
            if error.code != "badNonce":
                raise

    def __enter__(self) -> AcmeCa:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- DNS ----------------------------------------------------------------------------------

    def add_a(self, name: str, *addresses: str) -> None:
        """The name's IPv4 addresses; adds to those it has."""
        self._dns_post("add-a", host=name, addresses=list(addresses))

    def add_aaaa(self, name: str, *addresses: str) -> None:
        """The name's IPv6 addresses. The CA prefers them to IPv4 and never falls back."""
        self._dns_post("add-aaaa", host=name, addresses=list(addresses))

    def add_cname(self, name: str, target: str) -> None:
        """The name is an alias; this server follows one alias, not two."""
        self._dns_post("set-cname", host=name, target=target)

    def add_caa(self, name: str, *values: str, tag: str = "issue") -> None:
        """CAA records of the name, never critical ones."""
        self._dns_post("add-caa", host=name, policies=[{"tag": tag, "value": value} for value in values])

    def servfail(self, name: str) -> None:
        """Queries for the name fail from now on."""
        self._dns_post("set-servfail", host=name)

    def clear(self, name: str) -> None:
        """Forget the name: it is unknown again."""
        for record in ("clear-a", "clear-aaaa"):
            self._dns_post(record, host=name)

    # -- what the CA knows --------------------------------------------------------------------

    def root_pem(self) -> str:
        """The root certificate(s) that issue, for verifying handshakes."""
        numbers = range(1 + self._alternate_roots)
        return "".join(self._management("GET", f"/roots/{number}").text for number in numbers)

    def root_file(self) -> str:
        """`root_pem()` as a file that lives as long as the CA."""
        path = self.log_path.parent / "issuing-roots.pem"
        path.write_text(self.root_pem())
        return str(path)

    def set_renewal_info(
        self, cert_pem: str, start: datetime, end: datetime, explanation_url: str | None = None
    ) -> None:
        """Answer ARI queries about this certificate with this window (a past one: renew now)."""
        answer: dict[str, Any] = {"suggestedWindow": {"start": _rfc3339(start), "end": _rfc3339(end)}}
        if explanation_url:
            answer["explanationURL"] = explanation_url
        self.set_renewal_answer(cert_pem, json.dumps(answer))

    def set_renewal_answer(self, cert_pem: str, answer: str) -> None:
        """As set_renewal_info(), with whatever body."""
        # Pebble takes the leaf only.
        leaf = cert_pem.split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
        self._management("POST", "/set-renewal-info/", {"Certificate": leaf, "ARIResponse": answer})

    def requests(self) -> list[tuple[str, str]]:
        """(method, endpoint) of every request since the start, without the health check's."""
        return pebble_log.requests(self.log())

    def issued(self) -> int:
        """How many certificates were issued."""
        return len(self.serials())

    def serials(self) -> list[str]:
        """Their serial numbers, hex, in order of issue."""
        return pebble_log.issued(self.log())

    def accounts(self) -> int:
        """How many accounts were registered since the start."""
        return pebble_log.accounts(self.log())

    def validations(self, name: str | None = None) -> list[Validation]:
        """Validations in order, all or those of one name; see `Validation`."""
        return [v for v in pebble_log.validations(self.log()) if name in (None, v.name)]

    def log(self) -> str:
        """Pebble's log since it was ready, without what was to be left out."""
        content = self.log_path.read_bytes()
        pieces, start = [], self._log_start
        for first, end in self._left_out:
            pieces.append(content[start:first])
            start = max(start, end)
        return b"".join([*pieces, content[start:]]).decode(errors="replace")

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """What is logged meanwhile is in the log for as long as this lasts, and never again."""
        start = self.log_path.stat().st_size
        try:
            yield
        finally:
            self._left_out.append((start, self.log_path.stat().st_size))

    # -- inside -------------------------------------------------------------------------------

    def _binding(self, key: josepy.JWK, directory: messages.Directory) -> Any:
        """With the first MAC key of `extra_config`, where that demands external account binding."""
        if not self._extra_config.get("externalAccountBindingRequired"):
            return None
        kid, mac = next(iter(self._extra_config["externalAccountMACKeys"].items()))
        return messages.ExternalAccountBinding.from_data(key.public_key(), kid, mac, directory)

    def _dns(self, base: Path) -> Daemon:
        machine = self._machine
        port, management = machine.free_port(), machine.free_port()
        seen = machine.window(management)
        self.dns_address = f"{machine.address}:{port}"
        self._dns_url = f"http://{_at(seen)}"
        # The empty defaults make unknown names fail; the empty others switch off its own servers.
        off = ["-defaultIPv4=", "-defaultIPv6=", "-http01=", "-https01=", "-tlsalpn01=", "-doh="]
        return Daemon(
            "pebble-challtestsrv",
            machine.command(
                [
                    tool("pebble-challtestsrv"),
                    *off,
                    f"-dnsserver={self.dns_address}",
                    f"-management={machine.address}:{management}",
                ]
            ),
            log=base / "dns.log",
            answers=(machine.address, management),
            connect=machine.connect,
        )

    def _pebble(self, base: Path) -> Daemon:
        host = self._machine.address
        port, management = self._machine.free_port(), self._machine.free_port()
        tls = make_tls(base / "tls", sorted({"localhost", "127.0.0.1", host}), "pebble")
        config = {
            "listenAddress": f"{host}:{port}",
            "managementListenAddress": f"{host}:{management}",
            "certificate": str(tls.certificate),
            "privateKey": str(tls.key),
            "httpPort": self.http_port,
            "tlsPort": self.http_port,  # never used: no TLS-ALPN-01 here
            "ocspResponderURL": "",
            "keyAlgorithm": "ecdsa",  # starts in a tenth of the time RSA takes
            "profiles": {
                name: {"description": f"{seconds} seconds", "validityPeriod": seconds}
                for name, seconds in self._profiles.items()
            },
        }
        if self._retry_after is not None:
            config["retryAfter"] = {"authz": self._retry_after, "order": self._retry_after}
        (base / "pebble.json").write_text(json.dumps({"pebble": {**config, **self._extra_config}}, indent=2))
        self.directory_url = f"https://{host}:{port}/dir"
        self.management_url = f"https://{_at(self._machine.window(management))}"
        self._seen_url = f"https://{_at(self._machine.window(port))}/dir"
        self.ca_file = str(tls.ca)
        self.log_path = base / "pebble.log"
        return Daemon(
            "pebble",
            self._machine.command(
                [tool("pebble"), f"-config={base / 'pebble.json'}", f"-dnsserver={self.dns_address}"]
            ),
            log=self.log_path,
            env={**os.environ, **self._env},
            answers=(host, port),
            connect=self._machine.connect,
        )

    def _management(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> http.Response:
        with http.Session() as session:
            session.trust_env = False  # no proxy, no other CA bundle
            response = session.request(method, self.management_url + path, json=body, verify=self.ca_file, timeout=10)
        response.raise_for_status()
        return response

    def _dns_post(self, path: str, **body: object) -> None:
        with http.Session() as session:
            session.trust_env = False
            session.post(f"{self._dns_url}/{path}", json=body, timeout=10).raise_for_status()


def _at(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def tool(name: str) -> str:
    path = TOOLS / name
    found = str(path) if path.exists() else shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{name} is not in {TOOLS} and not on the PATH: run scripts/bootstrap.sh")
    return found


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
