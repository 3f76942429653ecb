# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What README and guides name is there: files, headings, variables, playbooks, modules, options, messages."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COLLECTION = "certfleet.sophos_xgs."
FILES = "https://github.com/certfleet/sophos_xgs/blob/main/"
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


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
    for kind, block in FENCED.findall(text_of(page)):
        for mapping in mappings(yaml.load(textwrap.dedent(block), Loader)) if kind == "yaml" else ():
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
