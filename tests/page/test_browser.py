"""The built book in a real browser, headless Chromium: over http as a site, and from disk as a folder.

Each page is opened once, with every host but this machine blocked, and then looked at in light and dark, wide and
narrow.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.image import imread
from playwright.sync_api import Browser, FloatRect, Locator, Page, Route

from conftest import PAGES, SECTIONS
from optim_code.figures import DARK, LIGHT

pytestmark = pytest.mark.needs("chromium")

MIDDLE_OF_WORDS = """title => {
    const box = (title.querySelector("a, span") ?? title).getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
}"""
THEMES, WIDTHS = ("light", "dark"), (1280, 375)
# The first page has no exercise, and a playground in place of its figure.
LESSONS = [page for page in SECTIONS if page != "book/intro"]
with_figures = pytest.mark.parametrize("seen", LESSONS, indirect=True, scope="module")


@dataclass
class Visit:
    """An open page, and what it did that it should not."""

    page: Page
    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def show(self, theme: str, width: int) -> None:
        """Turn to a theme (the book follows the system's) and a window width."""
        self.page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)

    def all(self, selector: str) -> list[Locator]:
        found = self.page.locator(selector).all()
        assert found, f"the page has no {selector}"  # what is said of each of none holds always
        return found


def visit(browser: Browser, home: str, path: str) -> Visit:
    """Open a page of the book at ``home`` in a window of its own, with no way to anywhere else."""
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.set_default_timeout(20_000)
    seen = Visit(page)

    def gate(route: Route) -> None:
        if route.request.url.startswith((home, "data:", "blob:")):
            route.continue_()
        else:
            seen.elsewhere.append(route.request.url)
            route.abort()

    page.context.route("**/*", gate)
    page.on("console", lambda message: seen.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("response", lambda reply: None if reply.ok else seen.complaints.append(f"{reply.status} {reply.url}"))
    page.goto(f"{home}/{path}", wait_until="load")
    page.wait_for_function("() => document.fonts.status === 'loaded'")
    return seen


@pytest.fixture(scope="module", params=PAGES)
def seen(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Visit]:
    """A page of the contents, opened over http."""
    opened = visit(browser, site, f"{request.param}.html")
    yield opened
    opened.page.context.close()


def test_a_page_asks_no_other_host_for_anything_and_complains_of_nothing(seen: Visit) -> None:
    seen.page.wait_for_load_state("networkidle")
    assert seen.elsewhere == []
    assert seen.complaints == []


def test_all_maths_is_rendered(seen: Visit) -> None:
    assert seen.page.locator(".math annotation").count() == seen.page.locator(".math").count()
    assert seen.page.locator("math merror, math mtext[style*=red]").count() == 0


PALETTES = {"light": LIGHT, "dark": DARK}
FIGURE = "article figure:has(.drawing:not(.play-still))"
"""A figure that is shown on a screen; one in whose place is a playground is for print."""
# For each line and each area the colour with which it was drawn, and its colour now.
COLOURS = """drawing => ["fill", "stroke"].flatMap((kind) =>
    [...drawing.querySelectorAll(`[${kind}^="#"]`)].map((e) => [e.getAttribute(kind), getComputedStyle(e)[kind]]))"""


def colours_of(drawing: Locator) -> set[tuple[str, str]]:
    """The pairs of a colour with which something was drawn and of the colour that it has now."""
    found = set()
    for drawn, now in drawing.evaluate(COLOURS):
        red, green, blue = map(int, re.findall(r"\d+", now))
        found.add((drawn, f"#{red:02x}{green:02x}{blue:02x}"))
    return found


@with_figures
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_each_figure_is_one_drawing_in_the_colours_of_the_theme_with_its_caption(
    seen: Visit, theme: str, width: int
) -> None:
    seen.show(theme, width)
    pairs = {(LIGHT[role], colour) for role, colour in PALETTES[theme].items()}
    for figure in seen.all(FIGURE):
        assert figure.locator("img").count() == 0
        drawing = figure.get_by_role("img", name=figure.locator(".drawing").get_attribute("aria-label"), exact=True)
        assert drawing.count() == 1
        assert colours_of(drawing) <= pairs
        assert len(colours_of(drawing)) >= 3
        looks = drawing.evaluate("e => [getComputedStyle(e).filter, e.clientWidth, e.clientWidth / e.clientHeight]")
        shape = drawing.evaluate("e => e.viewBox.baseVal.width / e.viewBox.baseVal.height")
        assert looks[0] == "none"
        assert 200 <= looks[1] <= width
        assert looks[2] == pytest.approx(shape, rel=0.02)
        caption = figure.locator("figcaption .caption-text")
        assert caption.is_visible()
        box = caption.bounding_box()
        assert box is not None
        assert box["height"] > 5


def test_figures_that_the_text_compares_stand_side_by_side_below_their_code(browser: Browser, site: str) -> None:
    seen = visit(browser, site, "book/momentum.html")
    rows = [["25", "50", "75"], ["sgd-noise-path", "noise-path"], ["variance", "jitter"]]
    for row, names in zip(seen.all(".beside"), rows, strict=True):
        figures = row.locator("figure").all()
        assert [(f.get_attribute("id") or "").removeprefix("fig-").removeprefix("momentum-") for f in figures] == names
        for width in WIDTHS:
            seen.show("light", width)
            boxes = [box for box in (figure.bounding_box() for figure in figures) if box]
            along, across = ("x", "y") if width == 1280 else ("y", "x")
            assert len({round(box[across]) for box in boxes}) == 1
            places = [box[along] for box in boxes]
            assert places == sorted(places)
            assert len({*places}) == len(names)
            code = row.evaluate("row => row.previousElementSibling.getBoundingClientRect().bottom")
            assert code <= boxes[0]["y"]
        assert row.locator("pre").count() == 0
    seen.page.context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_a_page_is_first_drawn_in_the_colours_of_the_system(browser: Browser, site: str, theme: str) -> None:
    page = browser.new_context(color_scheme="dark" if theme == "dark" else "light").new_page()
    page.route("**/scripts.*.js", lambda route: route.abort())
    page.goto(f"{site}/book/momentum.html")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.context.close()


# The drawing gives its place to the SVG of its file, and comes back.
TO_FILE = """(drawing, text) => {
    const file = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    file.setAttribute("class", "drawing");
    drawing.replaceWith(file);
    window.putBack = () => file.replaceWith(drawing);
}"""


@with_figures
@pytest.mark.parametrize("theme", THEMES)
def test_a_figure_looks_as_its_file_does(seen: Visit, html: Path, theme: str) -> None:
    seen.show(theme, 1280)
    open_dropdowns(seen)
    for figure in seen.all(FIGURE):
        name = figure.locator(".downloads a[href$='.pdf']").get_attribute("href")
        assert name is not None
        file = html / "_figures" / f"{Path(name).stem}{'-dark' if theme == 'dark' else ''}.svg"
        drawing = figure.locator(".drawing")
        drawing.scroll_into_view_if_needed()
        box = drawing.bounding_box()
        assert box is not None
        shown = screenshot(seen.page, box)
        drawing.evaluate(TO_FILE, file.read_text(encoding="utf-8"))
        try:
            # The same locator finds the file's SVG now.
            other_box = drawing.bounding_box()
            assert other_box is not None
            assert all(abs(box[key] - other_box[key]) < 0.1 for key in ("x", "y", "width", "height"))
            difference = abs(shown - screenshot(seen.page, box)).mean(axis=2)
        finally:
            seen.page.evaluate("putBack()")
        # Points move by less than a 100th of a pixel. This can change how much of a pixel an edge covers by a quarter,
        # because browsers count in such steps, and more at the ends of dashes of a line with hundreds of corners.
        assert (difference > 0.4).sum() <= 10, file.name
        assert (difference > 0.25).mean() <= 0.0002, file.name


def screenshot(page: Page, box: FloatRect) -> numpy.ndarray:
    """What the window shows in the whole pixels of a box: rows of pixels, with red, green and blue from 0 to 1."""
    clip = FloatRect(**{key: round(size) for key, size in box.items()})
    return numpy.asarray(imread(io.BytesIO(page.screenshot(clip=clip))))[..., :3]


@pytest.mark.parametrize("theme", THEMES)
def test_where_the_system_sets_the_colours_a_figure_keeps_its_own_and_their_ground(seen: Visit, theme: str) -> None:
    seen.show(theme, 1280)
    try:
        ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        seen.page.emulate_media(forced_colors="active")
        for drawing in seen.all(".drawing"):
            assert drawing.evaluate("e => getComputedStyle(e).backgroundColor") == ground
            assert colours_of(drawing) <= {(LIGHT[role], colour) for role, colour in PALETTES[theme].items()}
    finally:
        seen.page.emulate_media(forced_colors="none")


def test_on_paper_all_is_dark_on_white_with_each_figure_once(seen: Visit) -> None:
    seen.show("dark", 1280)
    seen.page.emulate_media(media="print", color_scheme="dark")
    try:
        for selector in ("article p", "article pre span", "article figcaption p"):
            for element in seen.page.locator(selector).all()[:20]:
                shade = element.evaluate("e => getComputedStyle(e).color.match(/\\d+/g).map(Number)")
                assert max(shade[:3]) < 80, f"{selector} is printed in {shade}"
        for drawing in seen.all(".drawing"):
            assert {(now, now) for _, now in colours_of(drawing)} == colours_of(drawing)
    finally:
        seen.page.emulate_media(media="screen")


@pytest.mark.parametrize("width", [*WIDTHS, 360])
def test_nothing_runs_off_the_side_of_the_page(seen: Visit, width: int) -> None:
    seen.show("light", width)
    open_dropdowns(seen)
    assert seen.page.evaluate("document.scrollingElement.scrollWidth") <= width
    # Nor need a reader push a table aside to see its last column.
    wide = "tables => tables.filter(table => table.scrollWidth > table.parentElement.clientWidth).length"
    assert seen.page.locator(".bd-article table").evaluate_all(wide) == 0
    # And no mark stands in another line than the last word of its phrase.
    torn = "ends => ends.filter(end => end.getClientRects().length > 1).map(end => end.textContent)"
    assert seen.page.locator(".held-end:visible").evaluate_all(torn) == []
    # A formula breaks into lines before it has to be pushed aside, and so does code.
    wide = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    assert seen.page.locator(".formula, .bd-article pre").evaluate_all(wide) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_one_search_box_is_shown(seen: Visit, width: int) -> None:
    seen.show("light", width)
    boxes = seen.page.locator(".search-button__button, input[type=search]").all()
    assert len([box for box in boxes if box.is_visible()]) == 1


def test_axe_finds_nothing_serious(seen: Visit) -> None:
    # What surrounds the text is the same on all pages, so one of them is seen in both themes at both widths.
    all_ways = seen.page.url.endswith("/momentum.html")
    ways = itertools.product(THEMES, WIDTHS) if all_ways else zip(THEMES, WIDTHS, strict=True)
    for theme, width in ways:
        seen.show(theme, width)
        open_dropdowns(seen)
        # The theme makes what scrolls focusable, a moment after the window has changed its size.
        seen.page.wait_for_function(
            "() => [...document.querySelectorAll('pre')].every(e => e.scrollWidth <= e.clientWidth || e.tabIndex === 0)"
        )
        found = [
            f"{violation['id']}: {node['target']}: {node['failureSummary']}"
            for violation in Axe().run(seen.page).response["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
        assert found == [], (theme, width)


def open_dropdowns(seen: Visit) -> None:
    seen.page.evaluate("document.querySelectorAll('.toggle-button-hidden').forEach(button => button.click())")


@pytest.fixture
def fresh(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Visit]:
    """A page as it comes, all dropdowns as they are at first."""
    opened = visit(browser, site, f"{request.param}.html")
    yield opened
    opened.page.context.close()


@pytest.mark.parametrize("fresh", LESSONS, indirect=True)
def test_hints_and_solutions_are_closed_at_first_and_open_by_keyboard_and_by_click(fresh: Visit) -> None:
    for dropdown in fresh.all(".admonition.dropdown"):
        title, button = dropdown.locator("> .admonition-title"), dropdown.locator("> .admonition-title > button")
        inside = dropdown.locator("> :not(.admonition-title)").first
        assert not inside.is_visible()
        # Anywhere on the title: on a name within it, and beside it.
        title.scroll_into_view_if_needed()
        fresh.page.mouse.click(*title.evaluate(MIDDLE_OF_WORDS))
        assert inside.is_visible()
        title.click(position={"x": 10, "y": 10})
        assert not inside.is_visible()
        button.focus()
        fresh.page.keyboard.press("Enter")
        assert inside.is_visible()
        assert button.get_attribute("aria-expanded") == "true"
    assert fresh.complaints == []


@pytest.mark.parametrize("page", PAGES)
def test_the_book_reads_the_same_from_disk(html: Path, browser: Browser, page: str) -> None:
    opened = visit(browser, html.as_uri(), f"{page}.html")
    test_a_page_asks_no_other_host_for_anything_and_complains_of_nothing(opened)
    test_all_maths_is_rendered(opened)
    opened.page.context.close()


def test_the_top_of_the_site_arrives_at_the_front_page(browser: Browser, site: str) -> None:
    opened = visit(browser, site, "index.html")
    opened.page.wait_for_url(f"{site}/{PAGES[0]}.html")
    assert opened.complaints == []
    opened.page.context.close()


def test_a_search_from_the_keyboard_finds_a_section(browser: Browser, site: str) -> None:
    opened = visit(browser, site, f"{PAGES[0]}.html")
    opened.page.keyboard.press("Control+k")
    opened.page.keyboard.type("momentum")
    opened.page.keyboard.press("Enter")
    hit = opened.page.locator("#search-results li a[href*='momentum.html']").first
    hit.wait_for()
    assert opened.complaints == []
    assert opened.elsewhere == []
    opened.page.context.close()
