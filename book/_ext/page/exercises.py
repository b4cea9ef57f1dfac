"""Give the body of each exercise an id of its own: sphinx-exercise gives all bodies the same one."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


def give_bodies_own_ids(app: Sphinx, document: nodes.document) -> None:
    """Make the id of each body from the id of its exercise or solution."""
    for body in document.findall(nodes.section):
        if body["ids"] in (["exercise-content"], ["solution-content"]) and isinstance(body.parent, nodes.Element):
            body["ids"] = [f"{body.parent['ids'][0]}-content"]
