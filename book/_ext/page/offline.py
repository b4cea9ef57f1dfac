"""No page asks another host for anything: MathJax comes from disk, the part of it that pages use; no live kernels.

What a page or the output of a cell would load from elsewhere is refused. A link that a reader follows is not.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.util import logging

from book._ext.compat import remove_extension
from optim_code.equations.sections import Page, read_page

logger = logging.getLogger(__name__)

MATHJAX = "mathjax/tex-chtml.js"
# tex-chtml.js holds the TeX reader, the HTML writer and the menu in one file; the rest of MathJax's 24 MB stays behind.
USED = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "a11y/assistive-mml.js")
FORMULA_SCRIPTS = ("formula_menu.js", "copy_formulas.js")
"""Every page that loads MathJax loads these before it."""


def mathjax_tags(static: str) -> str:
    """The tags that load MathJax on a page that Sphinx does not write, from the `_static` folder at ``static``."""
    return "\n".join(f'<script defer src="{static}/{file}"></script>' for file in (*FORMULA_SCRIPTS, MATHJAX))


# Attributes whose address a browser loads by itself; that of a link it does not.
LOADED = {"src", "srcset", "imagesrcset", "href", "xlink:href", "data", "poster", "background", "code", "archive"}
LINKS = {"a", "area"}
ELSEWHERE = re.compile(r"\s*(?:https?:|ftp:|wss?:)?//([\w.-]+)", re.I)
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*(?:url\()?\s*["']?\s*(?:https?:|ftp:)?//([\w.-]+)""", re.I)
# A name of a kind of XML looks like an address, and is loaded by nobody.
IN_SCRIPT = re.compile(r"""(?:https?:|wss?:|["'`])//(?!www\.w3\.org/)([\w-]+(?:\.[\w-]+)+)""", re.I)


class Loads(HTMLParser):
    """A reader of HTML that notes the other hosts from which a browser would load something."""

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
    """The first other host from which a browser would load something for this HTML; empty if there is none."""
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
            location=(app.env.docname, line_of(page, node, f"//{host}")),
        )


def loads_of(doctree: nodes.document) -> Iterator[tuple[nodes.Node, str]]:
    """The nodes of a page that would load something from another host, and that host."""
    for image in doctree.findall(nodes.image):
        found = ELSEWHERE.match(image["uri"])
        if found:
            yield image, found[1]
    read = None
    for raw in doctree.findall(nodes.raw):
        # A tag in a line of text is a node of its own; a style or a script is whole only with its neighbours.
        whole = raw.parent if isinstance(raw.parent, nodes.TextElement) else raw
        parts = whole.children if whole is raw.parent else [raw]
        html = "".join(part.astext() for part in parts if isinstance(part, (nodes.raw, nodes.Text)))
        if "html" in raw["format"].split() and whole is not read and (host := other_host(html)):
            yield raw, host
        read = whole


def line_of(page: Page, node: nodes.Node, address: str) -> int:
    """The line of a page at which an address stands; where a cell put it out, that of the cell."""
    around: nodes.Node | None = node
    while around is not None and around.line is None:
        around = around.parent
    first = (around.line if around is not None else None) or 1
    return next((n for n, line in enumerate(page.lines, start=1) if n >= first and address in line), first)


def use_local_mathjax(app: Sphinx, config: Config) -> None:
    config["mathjax_path"] = MATHJAX


def load_formula_scripts(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load the scripts for the menu and for copying on pages with formulas, before MathJax, whose priority is 500."""
    if doctree is not None and app.env.get_domain("math").has_equations(pagename):  # type: ignore[attr-defined]
        for script in FORMULA_SCRIPTS:
            app.add_js_file(script, priority=400, loading_method="defer")


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("sphinx-mathjax-offline is not installed: pip install -r requirements.txt")
    source, target = Path(spec.origin).parent / "static" / "mathjax", Path(app.outdir) / "_static" / "mathjax"
    for name in USED:
        if (target / name).exists():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
        copy(source / name, target / name)


def setup(app: Sphinx) -> None:
    # Jupyter Book always brings it; it writes the address of a kernel somewhere else into each page.
    remove_extension(app, "sphinx_thebe", "thebe")
