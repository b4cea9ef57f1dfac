"""`make assignment`: the exercises of the sections as a course for nbgrader, in `_build/assignment`.

The assignment of a section is the student's notebook. `check` marks the class, in a cell that students can't change;
the answers to the other exercises are marked by hand. nbgrader takes the solutions out when it releases the assignment.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from book._ext.cli.publishing import BUILD, WORK, publish
from book._ext.downloads.student import write_kit_module
from book._ext.faults import Fault
from book._ext.sources.settings import check_contents, find_page

if TYPE_CHECKING:
    from book._ext.downloads.notebooks import Part

GRADED = {"check": "class", "answer": "answer"}
"""The kinds of cells that have points, each with its name in the setting `exercise_points`."""

TEMPLATES = {"nbgrader_config.txt": "nbgrader_config.py", "nbgrader_readme.md": "README.md"}
"""The texts of this folder that go along, with their names there."""
ASSERT = """
display(verdict)
assert verdict, f"\\n{verdict}\""""
"""The lines after the check in its cell: they show the verdict, and fail if it is bad, so that nbgrader counts it."""


def check_section(section: str) -> str:
    """Fail early if the book has no such section. Returns the name of its page, or nothing if none is asked for."""
    if find_spec("nbgrader") is None:
        raise Fault("nbgrader is not installed, and the assignment is for it: pip install -r requirements.txt")
    pages = [str(page).removesuffix(".md") for page in check_contents()]
    found = find_page(section, pages)
    if section and not found:
        known = ", ".join(PurePosixPath(page).name for page in pages)
        raise Fault(f"SECTION={section}: it is not a section of the book with cells; those of _toc.yml are {known}")
    return found


def make_assignment(build: Callable[..., Any], section: str) -> str:
    """Make the course in `_build/assignment`, of one page or of all pages that have exercises."""
    place, work = BUILD / "assignment", WORK / "assignment"
    used = [name for name in ("gradebook.db", "submitted") if (place / name).exists()]
    if used:
        raise Fault(
            f"_build/assignment/{used[0]}: this course is in use; move the folder out of _build, then try again"
        )
    from book._ext.downloads.notebooks import as_text, notebook_names
    from book._ext.page.equations import toc_order
    from book._ext.printing.handouts import names_of

    student = build("html", "student")
    names = notebook_names(student.env)
    sections = {docname: parts_in(student, docname) for docname in toc_order(student.env) if docname in names}
    asked = [docname for docname, parts in sections.items() if any(part.kind in GRADED for part in parts)]
    if section and section not in asked:
        what = "has no exercise" if section in sections else "is not a section of the book with cells"
        given = names.get(section, PurePosixPath(section).name)
        raise Fault(
            f"SECTION={given}: it {what}; those with exercises are {', '.join(names[docname] for docname in asked)}"
        )
    teacher = build("html")
    wanted = [section] if section else asked
    shutil.rmtree(work, ignore_errors=True)
    course = names_of(teacher)[teacher.config.root_doc]
    folder = work / "assignment" / "source" / course
    write_kit_module(folder / "optim_code")
    for docname in wanted:
        made = assignment_of(sections[docname], parts_in(teacher, docname), teacher.config.exercise_points)
        (folder / f"{names[docname]}.ipynb").write_text(as_text(made), encoding="utf-8")
    for template, name in TEMPLATES.items():
        text = Path(__file__).with_name(template).read_text(encoding="utf-8")
        written = text.format(title=teacher.config.html_title, course=course)
        (work / "assignment" / name).write_text(written, encoding="utf-8")
    publish("assignment", "assignment")
    return "_build/assignment; what to do with it is in its README.md"


def parts_in(app: Any, docname: str) -> list[Part]:
    """The cells of a section's notebook in the edition that an application has built."""
    from book._ext.downloads.notebooks import parts_of

    return parts_of(app, docname, app.env.get_and_resolve_doctree(docname, app.builder))


def assignment_of(student: list[Part], teacher: list[Part], points: dict[str, int]) -> Any:
    """The notebook of a section as nbgrader's source.

    Args:
        student: the cells of the student's notebook.
        teacher: those of the teacher's, which has the solutions.
        points: what a class and an answer are worth if their exercise says nothing else.
    """
    from book._ext.downloads.notebooks import assemble

    whole: dict[tuple[str, str], str] = {}
    for part in teacher:
        key = part.kind, part.name
        # An exercise may have several solutions.
        whole[key] = f"{whole[key]}\n\n{part.source}" if part.kind == "solution" and key in whole else part.source
    parts = [replace(part, source=with_solution(part, whole)) for part in student]
    notebook = assemble(parts)
    for part, cell in zip(parts, notebook.cells, strict=True):
        if part.kind in ("class", "check", "answer"):
            cell.metadata["nbgrader"] = {
                "schema_version": 3,
                "grade_id": cell.id,
                "grade": part.kind in GRADED,
                "solution": part.kind != "check",
                "locked": part.kind == "check",
                "task": False,
            }
        if part.kind in GRADED:
            usual = points[GRADED[part.kind]]
            cell.metadata["nbgrader"]["points"] = usual if part.points is None else part.points
    return notebook


def with_solution(part: Part, whole: dict[tuple[str, str], str]) -> str:
    """The source of a cell with its solution, which nbgrader takes out again."""
    if part.kind == "answer":
        return whole.get(("solution", part.name), "") if part.name else ""
    if part.kind == "check":
        before, _, call = part.source.rpartition("\n")
        return f"{before}\nverdict = {call}{ASSERT}"
    if part.kind != "class":
        return part.source
    # Imported here, because it imports Sphinx.
    from book._ext.downloads.notebooks import NOT_WRITTEN

    lines = whole["class", part.name].split("\n")
    (cls,) = (node for node in ast.parse("\n".join(lines)).body if isinstance(node, ast.ClassDef))
    step = next(node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "my_step")
    body = lines[step.body[0].lineno - 1 : step.body[-1].end_lineno]
    marked = ["        ### BEGIN SOLUTION", *body, "        ### END SOLUTION"]
    return part.source.replace(NOT_WRITTEN, "\n".join(marked))
