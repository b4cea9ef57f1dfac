"""The last pages of a hand-out: its exercises again with room to write, then the answers.

The solutions are moved there from the text, so a teacher can hand out all pages but the last. A student's hand-out has
no answers, because the student's edition has no solutions.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.latex import LaTeXTranslator
from sphinx_exercise.nodes import is_exercise_node, solution_node

from book._ext.page.equations import await_verdicts

CHECKED = re.compile(r'check\("(?P<method>[\w-]+)", (?P<cls>\w+)\)')
"""The words of an exercise that asks for a class, which `check` marks."""


class worksheet(nodes.General, nodes.Element):  # type: ignore[misc]
    """The exercises of a section, each with room to write, from a new page on."""


class task(nodes.General, nodes.Element):  # type: ignore[misc]
    """An exercise on a worksheet; `room` says what the reader writes, ``text`` or ``code``."""


class answers(nodes.General, nodes.Element):  # type: ignore[misc]
    """The solutions of a section, from a new page on."""


def worksheets(document: nodes.document, app: Sphinx) -> list[nodes.Element]:
    """Take the solutions out of a resolved section. Returns its worksheet and its answers, if there are any."""
    solutions = list(document.findall(solution_node))
    for solution in solutions:
        solution.parent.remove(solution)
    tasks = [task_of(exercise, app) for exercise in document.findall(is_exercise_node)]
    return [*([worksheet("", *tasks)] if tasks else []), *([answers("", *solutions)] if solutions else [])]


def task_of(exercise: nodes.Element, app: Sphinx) -> task:
    """A copy of an exercise without labels; if it asks for a class, with the beginning of the class below it."""
    title, *content = (child.deepcopy() for child in exercise.children)
    found = task("", nodes.paragraph("", "", nodes.strong("", "", *title.children)), *content, room="text")
    for body in list(found.findall(nodes.section)):
        body.replace_self(body.children)
    for node in found.findall(nodes.Element):
        node["ids"], node["names"] = [], []
        node.attributes.pop("label", None)
    if marked := CHECKED.search(exercise.astext()):
        beginning = beginning_of(marked["cls"], marked["method"], app)
        found += nodes.literal_block(beginning, beginning, language="python")
        found["room"] = "code"
    return found


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


def visit_worksheet(self: LaTeXTranslator, node: worksheet) -> None:
    self.body.append("\n\\worksheet\n")


def visit_task(self: LaTeXTranslator, node: task) -> None:
    self.body.append("\n\\begin{task}\n")


def depart_task(self: LaTeXTranslator, node: task) -> None:
    self.body.append(f"\n\\end{{task}}\n\\{node['room']}room\n")


def visit_answers(self: LaTeXTranslator, node: answers) -> None:
    self.body.append("\n\\answers\n")


def depart_nothing(self: LaTeXTranslator, node: nodes.Element) -> None:
    pass


def setup(app: Sphinx) -> None:
    app.add_node(worksheet, latex=(visit_worksheet, depart_nothing))
    app.add_node(task, latex=(visit_task, depart_task))
    app.add_node(answers, latex=(visit_answers, depart_nothing))
