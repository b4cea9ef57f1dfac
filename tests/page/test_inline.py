"""A figure as part of a page: the same picture as its file, shorter, with ids of its own."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from book._ext.figures.inline import inline_svg, number_text, palette, short_path
from conftest import ROOT
from optim_code import SGDOptimizer, output, w
from optim_code.figures import DARK, LIGHT, draw_bars

pytestmark = pytest.mark.quick

ATTRIBUTES = {"class": "drawing", "role": "img", "aria-label": 'Of "a" & <b>'}
COLOURS = {*LIGHT.values()}


def points(path: str) -> list[tuple[float, float]]:
    """All points of a path, wherever the path says them relative to one another."""
    found = []
    x = y = 0.0
    start = (x, y)
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        if command in "zZ":
            x, y = start
        size = {"h": 1, "v": 1, "m": 2, "l": 2, "q": 4, "c": 6, "z": 1}[command.lower()]
        for place in range(0, len(numbers), size):
            taken = numbers[place : place + size]
            if command in "hv":
                taken = [taken[0], 0.0] if command == "h" else [0.0, taken[0]]
            base = (x, y) if command.islower() else (0.0, 0.0)
            said = [value + base[i % 2] for i, value in enumerate(taken)]
            found += zip(said[::2], said[1::2], strict=True)
            x, y = found[-1]
            if command in "mM" and place == 0:
                start = (x, y)
    return found


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("M 10 20 \nL 30 20 \nL 30 25.5 \nL 10.125 0.25 \nz\n", "m10 20h20v5.5l-19.88-25.25z"),
        ("M 0 0 L 1 1 L 2 3", "m0 0 1 1 1 2"),
        ("M 0 0 L 0.5 0.25 L 0 1e-9", "m0 0 .5.25-.5-.25"),
        ("M 1 1 L 2 2 z M 1 1 Q 2 2 3 1 C 1 2 3 4 5 6", "m1 1 1 1zm0 0q1 1 2 0c-2 1 0 3 2 5"),
        ("M 0.5 0.25 L 1 1.5 L 1.75 1", "m.5.25.5 1.25.75-.5"),
        # What matplotlib does not write stays as it is: an arc, and numbers whose command is understood.
        ("M 1 1 A 5 5 0 0 1 2 2", "M 1 1 A 5 5 0 0 1 2 2"),
        ("M 1 1\n2 2 L 3 3", "M 1 1 2 2 L 3 3"),
    ],
)
def test_a_path_is_written_in_few_letters(long: str, short: str) -> None:
    assert short_path(long) == short


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (-0.001, "0"), (0.5, ".5"), (-0.25, "-.25"), (100, "100"), (2.3456, "2.35")]
)
def test_a_number_has_two_digits_at_most(value: float, text: str) -> None:
    assert number_text(value) == text


def test_no_point_of_a_figure_moves() -> None:
    svg = output(SGDOptimizer([w], lr=0.3), nsteps=60).svg()
    for path in re.findall(r' d="([^"]*)"', svg):
        before, after = points(path), points(short_path(path))
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            assert new == pytest.approx(old, abs=0.00501)


def test_a_figure_says_what_it_shows_and_keeps_nothing_that_does_not_show() -> None:
    svg = output(SGDOptimizer([w], lr=0.3)).svg()
    short = inline_svg(svg, COLOURS, "a-", ATTRIBUTES)
    assert short.startswith('<svg class="drawing" role="img" aria-label="Of &quot;a&quot; &amp; &lt;b&gt;" ')
    assert len(short) < 0.6 * len(svg)
    for needless in ("<?xml", "<!--", "metadata", "xmlns", "xlink", "<style", "\n"):
        assert needless not in short, needless
    assert len(re.findall(r'\bstyle="', short)) == 1
    assert re.search(r'style="aspect-ratio:[\d.]+/[\d.]+"', short)
    assert set(re.findall(r'(?:fill|stroke)="(#[^"]*)"', short)) == set(re.findall(r": (#[0-9a-f]{6})", svg))


def test_the_ids_of_two_figures_differ() -> None:
    svg = draw_bars({"a": 1.0, "b": 2.0}, {"a": 1.1, "b": 2.0}, xlabel="size").svg()
    first, second = [inline_svg(svg, COLOURS, prefix, ATTRIBUTES) for prefix in ("a-", "b-")]
    ids = [set(re.findall(r'\bid="([^"]*)"', short)) for short in (first, second)]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])
    for short, own in zip((first, second), ids, strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', short)) == own
    assert first.replace('"a-', '"b-').replace("#a-", "#b-") == second


def test_what_the_file_says_for_every_element_does_not_reach_the_page() -> None:
    # In the file, the style for all elements outdoes what an element inherits.
    svg = """<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt" viewBox="0 0 9 9">
    <style>*{stroke-linejoin: round; stroke-linecap: butt}</style>
    <g style="stroke-linecap: square"><path d="M 0 0 L 9 9" style="fill: none; stroke: #1a1c20"/></g></svg>"""
    short = inline_svg(svg, COLOURS, "a-", {})
    assert short == (
        '<svg width="9pt" height="9pt" viewBox="0 0 9 9" style="aspect-ratio:9/9" stroke-linejoin="round">'
        '<path d="m0 0 9 9" fill="none" stroke="#1a1c20"/></svg>'
    )


@pytest.mark.parametrize(
    ("inside", "fault"),
    [
        ('<path d="M 0 0" style="fill: #123456"/>', "#123456"),
        ('<path d="M 0 0" fill="red"/>', "red"),
        ("<style>path {fill: red}</style>", "style"),
        ("<script>alert(1)</script>", "script"),
        ('<stop style="stop-color: #1a1c20"/>', "gradient"),
    ],
)
def test_a_figure_with_other_colours_or_styles_is_refused(inside: str, fault: str) -> None:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" viewBox="0 0 9 9">{inside}</svg>'
    with pytest.raises(ValueError, match=fault):
        inline_svg(svg, COLOURS, "a-", {})


def test_a_figure_of_plain_matplotlib_is_refused(tmp_path: Path) -> None:
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    figure.savefig(tmp_path / "plain.svg")
    plt.close(figure)
    with pytest.raises(ValueError, match=r"which is not one of figures\.LIGHT"):
        inline_svg((tmp_path / "plain.svg").read_text(encoding="utf-8"), COLOURS, "a-", {})


def test_the_palette_is_that_of_the_figures_read_without_an_import(tmp_path: Path) -> None:
    assert palette(ROOT) == {LIGHT[role]: DARK[role] for role in LIGHT}
    assert palette(tmp_path) == {}
    (tmp_path / "optim_code").mkdir()
    (tmp_path / "optim_code" / "figures.py").write_text("LIGHT = {\n", encoding="utf-8")
    assert palette(tmp_path) == {}
