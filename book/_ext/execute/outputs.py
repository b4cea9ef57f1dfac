"""Refuse outputs of cells that a page or its print cannot show, with a line that says where and what to do.

The check runs when Sphinx reads a section, not when its cells run: it depends on the options of the cells, too, and
they can change while the stored outputs stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from myst_nb.ext.glue import GLUE_PREFIX
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from book._ext.execute.execution import SectionFails
from book._ext.execute.output_forms import FROM_LATEX, MATHS, picture
from book._ext.faults import OutputFault, code_cells
from book._ext.website.offline import other_host
from optim_code.equations.sections import Page, read_page

logger = logging.getLogger(__name__)

NOT_SHOWN = {"remove-cell", "remove_cell", "remove-output", "remove_output"}
HOLDS = "holds:"
"""How the names begin under which `optim_code.sentences.holds` records what it compared."""
ADDRESS = re.compile(r"<[^<>\n]* at 0x[0-9a-f]{6,}>")
OBJECT = re.compile(r"<[\w.]+ object>")
WIDGET = "application/vnd.jupyter.widget-view+json"
PRINTED = {"application/pdf", "image/png", "image/jpeg"}
NOT_PRINTED = "shows a figure that print cannot; draw it with matplotlib, or show it as PNG"


def check_outputs(app: Sphinx, docname: str, cells: list[dict[str, Any]]) -> None:
    """Refuse outputs that a page or its print cannot show, before MyST-NB makes anything of them.

    Raises:
        SectionFails: naming the cell and what to do.
    """
    glued: dict[str, int] = {}
    for number, cell in enumerate(cells):
        fault = fault_of(cell, app.builder.name) or fault_of_names(cell, glued, number)
        if fault:
            raise SectionFails(Path(app.env.doc2path(docname)), OutputFault(number, fault))
    app.env.metadata[docname]["glued"] = glued


def fault_of(cell: dict[str, Any], builder: str) -> str:
    """What is wrong with the outputs of a cell, and what to do; empty if they are right."""
    if NOT_SHOWN & {*cell["metadata"].get("tags", [])}:
        return ""
    shown = [output for output in cell["outputs"] if not is_only_glued(output)]
    things = [output for output in shown if "data" in output]
    pictures = sum(bool(picture(output)) for output in things)
    figure = cell["metadata"].get("mystnb", {}).get("figure") or {}
    if figure and not things:
        name = f"the figure {figure['name']}" if "name" in figure else "a figure"
        return f"its options describe {name}, but it shows none; end it with the figure, or take the options out"
    if pictures > 1 or (figure and len(things) > 1):
        what = f"{pictures} figures" if pictures > 1 else f"{len(things)} things under one caption"
        return f"shows {what}; give each figure a cell of its own, with mystnb: figure: {{name: …, caption: …}}"
    return next(filter(None, (fault_of_output(output, builder) for output in shown)), "")


def fault_of_output(output: dict[str, Any], builder: str) -> str:
    """Why an output does not fit a page that is the same in each build, needs no network, and can be printed."""
    data = {kind: joined(text) for kind, text in output.get("data", {}).items() if kind.startswith("text/")}
    host = other_host(data.get("text/html", ""))
    if host:
        return f"puts out HTML that loads from another host, {host}; show something that is here without a network"
    if WIDGET in output.get("data", {}):
        return "puts out a widget, which needs a running kernel; put out a figure or a text instead"
    if picture(output):
        return "" if builder != "latex" or PRINTED & {*picture(output)} else NOT_PRINTED
    markdown = data.get("text/markdown", "")
    if "text/latex" in data or markdown:
        outside = re.search(r"\\[a-zA-Z]+", MATHS.sub("", markdown)) if output["metadata"].get(FROM_LATEX) else None
        return f"puts out LaTeX with {outside[0]} outside of a formula; put it between dollars" if outside else ""
    plain = joined(output.get("text", data.get("text/plain", "")))
    if OBJECT.fullmatch(plain) or (data.keys() == {"text/html"}):
        return f"puts out {plain or 'HTML'}, which print cannot show; put out Markdown, a figure or a text instead"
    address = ADDRESS.search(plain)
    if address:
        return f"puts out {address[0]}, another address in each build; put out something else, or nothing"
    return ""


def glued_values(cell: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The names that a cell glues, each with its value as a text."""
    for output in cell["outputs"]:
        name = output.get("metadata", {}).get("scrapbook", {}).get("name")
        if name:
            yield name, joined(output["data"].get(f"{GLUE_PREFIX}text/plain", ""))


def fault_of_names(cell: dict[str, Any], glued: dict[str, int], number: int) -> str:
    """Add the names that a cell glues to `glued`. Returns what is wrong if a name is there already."""
    for name, _ in glued_values(cell):
        if name in glued:
            if name.startswith(HOLDS):
                return f"asserts {name.removeprefix(HOLDS)} twice; compare all of it in one call of holds"
            return f"glues {name}, which cell {glued[name] + 1} glues, too; give one of them another name"
        glued[name] = number
    return ""


def is_only_glued(output: dict[str, Any]) -> bool:
    """Whether an output is glued without being shown by its cell."""
    return bool(output.get("metadata", {}).get("scrapbook", {}).get("mime_prefix"))


def joined(text: Any) -> str:
    """A text that a notebook's file stores as one string, or as a list of lines."""
    return "".join(text) if isinstance(text, list) else str(text)


def check_glued_names(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of a name that two sections glue, because the text of one could show the number of the other."""
    places: dict[str, tuple[str, int]] = {}
    for docname in sorted(env.found_docs):
        for name, number in env.metadata[docname].get("glued", {}).items():
            if name in places:
                (page, first), (_, second) = (cell_line(env, *place) for place in (places[name], (docname, number)))
                text = f"{name} is glued here and at {page.where(first - 1)}; give one of them another name"
                logger.warning(text, location=(docname, second))
            places[name] = (docname, number)


def cell_line(env: BuildEnvironment, docname: str, number: int) -> tuple[Page, int]:
    """A page, and the line at which the code of one of its cells begins."""
    page = read_page(Path(env.srcdir), docname)
    return page, code_cells(page)[number].line
