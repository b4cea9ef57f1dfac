"""sphinx-exercise gives the body of every exercise the same id; on a page, and in a PDF, an id must be one place's."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


def give_bodies_own_ids(app: Sphinx, document: nodes.document) -> None:
    for body in document.findall(nodes.section):
        if body["ids"] in (["exercise-content"], ["solution-content"]) and isinstance(body.parent, nodes.Element):
            body["ids"] = [f"{body.parent['ids'][0]}-content"]
