"""Where the window is wide, notes and captions stand beside the text; elsewhere below it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from conftest import PAGES

PAIRS = """() => {
    const box = (element) => {
        const { left, right, top, bottom } = element.getBoundingClientRect();
        return { left, right, top, bottom };
    };
    const whole = ".bd-article :is(section, .cell_output) > :is(.noted, figure)";
    return Array.from(document.querySelectorAll(whole), (element) => {
        const [first, second] = [element.firstElementChild, element.lastElementChild];
        return [box(first), box(second), box(element), box(element.closest("section")), second.innerText];
    });
}"""
"""Each paragraph or figure, its note or caption, the place of both, the column of the text, and the words."""
CONTENTS = "() => document.querySelector('.bd-sidebar-secondary')?.getBoundingClientRect().toJSON()"


@pytest.mark.needs("chromium")
def test_notes_and_captions_have_the_margin_of_a_wide_window_to_themselves(browser: Browser, site: str) -> None:
    beside = 0
    for width in (1500, 1920, 1280, 375):
        page = browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
        for name in PAGES:
            page.goto(f"{site}/{name}.html")
            pairs = page.evaluate(PAIRS)
            contents = page.evaluate(CONTENTS)
            for main, second, place, column, words in pairs:
                assert words.strip()
                if width < 1500:
                    assert second["top"] >= main["bottom"]
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
