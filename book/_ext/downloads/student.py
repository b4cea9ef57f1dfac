"""`make student`: the student's kit in `_build/student`, and a zip of it: everything but the answers.

Its pages, PDFs and notebooks are the student's edition. `optim_code` comes without the classes that students write; the
equations that mark those come as data. The kit is searched for solutions and classes before it is published.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
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
"""The README of the kit; ``{book}`` stands for the name of the book's PDF."""
NOT_IMPORTED = ("antlr4-python3-runtime", "ipykernel", "jupyterlab", "scikit-learn")
"""Packages that the kit needs although no file imports them: SymPy's LaTeX reader, Jupyter, and what has the digits."""


def make_student(build: Callable[..., Any]) -> str:
    """Make the kit in `_build/student`. The old one stays until the new one is complete and searched.

    The pages are built before the PDFs, so that a mistake on a page is reported soon.
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
    write_kit_module(kit / "optim_code")
    (kit / "requirements.txt").write_text(requirements_of(kit / "optim_code"), encoding="utf-8")
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
    shutil.copyfile(ROOT / "LICENSE", kit / "LICENSE")
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


def write_kit_module(folder: Path) -> None:
    """Write `optim_code` without the classes that students write, and with the equations that mark theirs."""
    # The kit has no sections, so it does not need their reader.
    withheld = {*class_files(ROOT), Path(sections.__file__)}
    for source in source_files(ROOT / "optim_code"):
        if source not in withheld:
            target = folder / source.relative_to(ROOT / "optim_code")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    updates = sections.displayed_updates(ROOT)
    (folder / "updates.json").write_text(f"{json.dumps(updates, indent=1)}\n", encoding="utf-8")


def requirements_of(folder: Path) -> str:
    """The lines of the book's `requirements.txt` that a folder of Python files needs, and those for Jupyter."""
    imported = {name for path in folder.rglob("*.py") for name in imported_packages(path)} - {"optim_code"}
    homes = packages_distributions()  # PyYAML, say, is imported as yaml
    wanted = {home.lower() for name in imported for home in homes.get(name, [name])} | {*NOT_IMPORTED}
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in pins if (name := re.match(r"[\w.-]+", line)) and name[0].lower() in wanted]
    pinned = {line.partition("==")[0].lower() for line in kept}
    lacking = sorted(name for name in wanted - pinned if name not in sys.stdlib_module_names)
    if lacking:
        raise Fault(f"requirements.txt: pins no {lacking[0]}, which the student's kit needs; add it")
    return "\n".join(kept) + "\n"


def imported_packages(path: Path) -> Iterator[str]:
    """The names of the packages that a file imports, without relative imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def pack(kit: Path, book: str) -> Path:
    """Pack a kit into one archive, which has the same bytes for the same files."""
    packed = kit / f"{book}-student.zip"
    files = sorted(path for path in kit.rglob("*") if path.is_file())
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(f"{book}/{path.relative_to(kit).as_posix()}")
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return packed
