"""`make pdf` and `make handout`: run LaTeX on what the hand-out builder writes, and check what TeX says about it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from book._ext.cli.publishing import BUILD, WORK, note_pdfs, publish, work_of
from book._ext.faults import ROOT, Fault
from book._ext.sources.editions import EDITIONS
from book._ext.sources.settings import check_contents, find_page, line_in

STUDENT = EDITIONS[1]
PROGRAMS = ("lualatex", "latexmk")
LEFTOVERS = (".aux", ".fdb_latexmk", ".fls", ".log", ".out", ".pdf", ".toc")
WIDEST = 2.0
"""Points by which a line may be too wide; less cannot be seen."""

ROOM = 100_000
"""Bytes of free disk space; with less, TeX cannot write its log."""

FAULTS = {
    r"(?:Reference|Hyper reference|Citation) `(?P<what>[^']*)'.* undefined": "nothing has the label {what}",
    r"unreferenced destination with name '(?P<what>[^']*)'": "nothing has the label {what}",
    r"duplicate destination with the name '(?P<what>[^']*)'": "two things have the label {what}",
    r"Label `(?P<what>[^']*)' multiply defined": "two things have the label {what}",
    r"Missing character: There is no (?P<what>\S+) (?:\(U\+\w+\) )?in font": "the fonts have no {what}",
}
OVERFULL = re.compile(
    r"(?:Overfull \\[hv]box \(|LaTeX Warning: Float too large for page by )"
    r"(?P<points>[\d.]+)pt(?: too (?:wide|high)\))?(?P<where>[^\[]*)"
)


class Latex(NamedTuple):
    """An edition in LaTeX: the file of the book, and the files of the hand-outs by the names of their pages."""

    book: Path
    handouts: dict[str, Path]


def make_pdf(build: Callable[[str, str], Any]) -> str:
    """Make the book and its hand-outs in `_build/pdf`. The old ones stay until all new ones are made."""
    teacher, student = (write_latex(build, edition) for edition in EDITIONS)
    documents = [teacher.book, *teacher.handouts.values(), *student.handouts.values()]
    return publish_pdfs(typeset_all(documents), replace=True)


def make_handout(build: Callable[[str, str], Any], section: str) -> str:
    """Make a section's hand-outs for teachers and for students. Other hand-outs stay as they are.

    Args:
        build: builds an edition with a builder.
        section: the name of its page, such as ``book/adam``.
    """
    # A section may be for teachers alone.
    written = [write_latex(build, edition).handouts for edition in EDITIONS]
    documents = [handouts[section] for handouts in written if section in handouts]
    if "\\worksheet" not in documents[0].read_text(encoding="utf-8"):
        print(f"  {documents[0].stem} has no exercises, so its hand-out has no exercise sheet", flush=True)
    return publish_pdfs(typeset_all(documents), replace=False)


def pdf_names(title: str, root: str, sections: Iterable[str]) -> dict[str, str]:
    """The name of the PDF of each page: the book has its name from its title, a hand-out from its file.

    Args:
        title: the title of the book.
        root: the page that the whole book is made from.
        sections: the pages that have a hand-out.

    Returns:
        The names, without a suffix, by page. The book never has the name of a hand-out.
    """
    handouts = {section: PurePosixPath(section).name for section in sections}
    plain = unicodedata.normalize("NFKD", title.casefold())
    book = re.sub(r"[^a-z0-9_-]", "", plain) or "book"
    while book in handouts.values():
        book += "-book"
    return {root: book, **handouts}


def numbered_sections(site: Any) -> list[str]:
    """The numbered pages of a table of contents, read by sphinx-external-toc; each has a hand-out."""
    parts = [part for part in site.root.subtrees if part.numbered]
    return [page.removesuffix(".md") for part in parts for page in part.files()]


def check_names() -> list[str]:
    """Fail early if two hand-outs would have one name. Returns the pages that have a hand-out."""
    sections = numbered_sections(check_contents())
    first: dict[str, str] = {}
    for section in sections:
        other = first.setdefault(PurePosixPath(section).name, section)
        if other != section:
            name = PurePosixPath(section).name
            both = f"{other}.md and {section}.md would both be printed as {name}.pdf"
            raise Fault(f"{line_in(ROOT / '_toc.yml', section)}: {both}; rename one of the two files")
    return sections


def check_section(section: str) -> str:
    """Fail early if a section has no hand-out. Returns the name of its page.

    Args:
        section: as it was typed: ``adam``, ``book/adam`` or ``book/adam.md``.
    """
    sections = check_names()
    if found := find_page(section, sections):
        return found
    if page := find_page(section, (page.docname.removesuffix(".md") for page in check_contents().values())):
        said = f"{page} has no number, and only a section with one has a hand-out"
        raise Fault(f"{line_in(ROOT / '_toc.yml', page)}: {said}; put it into a part with numbered: true")
    what = f"there is no section {section}" if section else "make handout needs a section"
    known = "|".join(PurePosixPath(page).name for page in sections)
    raise Fault(f"{what}; name one that _toc.yml numbers: make handout SECTION={known}")


def write_latex(build: Callable[[str, str], Any], edition: str) -> Latex:
    """Write an edition in LaTeX: the book, and each hand-out."""
    app = build("latex", edition)
    files = {page: Path(app.outdir, target) for page, target, *_ in app.builder.document_data}
    return Latex(files.pop(app.config.root_doc), files)


def typeset_all(documents: Iterable[Path]) -> dict[str, Path]:
    """Make the PDF of each LaTeX file, beside it. The first fault ends it. Returns the PDFs by `name_of`."""
    named = {name_of(tex): tex for tex in documents}
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            for running in [pool.submit(typeset, name, tex) for name, tex in named.items()]:
                running.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return {name: tex.with_suffix(".pdf") for name, tex in named.items()}


def name_of(tex: Path) -> str:
    """The name of a document below `_build/pdf`; those of the student's edition are in a folder of their own."""
    ours = tex.is_relative_to(WORK / work_of("latex", STUDENT))
    return f"{STUDENT}/{tex.stem}" if ours else tex.stem


def publish_pdfs(documents: Mapping[str, Path], replace: bool) -> str:
    """Publish PDFs in `_build/pdf` in one step: in the place of all that is there, or beside the others."""
    finished = WORK / "latex" / "pdf"
    shutil.rmtree(finished, ignore_errors=True)
    if not replace and (BUILD / "pdf").exists():
        shutil.copytree(BUILD / "pdf", finished)
    for name, pdf in documents.items():
        target = finished / f"{name}.pdf"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pdf, target)
    publish("latex", "pdf")
    note_pdfs("latex", (name for name in documents if "/" not in name))
    return f"_build/pdf: {', '.join(f'{name}.pdf' for name in documents)}"


def check_tex(target: str) -> None:
    """Fail early if TeX is not installed."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise Fault(f"make {target} needs {' and '.join(PROGRAMS)}; {install_command()}")


def install_command() -> str:
    """The command that installs what `make pdf` needs, as apt.txt lists it."""
    listed = re.search(r"^# make pdf\n((?:[^#\n].*\n)+)", (ROOT / "apt.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed is not None, "apt.txt has a part that begins with '# make pdf'"
    return f"apt-get install {' '.join(listed[1].split())}"


def typeset(name: str, tex: Path) -> None:
    """Make one PDF, and fail if the log of TeX names a problem."""
    began = time.perf_counter()
    log = tex.with_suffix(".log")
    done = run_latexmk(tex)
    if done.returncode != 0:
        # After a change of style the files of the last run may be wrong: try again without them.
        for suffix in LEFTOVERS:
            tex.with_suffix(suffix).unlink(missing_ok=True)
        done = run_latexmk(tex)
    if done.returncode != 0 and shutil.disk_usage(tex.parent).free < ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # TeX does not say so itself.
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else done.stdout + done.stderr
    problems = read_log(said, tex.read_text(encoding="utf-8").splitlines())
    if done.returncode != 0 and not problems:
        problems = [f"{name}.pdf: latexmk failed with exit code {done.returncode}"]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Fault(f"{problems[0]}{more}; fix it there; {name}.pdf is not made, TeX's words: {log.relative_to(ROOT)}")
    pages = re.search(r"Output written on .*\((\d+) pages?", said)
    print(f"  {name}.pdf … {pages[1] if pages else '?'} pages in {time.perf_counter() - began:.1f} s", flush=True)


TAGS = r"\DocumentMetadata{lang=en, testphase=phase-II, xmp=false}"
"""What comes before a hand-out, so that LaTeX writes tags (descentprint.sty); its XMP would tell the time.

A hand-out takes a third longer with tags. The whole book would take ten minutes, and has none.
"""


def run_latexmk(tex: Path) -> subprocess.CompletedProcess[str]:
    """Run LuaLaTeX on one document until its references no longer change."""
    how = ["-norc", "-lualatex", "-interaction=nonstopmode", "-halt-on-error", f"-jobname={tex.stem}"]
    source = tex.read_text(encoding="utf-8")
    if r"\makehandouttitle" in source:
        how.append(f"-usepretex={TAGS}")
    if not tex.with_suffix(".aux").exists():
        tex.with_suffix(".aux").write_text(expected_labels(source), encoding="utf-8")
    return subprocess.run(
        ["latexmk", *how, tex.name],
        cwd=tex.parent,
        # Long lines, so that a message of TeX is one line.
        env={**os.environ, "max_print_line": "1000", "FORCE_SOURCE_DATE": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def expected_labels(source: str) -> str:
    r"""The labels of a document as LaTeX would note them in a run before the first, which this saves.

    The numbers of equations are right, so the lines of the text are, too; pages and destinations come from the run.
    """
    number, lines = "0", [r"\relax"]
    for said, label in re.findall(r"\\saynumber\{\w+\}\{([^}]*)\}|\\label\{(?:\\detokenize\{)?([^{}]*)\}", source):
        if said:
            number = said
        else:
            lines.append(rf"\newlabel{{{label}}}{{{{{number}}}{{1}}{{}}{{page.1}}{{}}}}")
    return "\n".join(lines) + "\n"


def read_log(log: str, source: list[str]) -> list[str]:
    """The problems that a log of TeX names: errors, missing or double labels, missing characters, lines too wide.

    Args:
        log: the text of the log, its lines not wrapped.
        source: the lines of the document, from which places in the book are found.

    Returns:
        One line for each problem, each once.
    """
    lines = log.splitlines()
    overfull, others = [], []
    errors = {n: line for n, line in enumerate(lines) if re.match("! (?! ==>)", line)}
    for number, line in enumerate(lines):
        for pattern, meaning in FAULTS.items():
            if found := re.search(pattern, line):
                others.append(place_of_text(source, found["what"]) + meaning.format(what=found["what"]))
        if (found := OVERFULL.match(line)) and float(found["points"]) > WIDEST:
            overfull.append(too_large(found, lines[number + 1 :], source))
    # tagpdf counts a formula as a paragraph if it is too wide, and finds at the end that one is missing.
    if errors and not (overfull and all("tagpdf" in line for line in errors.values())):
        # After an error TeX stops, and all references are still unknown: only the error counts.
        return list(dict.fromkeys(fatal_error(lines[number:], source) for number in errors))
    return list(dict.fromkeys(overfull if errors else [*overfull, *others]))


def fatal_error(lines: list[str], source: list[str]) -> str:
    """The error that stopped TeX, with its place and the text there."""
    place = next((found for line in lines if (found := re.match(r"l\.(\d+) ?(.*)", line))), None)
    where, at = (source_place(source, int(place[1])), f" at {place[2].strip()!r}") if place else ("", "")
    advice = f"; is all of TeX there? {install_command()}" if "not found" in lines[0] else ""
    return f"{where}TeX stops{at}: {lines[0][2:].rstrip('.')}{advice}"


def too_large(found: re.Match[str], after: list[str], source: list[str]) -> str:
    """What is too large, with its place: a line, with the text at its end, a figure, or a page, which has no line.

    Args:
        found: what `OVERFULL` found in the log.
        after: the next lines of the log.
        source: the lines of the document.
    """
    place = re.search(r"\d+", found["where"])
    if "Float" in found[0]:
        what = ": it is too high with its caption"
    elif place:
        what = f", at {after[0][-60:]!r}" if "paragraph" in found["where"] else ""
    else:
        page = next((number[1] for line in after if (number := re.match(r"\s*\[(\d+)", line))), "?")
        what = f", on page {page} as a whole"
    return f"{source_place(source, int(place[0])) if place else ''}{found['points']} pt too much for the page{what}"


def place_of_text(source: list[str], text: str) -> str:
    """The place where a text is first used; TeX doesn't always give a line."""
    line = next((number for number, line in enumerate(source, 1) if text in line), None)
    return "" if line is None else source_place(source, line)


def source_place(source: list[str], line: int) -> str:
    """The page and line that a line of LaTeX was made from, as the beginning of a message."""
    place = next((text[7:] for text in reversed(source[:line]) if text.startswith("% from ")), None)
    return f"on line {line} of the LaTeX: " if place is None else f"{place}: "
