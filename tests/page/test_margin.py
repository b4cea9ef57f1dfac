"""Where the window is wide, notes and captions stand beside the text; elsewhere below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from conftest import PAGES, sample

PAIRS = """() => {
    const box = (element) => {
        const { left, right, top, bottom } = element.getBoundingClientRect();
        return { left, right, top, bottom };
    };
    const whole = ".bd-article :is(section, :not(.tag_margin) > .cell_output) > :is(.noted, figure)";
    return Array.from(document.querySelectorAll(whole), (element) => {
        const first = Array.from(element.children).find((child) => child.checkVisibility());
        const second = element.lastElementChild, live = first.matches(".playground");
        return [live, box(first), box(second), box(element), box(element.closest("section")), second.innerText];
    });
}"""
"""Each paragraph or figure, its note or caption, the place of both, the column of the text, and the words; before them,
whether a playground stands for the figure, which takes the margin for itself."""
SMALL = """() => Array.from(document.querySelectorAll(".tag_margin"), (cell) => {
    const parts = [cell, cell.closest("section"), cell.querySelector("svg, img"), cell.querySelector("figcaption p")];
    const boxes = parts.map((part) => part.getBoundingClientRect());
    const others = ".tag_margin, .noted, .full-width, figure, .bd-sidebar-secondary, .prev-next-area";
    const met = Array.from(document.querySelectorAll(others)).filter((other) => {
        if (cell.contains(other)) return false;
        const theirs = other.getBoundingClientRect();
        return theirs.width && theirs.left < boxes[0].right && boxes[0].left < theirs.right
            && theirs.top < boxes[0].bottom && boxes[0].top < theirs.bottom;
    });
    return [...boxes.map((box) => box.toJSON()), met.map((other) => other.outerHTML.slice(0, 200))];
})"""
"""Each cell whose figure is small, its section, its picture and its caption, and what it lies over."""
CONTENTS = "() => document.querySelector('.bd-sidebar-secondary')?.getBoundingClientRect().toJSON()"


@pytest.mark.slow
@pytest.mark.needs("chromium")
def test_notes_and_captions_have_the_margin_of_a_wide_window_to_themselves(browser: Browser, site: str) -> None:
    beside = playgrounds = 0
    page = browser.new_page(reduced_motion="reduce")
    for name in PAGES:
        page.goto(f"{site}/{name}.html")
        page.wait_for_function("() => document.readyState === 'complete'")
        for width in (1500, 1920, 1280, 375):
            page.set_viewport_size({"width": width, "height": 900})
            pairs = page.evaluate(PAIRS)
            playgrounds += sum(live for live, *_ in pairs)
            contents = page.evaluate(CONTENTS)
            for live, main, second, place, column, words in pairs:
                assert words.strip()
                if width < 1500 or live:
                    assert second["top"] >= main["bottom"], (name, words)
                    continue
                beside += 1
                assert second["left"] >= column["right"] >= main["right"] - 1, (name, words)
                assert abs(second["top"] - place["top"]) < 16
                # What comes next is below both.
                assert place["bottom"] >= max(main["bottom"], second["bottom"]) - 1, (name, words)
                assert second["right"] <= contents["left"]
                assert contents["right"] <= width
    page.close()
    assert beside > 60
    assert playgrounds == 4


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", sample([1920, 1500, 1499, 1280, 375], 1500, 1499))
def test_small_figures_stand_in_the_margin_of_a_wide_window(
    browser: Browser, site: str, html: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    found = 0
    for name in PAGES:
        if "tag_margin" not in (html / f"{name}.html").read_text(encoding="utf-8"):
            continue
        page.goto(f"{site}/{name}.html")
        for cell, column, picture, caption, met in page.evaluate(SMALL):
            found += 1
            assert not met, name
            # Not scaled down: its letters are as large as they were drawn.
            assert 205 < picture["width"] < 225
            if width >= 1500:
                assert cell["left"] > column["right"]
                assert caption["top"] > picture["bottom"]
            else:
                assert column["left"] - 1 <= picture["left"] < picture["right"] <= column["right"] + 1
                assert caption["left"] > picture["right"] or caption["top"] > picture["bottom"]
    page.close()
    assert found >= 7


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", [1280, 1500])
def test_the_contents_beside_the_text_are_never_there_unseen(browser: Browser, site: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page.goto(f"{site}/book/momentum.html")
    contents = page.locator(".bd-sidebar-secondary")
    page.locator(".full-width").first.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.bd-sidebar-secondary').classList.contains('hide')")
    seen = "(opacity) => getComputedStyle(document.querySelector('nav.page-toc')).opacity === opacity"
    # Where the margin is free for what is wide, nothing takes the contents away.
    page.wait_for_function(seen, arg=str(int(width >= 1500)))
    contents.locator("nav a").first.focus()
    page.wait_for_function(seen, arg="1")
    page.close()
