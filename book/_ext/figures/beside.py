"""Figures side by side: those of neighbouring cells with the tag `beside` stand in one row, below the code of all.

What a text compares, a reader must see at once. Runs when a page is written, as HTML or LaTeX. On a screen a row that
is too wide for its window breaks; in print it is one float, and the figures are as small as it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
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
                    row += figure
                    if not place.children and place is not cell:
                        place.parent.remove(place)
            last = cells[-1]
            last.parent.insert(last.parent.index(last) + 1, row)


def neighbours(document: nodes.document) -> Iterator[list[nodes.Element]]:
    """The cells with the tag: at least two that follow each other."""
    for first in document.findall(is_tagged):
        siblings = first.parent.children
        place = siblings.index(first)
        if place and is_tagged(siblings[place - 1]):
            continue
        cells = [first]
        while place + len(cells) < len(siblings) and is_tagged(siblings[place + len(cells)]):
            cells.append(siblings[place + len(cells)])
        if len(cells) > 1:
            yield cells


def is_tagged(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and TAG in node["classes"]


def setup(app: Sphinx) -> None:
    app.add_post_transform(PutBeside)
    app.add_js_file("wide.js", loading_method="defer")
