"""What becomes of a figure that a cell draws: its alt text, its dark twin, and its PDF in `_build/figures`.

All of it is read from the figure's own SVG, which carries its description and its name (`optim_code.figures`), so it
is the same whether the cell ran just now or came from the cache.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from book._ext.freshness import digest

logger = logging.getLogger(__name__)

DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"


def drawn(document: nodes.document, suffix: str) -> list[nodes.image]:
    """The images of that format that cells made."""
    return [i for i in document.findall(nodes.image) if "jupyter_execute" in i["uri"] and i["uri"].endswith(suffix)]


def read_label(svg: Path) -> tuple[str, str, str]:
    """The description of a figure, its name, and the runs that it shows, from the metadata of its SVG."""
    tree = ElementTree.parse(svg)
    found = [tree.find(f".//{DUBLIN_CORE}{key}") for key in ("description", "identifier", "source")]
    alt, name, runs = [(element.text or "") if element is not None else "" for element in found]
    return alt, name, runs


def describe(app: Sphinx, document: nodes.document) -> None:
    """Give each figure the alt text that its run computed, and remember its PDF; ask for a name and a caption."""
    pairs: dict[str, str] = {}
    playable: dict[str, dict[str, Any]] = {}
    for bundle in document.findall(lambda n: isinstance(n, nodes.container) and n.get("nb_element") == "mime_bundle"):
        images = {Path(i["uri"]).suffix: i for i in bundle.findall(nodes.image)}
        if ".svg" not in images:
            continue
        alt, name, runs = read_label(Path(app.srcdir, images[".svg"]["uri"].lstrip("/")))
        if not alt:
            logger.warning("a figure without a description: draw it with optim_code.figures", location=bundle)
        for image in images.values():
            image["alt"] = alt
        figure = bundle.parent
        if not isinstance(figure, nodes.figure) or not figure["names"] or not figure.next_node(nodes.caption):
            logger.warning("a figure needs a name and a caption: mystnb: figure: {name, caption}", location=bundle)
        if name and ".pdf" in images:
            pairs[name] = images[".pdf"]["uri"].lstrip("/")
        if runs and isinstance(figure, nodes.figure):
            playable |= {label: {"fname": name, "runs": json.loads(runs)} for label in figure["names"]}
    if pairs:
        app.env.metadata[app.env.docname]["figure_files"] = pairs
    if playable:
        app.env.metadata[app.env.docname]["playable"] = playable


def collect(app: Sphinx, error: Exception | None) -> None:
    """Lay the figures' PDFs, under their own names, into the folder `figures` beside the HTML."""
    if error is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir).parent / "figures"
    wanted = named(app.env)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, source in wanted.items():
        shutil.copyfile(Path(app.srcdir, source), folder / name)


def named(env: BuildEnvironment) -> dict[str, str]:
    """The PDF of every named figure of the book; a name that two figures share is a warning."""
    wanted: dict[str, str] = {}
    for docname in sorted(env.found_docs):
        for name, source in env.metadata[docname].get("figure_files", {}).items():
            if wanted.setdefault(f"{name}.pdf", source) != source:
                logger.warning("two figures are saved as %s.pdf: give one another fname", name, location=docname)
    return wanted


class LightAndDark(SphinxPostTransform):
    """In HTML each figure is there twice, drawn for a light and for a dark page; the style sheet shows one."""

    default_priority = 20
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for image in drawn(self.document, ".svg"):
            twin = image.deepcopy()
            twin["uri"] = self.night(image["uri"].lstrip("/"))
            twin["candidates"] = {"*": twin["uri"]}
            self.env.images.add_file(self.env.docname, twin["uri"])
            image["classes"].append("for-light")
            twin["classes"].append("for-dark")
            image.parent.insert(image.parent.index(image) + 1, twin)

    def night(self, uri: str) -> str:
        """The figure for a dark page, made once for each state of its maker, for importing that takes seconds."""
        light = Path(self.app.srcdir, uri)
        maker = digest(Path(self.app.srcdir, "optim_code", "figures.py"))
        twin = light.parent / maker / f"{light.stem}-dark.svg"
        if not twin.exists():
            from optim_code.figures import dark

            twin.parent.mkdir(parents=True, exist_ok=True)
            twin.write_text(dark(light.read_text()))
        return twin.relative_to(self.app.srcdir).as_posix()


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", describe)
    app.connect("build-finished", collect, priority=400)
    app.add_post_transform(LightAndDark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
