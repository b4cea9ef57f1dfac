"""How `figures` draws, with matplotlib. The page has another module in this one's place, because it draws by itself."""

from __future__ import annotations

import io
import math
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator, MultipleLocator
from matplotlib.transforms import Bbox
from torch import Tensor

from optim_code.figures import LEVELS, LIGHT, LINES, WIDEST, XLIM, YLIM
from optim_code.fonts import embedded_subsets
from optim_code.problems import Quadratic

if TYPE_CHECKING:
    from optim_code.figures import Drawing

STYLE: dict[str, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": LIGHT["muted"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlesize": 10,
    "axes.labelsize": 11,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.6,
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "xtick.labelcolor": LIGHT["ink"],
    "ytick.labelcolor": LIGHT["ink"],
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    # Without a salt the ids in an SVG are random, and differ from build to build.
    "svg.hashsalt": "descent",
}

SMALL: dict[str, Any] = {
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
}

MARGIN = 0.03  # inches around a figure

VERSIONS = {
    "Python": platform.python_version(),
    "torch": str(torch.__version__),
    "matplotlib": matplotlib.__version__,
    "numpy": numpy.__version__,
}
"""The versions of what draws a figure."""


def paths(paths: Mapping[str, tuple[Quadratic, Tensor]]) -> Figure:
    """Paths over the contours of the first one's landscape.

    Args:
        paths: for each label the landscape, and the points that can be drawn, shape ``(n, 2)``.
    """
    problem = next(iter(paths.values()))[0]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 5.4), layout="constrained")
        axes = figure.subplots()
        draw_bowl(axes, problem, torch.cat([points for _, points in paths.values()]))
        for (label, (_, points)), line in zip(paths.items(), LINES, strict=False):
            x, y = points.T
            dots = dict(markerfacecolor=LIGHT["ink"], markeredgewidth=0) if len(paths) == 1 else dict(markeredgewidth=0)
            axes.plot(x, y, **{**line, **dots}, label=label, linewidth=1.4, markersize=4, zorder=3)
        if len(paths) > 1:
            figure.legend(loc="outside lower center", ncols=2)
    return figure


def lines(
    lines: Mapping[str, Sequence[float] | Tensor],
    theory: Mapping[str, Sequence[float] | Tensor],
    ylabel: str,
    xlabel: str,
    x: Sequence[float] | Tensor | None,
    log: bool,
    logx: bool,
    ranges: Mapping[str, tuple[Sequence[float] | Tensor, Sequence[float] | Tensor]],
    below: bool,
    small: bool,
) -> Figure:
    """Curves; the arguments are those of `figures.draw_lines`."""
    # Markers are a number of steps apart; on a logarithmic axis, a part of its length.
    spacing: float = 0.08 if logx else max(1, max(len(values) for values in lines.values()) // 20)
    with matplotlib.rc_context(STYLE | (SMALL if small else {})):
        size = (2.2, 1.8 + 0.2 * below * len(lines)) if small else (5.2, 3.4)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        for label, values, line in zip(lines, lines.values(), LINES, strict=False):
            plain = {"marker": "none"} if small else {"markevery": spacing}
            axes.plot(_positions(x, values), _clean(values), **{**line, **plain}, label=label)
            if label in ranges:
                low, high = map(_clean, ranges[label])
                axes.fill_between(_positions(x, low), low, high, color=line["color"], alpha=0.2, linewidth=0)
        for (label, values), dashes in zip(theory.items(), ((6, 2), (2, 2), (6, 2, 1, 2), (1, 1)), strict=False):
            axes.plot(
                _positions(x, values), _clean(values), color=LIGHT["ink"], linewidth=0.9, dashes=dashes, label=label
            )
        axes.set(xlabel=xlabel, ylabel=ylabel)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(_power_of_ten)
            _label_between(axes.yaxis)
        if logx:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(_power_of_ten)
        elif x is None:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if below:
            figure.legend(loc="outside lower center", ncols=1 if small else max(2, len(theory)))
        else:
            axes.legend()
    return figure


def _label_between(axis: Axis) -> None:
    """Label numbers between the powers of ten of a logarithmic axis, too, where a single power is in view."""
    low, high = map(math.log10, sorted(axis.get_view_interval()))
    if math.floor(high) == math.ceil(low):
        axis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(2, 0.6)))


def bars(bars: Mapping[str, float], theory: Mapping[str, float], xlabel: str, log: bool) -> Figure:
    """Horizontal bars; the arguments are those of `figures.draw_bars`."""
    places = range(len(bars))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 0.9 + 0.42 * len(bars)), layout="constrained")
        axes = figure.subplots()
        axes.barh(places, list(bars.values()), height=0.6, color=LIGHT["second"])
        if theory:
            axes.plot([theory[label] for label in bars], places, color=LIGHT["path"], linestyle="none", marker="|",
                      markersize=22, markeredgewidth=2.5, label="theory")  # fmt: skip
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), markerscale=0.45)
        for place, (label, value) in zip(places, bars.items(), strict=True):
            beyond = (max(value, theory.get(label, value)), place)
            axes.annotate(f"{value:.3g}", beyond, xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set(xlabel=xlabel, yticks=places, yticklabels=list(bars))
        axes.margins(x=0.12)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        if log:
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def finish(drawing: Drawing) -> None:
    """Save a new figure where its name says, if it has one."""
    if drawing.fname is not None:
        drawing.save(drawing.fname)


def rendered(figure: Figure, format: str, box: Bbox, metadata: dict[str, Any]) -> bytes:
    """The figure in a format, ``svg`` or ``pdf``."""
    data = io.BytesIO()
    with matplotlib.rc_context(STYLE), embedded_subsets():
        figure.savefig(data, format=format, bbox_inches=box, metadata=metadata)
    return data.getvalue()


def box(figure: Figure) -> Bbox:
    """The box around what is drawn, with a margin, in inches."""
    with matplotlib.rc_context(STYLE):
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
        # The layout stays as it is; with an engine, matplotlib would draw each format twice.
        figure.set_layout_engine(None)
        return figure.get_tightbbox().padded(MARGIN)


def draw_bowl(axes: Axes, problem: Quadratic, path: Tensor) -> None:
    # The usual window; larger if a path leaves it, up to a limit, because a path may diverge.
    low, high = path.amin(0).clamp(min=-WIDEST), path.amax(0).clamp(max=WIDEST)
    xlim, ylim = (
        (min(lim[0], float(low[i]) - 0.1), max(lim[1], float(high[i]) + 0.1)) for i, lim in enumerate((XLIM, YLIM))
    )
    wanted = (YLIM[1] - YLIM[0]) / (XLIM[1] - XLIM[0])
    spare = ((ylim[1] - ylim[0]) / wanted - (xlim[1] - xlim[0])) / 2
    if spare > 0:
        xlim = (xlim[0] - spare, xlim[1] + spare)
    else:
        ylim = (ylim[0] + spare * wanted, ylim[1] - spare * wanted)
    x, y = (torch.linspace(*lim, 241, dtype=torch.float64) for lim in (xlim, ylim))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    contours = axes.contour(x, y, problem(grid), levels=LEVELS, colors=LIGHT["contour"], linewidths=0.8)
    axes.clabel(contours, fmt="%g", fontsize=8, colors=LIGHT["muted"])
    axes.plot(*problem.minimum, marker="*", color=LIGHT["minimum"], markersize=11, markeredgewidth=0, zorder=4)
    axes.set(xlim=xlim, ylim=ylim, aspect="equal", xlabel="$w_1$", ylabel="$w_2$")
    between = 0.5 if xlim[1] - xlim[0] < 2.5 else 1.0
    axes.xaxis.set_major_locator(MultipleLocator(between))
    axes.yaxis.set_major_locator(MultipleLocator(between))
    axes.grid(False)


def _clean(values: Sequence[float] | Tensor) -> Tensor:
    """The values as a float64 tensor, with NaN (a gap in the line) in place of infinities."""
    values = torch.as_tensor(values, dtype=torch.float64)
    return torch.where(values.isfinite(), values, torch.nan)


def _power_of_ten(value: float, position: float = 0) -> str:
    """A power of ten as plain text. Matplotlib needs ten milliseconds to read a formula, three times in each figure."""
    return "10" + f"{math.log10(value):.0f}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _positions(x: Sequence[float] | Tensor | None, values: Sequence[float] | Tensor) -> Any:
    return range(len(values)) if x is None else x
