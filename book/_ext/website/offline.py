"""Pages load nothing from another host: there are no live kernels, and formulas and icons come with the book.

The build refuses a page or an output of a cell that would load something from another host. Links are allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from book._ext.compat import remove_extension
from optim_code.equations.sections import Page, read_page

logger = logging.getLogger(__name__)

# Attributes with an address that a browser loads by itself, unless the tag is a link.
LOADED = {"src", "srcset", "imagesrcset", "href", "xlink:href", "data", "poster", "background", "code", "archive"}
LINKS = {"a", "area"}
ELSEWHERE = re.compile(r"\s*(?:https?:|ftp:|wss?:)?//([\w.-]+)", re.I)
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*(?:url\()?\s*["']?\s*(?:https?:|ftp:)?//([\w.-]+)""", re.I)
# The name of an XML namespace looks like an address, but nothing loads it.
IN_SCRIPT = re.compile(r"""(?:https?:|wss?:|["'`])//(?!www\.w3\.org/)([\w-]+(?:\.[\w-]+)+)""", re.I)


class Loads(HTMLParser):
    """A parser of HTML that collects the other hosts from which a browser would load something.

    Attributes:
        hosts: the names of these hosts.
        inside: the tag of the element around the current text.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hosts: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        for name, value in attrs:
            if name in LOADED and tag not in LINKS:
                several = re.split(r",\s", value or "") if name.endswith("srcset") else [value or ""]
                self.hosts += [found[1] for address in several if (found := ELSEWHERE.match(address))]
            elif name == "style":
                self.hosts += IN_STYLE.findall(value or "")
            elif name == "srcdoc":
                self.hosts += filter(None, [other_host(value or "")])
            elif name == "content" and ("http-equiv", "refresh") in [(n, (v or "").lower()) for n, v in attrs]:
                self.hosts += re.findall(r"url=.?(?:https?:)?//([\w.-]+)", value or "", re.I)
            elif name.startswith("on"):
                self.hosts += IN_SCRIPT.findall(value or "")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("style", "script"):
            self.hosts += (IN_STYLE if self.inside == "style" else IN_SCRIPT).findall(data)


def other_host(html: str) -> str:
    """The first other host from which a browser would load something for this HTML; empty if there is none.

    Args:
        html: a piece of HTML.
    """
    if "//" not in html:
        return ""
    reader = Loads()
    reader.feed(html)
    reader.close()
    return next(iter(reader.hosts), "")


def refuse_other_hosts(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of each image, and each piece of HTML, that would be loaded from another host."""
    page = read_page(Path(app.srcdir), app.env.docname)
    for node, host in loads_of(doctree):
        logger.warning(
            "loads from another host, %s; put what it needs into the book, or make it a link",
            host,
            location=(app.env.docname, address_line(page, node, f"//{host}")),
        )


def loads_of(doctree: nodes.document) -> Iterator[tuple[nodes.Node, str]]:
    """The nodes of a page that would load something from another host, each with that host."""
    for image in doctree.findall(nodes.image):
        found = ELSEWHERE.match(image["uri"])
        if found:
            yield image, found[1]
    read = None
    for raw in doctree.findall(nodes.raw):
        # Each tag in a line of text is a node, so a style or a script consists of several nodes.
        whole = raw.parent if isinstance(raw.parent, nodes.TextElement) else raw
        parts = whole.children if whole is raw.parent else [raw]
        html = "".join(part.astext() for part in parts if isinstance(part, (nodes.raw, nodes.Text)))
        if "html" in raw["format"].split() and whole is not read and (host := other_host(html)):
            yield raw, host
        read = whole


def address_line(page: Page, node: nodes.Node, address: str) -> int:
    """The line of a page that holds an address; if the address is in an output, the line of the cell."""
    around: nodes.Node | None = node
    while around is not None and around.line is None:
        around = around.parent
    first = (around.line if around is not None else None) or 1
    return next((n for n, line in enumerate(page.lines, start=1) if n >= first and address in line), first)


def setup(app: Sphinx) -> None:
    # Jupyter Book always loads it, and it writes the address of a public kernel into each page.
    remove_extension(app, "sphinx_thebe", "thebe")
