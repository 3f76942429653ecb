# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's page in a browser, as people use it: by eye, by mouse, by keyboard, on a phone, without JavaScript."""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.plugin_utils._report_files import report_document, report_text

from lab.browser import HERE, Browser
from lab.reports import NASTY, made_report

PHONE = {"width": 360, "height": 780}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"dark": True},
    "phone": PHONE,
    "dark-phone": {**PHONE, "dark": True},
}
FETCH = HERE.parents[1] / "scripts" / "fetch-chromium.sh"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    done = subprocess.run([FETCH, HERE], capture_output=True, text=True, timeout=110)
    if done.returncode:
        reason = f"no Chromium here: {done.stderr.strip().splitlines()[-1:]}"
        if os.environ.get("CI"):
            pytest.fail(f"in CI the page must be looked at: {reason}")
        pytest.skip(reason)
    with Browser() as started:
        yield started


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """`show(rows, width=360)`: the page in the browser; afterwards it has neither complained nor called anybody."""

    def opened(rows: list[dict[str, Any]], **look: Any) -> Browser:
        file = tmp_path / "report.html"
        file.write_text(report_text(report_document(rows), "html"))
        browser.open(file, **look)
        return browser

    yield opened
    assert browser.messages == []
    assert [url for url in browser.requested if not url.startswith("file:")] == []


def texts(browser: Browser, selector: str) -> list[str]:
    found: list[str] = browser.js(f"[...document.querySelectorAll({json.dumps(selector)})].map(each => each.innerText)")
    return found


def firewalls(browser: Browser) -> list[str]:
    return texts(browser, "#rows .c-where strong")


def choose(browser: Browser, name: str, value: str) -> None:
    browser.js(
        f"(field => {{ field.value = {json.dumps(value)}; field.dispatchEvent(new Event('input', {{bubbles: true}}));"
        f"}})(document.getElementById({json.dumps(name)}))"
    )
    browser.settle()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("count", [3, 1000])
def test_it_is_drawn(show: Callable[..., Browser], count: int, look: str) -> None:
    browser = show(made_report(count), **LOOKS[look])
    assert browser.js("document.documentElement.scrollWidth") <= LOOKS[look].get("width", 1280), "nothing is cut off"
    assert f"{count:,}" in texts(browser, ".tile dd")
    assert texts(browser, "#timeline .column i")
    assert "alarm below 15 days" in texts(browser, "#timeline .legend")[0]
    assert shades(browser.screenshot()) > 50, "it is not blank"
    dark = browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
    assert dark is ("dark" in look)


def shades(png: bytes) -> int:
    """How many values the bytes of its lines have; of a blank picture a few."""
    data, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        data += png[at + 8 : at + 8 + length] if png[at + 4 : at + 8] == b"IDAT" else b""
        at += 12 + length
    return len(set(zlib.decompress(data)))


@pytest.mark.parametrize("nasty", NASTY)
def test_a_name_is_text(show: Callable[..., Browser], nasty: str) -> None:
    browser = show(made_report(3, named=nasty))
    assert " ".join(nasty.split()) in firewalls(browser)
    assert browser.js("typeof window.pwned") == "undefined"
    assert browser.js("document.querySelectorAll('#report script, #report img').length") == 0


def test_a_script_that_got_in_would_not_run(show: Callable[..., Browser]) -> None:
    browser = show(made_report(3))
    browser.js("s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s)")
    assert browser.js("typeof window.pwned") == "undefined"
    assert "Content Security Policy" in browser.messages.pop()


def test_what_was_served_and_what_is_wrong(show: Callable[..., Browser]) -> None:
    rows = made_report(3)
    browser = show(rows)
    shown = "\n".join(texts(browser, "#rows tr"))
    (failed,) = (row for row in rows if row["status"] == "failed")
    (renewed,) = (row for row in rows if row["status"] == "renewed")
    assert failed["error"] in shown
    assert f"at {failed['stage']}" in shown
    for consumer in renewed["consumers"]:
        assert f"{consumer['consumer']} before {consumer['previous']} now {consumer['certificate']}" in shown
    assert "seen by handshake at 198.51.100.7:443" in shown
    assert "not seen by handshake: its API" in shown
    assert f"{renewed['port_open_seconds']:g} s" in shown
    assert firewalls(browser)[0] == failed["firewall"], "what needs somebody comes first"


def test_filters(show: Callable[..., Browser]) -> None:
    rows = made_report(1000)
    browser = show(rows)
    browser.js("document.getElementById('text').focus()")
    browser.type("HELSINKI-01")
    wanted = {row["firewall"] for row in rows if "helsinki-01" in row["firewall"]}
    assert wanted
    assert set(firewalls(browser)) == wanted
    assert texts(browser, "#count")[0] == f"{2 * len(wanted)} of 1,999 rows"
    browser.js("document.querySelector('button[type=reset]').click()")
    browser.settle()
    assert texts(browser, "#count")[0] == "All 1,999 rows"
    choose(browser, "status", "failed")
    failed = [row["firewall"] for row in rows if row["status"] == "failed"]
    assert sorted(firewalls(browser)) == sorted(failed)
    choose(browser, "stage", "plan")
    assert firewalls(browser) == [row["firewall"] for row in rows if row["stage"] == "plan"]
    choose(browser, "text", "nobody has this name")
    assert firewalls(browser) == []


def test_sorting_by_keyboard(show: Callable[..., Browser]) -> None:
    rows = made_report(20)
    browser = show(rows)
    assert browser.js("document.querySelector('[aria-sort]').id") == "by-status"
    browser.js("document.querySelector('#by-where button').focus()")
    browser.press("Enter")
    assert firewalls(browser) == sorted((row["firewall"] for row in rows), key=plain)
    browser.press(" ")
    assert browser.js("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "descending"
    assert firewalls(browser) == sorted((row["firewall"] for row in rows), key=plain, reverse=True)
    browser.press("Tab")
    browser.press("Enter")
    dates = browser.js("[...document.querySelectorAll('#rows time')].map(each => each.dateTime)")
    assert dates == sorted(dates)


def plain(name: str) -> str:
    return name.replace("ó", "o").replace("ü", "u")


def test_a_large_fleet_costs_what_is_seen(show: Callable[..., Browser]) -> None:
    rows = made_report(1000)
    browser = show(rows)
    assert len(firewalls(browser)) == 100
    assert browser.js("document.querySelectorAll('*').length") < 4000
    browser.js("""new Promise(done => {
        new MutationObserver(() => done()).observe(document.getElementById("rows"), {childList: true});
        window.scrollTo(0, document.body.scrollHeight);
    })""")
    assert len(firewalls(browser)) == 200
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    assert len(firewalls(browser)) == len(rows), "on paper there is all of it"
    assert texts(browser, "#more:not([hidden])") == []


def test_without_javascript(show: Callable[..., Browser]) -> None:
    rows = made_report(3)
    browser = show(rows, script=False)
    words = browser.js("document.body.innerText")
    for row in rows:
        assert row["firewall"] in words
        assert (row["error"] or "") in words
    assert browser.js("document.getElementById('report').offsetHeight") == 0


def test_everything_that_can_be_operated_has_a_name(show: Callable[..., Browser]) -> None:
    browser = show(made_report(3))
    named = """[...document.querySelectorAll("input, select, button")].filter(each => !each.hidden)
        .map(each => (each.labels?.[0] ?? each).textContent.trim())"""
    assert all(browser.js(named))
    assert browser.js("document.documentElement.lang") == "en"
    assert browser.js("[...document.querySelectorAll('h1, h2')].map(each => each.tagName).join()") == "H1,H2,H2"
    assert "6 certificates" in browser.js("document.querySelector('[role=img]').getAttribute('aria-label')")


CONTRAST = """(() => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = colour => parts(colour).slice(0, 3).map(part => part / 255)
        .map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [.2126, .7152, .0722][index], 0);
    const behind = each => {
        const colour = getComputedStyle(each).backgroundColor;
        return (parts(colour)[3] ?? 1) === 1 || !each.parentElement ? colour : behind(each.parentElement);
    };
    const said = each => [...each.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    return [...document.body.querySelectorAll("*")].filter(each => said(each) && each.offsetHeight).map(each => {
        const [a, b] = [light(getComputedStyle(each).color), light(behind(each))].sort((x, y) => y - x);
        return [(a + .05) / (b + .05), each.className + ": " + each.textContent];
    }).sort((x, y) => x[0] - y[0])[0];
})()"""


@pytest.mark.parametrize("look", ["light", "dark"])
def test_text_can_be_read(show: Callable[..., Browser], look: str) -> None:
    """WCAG AA: 4.5 to 1."""
    browser = show(made_report(60), **LOOKS[look])
    ratio, where = browser.js(CONTRAST)
    assert ratio >= 4.5, where


@pytest.mark.parametrize("rows", [[], made_report(1)[1:]])
def test_a_small_report(show: Callable[..., Browser], rows: list[dict[str, Any]]) -> None:
    browser = show(rows)
    assert len(firewalls(browser)) == len(rows)
