# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the documentation site. `make docs` builds it: scripts/docs.sh.

The pages are the Markdown files of the repository, as they are: README.md is the first one, and its section "Guides" is
the menu. What antsibull-docs makes of modules, plugins and role lies below collections/.
"""

import re
import urllib.parse
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
FILES = f"{GALAXY['repository']}/blob/main/"
# [text](target "title"), with or without an anchor.
LINK = re.compile(r"(\]\()([^)\s#]*)((?:#[^)\s]*)?\))")

# What the generated pages refer to in Ansible's own documentation. Not by intersphinx: a build needs no network.
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
LABELS = {
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_configuration_settings": "reference_appendices/config.html#ansible-configuration-settings",
    "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
}

project = f"{GALAXY['namespace']}.{GALAXY['name']}"
release = version = GALAXY["version"]
project_copyright = "certfleet contributors"
html_title = html_short_title = f"{project} {release}"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_heading_anchors = 4
# What a page shows is what its file says.
smartquotes = False
default_role = "any"
nitpicky = True
pygments_style = "ansible"
# Of blocks that name no language.
highlight_language = "text"
html_theme = "sphinx_ansible_theme"
html_theme_options = {"topbar_links": {"Repository": GALAXY["repository"], "Issues": GALAXY["issues"]}}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_use_index = False
html_copy_source = False


def _file_of(docname: str) -> str:
    """The file of the repository that a page is made of."""
    return "README.md" if docname == "index" else f"{docname}.md"


def _target(app: Any, docname: str, target: str) -> str:
    """Where a relative link of a page leads on the site: to another page, or else to the file in the repository."""
    path = urllib.parse.urljoin(_file_of(docname), target)
    page = "index" if path == "README.md" else path.removesuffix(".md")
    return f"/{page}.md" if path.endswith(".md") and page in app.env.found_docs else FILES + path


def _menu(readme: str) -> str:
    """Toctrees of the links in README's section "Guides", one for each of its headings."""
    guides = readme.partition("\n## Guides\n")[2].partition("\n## ")[0]
    sections = [section.partition("\n") for section in guides.split("\n### ")[1:]]
    entries = {caption: re.findall(r"\]\(([^)]+)\.md\)", text) for caption, _newline, text in sections}
    entries["Reference"] = [
        "Modules, plugins and role <collections/certfleet/sophos_xgs/index>",
        "Environment variables <collections/environment_variables>",
    ]
    return "".join(
        "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```\n"])
        for caption, pages in entries.items()
    )


def _read(app: Any, docname: str, source: list[str]) -> None:
    if docname == "index":
        source[0] += _menu(source[0])
    if docname.endswith("/docsite/guides"):
        # Its links are to the repository, so that it is good for other sites too.
        source[0] = source[0].replace(f"{FILES}README.md", "../../../../index.html")
        source[0] = re.sub(rf"{FILES}(\S+)\.md", r"../../../../\1.html", source[0])
    elif not docname.startswith("collections/"):
        source[0] = LINK.sub(
            lambda link: (
                link[0] if not link[2] or ":" in link[2] else link[1] + _target(app, docname, link[2]) + link[3]
            ),
            source[0],
        )


def _lead_home(app: Any, page: str, template: str, context: dict[str, Any], document: Any) -> None:
    """The theme's link at the top knows one address for all pages."""
    context["theme_documentation_home_url"] = context["pathto"]("index")


def _find(app: Any, env: Any, reference: Any, shown: nodes.Node) -> nodes.Node | None:
    place = LABELS.get(reference["reftarget"])
    return nodes.reference("", "", shown, refuri=ANSIBLE + place) if place else None


def setup(app: Any) -> None:
    """Sphinx's entry."""
    app.connect("source-read", _read)
    app.connect("missing-reference", _find)
    app.connect("html-page-context", _lead_home)
