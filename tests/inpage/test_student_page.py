"""The student's edition in a browser: no class of the book is there, and the page runs and marks all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from reading import EXERCISE, RIGHT, Reader, reader

pytestmark = pytest.mark.needs("chromium", "tex", "poppler")


@pytest.fixture(scope="module")
def student(browser: Browser, kit: Path) -> Iterator[Reader]:
    with reader(browser, f"{(kit / 'html').as_uri()}/book/momentum.html") as found:
        yield found


def test_the_cells_run_by_the_printed_equations(student: Reader) -> None:
    student.press("1", "Run")
    assert student.said("1") == "Ran."
    assert "is 0.19 from the minimum" in (student.block("1").locator("svg.play-bowl").get_attribute("aria-label") or "")
    result = student.run("import inspect\ninspect.getsource(SGDMomentumOptimizer)")
    assert result["error"] is not None  # there is no source of it
    assert "mul_" not in result["printed"]


def test_a_class_is_marked(student: Reader) -> None:
    student.write(EXERCISE, RIGHT.replace("+ p.grad.data", "+ (1 - group['momentum']) * p.grad.data"))
    student.press(EXERCISE, "Run")
    assert student.said(EXERCISE).startswith("✗ MyMomentum as momentum: not yet: ")
    student.write(EXERCISE, RIGHT)
    student.press(EXERCISE, "Run")
    assert student.said(EXERCISE).startswith("✓ MyMomentum as momentum: passed")


def test_the_scripts_hold_no_class_of_the_book(kit: Path) -> None:
    (library,) = (kit / "html" / "_static" / "inpage").glob("library.*.js")
    text = library.read_text(encoding="utf-8")
    assert "addcdiv_(g, root, value=-group[" not in text
    assert "class SGDOptimizer(Optim)" not in text
