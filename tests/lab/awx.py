# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for AWX's API, because AWX itself cannot run here (it needs a cluster or containers).

It keeps what the modules of awx.awx send, and refuses what AWX by its source refuses and a mistake of ours would cause:
a reference to what is not there, a second object of the same name, a playbook that the project does not have, a rule or
a template that AWX would not take. It proves nothing about AWX beyond that. Its clients are the real modules.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dateutil.rrule import rrulestr
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

TOKEN = "awx-stand-in-token"
# By collection: the type of its objects, and what of them refers to which other collection.
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "organizations": ("organization", {}),
    "inventories": ("inventory", {"organization": "organizations"}),
    "credential_types": ("credential_type", {}),
    "credentials": ("credential", {"organization": "organizations", "credential_type": "credential_types"}),
    "execution_environments": ("execution_environment", {"organization": "organizations"}),
    "projects": ("project", {"organization": "organizations"}),
    "notification_templates": ("notification_template", {"organization": "organizations"}),
    "job_templates": (
        "job_template",
        {"project": "projects", "inventory": "inventories", "execution_environment": "execution_environments"},
    ),
    "workflow_job_templates": ("workflow_job_template", {"organization": "organizations"}),
    "workflow_job_template_nodes": (
        "workflow_job_template_node",
        {"workflow_job_template": "workflow_job_templates", "unified_job_template": "unified_job_templates"},
    ),
    "schedules": ("schedule", {"unified_job_template": "unified_job_templates"}),
}
UNIFIED = ("projects", "job_templates", "workflow_job_templates")
ASSOCIATED = {
    "credentials": "credentials",
    "notification_templates_error": "notification_templates",
    "always_nodes": "workflow_job_template_nodes",
}
# awx/main/models/notifications.py: what of a job a message may name, before there is one.
STUB = {"job": {"name": "Stub", "status": "running", "artifacts": {}}, "url": "https://awx.example/#/jobs/1"}


class Refused(Exception):
    """What AWX would answer with 400."""


def awx_template(text: str, names: Mapping[str, Any]) -> str:
    """A template as AWX fills it in."""
    rendered: str = ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(text).render(**names)
    return rendered


def injected(kind: Mapping[str, Any], inputs: Mapping[str, str], directory: Path) -> dict[str, str]:
    """What a job gets from a credential of this type: environment, and files, as AWX makes them, in the directory."""
    paths = {}
    for label, text in kind["injectors"]["file"].items():
        path = directory / label.replace("template.", f"{kind['name'].replace(' ', '')}-")
        path.write_text(awx_template(text, inputs))
        path.chmod(0o600)
        paths[label.removeprefix("template.")] = str(path)
    names = {**inputs, "tower": SimpleNamespace(filename=SimpleNamespace(**paths))}
    return {variable: awx_template(text, names) for variable, text in kind["injectors"]["env"].items()}


class Awx:
    """`with Awx(project) as awx:`; the organization and the inventory are there. objects: by collection."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._associated: dict[str, list[int]] = {}
        self.objects: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        self.writes: list[tuple[str, str]] = []

    def __enter__(self) -> Awx:
        for organization in ("Default", "Elsewhere"):
            made = self.create("organizations", {"name": organization})
            self.create("inventories", {"name": f"Firewalls {organization}", "organization": made["id"]})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"awx": self}))
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """For the modules of awx.awx."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return {"CONTROLLER_HOST": url, "CONTROLLER_OAUTH_TOKEN": TOKEN}

    def one(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = (each for each in self.objects[kind] if each.get("name", each.get("identifier")) == name)
        return found

    def associated(self, kind: str, name: str, association: str) -> list[str]:
        return self.hanging(self.one(kind, name), association)

    def hanging(self, item: Mapping[str, Any], association: str) -> list[str]:
        """The names of what hangs on an object."""
        ids = self._associated.get(f"{item['url']}{association}/", [])
        others = self.objects[ASSOCIATED[association]]
        return [each.get("name", each.get("identifier")) for each in others if each["id"] in ids]

    def answer(self, method: str, path: str, query: Mapping[str, str], data: dict[str, Any]) -> tuple[int, Any]:
        """(status, JSON) of a request."""
        with self._lock:
            if method != "GET":
                self.writes.append((method, path))
            try:
                status, told = self._answer(method, path, query, data)
                return status, self._without_secrets(told)
            except (Refused, TemplateError, ValueError) as error:
                return 400, {"__all__": [f"{type(error).__name__}: {error}"]}

    def _answer(self, method: str, path: str, query: Mapping[str, str], data: dict[str, Any]) -> tuple[int, Any]:
        kind, *rest = path.removeprefix("/api/v2/").strip("/").split("/")
        if kind == "project_updates":
            return 200, {"status": "successful"}
        if not rest:
            return (201, self.create(kind, data)) if method == "POST" else (200, _listed(self._found(kind, query)))
        item = next((each for each in self.objects[kind] if str(each["id"]) == rest[0]), None)
        if item is None:
            return 404, {}
        if len(rest) == 2:
            return self._associate(method, path, rest[1], data)
        if method == "PATCH":
            self._judge(kind, {**item, **data})
            item.update(data)
        return 200, item

    def _without_secrets(self, told: Any) -> Any:
        """As AWX shows credentials, and lists of them."""
        if isinstance(told, dict) and "results" in told:
            return {**told, "results": [self._without_secrets(each) for each in told["results"]]}
        if not isinstance(told, dict) or told.get("type") != "credential":
            return told
        fields = self._item("credential_types", told["credential_type"])["inputs"]["fields"]
        secrets = {field["id"] for field in fields if field.get("secret")}
        inputs = {name: "$encrypted$" if name in secrets else value for name, value in told["inputs"].items()}
        return {**told, "inputs": inputs}

    def _associate(self, method: str, path: str, association: str, data: dict[str, Any]) -> tuple[int, Any]:
        ids = self._associated.setdefault(path, [])
        if method == "GET":
            return 200, _listed([{"id": each} for each in ids])
        if data.get("disassociate"):
            ids.remove(data["id"])
        else:
            self._refer(ASSOCIATED[association], data["id"])
            ids.append(data["id"])
        return 204, None

    def _found(self, kind: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        candidates = [
            each for one in (UNIFIED if kind == "unified_job_templates" else (kind,)) for each in self.objects[one]
        ]
        return [each for each in candidates if all(str(each.get(field)) == value for field, value in query.items())]

    def create(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        type_name, _references = KINDS[kind]
        self._judge(kind, data)
        scope = {field: str(data[field]) for field in ("name", "identifier", "workflow_job_template") if field in data}
        scope.update({"organization": str(data["organization"])} if "organization" in data else {})
        if self._found(kind, scope):
            raise Refused(f"{kind} with this name already exists: {scope}")
        number = 1 + sum(map(len, self.objects.values()))
        made = {
            "id": number,
            "type": type_name,
            "url": f"/api/v2/{kind}/{number}/",
            "related": {},
            "summary_fields": {},
            **data,
        }
        if kind == "projects":
            made.update(scm_revision="", summary_fields={"current_update": {"id": number}})
        if kind == "job_templates":
            # AWX has no such field of its own to write: it is the project's.
            made["organization"] = self._item("projects", data["project"])["organization"]
        self.objects[kind].append(made)
        return made

    def _item(self, kind: str, number: Any) -> dict[str, Any]:
        (found,) = self._found(kind, {"id": str(number)})
        return found

    def _refer(self, kind: str, number: Any) -> None:
        if not self._found(kind, {"id": str(number)}):
            raise Refused(f"there is no {number} among the {kind}")

    def _judge(self, kind: str, data: Mapping[str, Any]) -> None:
        for field, others in KINDS[kind][1].items():
            if data.get(field) is not None:
                self._refer(others, data[field])
        if kind == "credential_types":
            _judge_injectors(data)
        elif kind == "credentials":
            self._judge_inputs(data)
        elif kind == "notification_templates":
            _judge_messages(data)
        elif kind == "job_templates" and not (self._project / data["playbook"]).is_file():
            raise Refused("Playbook not found for project.")
        elif kind == "schedules":
            _judge_rule(data["rrule"])

    def _judge_inputs(self, data: Mapping[str, Any]) -> None:
        inputs = self._item("credential_types", data["credential_type"])["inputs"]
        unknown = set(data["inputs"]) - {field["id"] for field in inputs["fields"]}
        missing = {name for name in inputs["required"] if not data["inputs"].get(name)}
        if unknown or missing:
            raise Refused(f"inputs: {unknown or missing}")


def _judge_injectors(data: Mapping[str, Any]) -> None:
    """awx/main/fields.py: every template with each field set, and no name of Ansible's own."""
    labels = [label.removeprefix("template.") for label in data["injectors"].get("file", {})]
    names: dict[str, Any] = {field["id"]: "EXAMPLE" for field in data["inputs"]["fields"]}
    names["tower"] = SimpleNamespace(filename=SimpleNamespace(**dict.fromkeys(labels, "EXAMPLE_FILENAME")))
    if not set(data["injectors"]) <= {"env", "file", "extra_vars"} or data["kind"] not in ("net", "cloud"):
        raise Refused("injectors or kind")
    for where, templates in data["injectors"].items():
        for name, text in templates.items():
            if where == "env" and not re.fullmatch(r"(?!ANSIBLE_)[A-Z_][A-Z0-9_]*", name):
                raise Refused(f"environment variable {name}")
            awx_template(text, names)


def _judge_messages(data: Mapping[str, Any]) -> None:
    """awx/api/serializers.py: known events, one line, and nothing that is undefined."""
    for event, message in (data.get("messages") or {}).items():
        if event not in ("started", "success", "error", "workflow_approval") or not set(message) <= {"message", "body"}:
            raise Refused(f"messages: {event}")
        if "\n" in message["message"]:
            raise Refused("Messages cannot contain newlines")
        awx_template(message["message"], STUB)


def _judge_rule(text: str) -> None:
    """awx/api/serializers.py: one DTSTART with a time zone, and in every rule an INTERVAL, none by the second."""
    start, *rules = text.split(" ")
    if not re.fullmatch(r"DTSTART(:\d{8}T\d{6}Z|;TZID=[^:]+:\d{8}T\d{6})", start) or not rules:
        raise Refused(f"DTSTART required in rrule: {text}")
    for rule in rules:
        if not rule.startswith("RRULE:") or "INTERVAL=" not in rule or "SECONDLY" in rule:
            raise Refused(f"INTERVAL required in rrule: {rule}")
    rrulestr("\n".join((start, *rules)))


def _listed(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {"count": len(results), "next": None, "results": results}


class _Handler(BaseHTTPRequestHandler):
    awx: Awx

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        data = json.loads(self.rfile.read(length) or b"{}") if length else {}
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, told = 401, None
        elif not url.path.startswith("/api/v2/") or url.path.split("/")[3] not in {
            *KINDS,
            "unified_job_templates",
            "project_updates",
        }:
            status, told = 404, None
        else:
            status, told = self.awx.answer(self.command, url.path, dict(parse_qsl(url.query)), data)
        body = b"" if told is None else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def log_message(self, *args: Any) -> None:
        """Quiet."""
