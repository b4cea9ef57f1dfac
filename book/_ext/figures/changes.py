"""The report of what a build changed: figures, glued numbers and equations, old and new, in `_build/changes`.

Nothing checks a sentence that says "after 17 steps" when a run now takes 18. In this report the editor sees it.
"""

from __future__ import annotations

import re
import shutil
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from docutils import nodes
from sphinx.application import Sphinx

from book._ext.cli.publishing import BUILD, places
from book._ext.execute.execution import executed_cells
from book._ext.execute.outputs import glued_values
from book._ext.figures.figure_files import cell_images, render
from book._ext.files import read_json, write_json
from book._ext.page.formulas import head_tags, mathml
from book._ext.state import build_state

FACTS = BUILD / ".facts.json"
KINDS = {"figures": "figure", "numbers": "number", "equations": "equation"}


def note_figures(app: Sphinx, document: nodes.document) -> None:
    """Note the figures of a page by their names, and the numbers that its cells glued."""
    figures = {}
    for image in cell_images(document, ".svg"):
        figure: Any = image.parent
        while figure is not None and not isinstance(figure, nodes.figure):
            figure = figure.parent
        if figure is not None and figure["names"]:
            figures[figure["names"][0]] = Path(image["uri"]).name
    numbers = {name: value for cell in executed_cells(app, app.env.docname) for name, value in glued_values(cell)}
    app.env.metadata[app.env.docname]["changes"] = {"figures": figures, "numbers": numbers}


def facts_of_book(app: Any) -> dict[str, dict[str, list[str]]]:
    """The figures, numbers and equations of the book: by kind and name, each with its page and its value."""
    checker = build_state(app).checker
    assert checker is not None
    found: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS}
    for docname in sorted(app.env.found_docs):
        noted = app.env.metadata[docname].get("changes", {})
        for kind in ("figures", "numbers"):
            for name, value in noted.get(kind, {}).items():
                found[kind][name] = [docname, value]
        for equation in checker.found.get(docname, ()):
            found["equations"][equation.label] = [docname, equation.latex]
    return found


def compare(before: dict[str, dict[str, list[str]]], after: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """The names, by kind, of all that is new, gone or different."""
    moved = {}
    for kind in KINDS:
        old, new = before.get(kind, {}), after[kind]
        moved[kind] = [name for name in sorted({*old, *new}) if old.get(name, [""])[-1] != new.get(name, [""])[-1]]
    return moved


def write_report(after: dict[str, dict[str, list[str]]], out: Path) -> str:
    """Write the report for a book that is about to replace the last one.

    Args:
        after: the facts of the new book.
        out: the folder of the new book.

    Returns:
        What changed, in a few words; empty if nothing did, or there was no book before.
    """
    page = places("changes")[2]
    before = read_json(FACTS) or after
    moved = compare(before, after)
    counts = [f"{len(names)} {KINDS[kind]}{'s' * (len(names) > 1)}" for kind, names in moved.items() if names]
    shutil.rmtree(page, ignore_errors=True)
    if not counts:
        return ""
    page.mkdir(parents=True)
    summary = ", ".join(counts)
    kinds = {kind: [entry(kind, name, before, after) for name in names] for kind, names in moved.items() if names}
    for side, book, facts in (("before", BUILD / "html", before), ("now", out, after)):
        for figure in kinds.get("figures", []):
            if figure[side]:
                docname, _ = facts["figures"][figure["name"]]
                figure[side] = shown_figure(book, docname, figure["name"], page / side)
    head = head_tags("../html/_static")
    text = render("changes.html.jinja", head=head, mathml=mathml, summary=summary, kinds=kinds)
    (page / "index.html").write_text(text, encoding="utf-8")
    return summary


def shown_figure(book: Path, docname: str, name: str, folder: Path) -> str:
    """A figure as the page of a book shows it, as HTML for the report.

    Args:
        book: the folder of the book.
        docname: the page.
        name: the figure.
        folder: the folder, of the report, for figures that are files.
    """
    html = (book / f"{docname}.html").read_text(encoding="utf-8")
    figure = re.search(rf'<figure\b[^>]* id="{nodes.make_id(name)}".*?</figure>', html, re.S)
    if figure is None:
        return ""
    if drawing := re.search(r"<svg\b.*?</svg>", figure[0], re.S):
        # Figures of several pages come together in the report.
        return re.sub(r'(?<=[ "(#])(?=drawing\d+-)', f"{folder.name}-{docname.replace('/', '-')}-", drawing[0])
    image = re.search(r'<img\b[^>]* src="([^"]*)"', figure[0])
    if image is None:
        return ""
    folder.mkdir(exist_ok=True)
    file = Path(book, docname).parent / unquote(image[1])
    shutil.copyfile(file, folder / file.name)
    return f'<img src="{folder.name}/{file.name}" alt="{escape(name)}, {folder.name}">'


def entry(kind: str, name: str, before: Any, after: Any) -> dict[str, str]:
    """One change for the report: its name, its address in the new book, if it is there, and its two values."""
    page, now = after[kind].get(name, ["", ""])
    _, old = before.get(kind, {}).get(name, ["", ""])
    anchor = {"figures": f"#{nodes.make_id(name)}", "numbers": "", "equations": f"#equation-{name}"}[kind]
    address = f"../html/{page}.html{anchor}" if page else ""
    # A glued text comes with its quotation marks.
    old, now = (re.sub(r"^'(.*)'$", r"\1", value) for value in (old, now))
    return {"name": name, "address": address, "before": old, "now": now}


def publish_report(after: dict[str, dict[str, list[str]]], summary: str) -> None:
    """Publish the report, or remove the last one if nothing changed; store the facts for the next build."""
    place, _, new = places("changes")
    shutil.rmtree(place, ignore_errors=True)
    if summary:
        new.rename(place)
    write_json(FACTS, after)
