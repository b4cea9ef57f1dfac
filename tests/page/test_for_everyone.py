"""Pages for readers who enlarge them, ask for more contrast, print them, or see colours in another way."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, expect

from conftest import PAGES
from optim_code.figures import DARK, LIGHT, LINES

SEEN = {
    "as most do": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
    "grey print": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}
"""What becomes of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1, and the luminance."""
ALIKE = 20
"""Two colours nearer than this, in CIELAB, are hard to tell apart in thin lines."""
RATIO = """([selector, ground]) => {
    const light = (colour) => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255);
        const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = light(getComputedStyle(document.querySelector(ground)).backgroundColor);
    return Array.from(document.querySelectorAll(selector), (element) => {
        const [low, high] = [light(getComputedStyle(element).color), behind].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    });
}"""


def lab(colour: str, seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """A colour in CIELAB, as somebody sees it."""
    part = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(seen @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_whose_colours_look_alike_differ_in_dash_and_marker(seen: str, palette: dict[str, str]) -> None:
    role = {colour: name for name, colour in LIGHT.items()}
    alike = 0
    for one, other in itertools.combinations(LINES, 2):
        colours = [lab(palette[role[line["color"]]], SEEN[seen]) for line in (one, other)]
        if np.linalg.norm(colours[0] - colours[1]) < ALIKE:
            alike += 1
            assert one["linestyle"] != other["linestyle"]
            assert one["marker"] != other["marker"]
    # Four colours for eight lines; who sees fewer, sees more pairs alike.
    assert alike == 4 if seen in ("as most do", "tritanopia") else alike > 4


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("page", PAGES)
def test_enlarged_two_and_four_times_a_page_is_read_without_scrolling_to_the_side(
    browser: Browser, site: str, page: str
) -> None:
    context = browser.new_context(viewport={"width": 640, "height": 450}, reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(f"{site}/{page}.html", wait_until="load")
    for width in (640, 320):  # of 1280
        tab.set_viewport_size({"width": width, "height": 450})
        for top in range(0, tab.evaluate("document.documentElement.scrollHeight"), 400):
            tab.evaluate("top => window.scrollTo(0, top)", top)
        tab.wait_for_timeout(200)
        assert tab.evaluate("document.scrollingElement.scrollWidth") <= width
        beyond = """width => Array.from(document.querySelectorAll(
            "article :is(p, li, h1, h2, h3, figcaption, button, summary)"))
            .filter((e) => e.checkVisibility() && !e.closest("table, pre, .formula, [popover]")
                && e.getBoundingClientRect().right > width + 1).map((e) => e.textContent.slice(0, 40))"""
        assert tab.evaluate(beyond, width) == []
    context.close()


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_asks_for_more_contrast_gets_no_grey_letters(browser: Browser, site: str, scheme: Any) -> None:
    context = browser.new_context(color_scheme=scheme, contrast="more", reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(f"{site}/book/momentum.html", wait_until="load")
    quiet = "article p, .downloads, .held-mark, .prev-next-area p, .bd-toc a, details.checked summary, .bd-links a"
    ratios = tab.evaluate(RATIO, [quiet, "body"])
    assert len(ratios) > 100
    assert min(ratios) >= 7
    context.close()


@pytest.mark.needs("chromium", "poppler")
def test_the_browsers_own_print_fills_its_pages_with_black_on_white(
    browser: Browser, site: str, tmp_path: Path
) -> None:
    context = browser.new_context(color_scheme="dark", reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(f"{site}/book/momentum.html", wait_until="load")
    tab.pdf(path=tmp_path / "printed.pdf", format="A4")
    context.close()
    subprocess.run(["pdftoppm", "-r", "20", "-gray", tmp_path / "printed.pdf", tmp_path / "page"], check=True)
    filled = []
    for path in sorted(tmp_path.glob("page-*.pgm")):
        _, size, _, pixels = path.read_bytes().split(b"\n", 3)
        width, height = map(int, size.split())
        ink = np.frombuffer(pixels, np.uint8).reshape(height, width) < 170
        filled.append(np.nonzero(ink.any(axis=1))[0][-1] / height)
        assert 0.005 < ink.mean() < 0.3
    assert len(filled) < 14
    assert min(filled[:-1]) > 0.6
    words = subprocess.run(["pdftotext", tmp_path / "printed.pdf", "-"], capture_output=True, text=True, check=True)
    assert not re.search(r"^(Run|Edit|Play|Reset)$", words.stdout, re.M)
    assert "Figure 3.1" in words.stdout


@pytest.mark.needs("chromium")
def test_the_contents_drawer_of_a_phone_closes_and_gives_the_focus_back(browser: Browser, html: Path) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 800}, reduced_motion="reduce")
    page.goto(f"{html.as_uri()}/book/sgd.html")
    drawer, toggle = page.locator(".bd-sidebar-primary"), page.locator(".sidebar-toggle.primary-toggle")
    inside = "() => document.querySelector('.bd-sidebar-primary').contains(document.activeElement)"
    expect(drawer).to_be_hidden()
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.mouse.click(365, 400)):
        toggle.focus()
        page.keyboard.press("Enter")
        expect(drawer).to_be_visible()
        page.wait_for_function(inside)
        close()
        expect(drawer).to_be_hidden()
        expect(toggle).to_be_focused()
    page.close()
