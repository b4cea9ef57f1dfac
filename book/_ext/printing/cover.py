"""The cover of the printed book: the paths of the figure that `_config.yml` names, over its bowl, without axes.

Reads the numbers of that figure, which its run has left, so the cover shows what the book's code does. Runs when the
book is written as LaTeX; `descentprint.sty` puts the picture below the title.
"""

from __future__ import annotations

import csv
import io
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError

from book._ext.execute.light_imports import imported
from book._ext.faults import ROOT
from book._ext.figures.figure_files import Figure, figures_of
from book._ext.page.equations import toc_order
from book._ext.sources.findings import near
from book._ext.sources.settings import line_in

NAME = "descentcover.pdf"
SIZE = (8.27, 8.27)
"""Inches: as wide as A4, and 7 tenths as high."""
LEVELS = [0.02 * 1.55**power for power in range(16)]
"""Of the contours, at even distances to the eye."""


def write_cover(app: Sphinx) -> bool:
    """Draw the cover into the folder of the LaTeX files. Returns whether the settings ask for one.

    Raises:
        SphinxError: if no figure of that name shows runs in a bowl.
    """
    name = app.config.cover
    if name:
        Path(app.outdir, NAME).write_bytes(drawn(app, figure_called(app.env, name)))
    return bool(name)


def figure_called(env: BuildEnvironment, name: str) -> Figure:
    """The figure with this fname, whose numbers are known."""
    figures = [figure for page in toc_order(env) for figure in figures_of(env, page) if figure.runs]
    found = next((figure for figure in figures if figure.name == name), None)
    if found is None:
        hint = near(name, [figure.name for figure in figures]) or "draw it with that fname, or leave cover empty"
        place = line_in(ROOT / "_config.yml", "cover:")
        raise SphinxError(f"{place}: cover: no figure of runs in a bowl is saved as {name}.pdf; {hint}")
    return found


def drawn(app: Sphinx, figure: Figure) -> bytes:
    """The cover as the bytes of a PDF."""
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure as Canvas

    style = imported("optim_code.figures")
    rows = list(csv.DictReader(io.StringIO(Path(app.srcdir, figure.made[".csv"]).read_text(encoding="utf-8"))))
    paths = [[(float(row["w1"]), float(row["w2"])) for row in run] for _, run in groupby(rows, itemgetter("run"))]
    setting: dict[str, Any] = next(iter(figure.runs.values()))
    low, high = np.array([-1.13, -1.22]), np.array([1.17, 1.08])
    x, y = (np.linspace(a, b, 400) for a, b in zip(low, high, strict=True))
    angle = np.radians(setting["rotation"])
    along = np.cos(angle) * x[None, :] + np.sin(angle) * y[:, None]
    across = np.cos(angle) * y[:, None] - np.sin(angle) * x[None, :]
    loss = (along**2 + setting["condition_number"] * across**2) / 2
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        canvas = Canvas(figsize=SIZE)
        axes = canvas.add_axes((0, 0, 1, 1))
        axes.contour(x, y, loss, levels=LEVELS, colors=style.LIGHT["grid"], linewidths=0.9)
        for path, line in zip(paths, style.LINES, strict=False):
            axes.plot(*zip(*path, strict=True), **line, linewidth=1.8, markersize=5.5, markeredgewidth=0)
        axes.plot(0, 0, marker="*", color=style.LIGHT["minimum"], markersize=20, markeredgewidth=0)
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        axes.axis("off")
        out = io.BytesIO()
        # Without dates, so that the same run gives the same bytes.
        canvas.savefig(out, format="pdf", transparent=True, metadata={"CreationDate": None, "Producer": None})
    return out.getvalue()
