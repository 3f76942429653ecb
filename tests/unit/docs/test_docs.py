# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What README and guides name is there: files, headings, variables, playbooks, modules, options, messages."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from lab.entries import NET
from lab.pages import CODE, FENCED, PAGES, ROOT, block, commands, name_of, text_of
from lab.ports import free_port

COLLECTION = "certfleet.sophos_xgs."
FILES = "https://github.com/certfleet/sophos_xgs/blob/main/"

every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@functools.cache
def headings(page: Path) -> set[str]:
    """The anchors that the repository's web page, and the site, give to a page's headings."""
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@every_page
def test_links_lead_somewhere(page):
    prose = CODE.sub("", FENCED.sub("", text_of(page)))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if ":" in target:
            continue
        file, _hash, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        assert not anchor or anchor in headings(found), target


def test_links_of_the_rst_pages_lead_somewhere():
    for page in (ROOT / "docs/docsite/rst").glob("*.rst"):
        for target in re.findall(rf"<{re.escape(FILES)}([^>]+)>", text_of(page)):
            file, _hash, anchor = target.partition("#")
            assert (ROOT / file).is_file(), target
            assert not anchor or anchor in headings(ROOT / file), target


def test_every_guide_is_in_the_menu():
    menu = text_of(ROOT / "README.md").partition("\n## Guides\n")[2].partition("\n## ")[0]
    listed = [ROOT / target for target in re.findall(r"\]\(([^)]+\.md)\)", menu)]
    assert sorted(listed) == sorted(page for page in PAGES if page.name != "README.md")


# Variables, playbooks, modules


def argument_specs() -> dict[str, Any]:
    return yaml.safe_load(text_of(ROOT / "roles/xgs_letsencrypt/meta/argument_specs.yml"))["argument_specs"]["main"]


@functools.cache
def words_of_the_code() -> set[str]:
    found: set[str] = set()
    for folder in ("plugins", "roles", "playbooks"):
        for file in (ROOT / folder).rglob("*.*"):
            if file.suffix in (".py", ".yml"):
                found.update(re.findall(r"\w+", text_of(file)))
    return found


@every_page
def test_variables_are_known(page):
    mentioned = set(re.findall(r"\bxgs_[a-z0-9_]*[a-z0-9]\b", text_of(page)))
    # Those of the connection are made of the option's name.
    connection = {f"xgs_{option}" for option in options("xgs_cert_info")}
    assert not mentioned - words_of_the_code() - connection


@every_page
def test_what_is_called_by_the_collections_name_is_there(page):
    # Not what Python imports.
    for name in set(re.findall(rf"(?<!ansible_collections\.){re.escape(COLLECTION)}(\w+)", text_of(page))):
        places = ("plugins/modules/{}.py", "playbooks/{}.yml", "roles/{}/meta/argument_specs.yml")
        assert any((ROOT / place.format(name)).is_file() for place in places), name


@functools.cache
def options(module: str) -> dict[str, Any]:
    found = importlib.import_module(f"ansible_collections.certfleet.sophos_xgs.plugins.modules.{module}")
    return dict(found.ARGUMENTS.spec)


class Loader(yaml.SafeLoader):
    """Takes Ansible's tags for what stands behind them."""


Loader.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_scalar(node))


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(each)


@every_page
def test_yaml_names_what_there_is(page):
    known = argument_specs()["options"]
    for kind, text in FENCED.findall(text_of(page)):
        for mapping in mappings(yaml.load(textwrap.dedent(text), Loader)) if kind == "yaml" else ():
            for key, value in mapping.items():
                if key.startswith(COLLECTION):
                    assert not set(value) - set(options(key.removeprefix(COLLECTION))), key
                elif key.startswith("xgs_letsencrypt_"):
                    assert key in known
                if key == "xgs_letsencrypt_certificates":
                    assert not {name for entry in value for name in entry} - set(known[key]["options"])


@every_page
def test_ad_hoc_commands_have_options_that_there_are(page):
    for module, arguments in re.findall(rf'-m {re.escape(COLLECTION)}(\w+) -a "([^"]*)"', text_of(page)):
        assert not set(re.findall(r"(\w+)=", arguments)) - set(options(module)), module


# Commands and blocks

# What runs the commands that no test types as they stand. What else is made are the tests, or measurements.
ELSEWHERE = {
    r"make (demo|test)": ".ci/run",
    r"make .*|git clone .*": "Makefile",
    r"(cat|cd|curl) .*": "tests/unit/docs/test_docs.py",
    r"ansible-galaxy collection install certfleet\.sophos_xgs": "tests/lab/collection.py",
    r"ansible-galaxy collection install awx\.awx": "scripts/fetch-awx-collection.sh",
    r"python3 -m venv .*|pip install .*|mkdir xgs && cd xgs": "scripts/bare-environment.sh",
    r"export CONTROLLER_HOST=.*|.* certfleet\.sophos_xgs\.awx_setup .*": "tests/integration/test_awx.py",
}
FOLLOWING = [
    *(ROOT / "tests/integration" / f"test_{name}.py" for name in ("awx", "guides", "onbox", "retire")),
    ROOT / "tests/unit/plugins/module_utils/test_responder_permanent.py",
    Path(__file__),
]


def constants(nodes: Iterable[ast.AST]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@functools.cache
def nodes_of_tests() -> list[ast.AST]:
    return [node for file in FOLLOWING for node in ast.walk(ast.parse(text_of(file)))]


@every_page
def test_every_command_is_run_by_a_test(page):
    for command in commands(name_of(page)) - constants(nodes_of_tests()):
        places = [place for pattern, place in ELSEWHERE.items() if re.fullmatch(pattern, command)]
        assert places, f"no test runs: {command}"
        assert all((ROOT / place).exists() for place in places)


@every_page
def test_every_block_is_used_by_a_test(page):
    """What a test copies is told by a part of it."""
    calls = [node for node in nodes_of_tests() if isinstance(node, ast.Call)]
    named = [call for call in calls if ast.unparse(call.func).split(".")[-1] in ("copies", "at_night", "block")]
    parts = constants(call.args[-1] for call in named)
    for kind, text in FENCED.findall(text_of(page)):
        if kind not in ("", "python"):
            assert any(part in text for part in parts), f"no test uses:\n{text}"


def test_all_that_is_to_be_made_can_be_made():
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    told = [command.split()[1] for page in PAGES for command in commands(name_of(page)) if command.startswith("make ")]
    assert told
    assert set(told) <= targets


def test_alert_rules_are_promql_on_what_is_exported():
    (group,) = yaml.safe_load(block("docs/report.md", "alert:"))["groups"]
    for rule in group["rules"]:
        promql_parser.parse(rule["expr"])
        assert set(re.findall(r"xgs_\w+", rule["expr"])) <= words_of_the_code()


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_an_emulated_fleet_by_hand(tmp_path):
    """The commands of CONTRIBUTING: a control interface that obeys, and an API that is switched off by it."""
    port, address = free_port(), f"127.19.{NET}.1"
    script = block("CONTRIBUTING.md", "python -m emulator")
    for there, own in {
        "../build/": "build/",
        "build/fleet.yml": f"{tmp_path}/fleet.yml",
        "9000": str(port),
        "127.19.0.1": address,
        "../.venv/bin/python": sys.executable,
        # Whoever types it is slower.
        "&\ncurl -s": "&\ntrap 'kill -- -$!' EXIT\ncurl -s --retry 30 --retry-connrefused --retry-delay 1",
    }.items():
        script = script.replace(there, own)
    done = subprocess.run(["bash", "-ec", f"set -m\n{script}"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    fleet, *obeyed = re.findall(r"\{.*?\}(?=\{|$)", done.stdout)
    assert '"name": "fw1"' in fleet
    assert obeyed == ["{}"] * 3


def test_a_page_of_the_report_without_a_fleet(tmp_path):
    script = block("CONTRIBUTING.md", "report_document").replace("build/page", f"{tmp_path}/page")
    script = script.replace(".venv/bin/python", sys.executable)
    done = subprocess.run(["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


# Messages


@functools.cache
def messages() -> str:
    """All texts of the library, one a line, with `…` for what is filled in."""
    found = []
    for file in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(text_of(file))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def quoted() -> Iterator[str]:
    """The messages in the first column of the guide's tables; in that of the ten most likely it is the third."""
    for line in text_of(ROOT / "docs/guides/troubleshooting.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) in (2, 4):
            yield from re.findall(r"`([^`]+)`", cells[0 if len(cells) == 2 else 2])


def test_messages_are_those_of_the_code():
    texts = re.sub(r"\{\w*\}", "…", messages())
    # A message may end, or be short of its end, where the guide has its dots.
    missing = [message for message in quoted() if re.sub(r"^… ?| ?…$", "", message).strip() not in texts]
    assert not missing, "\n".join(missing)
