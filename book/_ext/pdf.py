"""`make pdf` and `make handout`: from the LaTeX that the hand-out builder writes to PDFs without a fault."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from .editions import EDITIONS
from .faults import ROOT, Fault
from .keeping import BUILD, WORK, note_pdfs, publish

STUDENT = EDITIONS[1]
PROGRAMS = ("lualatex", "latexmk")
LEFTOVERS = (".aux", ".fdb_latexmk", ".fls", ".log", ".out", ".pdf", ".toc")
WIDEST = 2.0
"""Points by which a line may stick out; nobody sees less."""

FAULTS = {
    r"(?:Reference|Hyper reference|Citation) `(?P<what>[^']*)'.* undefined": "nothing has the label {what}",
    r"unreferenced destination with name '(?P<what>[^']*)'": "nothing has the label {what}",
    r"duplicate destination with the name '(?P<what>[^']*)'": "two things have the label {what}",
    r"Label `(?P<what>[^']*)' multiply defined": "two things have the label {what}",
    r"Missing character: There is no (?P<what>\S+) (?:\(U\+\w+\) )?in font": "the fonts have no {what}",
}
OVERFULL = re.compile(r"Overfull \\[hv]box \((?P<points>[\d.]+)pt too (?:wide|high)\)(?P<where>[^\[]*)")


def make_pdf(build: Callable[[str, str], Any]) -> str:
    """The book and its hand-outs in `_build/pdf`; those of before stay until all the new ones are right."""
    documents: dict[str, Path] = {}
    for edition in EDITIONS:
        (book, tex), *handouts = write_latex(build, edition).items()
        documents |= {} if edition == STUDENT else {book: tex}
        documents |= {name_of(section, edition): tex for section, tex in handouts}
    typeset_all(documents)
    return publish_pdfs(documents, replace=True)


def make_handout(build: Callable[[str, str], Any], section: str) -> str:
    """A section's hand-outs for teachers and for students, in the place of its last ones; the others stay."""
    written = {name_of(section, edition): write_latex(build, edition) for edition in EDITIONS}
    # A section may be for teachers alone.
    documents = {name: latex[section] for name, latex in written.items() if section in latex}
    if "\\worksheet" not in documents[section].read_text(encoding="utf-8"):
        print(f"  {section} has no exercises, so its hand-out has no exercise sheet", flush=True)
    typeset_all(documents)
    return publish_pdfs(documents, replace=False)


def name_of(section: str, edition: str) -> str:
    """Where a hand-out lies below `_build/pdf`: the teacher's beside the book, the student's in a folder."""
    return f"{STUDENT}/{section}" if edition == STUDENT else section


def check_section(section: str) -> None:
    """Refuse a section that there is no hand-out of, before anything is computed."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    from .settings import check_contents, read_yaml

    toc = ROOT / "_toc.yml"
    read_yaml(toc)
    check_contents(toc)
    parts = parse_toc_yaml(toc).root.subtrees
    known = [PurePosixPath(page.removesuffix(".md")).name for part in parts if part.numbered for page in part.files()]
    if section not in known:
        what = f"there is no section {section}" if section else "make handout needs a section"
        raise Fault(f"{what}; name one that _toc.yml numbers: make handout SECTION={'|'.join(known)}")


def write_latex(build: Callable[[str, str], Any], edition: str) -> dict[str, Path]:
    """Write an edition in LaTeX: the file of the book, then of each hand-out, by name."""
    builder = build("latex", edition).builder
    return {Path(target).stem: Path(builder.outdir, target) for _, target, *_ in builder.document_data}


def typeset_all(documents: Mapping[str, Path]) -> None:
    """Make the PDF of each document, beside its LaTeX; the first fault ends it."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            for running in [pool.submit(typeset, name, tex) for name, tex in documents.items()]:
                running.result()
        except Fault:
            pool.shutdown(cancel_futures=True)
            raise


def publish_pdfs(documents: Mapping[str, Path], replace: bool) -> str:
    """Lay typeset documents into `_build/pdf` in one step, in the place of all that is there, or beside the rest."""
    finished = WORK / "latex" / "pdf"
    shutil.rmtree(finished, ignore_errors=True)
    if not replace and (BUILD / "pdf").exists():
        shutil.copytree(BUILD / "pdf", finished)
    for name, tex in documents.items():
        target = finished / f"{name}.pdf"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tex.with_suffix(".pdf"), target)
    publish("latex", "pdf")
    note_pdfs("latex", (name for name in documents if "/" not in name))
    return f"_build/pdf: {', '.join(f'{name}.pdf' for name in documents)}"


def check_tex(target: str) -> None:
    """Ask for TeX before anything is computed."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise Fault(f"make {target} needs {' and '.join(PROGRAMS)}; {install()}")


def install() -> str:
    """The command that installs what `make pdf` needs, as apt.txt lists it."""
    listed = re.search(r"^# make pdf\n((?:[^#\n].*\n)+)", (ROOT / "apt.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed is not None, "apt.txt has a part that begins with '# make pdf'"
    return f"apt-get install {' '.join(listed[1].split())}"


def typeset(name: str, tex: Path) -> None:
    """Make one PDF and look at what TeX says about it."""
    began = time.perf_counter()
    log = tex.with_suffix(".log")
    done = run_latexmk(tex)
    if done.returncode != 0:
        # What the run before left may be at fault, after a change of style: once more, from nothing.
        for suffix in LEFTOVERS:
            tex.with_suffix(suffix).unlink(missing_ok=True)
        done = run_latexmk(tex)
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else done.stdout + done.stderr
    problems = read_log(said, tex.read_text(encoding="utf-8").splitlines())
    if done.returncode != 0 and not problems:
        problems = [f"latexmk failed with exit code {done.returncode}"]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Fault(f"{name}.pdf: {problems[0]}{more}; mend it there, TeX's words are in {log.relative_to(ROOT)}")
    pages = re.search(r"Output written on .*\((\d+) pages?", said)
    print(f"  {name}.pdf … {pages[1] if pages else '?'} pages in {time.perf_counter() - began:.1f} s", flush=True)


def run_latexmk(tex: Path) -> subprocess.CompletedProcess[str]:
    """Run LuaLaTeX over one document until its references are settled."""
    return subprocess.run(
        ["latexmk", "-norc", "-lualatex", "-interaction=nonstopmode", "-halt-on-error", tex.name],
        cwd=tex.parent,
        # Long lines, so that a message of TeX is one line.
        env={**os.environ, "max_print_line": "1000", "FORCE_SOURCE_DATE": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def read_log(log: str, source: list[str]) -> list[str]:
    """What is wrong with a document, by the log of TeX: errors, dead references, missing characters, lines too wide.

    Args:
        log: the text of the log, its lines not wrapped.
        source: the lines of the document, to say where a line number is.

    Returns:
        One line for each problem, each once.
    """
    lines = log.splitlines()
    # A run that stopped has settled no reference; what stopped it is all there is to say.
    problems = [stop(lines[number:], source) for number, line in enumerate(lines) if line.startswith("! ")]
    if problems:
        return list(dict.fromkeys(problems))
    for number, line in enumerate(lines):
        for pattern, meaning in FAULTS.items():
            if found := re.search(pattern, line):
                problems.append(meaning.format(what=found["what"]) + spot(source, found["what"]))
        if (found := OVERFULL.match(line)) and float(found["points"]) > WIDEST:
            problems.append(f"{found['points']} pt too much {overfull(found['where'], lines[number + 1 :], source)}")
    return list(dict.fromkeys(problems))


def stop(lines: list[str], source: list[str]) -> str:
    """What stopped TeX, and where: its message, and further down the line it was at."""
    place = next((found for line in lines if (found := re.match(r"l\.(\d+) ?(.*)", line))), None)
    where = f" {locate(source, int(place[1]))}, at {place[2].strip()!r}" if place else ""
    advice = f"; is all of TeX there? {install()}" if "not found" in lines[0] else ""
    return f"TeX stops{where}: {lines[0][2:].rstrip('.')}{advice}"


def overfull(where: str, after: list[str], source: list[str]) -> str:
    """Where a line or a page is too full: TeX gives a line number, or none if it is the page."""
    if place := re.search(r"\d+", where):
        text = f", at {after[0][-60:]!r}" if "paragraph" in where else ""
        return locate(source, int(place[0])) + text
    page = next((found[1] for line in after if (found := re.match(r"\s*\[(\d+)", line))), "?")
    return f"on page {page} as a whole"


def spot(source: list[str], text: str) -> str:
    """Where a text is first used, for TeX doesn't always say."""
    line = next((number for number, line in enumerate(source, 1) if text in line), None)
    return "" if line is None else f" {locate(source, line)}"


def locate(source: list[str], line: int) -> str:
    """The page that a line of LaTeX was made from."""
    page = next((text[7:] for text in reversed(source[:line]) if text.startswith("% from ")), None)
    return f"in {page}.md" if page else f"on line {line}"
