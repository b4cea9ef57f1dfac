"""`make student`: what students get, in `_build/student` and as one zip of it: everything but the answers.

Nothing is written for it. The pages, PDFs and notebooks are the student's edition of the book; `optim_code` is the
module without the classes that students write, and the equations that mark those go along as data. Before it takes its
place it is searched for every solution and every class.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from book._ext.cli.publishing import WORK, current_pdfs, left_out, publish
from book._ext.downloads.leaks import Secrets, leaks, repeated
from book._ext.faults import ROOT, Fault
from book._ext.files import source_files
from book._ext.sources.editions import class_files
from optim_code.equations import sections
from optim_code.equations.sections import read_text

README = ROOT / "book" / "kit.md"
"""What the kit says of itself; in it ``{book}`` stands for the name of the book's PDF."""
BESIDE = ("antlr4-python3-runtime", "ipykernel", "jupyterlab")
"""What the kit needs and no file of it imports: SymPy's reader of LaTeX, and where notebooks run."""


def make_student(build: Callable[..., Any]) -> str:
    """The kit in `_build/student`; that of before stays until the new one is whole and tells nothing.

    What is quickly found to be wrong comes first, so that nobody waits for PDFs to hear of a misspelt word on a page.
    """
    from book._ext.downloads.downloads import lay_out_pdfs
    from book._ext.printing.pdf import typeset_all, write_latex

    readme = read_text(README, ROOT)
    teacher = build("html", pdfs=current_pdfs())
    student = build("html", "student")
    pages = Path(student.outdir)
    kit = WORK / "student" / "student"
    shutil.rmtree(kit, ignore_errors=True)
    (kit / "optim_code").mkdir(parents=True)
    lay_out_module(kit / "optim_code")
    (kit / "requirements.txt").write_text(needed(kit / "optim_code"), encoding="utf-8")
    shutil.copytree(pages, kit / "html", ignore=left_out)
    for notebook in sorted(pages.glob("_notebooks/*.ipynb")):
        shutil.copyfile(notebook, kit / notebook.name)
    latex = write_latex(build, "student")
    pdfs = {pdf.stem: pdf for pdf in typeset_all([latex.book, *latex.handouts.values()]).values()}
    lay_out_pdfs(kit / "html", pdfs)
    (kit / "handouts").mkdir()
    for name, pdf in pdfs.items():
        shutil.copyfile(pdf, kit / ("" if name == latex.book.stem else "handouts") / f"{name}.pdf")
    readme = readme.replace("{book}", latex.book.stem)
    (kit / "README.md").write_text(readme, encoding="utf-8")
    secrets = Secrets.of(ROOT, teacher, readme)
    if told := [*repeated(teacher, student), *leaks(kit, secrets)]:
        place, _, name = told[0].partition(" tells ")
        more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        where = secrets.where.get(name) or name.partition(":")[0]
        raise Fault(
            f"{where}: the student's kit would give away an answer: {place} tells {name}{more}; "
            "write it as a directive of its own, or take it out"
        )
    archive = pack(kit, latex.book.stem)
    publish("student", "student")
    return f"_build/student: {len(list(kit.glob('*.ipynb')))} notebooks, the book, {archive.name}"


def lay_out_module(folder: Path) -> None:
    """The module without the classes that students write, and with the equations that mark theirs."""
    from book._ext.page.equations import read_section
    from optim_code.equations.sections import read_pages

    # A kit has no sections, and so not what reads them.
    withheld = {*class_files(ROOT), Path(sections.__file__)}
    for source in source_files(ROOT / "optim_code"):
        if source not in withheld:
            target = folder / source.relative_to(ROOT / "optim_code")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    found = [equation for page in read_pages(ROOT).values() for equation in read_section(page)[0]]
    updates = {equation.label: equation.latex for equation in found if equation.kind == "update"}
    (folder / "updates.json").write_text(f"{json.dumps(updates, indent=1)}\n", encoding="utf-8")


def needed(folder: Path) -> str:
    """The pins, of the book's own, that a folder of Python imports, and those for working with it."""
    wanted = {name.lower() for path in folder.rglob("*.py") for name in imported(path)} | {*BESIDE}
    wanted.discard("optim_code")
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in pins if (name := re.match(r"[\w.-]+", line)) and name[0].lower() in wanted]
    pinned = {line.partition("==")[0].lower() for line in kept}
    lacking = sorted(name for name in wanted - pinned if name not in sys.stdlib_module_names)
    if lacking:
        raise Fault(f"requirements.txt: pins no {lacking[0]}, which the student's kit needs; add it")
    return "\n".join(kept) + "\n"


def imported(path: Path) -> Iterator[str]:
    """The packages that a file imports, by name; not what it imports of its own package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def pack(kit: Path, book: str) -> Path:
    """All of a kit in one archive, which is the same for the same files, whenever it is made."""
    packed = kit / f"{book}-student.zip"
    files = sorted(path for path in kit.rglob("*") if path.is_file())
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(f"{book}/{path.relative_to(kit).as_posix()}")
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return packed
