"""A style sheet without what no page uses: in Chromium every element of every page looks as it does with all of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from page_weight import served
from playwright.sync_api import Browser

from book._ext.files import read_json
from book._ext.website import icons
from book._ext.website.assets import FONTAWESOME, Bundles
from book._ext.website.unused import asked_for, names_in, without_unused
from conftest import BUILD, PAGES

LOOKS = """names => Array.from(document.querySelectorAll("body, body *"), (element) =>
    [`<${element.localName} class="${element.getAttribute("class")}">`, ...[null, "::before"].map((part) => {
        const style = getComputedStyle(element, part);
        return names.map((name) => style.getPropertyValue(name)).join("; ");
    })].join(" | "))"""
PROPERTIES = re.findall(
    r"\S+",
    """align-items background-color background-image border-bottom border-left border-radius border-top bottom
    box-shadow color content cursor display flex float font-family font-size font-style font-weight height
    justify-content left line-height list-style margin-bottom margin-left margin-right margin-top mask-image
    max-height max-width min-width opacity outline overflow-x overflow-y padding-bottom padding-left padding-right
    padding-top pointer-events position right text-align text-decoration top transform vertical-align
    visibility white-space width z-index""",
)
"""What of an element's look is compared; all of its properties would take minutes."""
ALL = """css => {
    const style = document.createElement("style");
    style.textContent = css;
    document.querySelector("link[href*='styles.']").replaceWith(style);
}"""


def test_a_rule_stays_if_one_of_its_selectors_can_apply() -> None:
    css = """/*! licence */ /* a note */ @charset "utf-8";
        .a{x:1} .b{x:2} .a,.b > p{x:3} #c:not(.b){x:4} #d{x:5} p .a.b{x:6} [data-b]{x:7} :root{--b:8}
        @media print{.b{x:9}} @media (width>1px){.a{x:10}.b{x:11}} @keyframes b{to{x:12}} @font-face{font-family:b}
        .bs-b{x:13} .e{x:14} .b\\:f{x:15}"""
    names = names_in(['<p class="a" id=c>b <i title="b">'], ["toggle('e-e'), add(`e`)"])
    assert names >= {"a", "c", "e", "e-e"}
    kept = without_unused(css, sorted(names))
    assert without_unused(css, asked_for(css, names)) == kept
    assert len(asked_for(css, names)) < len(names)
    assert "x:15" in without_unused(css, asked_for(css, {"b:f", "f:b", "z"}))
    assert [f"x:{n}" in kept for n in range(16)] == [n in (1, 3, 4, 7, 10, 12, 13, 14) for n in range(16)]
    assert not re.search(r"[ ,}]\.b[{,]", kept)
    assert "/*! licence */" in kept
    assert "a note" not in kept
    assert "--b:8" in kept
    assert "@font-face" in kept


def difference(light: str, whole: str) -> str:
    """The element, and its first value that differs."""
    pairs = zip(*(re.split(r"; | \| ", look) for look in (light, whole)), strict=False)
    return f"{light.partition(' | ')[0]} {next((pair for pair in pairs if len({*pair}) > 1), '')}"


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("page", [*PAGES, "search", "genindex"])
def test_every_element_looks_as_with_all_rules(browser: Browser, html: Path, page: str) -> None:
    doctrees = BUILD / ".work" / "html" / ".doctrees"
    note = read_json(doctrees / "assets.json")
    whole = Bundles(SimpleNamespace(outdir=str(html), doctreedir=str(doctrees)), {}, [], set())
    # What another target has built since, such as an assignment, may have had fewer downloads to offer.
    drawn = {*note["icons"], *icons.icon_classes((html / f"{page}.html").read_text(encoding="utf-8"))}
    css = "\n".join(
        icons.class_rules(drawn) if FONTAWESOME in name else whole.one_style(name)
        for name in note["pages"][page]["styles"]
    )
    context = browser.new_context(reduced_motion="reduce")
    tab = context.new_page()
    with served(html) as address:
        tab.goto(f"{address}/{page}.html", wait_until="load")
        assert len(css) > 1.5 * sum(
            tab.evaluate("Array.from(document.styleSheets[0].cssRules, (r) => r.cssText.length)")
        )
        ways = ((1280, "light", "screen"), (375, "dark", "screen"), (800, "light", "print"))
        ways = ways if page == PAGES[0] else ways[:1]
        looks = []
        for sheet in ("", css):
            if sheet:
                tab.evaluate(ALL, sheet)
            for width, scheme, media in ways:
                tab.set_viewport_size({"width": width, "height": 900})
                tab.emulate_media(color_scheme=scheme, media=media)
                tab.wait_for_timeout(200)
                looks.append(tab.evaluate(LOOKS, PROPERTIES))
    context.close()
    assert len(looks[0]) > 100
    for light, whole_looks in zip(looks, looks[len(ways) :], strict=False):
        apart = [(one, other) for one, other in zip(light, whole_looks, strict=True) if one != other]
        assert [difference(*pair) for pair in apart] == []
