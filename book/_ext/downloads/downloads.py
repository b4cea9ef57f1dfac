"""The menu of downloads at the head of a page: notebook, hand-out and book. `offer_downloads` has one line for each."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from book._ext.downloads.notebooks import notebook_of
from book._ext.printing.handouts import names_of
from book._ext.sources.editions import EDITIONS

HANDOUTS = "_handouts"


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
    if doctree is None:
        return
    handout = pdf_of(app, pagename) if pagename != app.config.root_doc else ""
    whole = pdf_of(app, app.config.root_doc)
    links = [
        dict(type="link", url=context["pathto"](place, 1), text=text, tooltip=f"Download {what}", icon=f"fas fa-{icon}")
        for place, text, what, icon in (
            (notebook_of(app, pagename), "Notebook (.ipynb)", "this section as a notebook", "file-code"),
            (handout, "Hand-out (.pdf)", "this section as a PDF hand-out", "file-pdf"),
            (whole, "Book (.pdf)", "the whole book as a PDF", "book"),
        )
        if place
    ]
    if links:
        menu = dict(type="group", tooltip="Download this section", icon="fas fa-download", label="download-buttons")
        context["header_buttons"].insert(0, {**menu, "buttons": links})


def setup(app: Sphinx) -> None:
    app.add_config_value("exercise_points", {"class": 10, "answer": 5}, "", dict)
    # the names of the PDFs that there are
    app.add_config_value("handouts", [], "html", list)
