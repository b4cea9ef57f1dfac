"""What a page has to take away, in a button at its head: each download is one line of `of_page`."""

from __future__ import annotations

from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx

from book._ext.notebooks import notebook_of


class Download(NamedTuple):
    """A file to take away: its place in the book, and what it is called, said short and said in full."""

    place: str
    text: str
    tooltip: str
    icon: str


def of_page(app: Sphinx, docname: str) -> list[Download]:
    """What there is to take away of a page."""
    notebook = notebook_of(app, docname)
    found = [
        Download(notebook, "Notebook (.ipynb)", "Download this section as a notebook", "fas fa-file-code"),
    ]
    return [download for download in found if download.place]


def offer(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put a menu, of the theme's own kind, first among the buttons at the head of the page."""
    links = [
        dict(type="link", url=context["pathto"](place, 1), text=text, tooltip=tooltip, icon=icon)
        for place, text, tooltip, icon in (of_page(app, pagename) if doctree is not None else [])
    ]
    if links:
        menu = dict(type="group", tooltip="Download this section", icon="fas fa-download", label="download-buttons")
        context["header_buttons"].insert(0, {**menu, "buttons": links})


def setup(app: Sphinx) -> dict[str, Any]:
    # after the theme has made its list
    app.connect("html-page-context", offer, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
