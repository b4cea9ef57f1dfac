"""The commands `make html`, `make pdf` and the like: run Sphinx with Jupyter Book's settings, and publish the result.

Sphinx builds the book in `_build/.work`. Only a build without a fault replaces the last good book in `_build/html`.
Each fault is one line on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import html
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from book._ext import remembered
from book._ext.cli.publishing import (
    BUILD,
    LASTING,
    PUBLISHED,
    WORK,
    build_lock,
    config_digest,
    current_pdfs,
    input_digest,
    input_digests,
    keep_known_checksums,
    note_sources,
    publish,
    published_digest,
    read_note,
    remove_untrusted_work,
    work_digest,
    work_of,
    write_note,
)
from book._ext.compat import disable_collector_quickly, import_clients_late, select_simply
from book._ext.execute import warm_kernels
from book._ext.execute.freshness import PACKAGE, cells, configure_environment, files_read
from book._ext.faults import ROOT, Fault, one_line
from book._ext.files import files_digest, text_digest
from book._ext.inpage import parts
from book._ext.sources.editions import EDITIONS
from optim_code.equations.sections import SectionError, read_pages

AGAIN = "DESCENT_AGAIN"
"""The environment variable of a build that is the second try."""


class Changed(Fault):
    """A file was changed during the build."""


def run_sphinx(builder: str, edition: str, pdfs: Iterable[str]) -> Any:
    """Run one Sphinx builder over an edition of the book.

    Args:
        builder: the name of the builder.
        edition: one of `EDITIONS`.
        pdfs: the names of the PDFs that pages offer.

    Returns:
        The application.

    Raises:
        Fault: what went wrong, in one line.
    """
    import yaml
    from docutils.utils import SystemMessage
    from sphinx.application import Sphinx
    from sphinx.errors import ExtensionError, SphinxError, SphinxParallelError
    from sphinx.util.console import nocolor
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    # The options of cells and the front matter of pages are YAML, which the parser in C reads ten times faster.
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    from book._ext.cli.console import Console
    from book._ext.execute.execution import SectionFails
    from book._ext.page.equations import EquationsFail
    from book._ext.sources.checking import SourceFaults
    from book._ext.sources.settings import read_settings

    folder = WORK / work_of(builder, edition)
    config = {**read_settings(edition, folder), "handouts": sorted(pdfs)}
    if not sys.stderr.isatty():
        nocolor()
    console = Console()
    try:
        disable_collector_quickly()
        select_simply()
        with patch_docutils(None), docutils_namespace():
            app = Sphinx(
                srcdir=str(ROOT),
                confdir=None,
                outdir=str(folder / builder),
                doctreedir=str(folder / ".doctrees"),
                buildername=builder,
                confoverrides=config,
                status=None,
                warning=console,  # type: ignore[arg-type]
            )
            console.follow(app)
            app.build()
            return app
    except (SectionFails, EquationsFail, SourceFaults) as error:
        raise Fault(str(error)) from error
    except SphinxParallelError as error:
        # From a process that wrote pages comes only the text of the error.
        with contextlib.suppress(OSError):
            (BUILD / "error.log").write_text(str(error.traceback), encoding="utf-8")
        raise Fault(f"{one_line(error)}; details in _build/error.log") from error
    except ExtensionError as error:
        cause, message = error.orig_exc, one_line(error)
        if isinstance(cause, (Fault, SectionError)):
            raise Fault(str(cause)) from error
        if cause is None or message.startswith("Could not import extension"):
            raise Fault(f"_config.yml: {message}") from error
        with contextlib.suppress(OSError):
            (BUILD / "error.log").write_text("".join(traceback.format_exception(cause)), encoding="utf-8")
        place = f"{console.section}.md: " if console.section else ""
        raise Fault(f"{place}{type(cause).__name__}: {one_line(cause)}; details in _build/error.log") from error
    except (SphinxError, SystemMessage) as error:
        raise Fault(one_line(error)) from error
    finally:
        console.close_line()


def check_writable() -> None:
    """Fail early if the build cannot write to `_build`.

    Raises:
        Fault: saying why.
    """
    try:
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=BUILD):
            pass
    except OSError as error:
        raise Fault(f"_build: {error.strerror}; the build writes there: make it writable, or remove it") from error


def build(builder: str, edition: str = EDITIONS[0], pdfs: Mapping[str, Path] | None = None) -> Any:
    """Build an edition, starting from what the last build left if that is intact, and note what was built.

    Args:
        builder: ``html`` or ``latex``.
        edition: one of `EDITIONS`.
        pdfs: the PDFs that pages offer, by the names of their sections.

    Returns:
        The application.

    Raises:
        Fault: what went wrong, in one line.
        Changed: if a file was changed during the build, so that the book may be a mixture of old and new.
    """
    remembered.start()
    code = start_kernels_early()
    before, work = input_digests(), work_of(builder, edition)
    remove_untrusted_work(work)
    app = run_sphinx(builder, edition, pdfs or {})
    if builder == "html":
        write_front_page(app)
        from book._ext.downloads.downloads import lay_out_pdfs

        lay_out_pdfs(Path(app.outdir), pdfs or {})
    if (after := input_digests()) != before:
        shutil.rmtree(WORK / work)
        names = [name for name in sorted({**before, **after}) if before.get(name) != after.get(name)]
        raise Changed(changed_in_build(names))
    if edition == EDITIONS[0] and note_sources(files_read(app.env)):
        before = input_digests()
    made_from = input_digest(before)
    write_note(
        **{f"{work} inputs": made_from, f"{work} config": config_digest(), f"{work} work": work_digest(work)}, code=code
    )
    return app


def changed_in_build(names: list[str]) -> str:
    """A line about files that were changed during a build: by an editor, or by a cell, each time that it runs."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    cells = ((page, block) for page in read_pages(ROOT).values() for block in page.blocks if block.name == "code-cell")
    places = [page.where(block.first) for page, block in cells if Path(names[0]).name in block.body]
    named = f" ({places[0]} names it)" if places else ""
    how = f"build again, or if a cell writes it{named}, let it write to a temporary folder"
    return f"{names[0]}{more} changed during the build; {how}"


def make_html() -> str:
    """Build the book in `_build/html` if anything has changed.

    Returns:
        The path of its first page, with a note if nothing has changed.
    """
    note, pdfs = read_note(), current_pdfs()
    if note.get("inputs") == " ".join([input_digest(), *pdfs]) and note.get("published") == published_digest():
        shutil.rmtree(BUILD / "changes", ignore_errors=True)
        return "nothing has changed since the last build: _build/html/index.html"
    app = build("html", pdfs=pdfs)
    from book._ext.figures.changes import facts_of_book, publish_report, write_report

    after = facts_of_book(app)
    moved = write_report(after, Path(app.outdir))
    publish("html", *PUBLISHED)
    publish_report(after, moved)
    write_note(inputs=" ".join([read_note()["html inputs"], *pdfs]), published=published_digest())
    keep_known_checksums()
    if moved:
        print(f"changed: {moved}: _build/changes/index.html", flush=True)
    return "_build/html/index.html"


def start_kernels_early() -> str:
    """Start the kernel server if a cell or `optim_code` has changed since the last build.

    It imports torch while this process imports Sphinx. Most other reasons to run a section, such as a changed data
    file, are found later, by `warm_kernels.start_if_needed`.

    Returns:
        A digest of all cells and of `optim_code`; empty if a page cannot be read.
    """
    configure_environment(ROOT)
    try:
        sources = [cell for page in read_pages(ROOT).values() for cell in cells(page)]
    except SectionError:
        return ""  # the check of the sources reports it, with all other faults
    code = text_digest(*sources, files_digest(ROOT / PACKAGE))
    if LASTING not in os.environ and read_note().get("code") != code:
        warm_kernels.start()
    return code


def write_front_page(app: Any) -> None:
    """Write `index.html`, which leads to the first page of the book."""
    from book._ext.website.assets import policy  # it needs Sphinx

    front, title = app.config.root_doc, html.escape(app.config.html_title)
    Path(app.outdir, "index.html").write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{policy([])}<title>{title}</title>'
        f'<meta http-equiv="refresh" content="0; url={front}.html"></head>'
        f'<body><p><a href="{front}.html">{title}</a></p></body></html>\n',
        encoding="utf-8",
    )


@contextlib.contextmanager
def faults_in_one_line(command: list[str]) -> Iterator[None]:
    """Print what goes wrong in one line, and exit; start the build again if a file was changed during it.

    Args:
        command: the target and the section, for the second build.
    """
    log = BUILD / "error.log"
    try:
        yield
        with contextlib.suppress(OSError):
            log.unlink()
    except Exception as error:
        if disk_is_full(error):
            sys.exit("descent: _build: No space left on device; make room and build again, the last book is untouched")
        if not isinstance(error, Fault) and (place := unwritable_place(error)):
            sys.exit(f"descent: {place}; the build writes there: make it writable, or remove it")
        if not isinstance(error, (Fault, SectionError)):
            with contextlib.suppress(OSError):
                log.write_text(traceback.format_exc(), encoding="utf-8")
            sys.exit(f"descent: {one_line(error)} ({type(error).__name__}); details in _build/error.log")
        fault = error
        if isinstance(fault, Changed) and not {AGAIN, LASTING} & set(os.environ):
            print(f"{str(fault).partition(';')[0]}; building again", flush=True)
            again = [sys.executable, "-m", "book._ext.cli.build", *command]
            os.execve(sys.executable, again, {**os.environ, AGAIN: "1"})
        sys.exit("\n".join(f"descent: {line}" for line in str(fault).splitlines()))
    except KeyboardInterrupt:
        print("descent: interrupted; the last good book is untouched", file=sys.stderr)
        exit_at_once()


def disk_is_full(error: BaseException | None) -> bool:
    """Whether a full disk is the cause of an error, directly or through other errors."""
    full = (errno.ENOSPC, errno.EDQUOT)
    while error is not None:
        words = ("disk is full", *map(os.strerror, full))
        if getattr(error, "errno", None) in full or any(word in str(error) for word in words):
            return True
        error = error.__cause__ or error.__context__
    return False


def unwritable_place(error: BaseException | None) -> str:
    """The path below `_build` that the build may not write, with the reason, if that caused an error; or nothing."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename:
            path = Path(os.path.abspath(os.fsdecode(error.filename)))
            if path.is_relative_to(BUILD):
                return f"{path.relative_to(ROOT)}: {error.strerror}"
        error = error.__cause__ or error.__context__
    return ""


def exit_at_once() -> NoReturn:
    """Kill kernels and TeX, and exit without clean-up: nbclient's clean-up fails if its kernel has ended."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            # The kernel server notices that the build has ended, and removes its folder.
            if not any(part.endswith("kernel_server.py") for part in child.cmdline()):
                child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)


def maker_of(target: str, section: str) -> Callable[[], str]:
    """The function that makes a target and returns a line about it.

    Raises:
        Fault: if the target cannot be made, because of its section or of a program that is missing.
    """
    if target == "html":
        return make_html
    if target == "assignment":
        from book._ext.downloads.assignment import check_section, make_assignment

        page = check_section(section)
        return lambda: make_assignment(build, page)
    from book._ext.printing import pdf

    pdf.check_tex(target)
    if target == "slides":
        from book._ext.printing.slides import make_slides

        return lambda: make_slides(build)
    if target == "student":
        from book._ext.downloads.leaks import check_poppler
        from book._ext.downloads.student import make_student

        check_poppler()
        pdf.check_names()
        return lambda: make_student(build)
    if target == "handout":
        page = pdf.check_section(section)
        return lambda: offered(pdf.make_handout(build, page))
    pdf.check_names()
    return lambda: offered(pdf.make_pdf(build))


def offered(result: str) -> str:
    """Rebuild the pages, if there are any, so that they offer the new PDFs. Returns `result`."""
    if (BUILD / "html").exists():
        make_html()
    return result


def main(command: list[str] | None = None) -> None:
    """Make the target that the command line names.

    Args:
        command: the arguments; those of the process if None.
    """
    parser = argparse.ArgumentParser(prog="python -m book._ext.cli.build", description=__doc__)
    parser.add_argument("target", choices=["html", "pdf", "handout", "slides", "student", "assignment"])
    parser.add_argument("section", nargs="?", default="", help="the section of a handout or an assignment")
    arguments = parser.parse_args(command)
    started = time.perf_counter()
    # Pages are many small objects that live to the end, so a search for garbage finds little.
    gc.set_threshold(1_000_000, 50, 100)
    if LASTING in os.environ:
        gc.disable()  # a build of the preview ends in a second
    import_clients_late()
    # Nobody reads Sphinx's debug messages.
    logging.disable(logging.DEBUG)
    with faults_in_one_line([arguments.target, arguments.section]):
        print(f"building the book ({arguments.target})", flush=True)
        make = maker_of(arguments.target, arguments.section)
        check_writable()
        with build_lock():
            parts.ensure()  # what it installs is an input of the book, and must be there before a build begins
            try:
                result = make()
                remembered.save()
            finally:
                warm_kernels.stop()
    print(f"{result} in {time.perf_counter() - started:.1f} s", flush=True)


if __name__ == "__main__":
    # Imported under its own name, so that `Changed` is one class, not one of `__main__` and one of this module.
    from book._ext.cli.build import main as run

    run()
    sys.stdout.flush()
    if LASTING not in os.environ:
        # The work is done; a normal exit would take another second to release all modules.
        os._exit(0)
