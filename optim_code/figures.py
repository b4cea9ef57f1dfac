"""Every figure of the book is made here, and nowhere else; `pictures` draws it.

A figure is a :class:`Drawing`: the picture, what it shows in words, and the name of its file. Colours are those of
`LIGHT`; `dark` maps them one to one to `DARK` for a dark page, so that a figure is drawn once.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from optim_code.descent import ONE_RUN, Trajectory, descend, parameter_of
from optim_code.problems import START, Quadratic, lecture_bowl, real, start

LIGHT = {
    "ink": "#1a1c20",
    "muted": "#5c6470",
    "grid": "#d9dce1",
    "contour": "#8d97a5",
    "path": "#c8102e",
    "minimum": "#0b57d0",
    "second": "#0b5d8f",
    "third": "#a85b00",
    "fourth": "#5b3d8f",
}
DARK = {
    "ink": "#e8eaee",
    "muted": "#a9b1bd",
    "grid": "#3a3f47",
    "contour": "#7d8795",
    "path": "#ff6b78",
    "minimum": "#6ea8ff",
    "second": "#5cc0f0",
    "third": "#f0a64a",
    "fourth": "#b79cf0",
}

# Lines differ in colour, dash and marker, so that a reader can tell them apart in grey print.
LINES: tuple[dict[str, Any], ...] = (
    dict(color=LIGHT["path"], linestyle="-", marker="o"),
    dict(color=LIGHT["second"], linestyle="--", marker="s"),
    dict(color=LIGHT["third"], linestyle="-.", marker="^"),
    dict(color=LIGHT["fourth"], linestyle=":", marker="D"),
    dict(color=LIGHT["path"], linestyle=(0, (9, 2)), marker="v"),
    dict(color=LIGHT["second"], linestyle=(0, (5, 2, 1, 2, 1, 2)), marker="P"),
    dict(color=LIGHT["third"], linestyle=(0, (1, 4)), marker="X"),
    dict(color=LIGHT["fourth"], linestyle=(0, (5, 2, 5, 2, 1, 2)), marker="p"),
)

LEVELS = (0.05, 0.1, 0.5, 1, 2, 3, 4, 5, 6)
XLIM, YLIM, WIDEST, FARTHEST = (-0.6, 1.1), (-1.69, 1.69), 3.0, 1e6

w = start()
"""The parameter that the book's cells optimize, at the start (1, 1)."""


@dataclass(frozen=True, repr=False)
class Drawing:
    """A figure, ready to be shown in a notebook, a page or a PDF.

    Attributes:
        figure: the matplotlib figure; what is changed in it after it was shown or saved does not show any more.
        alt: what it shows, computed from the runs it draws.
        fname: the name of its file, or None.
        trajectory: the run it shows, where it shows one.
        runs: the settings of the runs whose paths it shows, by label, if they can be played with: runs in a ``bowl``.
        table: the numbers that it shows, row by row, the first row their names.
    """

    figure: Any
    alt: str
    fname: str | None = None
    trajectory: Trajectory | None = None
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    table: list[list[Any]] = field(default_factory=list)

    def svg(self) -> str:
        """The figure as SVG, with ``alt`` as its description and the file's name as its identifier."""
        metadata = {"Date": None, "Description": self.alt, "Identifier": Path(self.fname or "").stem, "Creator": None}
        if self.runs:
            metadata["Source"] = json.dumps(self.runs)
        return self._drawn("svg", metadata).decode()

    def pdf(self) -> bytes:
        """The figure as PDF, its fonts embedded."""
        metadata = {"CreationDate": None, "Title": Path(self.fname or "").stem or None, "Subject": self.alt}
        return self._drawn("pdf", metadata)

    def csv(self) -> str:
        """The numbers that the figure shows, as CSV, in full: read back, each is the same to the last bit."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.table)
        return text.getvalue()

    def _drawn(self, format: str, metadata: dict[str, Any]) -> bytes:
        """The figure in a format; kept, because it is saved and shown, and drawing takes most of a cell's time."""
        if format not in self._files:
            self._files[format] = _pictures().rendered(self.figure, format, self._box, metadata)
        return self._files[format]

    @cached_property
    def _files(self) -> dict[str, bytes]:
        return {}

    @cached_property
    def _box(self) -> Any:
        """The box around what is drawn, with a margin, in inches; the layout is computed once for all formats."""
        return _pictures().box(self.figure)

    def save(self, path: str | Path) -> None:
        """Write the figure where ``path`` says: SVG if it ends in ``.svg``, PDF if it ends in ``.pdf``.

        Raises:
            TypeError: if that is no name of a file.
            ValueError: for another ending, or a folder that does not exist.
            OSError: if the file cannot be written.
        """
        path = _file(path)
        path.write_bytes(self.pdf() if path.suffix == ".pdf" else self.svg().encode())

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        shown = {
            "image/svg+xml": self.svg(),
            "application/pdf": base64.b64encode(self.pdf()).decode("ascii"),
            "text/plain": self.alt,
        }
        # These go into the metadata, because MyST-NB warns of an output of the type text/csv.
        beside = {"name": Path(self.fname or "").stem, "csv": self.csv(), "versions": _pictures().VERSIONS}
        return shown, {"drawing": beside}

    def __repr__(self) -> str:
        return f"Drawing: {self.alt}"


def output(
    optimizer: torch.optim.Optimizer,
    nsteps: int = 20,
    noise: float = 0.0,
    fname: str | Path | None = None,
    *,
    seed: int = 0,
    start: tuple[float, float] = START,
    problem: Quadratic | None = None,
) -> Drawing:
    """Put the optimizer's parameter at the start, run it on the lecture's bowl, and draw its path.

    Args:
        optimizer: an optimizer of the one parameter ``w``.
        nsteps: the number of updates.
        noise: the standard deviation of each coordinate of the gradient's noise.
        fname: where to save the figure, as ``.pdf`` or ``.svg``; not saved without it.
        seed: of the noise.
        start: where the run begins, two numbers.
        problem: another landscape in two dimensions than the lecture's bowl, such as a
            :func:`~optim_code.problems.bowl`.

    Returns:
        The figure, which a notebook shows if it is the last line of a cell; the run is its ``trajectory``.

    Raises:
        TypeError, ValueError: as :func:`~optim_code.descent.descend` and :meth:`Drawing.save` do, before the run;
            if ``start`` is not a point that can be drawn.
    """
    if fname is not None:
        _file(fname)
    problem = lecture_bowl() if problem is None else problem
    p, first = parameter_of(optimizer, problem), _point(start)
    if len(p) != 2:
        raise ValueError(f"output draws runs in two dimensions, got {len(p)}; use descend for more")
    # After the run the parameter is at the start again.
    with ONE_RUN:
        before = p.detach().clone()
        p.data.copy_(first)
        try:
            run = descend(optimizer, problem, nsteps=nsteps, noise=noise, seed=seed)
        except ValueError:
            p.data.copy_(before)
            raise
    noisy = f" with gradient noise {run.setting['noise']:g}" if run.setting["noise"] else ""
    where = _where(run.points[0].tolist())
    alt = f"Path of {run.optimizer} over the contours of the bowl{noisy}: from {where} it {run.summary()}."
    return draw_paths({run.optimizer: run}, fname=fname, alt=alt)


def draw_paths(runs: Mapping[str, Trajectory], fname: str | Path | None = None, alt: str | None = None) -> Drawing:
    """Draw one or more paths over the contours of their bowl.

    Args:
        runs: the trajectories in two dimensions, by label; the first one's problem gives the contours.
        fname: where to save the figure, as ``.pdf`` or ``.svg``; not saved without it.
        alt: what the figure shows; computed from the runs if not given.

    Returns:
        The figure.

    Raises:
        ValueError: for more than eight runs, or one that is not in two dimensions or begins too far out to be drawn.
    """
    _check_count(runs)
    for run in runs.values():
        _point(run.points[0].tolist())
    first = next(iter(runs.values()))
    figure = _pictures().paths({label: (run.problem, _drawable(run.points)) for label, run in runs.items()})
    if alt is None:
        each = "; ".join(f"{label} {run.summary()}" for label, run in runs.items())
        alt = f"Paths over the contours of the bowl, all from {_where(first.points[0].tolist())}: {each}."
    playable = {label: setting for label, run in runs.items() if (setting := _setting(run))}
    trajectory = first if len(runs) == 1 else None
    table: list[list[Any]] = [["run", "step", "w1", "w2", "loss", "g1", "g2"]]
    table += [[label or run.optimizer, *row] for label, run in runs.items() for row in run.rows()]
    return _finish(figure, alt, fname, table, trajectory, playable if len(playable) == len(runs) else {})


def draw_lines(
    lines: Mapping[str, Sequence[float] | Tensor],
    theory: Mapping[str, Sequence[float] | Tensor] | None = None,
    *,
    ylabel: str,
    xlabel: str = "step",
    x: Sequence[float] | Tensor | None = None,
    log: bool = True,
    logx: bool = False,
    ranges: Mapping[str, tuple[Sequence[float] | Tensor, Sequence[float] | Tensor]] | None = None,
    below: bool = False,
    small: bool = False,
    fname: str | Path | None = None,
    alt: str | None = None,
) -> Drawing:
    """Draw curves against the step, what was measured with markers and what theory says as thin black lines.

    Args:
        lines: the measured values by label, one per step.
        theory: the predicted values by label, one per step.
        ylabel: what the values are.
        xlabel: what is counted along the horizontal axis.
        x: where the values stand; 0, 1, 2, … if not given.
        log: whether the vertical axis is logarithmic.
        logx: whether the horizontal axis is logarithmic.
        ranges: the lower and the upper values between which a line lies, by its label; drawn as a band behind it.
        below: whether the legend stands below the axes, because the lines leave no room for it.
        small: whether the figure is as wide as the margin of the book's pages, and its lines have no markers.
        fname: where to save the figure, as ``.pdf`` or ``.svg``; not saved without it.
        alt: what the figure shows; computed from the values if not given.

    Returns:
        The figure.

    Raises:
        ValueError: for more than eight lines.
    """
    theory, ranges = theory or {}, ranges or {}
    _check_count(lines)
    figure = _pictures().lines(lines, theory, ylabel, xlabel, x, log, logx, ranges, below, small)
    if alt is None:
        named = "; ".join(f"{label} {_course(values)}" for label, values in {**lines, **theory}.items())
        alt = f"{ylabel[0].upper()}{ylabel[1:]} against {xlabel}: {named}."
    table: list[list[Any]] = [["line", "x", "y"]]
    ends = {
        f"{label}, {end}": y
        for label, pair in ranges.items()
        for end, y in zip(("lowest", "highest"), pair, strict=True)
    }
    for label, values in [*lines.items(), *theory.items(), *ends.items()]:
        along = range(len(values)) if x is None else _numbers(x)
        table += [[label, *point] for point in zip(along, _numbers(values), strict=True)]
    return _finish(figure, _spoken(alt), fname, table)


def draw_bars(
    bars: Mapping[str, float],
    theory: Mapping[str, float] | None = None,
    *,
    xlabel: str,
    log: bool = False,
    fname: str | Path | None = None,
    alt: str | None = None,
) -> Drawing:
    """Draw one horizontal bar per value, with theory's prediction as a red tick across it.

    Args:
        bars: the measured values by label.
        theory: the predicted values, by the same labels.
        xlabel: what the values are.
        log: whether the axis is logarithmic.
        fname: where to save the figure, as ``.pdf`` or ``.svg``; not saved without it.
        alt: what the figure shows; computed from the values if not given.

    Returns:
        The figure.
    """
    theory = theory or {}
    figure = _pictures().bars(bars, theory, xlabel, log)
    if alt is None:
        predicted = {label: f" (theory {theory[label]:.3g})" if label in theory else "" for label in bars}
        alt = f"Bars of {xlabel}: " + "; ".join(f"{k} {v:.3g}{predicted[k]}" for k, v in bars.items()) + "."
    table: list[list[Any]] = [["bar", "value", "theory"]]
    table += [[label, float(value), float(theory[label]) if label in theory else None] for label, value in bars.items()]
    return _finish(figure, _spoken(alt), fname, table)


def dark(svg: str) -> str:
    """The same SVG for a dark page, each colour of `LIGHT` replaced by its partner in `DARK`.

    Raises:
        ValueError: if the SVG has a colour that is not in `LIGHT`.
    """
    partner = {LIGHT[role]: DARK[role] for role in LIGHT}

    def replace(match: re.Match[str]) -> str:
        colour = match.group(0).lower()
        if colour not in partner:
            raise ValueError(f"the figure uses {colour}, which is not one of figures.LIGHT")
        return partner[colour]

    for colour in re.findall(r"\b(?:fill|stroke|color|stop-color)\s*[=:]\s*[\"']?\s*(#?[\w(]+)", svg):
        if not re.fullmatch("#[0-9a-fA-F]{6}|none|inherit|url\\(", colour):
            raise ValueError(f"the figure uses {colour}, which is not one of figures.LIGHT")
    return re.sub(r"(?<=[:\"' ])#[0-9a-fA-F]{6}\b", replace, svg)


def on_white(svg: str) -> str:
    """The same SVG on white, for a dark page, if the figure was drawn with colours that are not the book's."""
    head = re.search(r"<svg\b[^>]*>", svg)
    if head is None:
        return svg
    background = "background: #ffffff; border-radius: 4px"
    with_style = re.sub(r"""(\sstyle=(["']))""", rf"\g<1>{background}; ", head[0], count=1)
    if with_style == head[0]:
        with_style = head[0].replace("<svg", f'<svg style="{background}"', 1)
    return svg.replace(head[0], with_style, 1)


def _pictures() -> ModuleType:
    """What draws. It is imported when something is drawn: matplotlib takes a second."""
    from optim_code import pictures

    return pictures


def _file(fname: Any) -> Path:
    """The path of a file as which a figure can be saved; see `Drawing.save`."""
    try:
        path = Path(fname)
    except TypeError:
        raise TypeError(f"fname must be the name of a file, got {fname!r}") from None
    if path.suffix not in (".pdf", ".svg"):
        raise ValueError(f"a figure is saved as .pdf or .svg, got {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"a figure is saved in a folder that exists, got {str(path)!r}")
    if path.is_dir():
        raise ValueError(f"a figure is saved as a file, but {str(path)!r} is a folder")
    return path


def _point(point: Any) -> Tensor:
    """A point as a tensor.

    Raises:
        ValueError: if it is not a point, or too far out to be drawn.
    """
    try:
        found = torch.tensor([real(x) for x in point], dtype=torch.float64)
    except TypeError:
        found = torch.empty(0)
    if found.shape != (2,) or not bool((found.abs() < FARTHEST).all()):
        raise ValueError(f"a path must start at two numbers between -1e6 and 1e6, got {point!r}")
    return found


def _drawable(points: Tensor) -> Tensor:
    """The points before the first one that is too far out to be drawn; a diverging run reaches it soon."""
    beyond = torch.nonzero(~(points.abs() < FARTHEST).all(dim=1))
    return points[: int(beyond[0])] if len(beyond) else points


def _numbers(values: Sequence[float] | Tensor) -> list[float]:
    numbers: list[float] = torch.as_tensor(values, dtype=torch.float64).tolist()
    return numbers


def _check_count(lines: Mapping[str, Any]) -> None:
    # A ninth line would repeat a colour, a dash and a marker.
    if not 1 <= len(lines) <= len(LINES):
        raise ValueError(f"a figure holds at least 1 and at most {len(LINES)} lines, got {len(lines)}")


def _course(values: Sequence[float] | Tensor) -> str:
    """Where values begin and end, by way of the highest and the lowest; those that are not numbers are left out."""
    numbers = [number for number in _numbers(values) if not math.isnan(number)] or [math.nan]
    turns = sorted(map(numbers.index, (max(numbers), min(numbers))))
    points = [numbers[turn] for turn in (0, *turns, -1)]
    moves = [
        f"{'falls' if end < begin else 'rises'} to {end:.3g}"
        for begin, end in pairwise(points)
        if f"{begin:.3g}" != f"{end:.3g}"
    ]
    if not moves:
        return f"stays at {points[0]:.3g}"
    return ", then ".join(moves).replace(" to ", f" from {points[0]:.3g} to ", 1)


def _spoken(text: str) -> str:
    """A text with Greek letters in place of TeX's names of them, and without its dollars, to be read aloud."""

    def letter(command: re.Match[str]) -> str:
        name = command[1].removeprefix("var").replace("lambda", "lamda")  # as Unicode spells it
        try:
            return unicodedata.lookup(f"GREEK SMALL LETTER {name}")
        except KeyError:
            return command[1]

    return re.sub(r"\\([a-z]+)", letter, text.replace("$", ""))


def _where(point: Sequence[float]) -> str:
    return f"({', '.join(f'{x:g}' for x in point)})"


def _setting(run: Trajectory) -> dict[str, Any]:
    """The setting of a run, with its start and the shape of its bowl; empty if its landscape is no ``bowl``."""
    A, b = run.problem.A, run.problem.b
    curvatures, axes = torch.linalg.eigh(A)
    if A.shape != (2, 2) or bool(b.any()) or not math.isclose(float(curvatures[0]), 1.0, rel_tol=1e-12):
        return {}
    rotation = math.degrees(math.atan2(float(axes[1, 0]), float(axes[0, 0]))) % 180
    shape = {"condition_number": run.problem.condition_number, "rotation": rotation}
    return {
        **run.setting,
        "start": run.points[0].tolist(),
        **{name: round(value, 9) for name, value in shape.items()},  # without rounding errors
    }


def _finish(
    figure: Any,
    alt: str,
    fname: str | Path | None,
    table: list[list[Any]],
    trajectory: Trajectory | None = None,
    runs: dict[str, dict[str, Any]] | None = None,
) -> Drawing:
    drawing = Drawing(figure, alt, None if fname is None else str(fname), trajectory, runs or {}, table)
    _pictures().finish(drawing)
    return drawing
