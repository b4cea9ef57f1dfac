"""The student's kit: what is in it, that it works by itself, and that it tells nothing."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbclient import NotebookClient

from book._ext.downloads.leaks import Secrets, leaks
from book._ext.sources.marks import MARK, split
from conftest import BUILD, PAGES, ROOT, run_build
from optim_code.equations.sections import blocks
from optim_code.train import methods

pytestmark = pytest.mark.needs("tex", "poppler")

CANARY = "zyzzyvas"
METHODS = {
    "sgd": "SGDOptimizer",
    "momentum": "SGDMomentumOptimizer",
    "rmsprop": "RMSPropOptimizer",
    "adam": "AdamOptimizer",
}
"""The methods that have a section of their own."""
TRUST = """
from book._ext.cli.publishing import config_digest, work_digest, write_note
write_note(**{"student-latex config": config_digest(), "student-latex work": work_digest("student-latex")})
"""
"""Notes that what TeX left is from the last build; without it, the next one removes it first."""


@pytest.fixture(scope="module")
def unpacked(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit as a student has it: out of the zip, far from the book."""
    folder = tmp_path_factory.mktemp("desk")
    with zipfile.ZipFile(kit / "descent-student.zip") as archive:
        archive.extractall(folder)
    return folder / "descent"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_kit_has_all_its_parts(kit: Path) -> None:
    there = {path.name for path in kit.iterdir()}
    sections = {"quadratic", *METHODS, "landscapes", "beyond", "training"}
    notebooks = {f"{page}.ipynb" for page in sections}
    parts = {"html", "descent.pdf", "handouts", "optim_code", "requirements.txt", "README.md", "LICENSE"}
    parts |= {"descent-student.zip"}
    assert notebooks | parts <= there
    assert (kit / "html" / "index.html").is_file()
    assert {path.stem for path in (kit / "handouts").iterdir()} == sections
    assert len((kit / "README.md").read_text(encoding="utf-8").splitlines()) == 5


def test_the_zip_holds_the_kit(kit: Path, unpacked: Path) -> None:
    packed = contents(kit)
    del packed["descent-student.zip"]
    assert contents(unpacked) == packed


def test_the_kit_contains_no_solution_and_no_class(kit: Path) -> None:
    assert leaks(kit, Secrets.of(ROOT)) == []


def test_the_same_search_finds_them_in_the_teachers_pages_and_notebooks(html: Path) -> None:
    secrets = Secrets.of(ROOT)
    found = [line for folder in ("book", "_notebooks") for line in leaks(html / folder, secrets)]
    told = {line.partition(" tells ")[2] for line in found}
    assert told == {*secrets.solutions, *secrets.code}


@pytest.mark.slow
def test_the_kit_does_not_depend_on_any_answer(kit: Path, tmp_path: Path) -> None:
    """Write other solutions, and other words into the classes: the kit must be the same, to the byte."""
    root = tmp_path / "book"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("_build", ".*", "__pycache__"))
    # No cell has to run again. Nor has LaTeX, unless a byte of what it reads is another one, and then the PDF is, too.
    for folder in (".outputs", ".work/student-latex/latex"):
        shutil.copytree(BUILD / folder, root / "_build" / folder)
    done = python(TRUST, root)
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        path = root / f"{page}.md"
        lines = path.read_text(encoding="utf-8").split("\n")
        for block in list(blocks("\n".join(lines))):
            if block.name == "solution":
                body = range(block.first + 1, block.last - 1)
                kept = [number for number in body if re.match(r":|`{3}|$", lines[number])]
                marks = MARK.finditer("\n".join(lines[number] for number in body))
                names = [split(mark["content"])[1] for mark in marks]
                words = sorted({*body} - {*kept})
                for number in words:
                    lines[number] = f"{CANARY} {CANARY}"
                # The marks stay, because cells assert them.
                lines[words[0]] += "".join(f" {{holds}}`{CANARY} <{name}>`" for name in names)
                lines[words[0]] += f"\n\n$$\na = b\n$$ (def-{CANARY}-{path.stem}-{block.first})\n"
        path.write_text("\n".join(lines), encoding="utf-8")
    classes = root / "optim_code" / "optimizers.py"
    text = classes.read_text(encoding="utf-8").split("\n")
    for node in ast.walk(ast.parse("\n".join(text))):
        if isinstance(node, ast.FunctionDef) and node.name == "my_step":
            for number in range(node.body[0].lineno - 1, node.end_lineno):
                text[number] += f"  # {CANARY}"
        elif isinstance(node, ast.ClassDef):
            text[node.body[0].lineno - 1] += f" {CANARY}"  # the first line of what documents it
    classes.write_text("\n".join(text), encoding="utf-8")
    done = run_build("student", root)
    assert done.returncode == 0, done.stdout + done.stderr
    other = contents(root / "_build" / "student")
    assert [name for name, content in other.items() if CANARY.encode() in content] == []
    assert {name for name, content in contents(kit).items() if other.pop(name, None) != content} | {*other} == set()


def test_the_module_in_the_kit_has_the_equations_but_not_the_classes(kit: Path) -> None:
    inside, module = kit / "optim_code", ROOT / "optim_code"
    files = {path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file()}
    own = {path.relative_to(module).as_posix() for path in module.rglob("*.py")}
    # What reads the sections is not needed where there are none.
    assert files == own - {"optimizers.py", "equations/sections.py"} | {"updates.json"}
    equations = json.loads((kit / "optim_code" / "updates.json").read_text(encoding="utf-8"))
    assert {*equations} == {f"update-{name}" for name in methods()}


def test_the_kit_asks_for_nothing_that_is_not_pinned(kit: Path) -> None:
    pins = (kit / "requirements.txt").read_text(encoding="utf-8").splitlines()
    book = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {*pins} < {*book}
    names = {re.match(r"[\w.-]+", pin)[0] for pin in pins}
    assert {"torch", "matplotlib", "numpy", "fonttools", "sympy", "scikit-learn", "tqdm"} <= names
    assert {"jupyterlab", "ipykernel"} <= names
    assert not names & {"Sphinx", "jupyter-book", "pytest", "nbgrader"}


# --- in the kit, by itself -----------------------------------------------------------------------------------------


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=alone, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_class_is_marked_by_the_kit_alone(unpacked: Path) -> None:
    code = """
from optim_code import Optim, check
class Mine(Optim):
    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr))
    def my_step(self, p, state, group):
        p.data -= group["lr"] * p.grad
class Uphill(Mine):
    def my_step(self, p, state, group):
        p.data += group["lr"] * p.grad
print(check("sgd", Mine), check("sgd", Uphill), sep="\\n")
"""
    done = python(code, unpacked)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("✓ Mine as sgd: passed")
    assert "✗ Uphill as sgd: not yet: step uphill" in done.stdout


def test_a_class_that_is_not_there_is_one_line(unpacked: Path) -> None:
    done = python("from optim_code import AdamOptimizer", unpacked)
    assert done.stderr.splitlines()[-1].startswith("ImportError: AdamOptimizer is not in this kit; write it as a class")


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_notebook_runs_to_its_end_once_the_class_is_written(unpacked: Path, name: str) -> None:
    notebook = nbformat.read(unpacked / f"{name}.ipynb", as_version=4)
    (stub,) = [cell for cell in notebook.cells if "raise NotImplementedError" in cell.source]
    source = (ROOT / "optim_code" / "optimizers.py").read_text(encoding="utf-8")
    stub.source = "import torch\n" + re.search(rf"^class {METHODS[name]}\(.*?(?=^class |\Z)", source, re.M | re.S)[0]
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(unpacked)}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("passed" in output.get("data", {}).get("text/plain", "") for output in outputs)
    drawn = sum("image/svg+xml" in output.get("data", {}) for output in outputs)
    assert drawn == len(page(unpacked / "html", name).select("figure .drawing"))


# --- the pages -----------------------------------------------------------------------------------------------------


def page(folder: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((folder / "book" / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("name", ["intro", "quadratic", *METHODS])
def test_numbers_are_the_same_in_both_editions(kit: Path, html: Path, name: str) -> None:
    def numbers(folder: Path) -> list[str]:
        found = page(folder, name).select(".caption-number, .eqno, .exercise > .admonition-title, .section-number")
        return [element.get_text() for element in found]

    mine, theirs = numbers(kit / "html"), numbers(html)
    assert mine
    assert mine == theirs


def test_each_edition_counts_the_phrases_that_it_marks(kit: Path, html: Path) -> None:
    for folder in (kit / "html", html):
        rows = [[cell.get_text() for cell in row.select("td")] for row in page(folder, "checks").select("tr")]
        said = [int(row[1]) for row in rows if len(row) == 2]
        marked = [len(page(folder, Path(name).name).select(".held-note")) for name in PAGES if name != "book/editing"]
        assert said == [*filter(None, marked), sum(marked)]


@pytest.mark.parametrize("name", METHODS)
def test_a_students_section_has_its_update_and_says_who_writes_the_class(kit: Path, name: str) -> None:
    text = page(kit / "html", name)
    assert text.select_one(f"#equation-update-{name}")
    assert not text.select(".solution")
    said = f"You write the class {METHODS[name]} yourself, in Exercise"
    assert said in " ".join(text.get_text().split())


def test_the_students_book_has_no_chapter_for_editors_and_no_dead_link(kit: Path) -> None:
    assert not (kit / "html" / "book" / "editing.html").exists()
    for path in (kit / "html").rglob("*.html"):
        if "_static" in path.parts:
            continue
        for link in BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select("a[href]"):
            address = str(link["href"]).partition("#")[0]
            if address and not re.match(r"https?:|mailto:", address):
                assert (path.parent / address).resolve().exists(), f"{path.name}: {address}"


def test_the_module_page_leaves_the_classes_out(kit: Path, html: Path) -> None:
    ids = {element["id"] for element in page(kit / "html", "api").select("[id]")}
    teachers = {element["id"] for element in page(html, "api").select("[id]")}
    assert "optim_code.optimizers.AdamOptimizer" in teachers - ids
    assert "optim_code.marking.checking.check" in ids
