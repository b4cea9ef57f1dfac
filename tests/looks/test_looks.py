"""Every page and every page in print looks as it did when somebody last looked at it.

A look is a small grey picture: so small that git can hold those of all pages, and large enough that a lost figure, a
formula that isn't typeset or text that runs over something else is seen. A page has its light look above its dark one.
On a failure `_build/looks/` has a picture of the page before, now, and where they differ. `make looks` takes the looks
that all pages have now, after a change that is meant.
"""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page

from conftest import BUILD, PAGES, sample

HERE = Path(__file__).parent
SMALLER = 16
"""Points of a page in the window to one of a look, in each direction."""
SCALE = 0.25
"""Pixels that Chromium draws for a point of the page; a quarter takes half the time, and a look is smaller still."""
PRINT = 9
"""Dots per inch of a look in print."""
DIFFERENT, SHARE = 40, 0.01
"""How many of 256 greys a point must differ to count, and the share of the points of a page that may."""
BAND = 60
"""Points of a look, from top to bottom, that are compared by themselves, so that a long page hides nothing."""

SAME = """
    html { --pst-font-family-base: "STIX Two Text"; --pst-font-family-heading: "STIX Two Text"; }
    .drawing { content-visibility: visible !important; }
"""
"""A look has no font of the machine that takes it."""

Look = NDArray[np.uint8]


def small(picture: Image.Image, width: int, height: int) -> Look:
    return np.asarray(picture.convert("L").resize((width, height), Image.Resampling.BOX))


def look_of(tab: Page) -> Look:
    shot = Image.open(io.BytesIO(tab.screenshot(full_page=True, type="jpeg", quality=90)))  # twice as fast as PNG
    width, height = tab.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    return small(shot, width // SMALLER, height // SMALLER)


def settled(tab: Page, before: Look | None) -> Look:
    """The look of a page: the first one that is as it was ``before``, or else the first of two that are the same."""
    look = look_of(tab)
    while before is None or differences(before, look):
        last = look
        tab.wait_for_timeout(300)
        look = look_of(tab)
        if np.array_equal(look, last):
            break
    return look


def stored(name: str, count: int) -> list[Look] | list[None]:
    """So many looks of one file; None for each if there is no file, or if it is to be written."""
    file = HERE / f"{name}.png"
    if os.environ.get("LOOKS") == "accept" or not file.exists():
        return [None] * count
    return np.array_split(np.asarray(Image.open(file).convert("L")), count)


def compare(name: str, now: list[Look]) -> None:
    """Hold looks against the stored ones, or store them.

    Args:
        name: of the file that has them, with its folder: ``wide``, ``narrow`` or ``print``.
        now: the looks, of one width.
    """
    file = HERE / f"{name}.png"
    sheet = np.vstack(now)
    if os.environ.get("LOOKS") == "accept":
        Image.fromarray((np.round(sheet / 17) * 17).astype(np.uint8)).save(file, optimize=True)  # 16 greys
        return
    assert file.exists(), f"{name} has no look yet; make looks stores it"
    before = np.asarray(Image.open(file).convert("L"))
    said = differences(before, sheet)
    if said:
        place = BUILD / "looks" / f"{name}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        picture(before, sheet).save(place)
        pytest.fail(
            f"{name} looks different: {said}; see {place.relative_to(BUILD.parent)}; if it is meant: make looks"
        )


def differences(before: Look, now: Look) -> str:
    """Where two looks differ, in words; empty if they don't."""
    if before.shape != now.shape:
        return f"{now.shape[0] * SMALLER} px high, was {before.shape[0] * SMALLER}"
    apart = np.abs(before.astype(int) - now) > DIFFERENT
    bands = [apart[top : top + BAND] for top in range(0, len(apart), BAND)]
    places = [number * BAND * SMALLER for number, band in enumerate(bands) if band.mean() > SHARE]
    return f"from {places[0]} px on" if places else ""


def picture(before: Look, now: Look) -> Image.Image:
    """Before, now, and the difference in red, side by side and large enough to be seen."""
    height = max(len(before), len(now))
    padded = [np.pad(look, ((0, height - len(look)), (0, 0)), constant_values=128) for look in (before, now)]
    apart = np.abs(padded[0].astype(int) - padded[1]) > DIFFERENT
    red = np.stack([np.where(apart, colour, padded[1] // 2 + 127) for colour in (220, 0, 0)], axis=-1)
    sides = [np.stack([look] * 3, axis=-1) for look in padded]
    whole = Image.fromarray(np.hstack([*sides, red]).astype(np.uint8))
    return whole.resize((whole.width * 4, whole.height * 4), Image.Resampling.NEAREST)


def test_what_a_reader_would_notice_is_a_difference() -> None:
    page = np.full((200, 80), 255, np.uint8)
    page[10:150:4, 5:75] = 120
    lost, shade = page.copy(), page.copy()
    lost[60:80, 5:75] = 255
    shade[:] = np.clip(shade.astype(int) + 15, 0, 255)
    assert differences(page, page) == ""
    assert differences(page, shade) == ""
    assert differences(page, lost) == "from 960 px on"
    assert differences(page, page[:190]) == "3040 px high, was 3200"
    assert picture(page, lost).size == (960, 800)


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(("size", "width"), [("wide", 1280), ("narrow", 375)])
@pytest.mark.parametrize("page", [*PAGES, *sample(["search", "genindex"])])
def test_a_page_looks_as_it_did(browser: Browser, site: str, page: str, size: str, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, reduced_motion="reduce", device_scale_factor=SCALE
    )
    tab = context.new_page()
    tab.goto(f"{site}/{page}.html", wait_until="load")
    tab.add_style_tag(content=SAME)
    # All of it at once: figures, playgrounds and editors come when they are near the window.
    tab.set_viewport_size({"width": width, "height": tab.evaluate("document.documentElement.scrollHeight")})
    name, looks = f"{size}/{page.replace('/', '-')}", []
    for scheme, before in zip(("light", "dark"), stored(name, 2), strict=True):
        tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        tab.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
        looks.append(settled(tab, before))
    context.close()
    compare(name, looks)


@pytest.mark.needs("tex", "poppler")
def test_the_pages_in_print_look_as_they_did(pdf: Path, tmp_path: Path) -> None:
    for document in [pdf / "descent.pdf", *sorted(pdf.glob("student/*.pdf"))]:
        subprocess.run(["pdftoppm", "-r", str(8 * PRINT), "-gray", document, tmp_path / document.stem], check=True)
        pages = [Image.open(path) for path in sorted(tmp_path.glob(f"{document.stem}-*.pgm"))]
        looks = [small(page, page.width // 8, page.height // 8) for page in pages]
        compare(f"print/{document.stem}", looks)
