"""The assignment, in the hands of nbgrader itself: released without solutions, marked, and handed back."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml

from book._ext.downloads.leaks import Secrets, leaks
from conftest import BUILD, PAGES, ROOT, run_module, set_up_kernels
from small_book import NOTEBOOK, ONE, TOC, copy_book

POINTS = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]["exercise_points"]
SECTION, CLASS = "rmsprop", "RMSPropOptimizer"
ANSWERED = "answer-ex-rmsprop-turned"
SCORES = f"""
import json
from nbgrader.api import Gradebook

with Gradebook("sqlite:///gradebook.db", "descent") as book:
    graded = {{s.student.id: s.notebooks for s in book.find_assignment("descent").submissions}}
    grades = [(student, grade) for student, notebooks in graded.items() for book in notebooks for grade in book.grades]
    scores = {{student: {{}} for student in graded}}
    for student, grade in grades:
        if grade.notebook.name == "{SECTION}":
            scores[student][grade.name] = grade.auto_score
print(json.dumps(scores))
"""
RIGHT = """
        if not state:
            state["s"] = torch.zeros_like(p.data)
        state["s"].mul_(group["alpha"]).addcmul_(p.grad.data, p.grad.data, value=1 - group["alpha"])
        p.data.addcdiv_(p.grad.data, state["s"].sqrt().add_(group["eps"]), value=-group["lr"])
"""
WRONG = RIGHT.replace('state["s"].sqrt().add_(group["eps"])', '(state["s"] + group["eps"]).sqrt()')
RAISES = RIGHT.replace("if not state:", "if not remembered:")
STEPS = {"right": RIGHT, "wrong": WRONG, "raises": RAISES, "cheats": WRONG, "silent": ""}


def exercises(name: str) -> tuple[int, int]:
    """How many classes a section asks for, and how many answers."""
    text = (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")
    # A page without cells has no notebook. That for editors shows how an exercise is written.
    labels = re.findall(r"^:label: (ex-[\w-]+)$", text, flags=re.M) if "kernelspec:" in text[:300] else []
    classes = sum(label.endswith("-my-step") for label in labels)
    return classes, len(labels) - classes


SECTIONS = [name for page in PAGES if sum(exercises(name := Path(page).name))]


def make(*arguments: str, cold: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    return run_module("book._ext.cli.build", "assignment", *arguments, cold=cold, **env)


def nbgrader(course: Path, *arguments: str) -> str:
    """Run nbgrader as a teacher does, in the course's folder; what it says."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Python's own programs on the path, kernels that start quickly, and a home of nobody's settings."""
    with pytest.MonkeyPatch.context() as patch:
        set_up_kernels(patch)
        patch.setenv("PYTHONPATH", ".")
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="module")
def course(html: Path, environment: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course as it is made, moved to where a teacher keeps it, and released."""
    done = make()
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path_factory.mktemp("courses") / "descent"
    shutil.copytree(BUILD / "assignment", folder)
    nbgrader(folder, "generate_assignment", "descent")
    return folder


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


@pytest.mark.slow
def test_every_section_with_exercises_is_released_with_its_points_and_without_a_solution(course: Path) -> None:
    release = course / "release" / "descent"
    assert sorted(path.stem for path in release.glob("*.ipynb")) == sorted(SECTIONS)
    for name in SECTIONS:
        notebook = read(release / f"{name}.ipynb")
        graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
        classes, answers = exercises(name)
        points = sorted(cell.metadata.nbgrader.points for cell in graded)
        assert points == sorted([POINTS["class"]] * classes + [POINTS["answer"]] * answers)
        assert "raise NotImplementedError()" in "".join(cell.source for cell in notebook.cells) or not classes
        assert sum(cell.source == "*Your answer:*" for cell in notebook.cells) == answers
    assert leaks(release, Secrets.of(ROOT)) == []
    assert leaks(course / "source", Secrets.of(ROOT)) != []
    assert (release / "optim_code" / "updates.json").is_file()
    assert not (release / "optim_code" / "optimizers.py").exists()


def hand_in(course: Path, student: str) -> None:
    """What a student does: write the class, and, if honest, nothing else."""
    folder = course / "submitted" / student / "descent"
    shutil.copytree(course / "release" / "descent", folder)
    for path in folder.glob("*.ipynb"):
        if path.stem != SECTION:
            path.unlink()
    notebook = read(folder / f"{SECTION}.ipynb")
    for cell in notebook.cells:
        if STEPS[student] and cell.id.startswith("class-"):
            cell.source = re.sub(
                r"\n *# YOUR CODE HERE\n *raise NotImplementedError\(\)", STEPS[student].rstrip(), cell.source
            )
            assert STEPS[student].strip() in cell.source
        if student == "right" and cell.id == ANSWERED:
            cell.source = "*My answer:* I am not sure."
        if student == "cheats" and cell.id.startswith("check-"):
            cell.source = "assert True"
    if student != "right":
        # What no one marks takes long after the check, and one submission runs it all.
        check = next(number for number, cell in enumerate(notebook.cells) if cell.id.startswith("check-"))
        notebook.cells[check + 1 :] = [
            cell for cell in notebook.cells[check + 1 :] if cell.cell_type != "code" or "nbgrader" in cell.metadata
        ]
    if student == "cheats":
        checking = folder / "optim_code" / "marking" / "checking.py"
        checking.write_text("def check(name, cls):\n    return True\n\n\ncompiled = check\n", encoding="utf-8")
    nbformat.write(notebook, folder / f"{SECTION}.ipynb")


@pytest.fixture(scope="module")
def graded(course: Path) -> Path:
    for student in STEPS:
        hand_in(course, student)
    nbgrader(course, "autograde", "descent", "--notebook", SECTION)
    nbgrader(course, "generate_feedback", "descent", "--notebook", SECTION)
    return course


def test_a_right_submission_has_its_points_and_no_other(graded: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCORES], cwd=graded, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    nothing = dict.fromkeys(scores["silent"], 0.0)
    assert {student: scores[student] for student in STEPS if student != "right"} == {
        student: nothing for student in STEPS if student != "right"
    }
    # What was answered waits for the teacher.
    assert scores["right"] == {**nothing, f"check-{CLASS}": float(POINTS["class"]), ANSWERED: None}
    assert len(nothing) == sum(exercises(SECTION))


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ("right", "✓ RMSPropOptimizer as rmsprop: passed"),
        ("wrong", "✗ RMSPropOptimizer as rmsprop: not yet: eps inside the root"),
        ("raises", "✗ RMSPropOptimizer as rmsprop: not yet: NameError"),
        ("cheats", "✗ RMSPropOptimizer as rmsprop: not yet: eps inside the root"),
        ("silent", "✗ RMSPropOptimizer as rmsprop: not yet: my_step is not written"),
    ],
)
def test_the_feedback_shows_the_verdict_and_none_of_our_code(graded: Path, student: str, said: str) -> None:
    page = html.unescape((graded / "feedback" / student / "descent" / f"{SECTION}.html").read_text(encoding="utf-8"))
    assert said in page
    ran = read(graded / "autograded" / student / "descent" / f"{SECTION}.ipynb")
    (check,) = [cell for cell in ran.cells if cell.id.startswith("check-")]
    assert said in json.dumps(check.outputs, ensure_ascii=False)
    trace = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(line for out in check.outputs for line in out.get("traceback", ())))
    assert bool(trace) == (student != "right")
    # The cell's own lines, and no other's.
    assert re.findall(r"\bFile |\.py\b", trace) == []


# --- labels and names of every kind --------------------------------------------------------------------------------

LONG = "ex-one-" + "-".join(["long"] * 14)
LABELS = ["ex-one-half", "ex:one:colon", LONG, f"{LONG}er", "ex-größe", "ex.twin", "ex+twin", "ex_twin"]
CELL = "```{code-cell} ipython3\n1 + 1\n```\n"


@pytest.fixture(scope="module")
def odd(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course of a book with labels of every kind, and two sections whose files have one name."""
    copy = copy_book(tmp_path_factory.mktemp("odd") / "book")
    asked = [f"```{{exercise}} It\n:label: {label}\nTry {number}.\n```\n" for number, label in enumerate(LABELS)]
    solved = ["```{solution} ex:one:colon\nThe first way.\n```\n", "```{solution} ex:one:colon\nThe second.\n```\n"]
    asked[0] = asked[0].replace("\nTry", "\n:class: points-8\nTry")
    asked[1] = asked[1].replace("\nTry", "\n:class: dropdown points-0\nTry")
    asked[-2:] = ["\n".join(["````{note}", *asked[-2:], "````\n"])]
    copy.write("book/one.md", "\n".join([ONE, *asked, *solved]))
    copy.replace("_config.yml", "answer: 5", "answer: 6")
    (copy.root / "book" / "sub").mkdir()
    copy.write("book/sub/one.md", f"{NOTEBOOK}\n# Below\n\n{CELL}\n```{{exercise}} It\n:label: ex-sub\nTry.\n```\n")
    copy.write("_toc.yml", f"{TOC}  - file: book/sub/one\n")
    done = copy.build("assignment")
    assert done.returncode == 0, done.stderr
    folder = tmp_path_factory.mktemp("courses") / "odd"
    shutil.copytree(copy.root / "_build" / "assignment", folder)
    nbgrader(folder, "generate_assignment", "descent")
    return folder


def test_an_exercise_of_any_label_with_or_without_a_solution_has_an_answer_cell(odd: Path) -> None:
    assert {path.stem for path in (odd / "source" / "descent").glob("*.ipynb")} == {"book-one", "sub-one"}
    source, release = (read(odd / folder / "descent" / "book-one.ipynb") for folder in ("source", "release"))
    nbformat.validate(source)
    answers = [cell for cell in source.cells if "nbgrader" in cell.metadata]
    assert [cell.source for cell in answers] == ["", "The first way.\n\nThe second.", *[""] * (len(LABELS) - 2)]
    # What an exercise says itself counts, and of the others what the book says.
    assert [cell.metadata.nbgrader.points for cell in answers] == [8, 0, *[6] * (len(LABELS) - 2)]
    names = [cell.metadata.nbgrader.grade_id for cell in answers]
    assert len({*names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", cell.id) for cell in source.cells)
    assert len({cell.id for cell in source.cells}) == len(source.cells)
    released = [cell.source for cell in release.cells if "nbgrader" in cell.metadata]
    assert released == ["*Your answer:*"] * len(LABELS)


def test_a_wrong_number_of_points_is_one_line_with_its_place(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    exercise = "```{exercise} It\n:label: ex-one-it\n:class: points-many\nTry.\n```\n"
    copy.write("book/one.md", f"{ONE}\n{exercise}")
    line = ONE.count("\n") + 2
    said = "points-many names no number of points; write a class such as points-5"
    assert copy.fault() == f"book/one.md:{line}: WARNING: {said}"


def fault(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_section_without_exercise_is_one_line(html: Path) -> None:
    assert fault(make("intro")) == (
        f"descent: SECTION=intro: it has no exercise; those with exercises are {', '.join(SECTIONS)}"
    )
    assert fault(make("adm")).startswith("descent: SECTION=adm: it is not a section of the book with cells; those")


def test_one_section_alone_can_be_assigned(html: Path) -> None:
    assert make("adam").returncode == 0
    assert [path.name for path in (BUILD / "assignment" / "source" / "descent").glob("*.ipynb")] == ["adam.ipynb"]


def test_without_nbgrader_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    # A sitecustomize that hides it, as if it were not installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'nbgrader' else find(name, package)\n"
    )
    assert fault(make(cold=True, PYTHONPATH=str(tmp_path))) == (
        "descent: nbgrader is not installed, and the assignment is for it: pip install -r requirements.txt"
    )


def test_a_course_in_use_is_not_overwritten(html: Path) -> None:
    (BUILD / "assignment").mkdir(exist_ok=True)
    book = BUILD / "assignment" / "gradebook.db"
    book.write_bytes(b"points")
    assert fault(make()) == (
        "descent: _build/assignment/gradebook.db: this course is in use; move the folder out of _build, then try again"
    )
    assert book.read_bytes() == b"points"
    book.unlink()
