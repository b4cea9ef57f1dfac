"""The menu of downloads at the head of a page: notebook, hand-out and book. `of_page` has one line for each."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx

from book._ext.downloads.notebooks import notebook_of
from book._ext.printing.handouts import names_of
from book._ext.sources.editions import EDITIONS

HANDOUTS = "_handouts"


class Download(NamedTuple):
    """A file to download: its place in the book, its short name and its description."""

    place: str
    text: str
    tooltip: str
    icon: str


def of_page(app: Sphinx, docname: str) -> list[Download]:
    """The downloads of a page."""
    notebook, handout, whole = notebook_of(app, docname), pdf_of(app, docname), pdf_of(app, app.config.root_doc)
    handout = handout if docname != app.config.root_doc else ""
    found = [
        Download(notebook, "Notebook (.ipynb)", "Download this section as a notebook", "fas fa-file-code"),
        Download(handout, "Hand-out (.pdf)", "Download this section as a PDF hand-out", "fas fa-file-pdf"),
        Download(whole, "Book (.pdf)", "Download the whole book as a PDF", "fas fa-book"),
    ]
    return [download for download in found if download.place]


def pdf_of(app: Sphinx, docname: str) -> str:
    """The place of a page's PDF in the HTML book; empty if there is none, or it is outdated."""
    name = names_of(app).get(docname)
    # For the kit all PDFs are made after the pages, so that a fault in a page is found first.
    made = name in app.config.handouts or app.config.edition == EDITIONS[1]
    return f"{HANDOUTS}/{name}.pdf" if name and made else ""


def lay_out_pdfs(folder: Path, pdfs: Mapping[str, Path]) -> None:
    """Copy PDFs, given by their names, into an HTML book."""
    place = folder / HANDOUTS
    shutil.rmtree(place, ignore_errors=True)
    for name, path in pdfs.items():
        place.mkdir(exist_ok=True)
        shutil.copy2(path, place / f"{name}.pdf")


def offer_downloads(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put a menu, of the theme's own kind, first among the buttons at the head of the page."""
    links = [
        dict(type="link", url=context["pathto"](place, 1), text=text, tooltip=tooltip, icon=icon)
        for place, text, tooltip, icon in (of_page(app, pagename) if doctree is not None else [])
    ]
    if links:
        menu = dict(type="group", tooltip="Download this section", icon="fas fa-download", label="download-buttons")
        context["header_buttons"].insert(0, {**menu, "buttons": links})


def setup(app: Sphinx) -> None:
    app.add_config_value("exercise_points", {"class": 10, "answer": 5}, "", dict)
    # the names of the PDFs that there are
    app.add_config_value("handouts", [], "html", list)
