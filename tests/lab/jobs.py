# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: by ansible-runner, in a directory that is thrown away afterwards, with HOME and all."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from lab.ending import Run
from lab.fleet import PASSWORD, USERNAME
from lab.playbook import BIN, clean_environment

PATIENCE = 300.0
# What the injectors of the credential types make of a firewall's login.
FIREWALL = {"XGS_USERNAME": USERNAME, "XGS_PASSWORD": PASSWORD}
# What an inventory in AWX has not, because credentials bring it, or because no path of the control node lasts.
NOT_IN_AWX = ("ansible_user", "ansible_password", "xgs_letsencrypt_account_key_path")
_STAGE = re.compile(r"^\d\d:\d\d:\d\d (\S+): (\w+): ", re.MULTILINE)


@dataclass(frozen=True)
class JobResult:
    """status: "successful", "failed" or "canceled". events: in their order; raw: as they lay there."""

    status: str
    stdout: str
    events: Sequence[Mapping[str, Any]]
    raw: str

    def of_kind(self, event: str) -> list[Mapping[str, Any]]:
        return [each for each in self.events if each["event"] == event]

    @property
    def stats(self) -> Mapping[str, Any]:
        """The last event: hosts by what happened to them, and what `set_stats` has left as artifact_data."""
        (event,) = self.of_kind("playbook_on_stats")
        found: Mapping[str, Any] = event["event_data"]
        return found

    @property
    def outcomes(self) -> dict[str, list[str]]:
        """What became of each firewall's certificates, by the artifacts."""
        found: dict[str, list[str]] = {}
        for row in self.stats["artifact_data"]["xgs_letsencrypt_report"]:
            found.setdefault(row["firewall"], []).append(row["status"])
        return found

    @property
    def stages(self) -> dict[str, list[str]]:
        """The stages that were told of each firewall, in their order."""
        found: dict[str, list[str]] = {}
        for firewall, stage in _STAGE.findall(self.stdout):
            found.setdefault(firewall, []).append(stage)
        return found

    def check(self) -> JobResult:
        assert self.status == "successful", self.stdout
        return self


class Job:
    """`with Job("renew", …) as job: job.result()`: runs inside the block, and nothing of it is left after that.

    inventory: as `slices()` makes it. env: of credentials. temporary: shared with other jobs on the same control node;
    else in the job's own container.
    """

    def __init__(
        self,
        playbook: str,
        inventory: Mapping[str, Any],
        env: Mapping[str, str],
        *,
        collection_path: Path,
        limit: str = "",
        temporary: Path | None = None,
    ) -> None:
        self._playbook = playbook
        self._files = {
            "inventory/hosts.yml": inventory,
            "env/envvars": {**FIREWALL, **env},
            f"project/{playbook}.yml": [{"import_playbook": f"certfleet.sophos_xgs.{playbook}"}],
        }
        self._limit = ["--limit", limit] if limit else []
        self._collection_path = collection_path
        self._temporary = temporary

    def __enter__(self) -> Job:
        # A short name, since ansible-core makes sockets in there.
        self._private = Path(tempfile.mkdtemp(prefix="cf-job-"))
        for name, content in self._files.items():
            path = self._private / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(yaml.safe_dump(json.loads(json.dumps(content, default=str))))
        temporary = self._temporary or self._private / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = {**clean_environment(self._collection_path, self._private), "TMPDIR": str(temporary)}
        command = [str(BIN / "ansible-runner"), "run", str(self._private), "--ident", "1", *self._limit]
        self._log = self._private / "runner.log"
        self._run = Run([*command, "-p", f"{self._playbook}.yml"], environment, self._log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.vanish()
        shutil.rmtree(self._private)

    def result(self) -> JobResult:
        """Waits for its end, as AWX sees it."""
        try:
            self._run.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end of\n{self._log.read_text()}") from None
        artifacts = self._private / "artifacts/1"
        texts = [path.read_text() for path in artifacts.glob("job_events/*[0-9a-f].json")]
        events = sorted(map(json.loads, texts), key=lambda event: event["counter"])
        stdout = (artifacts / "stdout").read_text().replace("\r\n", "\n")
        return JobResult((artifacts / "status").read_text(), stdout, events, "\n".join(texts))

    def cancel(self) -> JobResult:
        """As ansible-runner does it: SIGKILL for the group of ansible-playbook. Workers may go on."""
        self._run.process.send_signal(signal.SIGTERM)
        return self.result()

    def vanish(self) -> None:
        """The container goes, with every process in it."""
        self._run.kill_all()
        self._run.process.wait()

    def wait_for_workers(self) -> None:
        """Until those that outlived the job have ended."""
        self._run.wait()


def slices(inventory: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """The inventories of a sliced job: host i is in slice i mod count (`job_slice_number` in AWX), variables in all."""
    group = inventory["all"]["children"]["xgs"]
    variables = {name: value for name, value in group["vars"].items() if name not in NOT_IN_AWX}
    hosts = sorted(group["hosts"])
    return [_inventory(variables, group["hosts"], hosts[number::count]) for number in range(count)]


def _inventory(variables: Mapping[str, Any], hosts: Mapping[str, Any], chosen: Iterable[str]) -> dict[str, Any]:
    group = {"vars": dict(variables), "hosts": {name: hosts[name] for name in chosen}}
    return {"all": {"children": {"xgs": group}}}
