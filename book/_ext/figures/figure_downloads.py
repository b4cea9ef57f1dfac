"""The files of each figure: PDF, SVG for light and for dark grounds, and CSV, under the name that its cell gave.

They lie in the book, with a row of links below each caption, and beside it in the folder `figures`, with an index.
"""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.osutil import relative_uri

from book._ext.figures.figure_files import Figure, dark_code_digest, dark_twin, figure_number, figures_of, kinds_of
from book._ext.figures.figure_index import index_page
from book._ext.page.equations import toc_order

logger = logging.getLogger(__name__)

FOLDER = "_figures"  # in the book


class downloads(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils has no types
    """The row of links of a figure. It has no text of its own, so the search does not find it."""


class Offer(SphinxPostTransform):
    """In HTML, each figure ends with links to its files."""

    default_priority = 21
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        figures = {figure.id: figure for figure in figures_of(self.env, self.env.docname)}
        for node in self.document.findall(nodes.figure):
            if figure := figures.get(next(iter(node["ids"]), "")):
                node += downloads("", figure=figure.id, name=figure.name, kinds=kinds_of(figure))


def visit_html(self: Any, node: downloads) -> None:
    docname = self.builder.current_docname
    number = figure_number(self.builder.env, docname, node["figure"])
    file = quote(relative_uri(self.builder.get_target_uri(docname), f"{FOLDER}/{node['name']}"))
    links = [
        f'<a href="{file}{ending}" download aria-label="Figure {number} as {kind}">{kind}</a>'
        for ending, kind in node["kinds"].items()
    ]
    self.body.append(f'<p class="downloads">{" ".join(links)}</p>\n')
    raise nodes.SkipNode


def lay_out_downloads(app: Sphinx, error: Exception | None) -> None:
    """Write the files of all figures into the book, and beside it with an index."""
    if error is not None or app.builder.name != "html":
        return
    files: dict[str, Path] = {}
    code = dark_code_digest(app)
    for docname in toc_order(app.env):
        for figure in figures_of(app.env, docname):
            own = files_of(Path(app.srcdir), figure, code)
            again = [name for name in own if name in files]
            taken = next((name for name in again if not filecmp.cmp(own[name], files[name], shallow=False)), None)
            if taken:
                logger.warning("two figures are saved as %s: give one another fname", taken, location=docname)
            files |= own
    lay_out(Path(app.outdir, FOLDER), files)
    beside = Path(app.outdir).parent / "figures"
    lay_out(beside, files)
    if files:
        (beside / "index.html").write_text(index_page(app), encoding="utf-8")


def files_of(root: Path, figure: Figure, code: str) -> dict[str, Path]:
    """The files of a figure, by the names that they get."""
    made = {ending: root / path for ending, path in figure.made.items()}
    made["-dark.svg"] = dark_twin(made[".svg"], code)
    return {f"{figure.name}{ending}": made[ending] for ending in kinds_of(figure)}


def lay_out(folder: Path, files: dict[str, Path]) -> None:
    """Make a folder hold copies of these files and no others. A copy of the same size and time is not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name not in files:
            old.unlink()
    for name, path in files.items():
        copy = folder / name
        if not copy.exists() or not filecmp.cmp(path, copy):
            shutil.copy2(path, copy)


def setup(app: Sphinx) -> None:
    app.add_node(downloads, html=(visit_html, None))
    app.add_post_transform(Offer)
