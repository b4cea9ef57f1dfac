"""The figures that cells draw: their alt texts, their twins for dark grounds, and their files.

Reads the outputs of the cells, just run or from the cache: the SVG holds the description and the name of the figure,
the metadata of the output its numbers and the versions that drew it (`optim_code.figures`). Runs when a page is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.template import FileRenderer

from book._ext.execute.execution import executed_cells
from book._ext.execute.freshness import code_of
from book._ext.execute.light_imports import imported
from book._ext.figures.needed_code import Program, program
from book._ext.files import files_digest, text_digest

logger = logging.getLogger(__name__)

DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
DARK_GROUND = "#121212"
"""The ground of the book's dark pages."""
KINDS = {".pdf": "PDF", ".svg": "SVG", "-dark.svg": "SVG for dark", ".csv": "CSV"}


class Figure(NamedTuple):
    """A figure that has files.

    Attributes:
        id: its id on the page. Docutils makes it from the name in the text: ``fig_one`` becomes ``fig-one``.
        name: the name of its files, without their endings.
        alt: what it shows.
        runs: the settings of the runs that it shows, by label; empty if they are not known.
        made: the paths of its PDF, SVG and, if it has numbers, CSV, by their endings.
        versions: of the packages that drew it.
        program: the code that draws it.
    """

    id: str
    name: str
    alt: str
    runs: dict[str, dict[str, Any]]
    made: dict[str, str]
    versions: dict[str, str]
    program: Program


def cell_images(document: nodes.document, suffix: str) -> list[nodes.image]:
    """The images of a page that cells drew, in the format of this suffix."""
    return [i for i in document.findall(nodes.image) if "jupyter_execute" in i["uri"] and i["uri"].endswith(suffix)]


def read_label(svg: Path) -> tuple[str, str, str]:
    """The description of a figure, its name, and the runs that it shows, from the metadata of its SVG."""
    tree = ElementTree.parse(svg)
    found = [tree.find(f".//{DUBLIN_CORE}{key}") for key in ("description", "identifier", "source")]
    alt, name, runs = [(element.text or "") if element is not None else "" for element in found]
    return alt, name, runs


def describe_figures(app: Sphinx, document: nodes.document) -> None:
    """Give each figure its alt text, written or computed from its run; note its files; warn of what it lacks."""
    figures: list[Figure] = []
    playable: dict[str, dict[str, Any]] = {}
    beside = drawings_of(executed_cells(app, app.env.docname))
    for bundle in document.findall(lambda n: isinstance(n, nodes.container) and n.get("nb_element") == "mime_bundle"):
        images = {Path(i["uri"]).suffix: i for i in bundle.findall(nodes.image) if "jupyter_execute" in i["uri"]}
        if not images:
            continue
        svg = Path(app.srcdir, images[".svg"]["uri"].lstrip("/")) if ".svg" in images else None
        computed, name, runs = read_label(svg) if svg else ("", "", "")
        alt = next((image["alt"] for image in images.values() if image.get("alt", "").strip()), computed)
        for image in images.values():
            image["alt"] = alt
        figure = bundle.parent
        labelled = isinstance(figure, nodes.figure) and figure["names"] and figure.next_node(nodes.caption)
        if not labelled or not alt:
            logger.warning(missing_options(bool(labelled), bool(alt)), location=bundle)
            continue
        settings = json.loads(runs or "{}")
        if settings:
            playable |= {label: {"id": figure["ids"][0], "fname": name, "runs": settings} for label in figure["names"]}
        if svg and name in beside:
            made = {suffix: image["uri"].lstrip("/") for suffix, image in images.items()}
            drawing, code = beside[name]
            if drawing["csv"]:
                made[".csv"] = svg.with_suffix(".csv").relative_to(app.srcdir).as_posix()
                Path(app.srcdir, made[".csv"]).write_text(drawing["csv"], encoding="utf-8", newline="")
            figures.append(Figure(figure["ids"][0], name, alt, settings, made, drawing["versions"], code))
    if figures:
        app.env.metadata[app.env.docname]["figures"] = figures
    if playable:
        app.env.metadata[app.env.docname]["playable"] = playable


def missing_options(labelled: bool, described: bool) -> str:
    """The warning for a figure without a name, a caption or a description."""
    if labelled:
        return "a figure without a description; write one in its cell's options: mystnb: {image: {alt: …}}"
    figure = "figure: {name: …, caption: …}"
    if described:
        return f"a figure needs a name and a caption; write them in its cell's options: mystnb: {{{figure}}}"
    what = "a figure needs a name and a caption, and a description"
    return f"{what}; write them in its cell's options: mystnb: {{image: {{alt: …}}, {figure}}}"


def drawings_of(cells: list[dict[str, Any]]) -> dict[str, tuple[dict[str, Any], Program]]:
    """The metadata and the program of each named figure of a section, by name."""
    found = {}
    sources = ["".join(cell["source"]) for cell in cells]  # stored as a list of lines
    for number, cell in enumerate(cells):
        for output in cell["outputs"]:
            drawing = output.get("metadata", {}).get("drawing", {})
            if drawing.get("name"):
                found[drawing["name"]] = (drawing, number)
    numbers = [number for _, number in found.values()]
    return {name: (drawing, program(sources, numbers, number)) for name, (drawing, number) in found.items()}


def kinds_of(figure: Figure) -> dict[str, str]:
    """The endings of a figure's files, each with its format; a figure without numbers has no CSV."""
    return {ending: kind for ending, kind in KINDS.items() if ending == "-dark.svg" or ending in figure.made}


def render(template: str, **values: Any) -> str:
    """A page of its own beside the book, from a template of this folder."""
    renderer = FileRenderer([str(Path(__file__).parent)])
    renderer.env.autoescape = renderer.env.trim_blocks = renderer.env.lstrip_blocks = True
    return renderer.render(template, values) + "\n"


def figures_of(env: BuildEnvironment, docname: str) -> list[Figure]:
    """The figures of a page that have files, in its order."""
    found: list[Figure] = env.metadata[docname].get("figures", [])
    return found


def figure_number(env: BuildEnvironment, docname: str, figure: str) -> str:
    """The number of a figure, given by its id."""
    return ".".join(map(str, env.toc_fignumbers.get(docname, {}).get("figure", {}).get(figure, ())))


def dark_twin(light: Path, code: str) -> Path:
    """A figure for a dark ground. It is made once for each state of the code, slow to import.

    Args:
        light: the figure.
        code: `dark_code_digest`.
    """
    twin = light.parent / code / f"{light.stem}-dark.svg"
    if not twin.exists():
        twin.parent.mkdir(parents=True, exist_ok=True)
        figures, svg = imported("optim_code.figures"), light.read_text(encoding="utf-8")
        try:
            # A figure of ours has a description. Of others it is not known which colours they rely on.
            dark = figures.dark(svg) if read_label(light)[0] else figures.on_white(svg)
        except ValueError:  # it has colours that are not of the book
            dark = figures.on_white(svg)
        # A browser that shows this file alone needs a dark ground behind its light lines, and takes it from CSS.
        # Programs for slides ignore that CSS, so there the figure stays transparent and shows the ground of the slide.
        if 'style="background: #ffffff' not in dark:
            dark = dark.replace("<svg ", f'<svg style="background: {DARK_GROUND}" ', 1)
        twin.write_text(dark, encoding="utf-8")
    return twin


def dark_code_digest(app: Sphinx) -> str:
    """A digest of the code that makes figures dark."""
    return text_digest(code_of(app).reachable_digest(["optim_code.figures.dark"]), files_digest(Path(__file__)))[:16]
