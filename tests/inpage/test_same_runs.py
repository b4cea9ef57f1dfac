"""What runs in the page is what the book shows: figures by their points, noise included, and values as printed."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import Browser
from reading import Reader, reader

from conftest import BUILD, PAGES, ROOT

pytestmark = pytest.mark.needs("chromium")
NAMED = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]["slides"]
SMALL = re.compile(r"\b\d(\.\d+)?e-1\d\b")
"""A number that is rounding alone; it need not be the same."""


class Cell(NamedTuple):
    """A visible cell of the built book: its page, its code, and the text that it shows."""

    page: str
    code: str
    shown: str


def cells(html: Path) -> list[Cell]:
    """The visible cells of all pages whose cells can run."""
    found = []
    for page in PAGES:
        soup = BeautifulSoup((html / f"{page}.html").read_bytes(), "html.parser")
        if not any('"cells": true' in script.get_text() for script in soup.select("script")):
            continue
        for cell in soup.select(".cell"):
            code, shown = cell.select_one(".cell_input pre"), cell.select_one(".cell_output pre")
            if code is not None:
                found.append(Cell(page, code.get_text(), shown.get_text() if shown else ""))
    return found


@pytest.fixture(scope="module")
def page(browser: Browser, html: Path) -> Iterator[Reader]:
    with reader(browser, f"{html.as_uri()}/book/adam.html") as found:
        yield found


def compare(figure: dict[str, Any]) -> None:
    """Hold the points of a run in the page against the numbers of the figure that the book has under its name."""
    with (BUILD / "figures" / f"{Path(figure['fname']).stem}.csv").open(encoding="utf-8") as file:
        built = [[float(row["w1"]), float(row["w2"])] for row in csv.DictReader(file)]
    (path,) = figure["paths"]
    assert len(path["points"]) == len(built)
    for ours, theirs in zip(path["points"], built, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12), figure["fname"]


def test_every_visible_cell_draws_and_prints_what_the_book_shows(page: Reader, html: Path) -> None:
    drawn = []
    for cell in cells(html):
        result = page.run(cell.code)
        if "torch.optim" in cell.code:  # the page has no second program for the methods of PyTorch
            assert result["error"].endswith("the section's notebook runs it"), cell
            continue
        assert result["error"] is None, cell
        assert SMALL.sub("0", result["printed"].strip()) == SMALL.sub("0", cell.shown.strip()), cell
        for figure in result["figures"]:
            compare(figure)
            drawn.append(Path(figure["fname"]).stem)
    assert {*NAMED} <= {*drawn}
    assert len(drawn) == len({*drawn}) > len(NAMED)


@pytest.mark.slow
def test_a_notebook_of_the_course_pasted_into_one_cell_draws_nine_figures(page: Reader, html: Path) -> None:
    module = (ROOT / "optim_code" / "optimizers.py").read_text(encoding="utf-8")
    classes = module[module.index("class ") :]
    lines = [
        line
        for name in NAMED
        for cell in cells(html)
        if f"{name}.pdf" in cell.code
        for line in cell.code.strip().splitlines()
    ]
    pasted = "\n".join(["import torch", "from optim_code import Optim, output, w", classes, *lines])
    result = page.run(pasted)
    assert result["error"] is None
    assert [Path(figure["fname"]).stem for figure in result["figures"]] == NAMED
    for figure in result["figures"]:
        compare(figure)
        assert figure["alt"].startswith("Path of ")
