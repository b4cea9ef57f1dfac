"""Exercises and solutions: ids of their own for all bodies, and numbers that do not depend on the solutions."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_exercise.nodes import solution_node

from book._ext.state import kept_state


def give_bodies_own_ids(app: Sphinx, document: nodes.document) -> None:
    """Make the id of each body from that of its exercise or solution: sphinx-exercise gives all bodies the same one."""
    for body in document.findall(nodes.section):
        if body["ids"] in (["exercise-content"], ["solution-content"]) and isinstance(body.parent, nodes.Element):
            body["ids"] = [f"{body.parent['ids'][0]}-content"]


def note_solutions(app: Sphinx, document: nodes.document) -> None:
    """Note what stands in the solutions of a page and may have a number."""
    inside = (node for solution in document.findall(solution_node) for node in solution.findall(nodes.Element))
    kept_state(app.env).in_solutions[app.env.docname] = {name for node in inside for name in node["ids"][:1]}


def number_solutions_last(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Number what stands in solutions last, so that all else has the same number in an edition without them."""
    solved = kept_state(env).in_solutions
    counted: dict[tuple[str, tuple[int, ...]], list[tuple[bool, tuple[int, ...], str, str]]] = {}
    for docname, kinds in env.toc_fignumbers.items():
        for kind, numbers in kinds.items():
            for name, number in numbers.items():
                place = (name in solved.get(docname, ()), number, docname, name)
                counted.setdefault((kind, number[:-1]), []).append(place)
    for (kind, _), places in counted.items():
        for number, (*_, docname, name) in zip(sorted(p[1] for p in places), sorted(places), strict=True):
            env.toc_fignumbers[docname][kind][name] = number
    return []  # the pages whose numbers change are written again as for any other change of numbers
