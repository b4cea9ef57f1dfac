"""The last pages of a hand-out: its exercises again with room to write, then the answers.

The solutions are moved there from the text, so a teacher can hand out all pages but the last. A student's hand-out has
no answers, because the student's edition has no solutions.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import is_exercise_node, solution_node

from book._ext.page.equations import await_verdicts
from book._ext.printing.typeset import latex

CHECKED = re.compile(r'check\("(?P<method>[\w-]+)", (?P<cls>\w+)\)')
"""The words of an exercise that asks for a class, which `check` marks."""


def worksheets(document: nodes.document, app: Sphinx) -> list[nodes.Node]:
    """Take the solutions out of a resolved section. Returns its worksheet and its answers, if there are any."""
    solutions = list(document.findall(solution_node))
    for solution in solutions:
        solution.parent.remove(solution)
    tasks = [node for exercise in document.findall(is_exercise_node) for node in task_of(exercise, app)]
    sheet = [latex(r"\worksheet"), *tasks] if tasks else []
    return [*sheet, latex(r"\answers"), *solutions] if solutions else sheet


def task_of(exercise: nodes.Element, app: Sphinx) -> list[nodes.Node]:
    """A copy of an exercise without labels and room to write; if it asks for a class, below the beginning of that."""
    title, *content = (child.deepcopy() for child in exercise.children)
    found = nodes.container("", nodes.paragraph("", "", nodes.strong("", "", *title.children)), *content)
    for body in list(found.findall(nodes.section)):
        body.replace_self(body.children)
    for node in found.findall(nodes.Element):
        node["ids"], node["names"] = [], []
        node.attributes.pop("label", None)
    marked = CHECKED.search(exercise.astext())
    if marked:
        beginning = beginning_of(marked["cls"], marked["method"], app)
        found += nodes.literal_block(beginning, beginning, language="python")
    end = latex("\\end{task}\n" + (r"\coderoom" if marked else r"\textroom"))
    return [latex(r"\begin{task}"), *found.children, end]


def beginning_of(cls: str, method: str, app: Sphinx) -> str:
    """The code of a class up to the place where its update is to be written."""
    programs = [verdict.program for verdict in await_verdicts(app)]
    arguments: dict[str, Any] = next((dict(p["arguments"]) for p in programs if p.get("name") == method), {})
    hyper = [n if default is None else f"{n}={re.sub('e-0', 'e-', repr(default))}" for n, default in arguments.items()]
    return (
        f"class {cls}(Optim):\n"
        f"    def __init__({', '.join(['self', 'params', *hyper])}):\n"
        f"        super().__init__(params, dict({', '.join(f'{name}={name}' for name in arguments)}))\n"
        "\n"
        "    def my_step(self, p, state, group):"
    )
