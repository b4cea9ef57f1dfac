"""Figures: what they say of themselves, where they are written, and that they can be told apart."""

from __future__ import annotations

import csv
import io
import math
import platform
import re
from importlib.metadata import version
from xml.etree import ElementTree

import pytest
import torch
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from matplotlib.backends import _backend_pdf_ps

from optim_code import AdamOptimizer, SGDOptimizer, fonts, output, w
from optim_code.descent import descend
from optim_code.figures import DARK, LIGHT, LINES, Drawing, dark, draw_bars, draw_lines, draw_paths
from optim_code.problems import Quadratic

pytestmark = pytest.mark.quick


def test_output_writes_the_pdf_where_fname_says(tmp_path):
    output(SGDOptimizer([w], lr=0.1), fname=tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    output(SGDOptimizer([w], lr=0.1), fname=str(tmp_path / "a.svg"))
    ElementTree.parse(tmp_path / "a.svg")
    with pytest.raises(ValueError, match=r"saved as \.pdf or \.svg, got .*a\.png"):
        output(SGDOptimizer([w], lr=0.1), fname=tmp_path / "a.png")


def test_output_without_fname_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output(SGDOptimizer([w], lr=0.1))
    assert not list(tmp_path.iterdir())


def test_output_puts_the_parameter_at_the_start_first():
    p = torch.tensor([9.0, -9.0], dtype=torch.float64, requires_grad=True)
    drawing = output(SGDOptimizer([p], lr=0.1), nsteps=3)
    assert drawing.trajectory.points[0].tolist() == [1.0, 1.0]
    assert p.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "where",
    [(1, 2, 3), (1,), (), 3, None, "ab", ("1", "2"), (1j, 0), (float("nan"), 1), (1e200, 1), (-1e6, 0)],
    ids=str,
)
def test_a_start_that_is_no_point_of_the_picture_is_refused_and_moves_nothing(where):
    p = torch.tensor([0.5, 0.25], dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match=r"^a path must start at two numbers between -1e6 and 1e6, got ") as caught:
        output(SGDOptimizer([p], lr=0.1), start=where)
    assert repr(where) in str(caught.value)
    assert p.tolist() == [0.5, 0.25]


@pytest.mark.parametrize("kind", [tuple, list, torch.tensor])
def test_the_alt_text_says_where_the_run_started(kind):
    drawing = output(SGDOptimizer([w], lr=0.1), start=kind([-0.5, 2]))
    assert drawing.trajectory.points[0].tolist() == [-0.5, 2.0]
    assert "from (-0.5, 2) it" in drawing.alt
    output(SGDOptimizer([w], lr=0.1))


def test_what_cannot_be_drawn_is_refused_before_anything_moves():
    three = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="output draws runs in two dimensions, got 3"):
        output(SGDOptimizer([three], lr=0.1), problem=Quadratic(torch.eye(3)))
    with pytest.raises(ValueError, match=r"shape \(2,\) to fit the problem, got \(3,\)"):
        output(SGDOptimizer([three], lr=0.1), start=(1, 2, 3))
    with pytest.raises(ValueError, match="seed must be"):
        output(SGDOptimizer([three.detach()[:2].clone().requires_grad_()], lr=0.1), seed="x")
    far = torch.tensor([1e20, 1.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="a path must start at two numbers"):
        draw_paths({"far": descend(SGDOptimizer([far], lr=0.1))})
    whole = torch.tensor([1, 2])
    with pytest.raises(ValueError, match="must be float64"):
        output(SGDOptimizer([whole], lr=0.1))
    assert whole.tolist() == [1, 2]


def test_a_bad_name_of_a_file_is_refused_before_the_run(tmp_path):
    class Walks(SGDOptimizer):
        def my_step(self, p, state, group):
            raise AssertionError("it ran")

    (tmp_path / "folder.pdf").mkdir()
    for fname, error, said in (
        ("a.png", ValueError, r"a figure is saved as \.pdf or \.svg, got 'a\.png'"),
        ("", ValueError, r"a figure is saved as \.pdf or \.svg"),
        (tmp_path / "none" / "a.pdf", ValueError, "a figure is saved in a folder that exists, got .*none"),
        (tmp_path / "folder.pdf", ValueError, "a figure is saved as a file, but .* is a folder"),
        (3, TypeError, "fname must be the name of a file, got 3"),
        (b"a.pdf", TypeError, "fname must be the name of a file, got b'a.pdf'"),
    ):
        with pytest.raises(error, match=said) as caught:
            output(Walks([w], lr=0.1), fname=fname)
        assert "\n" not in str(caught.value)


def test_the_alt_text_is_computed_from_the_run():
    fast, slow = (output(SGDOptimizer([w], lr=lr)).alt for lr in (0.33333, 0.1))
    assert fast == (
        "Path of SGDOptimizer lr=0.33333 over the contours of the bowl: from (1, 1) it comes within 0.001 of the "
        "minimum in 18 steps, crossing the valley 20 times."
    )
    assert "never crossing" in slow
    noisy = output(AdamOptimizer([w], lr=0.1, alpha=0.7, momentum=0.7), nsteps=30, noise=1.0).alt
    assert "AdamOptimizer lr=0.1 alpha=0.7 momentum=0.7" in noisy
    assert "with gradient noise 1" in noisy


def test_the_svg_carries_description_and_name():
    drawing = output(SGDOptimizer([w], lr=0.1))
    svg = drawing.svg()
    assert drawing.alt in svg
    assert "<text" not in svg  # glyphs as paths: the page needs no font


def test_a_figure_is_the_same_each_time():
    first, second = (output(SGDOptimizer([w], lr=0.1)) for _ in range(2))
    assert first.svg() == second.svg()
    assert first.pdf() == second.pdf()


@pytest.mark.parametrize("letters", ["w = −0.5, η²", "Ж≤"])
def test_a_figure_embeds_its_letters_and_no_others_unchanged(letters):
    path = font_manager.findfont("DejaVu Sans")
    with TTFont(path) as whole, fonts.subset(path, letters) as part:
        assert set(part.getBestCmap()) == {ord(letter) for letter in letters}
        for code, name in part.getBestCmap().items():
            drawn = []
            for font, glyph in ((whole, whole.getBestCmap()[code]), (part, name)):
                pen = DecomposingRecordingPen(font.getGlyphSet())
                font.getGlyphSet()[glyph].draw(pen)
                drawn.append((pen.value, font["hmtx"][glyph]))
            assert drawn[0] == drawn[1]


def test_what_is_embedded_does_not_depend_on_what_was_drawn_before():
    path = font_manager.findfont("DejaVu Sans:italic")
    few = frozenset("lr")
    with fonts.subset(path, "lr") as one, fonts.with_letters(path, few) as two, fonts.subset(path, "rl") as three:
        embedded = {_backend_pdf_ps.font_as_file(font).getvalue() for font in (one, two, three)}
    assert len(embedded) == 1


def test_the_dark_figure_differs_in_colour_alone():
    runs = {name: descend(SGDOptimizer([w], lr=lr)) for name, lr in (("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.41))}
    for drawing in (
        draw_paths(runs),
        draw_lines({k: r.losses for k, r in runs.items()}, {"t": runs["a"].losses}, ylabel="loss"),
        draw_bars({"a": 1.0}, {"a": 1.1}, xlabel="size"),
    ):
        svg = drawing.svg()
        night = dark(svg)
        used = set(re.findall(r"#[0-9a-f]{6}\b", svg))
        assert used <= set(LIGHT.values())
        assert set(re.findall(r"#[0-9a-f]{6}\b", night)) <= set(DARK.values())
        assert re.sub("#[0-9a-f]{6}", "", svg) == re.sub("#[0-9a-f]{6}", "", night)


def test_a_colour_outside_the_palette_is_refused():
    with pytest.raises(ValueError, match=r"#123456, which is not one of figures\.LIGHT"):
        dark('<path style="fill: #123456"/>')


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    bright, dim = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize(("palette", "page"), [(LIGHT, "#ffffff"), (DARK, "#121212")])
def test_lines_and_letters_stand_out_from_the_page(palette, page):
    for role in ("ink", "muted", "path", "minimum", "second", "third", "fourth"):
        assert contrast(palette[role], page) >= 4.5, role
    assert contrast(palette["contour"], page) >= 2.9


def test_lines_differ_by_dash_and_marker_not_by_colour_alone():
    assert len({line["linestyle"] for line in LINES}) == len(LINES)
    assert len({line["marker"] for line in LINES}) == len(LINES)


def test_more_lines_than_styles_is_refused():
    losses = descend(SGDOptimizer([w], lr=0.1)).losses
    with pytest.raises(ValueError, match=f"at most {len(LINES)} lines, got {len(LINES) + 1}"):
        draw_lines({str(i): losses for i in range(len(LINES) + 1)}, ylabel="loss")


@pytest.mark.parametrize(
    ("values", "course"),
    [
        ([3.0, 1.0, 0.5], "falls from 3 to 0.5"),
        ([3.16, 6.6, 1.01], "rises from 3.16 to 6.6, then falls to 1.01"),
        ([2.0, 0.25, 9.0, 1.0], "falls from 2 to 0.25, then rises to 9, then falls to 1"),
        ([1.0, 1.0000001], "stays at 1"),
        ([1.0, math.nan, math.inf], "rises from 1 to inf"),
        ([math.nan], "stays at nan"),
    ],
)
def test_the_alt_text_of_lines_names_the_ends_and_what_is_higher_or_lower_between_them(values, course):
    drawing = draw_lines({r"$\varepsilon = \lambda / \sqrt{2}$": values}, ylabel=r"loss $f(w_t)$", log=False)
    assert drawing.alt == f"Loss f(w_t) against step: ε = λ / sqrt{{2}} {course}."


def test_a_diverging_path_stays_in_a_window_of_its_own():
    drawing = output(SGDOptimizer([w], lr=0.9), nsteps=50)
    (axes,) = drawing.figure.axes
    assert axes.get_ylim()[1] < 10
    assert "diverges" in drawing.alt
    drawing.svg()


# --- its numbers


def table(drawing: Drawing) -> list[list[str]]:
    return list(csv.reader(io.StringIO(drawing.csv())))


def test_the_csv_of_a_path_holds_the_run_to_the_last_bit():
    drawing = output(AdamOptimizer([w], lr=0.1, alpha=0.7, momentum=0.7), nsteps=30, noise=1.0)
    names, *rows = table(drawing)
    run = drawing.trajectory
    assert names == ["run", "step", "w1", "w2", "loss", "g1", "g2"]
    assert {row[0] for row in rows} == {"AdamOptimizer lr=0.1 alpha=0.7 momentum=0.7"}
    assert [int(row[1]) for row in rows] == list(range(31))
    assert [[float(x) for x in row[2:4]] for row in rows] == run.points.tolist()
    assert [float(row[4]) for row in rows] == run.losses.tolist()
    # The gradient of a row is the one that leads to the next.
    assert [[float(x) for x in row[5:]] for row in rows[:-1]] == run.gradients.tolist()
    assert rows[-1][5:] == ["", ""]


def test_the_csv_of_several_paths_holds_them_all_one_after_the_other():
    runs = {"short": descend(SGDOptimizer([w], lr=0.1), nsteps=1), "": descend(SGDOptimizer([w], lr=0.9), nsteps=600)}
    _, *rows = table(draw_paths(runs))
    assert [row[0] for row in rows] == ["short"] * 2 + ["SGDOptimizer lr=0.9"] * 601
    # What no axes can hold is in the numbers.
    assert {"inf", "nan"} & {*rows[-1]}


def test_the_csv_of_lines_holds_what_was_measured_and_what_theory_says():
    drawing = draw_lines({"one": [3.0, 0.1 + 0.2]}, {"theory, $x$": torch.tensor([3.0, torch.inf])}, ylabel="y")
    assert table(drawing) == [
        ["line", "x", "y"],
        ["one", "0", "3.0"],
        ["one", "1", "0.30000000000000004"],
        ["theory, $x$", "0", "3.0"],
        ["theory, $x$", "1", "inf"],
    ]
    drawing = draw_lines({"one": [1.0, 2.0]}, x=torch.tensor([0.5, 1.5]), ylabel="y")
    assert [row[1] for row in table(drawing)] == ["x", "0.5", "1.5"]


def test_a_band_is_behind_its_line_and_its_ends_are_in_the_csv():
    drawing = draw_lines({"one": [1.0, 2.0], "two": [3.0, 4.0]}, ranges={"two": ([2.5, 3.0], [3.5, 5.0])}, ylabel="y")
    assert table(drawing)[5:] == [
        ["two, lowest", "0", "2.5"],
        ["two, lowest", "1", "3.0"],
        ["two, highest", "0", "3.5"],
        ["two, highest", "1", "5.0"],
    ]
    (band,) = drawing.figure.axes[0].collections
    assert band.get_zorder() < min(line.get_zorder() for line in drawing.figure.axes[0].lines)
    assert band.get_datalim(drawing.figure.axes[0].transData).extents.tolist() == [0, 2.5, 1, 5]


def test_the_csv_of_bars_holds_each_with_its_theory_where_there_is_one():
    drawing = draw_bars({"a": 1.0, "b": 2}, xlabel="size")
    assert table(drawing) == [["bar", "value", "theory"], ["a", "1.0", ""], ["b", "2.0", ""]]
    drawing = draw_bars({"a": 1.0}, {"a": torch.tensor(1.5)}, xlabel="size")
    assert table(drawing) == [["bar", "value", "theory"], ["a", "1.0", "1.5"]]


def test_a_notebook_shows_the_picture_and_keeps_its_numbers_and_versions_beside_it():
    drawing = output(SGDOptimizer([w], lr=0.1), nsteps=2)
    shown, beside = drawing._repr_mimebundle_()
    assert list(shown) == ["image/svg+xml", "application/pdf", "text/plain"]
    assert beside["drawing"]["csv"] == drawing.csv()
    installed = {name: version(name) for name in ("torch", "matplotlib", "numpy")}
    assert beside["drawing"]["versions"] == {"Python": platform.python_version(), **installed}


@pytest.mark.parametrize(("values", "between"), [([0.2, 3.0], True), ([0.02, 3.0], False)])
def test_a_logarithmic_axis_is_labelled_between_the_powers_of_ten_where_one_of_them_is_in_view(values, between):
    axes = draw_lines({"a line": values}, ylabel="loss").figure.axes[0]
    assert any(label.get_text() for label in axes.yaxis.get_minorticklabels()) == between
