"""What stands beside something else: figures beside each other, and notes beside the text.

What a text compares, a reader must see at once: the figures of neighbouring cells with the tag `beside` stand in one
row, below the code of all. On a screen a row that is too wide for its window breaks; in print it is one float, and the
figures are as small as it takes. A `{margin}` note stands beside the paragraph or formula above it where the
window is wide, and below it elsewhere. Both run when a page is written, as HTML or LaTeX.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

TAG = "tag_beside"
WIDE = 3
"""From so many figures on, a row is wider than the column of the text."""


class PutBeside(SphinxPostTransform):
    """Move the figures of neighbouring cells with the tag into one row."""

    default_priority = 800  # after the outputs of cells have become figures
    formats = ("html", "latex")

    def run(self, **kwargs: Any) -> None:
        for cells in list(neighbours(self.document)):
            row = nodes.container(classes=["beside", *["wide"] * (len(cells) >= WIDE)])
            for cell in cells:
                for figure in list(cell.findall(nodes.figure)):
                    place = figure.parent
                    place.remove(figure)
                    figure["cell_index"] = cell["cell_index"]
                    row += figure
                    if not place.children and place is not cell:
                        place.parent.remove(place)
            last = cells[-1]
            last.parent.insert(last.parent.index(last) + 1, row)


class PutInMargin(SphinxPostTransform):
    """Make one block of a margin note and, in HTML, the block above it.

    The theme's own note would lie over the contents beside the text, and its element says that it belongs to no text.
    """

    default_priority = 800
    formats = ("html", "latex")

    def run(self, **kwargs: Any) -> None:
        for note in list(self.document.findall(is_margin)):
            title, *text = note.children
            words = [nodes.paragraph("", "", *title.children)] if title.children else []
            remark = nodes.container("", *words, *text, classes=["remark"])
            around, place = note.parent, note.parent.index(note)
            above = around[place - 1] if place else None
            # In LaTeX a formula would no longer belong to the paragraph above it.
            if self.app.builder.format == "html" and isinstance(above, nodes.paragraph | nodes.math_block):
                around[place - 1 : place + 1] = [nodes.container("", above, remark, classes=["noted"])]
            else:
                around[place] = remark


def is_margin(node: nodes.Node) -> bool:
    return isinstance(node, nodes.sidebar) and "margin" in node["classes"]


def neighbours(document: nodes.document) -> Iterator[list[nodes.Element]]:
    """The cells with the tag: at least two that follow each other."""
    for around in document.findall(nodes.Element):
        for tagged, group in groupby(around.children, is_tagged):
            if tagged and len(cells := list(group)) > 1:
                yield cells


def is_tagged(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and TAG in node["classes"]


def setup(app: Sphinx) -> None:
    app.add_post_transform(PutBeside)
    app.add_post_transform(PutInMargin)
    app.add_js_file("wide.js", loading_method="defer")
