"""`make assignment`: the sections' exercises as a course that nbgrader takes as it is, in `_build/assignment`.

A section's assignment is the student's notebook. The class to write is marked by `check`, in a cell that students can't
change; the answers to the other exercises are marked by hand. nbgrader takes the solutions out when it releases it.
"""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from book._ext.cli.publishing import BUILD, WORK, publish
from book._ext.downloads.student import lay_out_module
from book._ext.faults import Fault
from book._ext.sources.settings import find_page, read_contents
from book._ext.state import kept_state

if TYPE_CHECKING:
    from book._ext.downloads.notebooks import Part

GRADED = {"check": "class", "answer": "answer"}
"""The kinds of cells that have points, each with its name in the setting `exercise_points`."""

CONFIG = '''\
"""Read by nbgrader, which is to be run in this folder."""

c = get_config()
c.CourseDirectory.course_id = "{course}"
# What stands where a student is to answer.
c.ClearSolutions.text_stub = "*Your answer:*"
# A class that never ends is stopped, and so marked as one that doesn't pass.
c.Execute.timeout = 120
c.Execute.interrupt_on_timeout = True
'''
README = """\
# {title}: the exercises, for nbgrader

Copy this folder to where you keep your courses, and run these there, in an environment with nbgrader, such as the
book's own (`source .venv/bin/activate`):

    nbgrader generate_assignment {course}    # what students get: release/{course}
    nbgrader autograde {course}              # marks submitted/STUDENT/{course}
    nbgrader formgrader                    # the answers that are marked by hand: jupyter lab, then Nbgrader
    nbgrader generate_feedback {course}      # feedback/STUDENT/{course}

`autograde` runs what students wrote, with your rights. `check` runs a class in a process of its own and doesn't believe
what it says, so that an accident stays there; it is no security border, and the other cells run in the notebook itself.
So mark in a container that has a copy of this folder and nothing else of yours, and no network. With Docker, and an
image `grader` that has nbgrader and the packages of the book's `requirements.txt`:

    docker run --rm --network none --memory 4g --pids-limit 512 --user "$(id -u)" \\
        --volume "$PWD":/course --workdir /course --env HOME=/tmp grader nbgrader autograde {course}

Such a container can write to this folder alone: keep the copy that you give it apart from your list of marks.
"""
ASSERT = """
display(verdict)
assert verdict, f"\\n{verdict}\""""
"""What follows the check in its cell: the verdict, for the student to see, and for nbgrader to count."""


def check_section(section: str) -> str:
    """Refuse what the book has no page of, before anything is computed. Returns the name of its page, or of none."""
    if find_spec("nbgrader") is None:
        raise Fault("nbgrader is not installed, and the assignment is for it: pip install -r requirements.txt")
    pages = [str(page).removesuffix(".md") for page in read_contents()]
    found = find_page(section, pages)
    if section and not found:
        known = ", ".join(PurePosixPath(page).name for page in pages)
        raise Fault(f"SECTION={section}: it is not a section of the book with cells; those of _toc.yml are {known}")
    return found


def make_assignment(build: Callable[..., Any], section: str) -> str:
    """The course in `_build/assignment`, of one page of the book or of all that have exercises."""
    place, work = BUILD / "assignment", WORK / "assignment"
    used = [name for name in ("gradebook.db", "submitted") if (place / name).exists()]
    if used:
        raise Fault(
            f"_build/assignment/{used[0]}: this course is in use; move the folder out of _build, then try again"
        )
    from book._ext.downloads.notebooks import as_text, notebook_names
    from book._ext.printing.handouts import names_of

    app = build("html")
    notebooks = {docname: assignment_of(app, docname) for docname in with_cells(app)}
    asked = {docname: notebook for docname, notebook in notebooks.items() if notebook is not None}
    names = notebook_names(app.env)
    if section and section not in asked:
        what = "has no exercise" if section in notebooks else "is not a section of the book with cells"
        given = names.get(section, PurePosixPath(section).name)
        raise Fault(
            f"SECTION={given}: it {what}; those with exercises are {', '.join(names[docname] for docname in asked)}"
        )
    wanted = [section] if section else list(asked)
    shutil.rmtree(work, ignore_errors=True)
    course = names_of(app)[app.config.root_doc]
    folder = work / "assignment" / "source" / course
    lay_out_module(folder / "optim_code")
    for docname in wanted:
        (folder / f"{names[docname]}.ipynb").write_text(as_text(asked[docname]), encoding="utf-8")
    (work / "assignment" / "nbgrader_config.py").write_text(CONFIG.format(course=course), encoding="utf-8")
    readme = README.format(title=app.config.html_title, course=course)
    (work / "assignment" / "README.md").write_text(readme, encoding="utf-8")
    publish("assignment", "assignment")
    return "_build/assignment; what to do with it is in its README.md"


def with_cells(app: Any) -> list[str]:
    from book._ext.page.equations import toc_order

    return [docname for docname in toc_order(app.env) if kept_state(app.env).outputs.get(docname)]


def assignment_of(app: Any, docname: str) -> Any:
    """A section's notebook as nbgrader's source; None if it asks nothing."""
    from book._ext.downloads.notebooks import assemble, parts_of

    student, teacher = (parts_of(app, docname, edition) for edition in ("student", "teacher"))
    if not any(part.kind in GRADED for part in student):
        return None
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
            usual = app.config.exercise_points[GRADED[part.kind]]
            cell.metadata["nbgrader"]["points"] = usual if part.points is None else part.points
    return notebook


def with_solution(part: Part, whole: dict[tuple[str, str], str]) -> str:
    """The source of a cell, with what nbgrader takes out of it again."""
    if part.kind == "answer":
        return whole.get(("solution", part.name), "") if part.name else ""
    if part.kind == "check":
        before, _, call = part.source.rpartition("\n")
        return f"{before}\nverdict = {call}{ASSERT}"
    if part.kind != "class":
        return part.source
    # Only here, for it takes Sphinx.
    from book._ext.downloads.notebooks import NOT_WRITTEN

    lines = whole["class", part.name].split("\n")
    (cls,) = (node for node in ast.parse("\n".join(lines)).body if isinstance(node, ast.ClassDef))
    step = next(node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "my_step")
    body = lines[step.body[0].lineno - 1 : step.body[-1].end_lineno]
    marked = ["        ### BEGIN SOLUTION", *body, "        ### END SOLUTION"]
    return part.source.replace(NOT_WRITTEN, "\n".join(marked))


if __name__ == "__main__":
    from book._ext.cli.build import main

    main(["assignment", *sys.argv[1:]])
