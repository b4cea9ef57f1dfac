"""`make html` and `make pdf`: Jupyter Book's configuration, Sphinx, and one clear line for whatever goes wrong.

The book is built in `_build/.work`; only a build without a fault replaces the last good one in `_build/html`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
WORK = BUILD / ".work"


class Fault(Exception):
    """Something a person can mend, said in one line: what, where, what to do."""


class Relative:
    """A stream that writes paths as the editor knows them, from the top of the book."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(text.replace(f"{ROOT}{os.sep}", ""))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


def build(builder: str) -> Any:
    """Run one Sphinx builder over the book and return the application.

    Raises:
        Fault: whatever goes wrong, in one line.
    """
    check_writable()
    from docutils.utils import SystemMessage
    from jupyter_book.config import get_final_config
    from myst_nb.core.execute import ExecutionError
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    config = final_config(get_final_config)
    try:
        with patch_docutils(None), docutils_namespace():
            app = Sphinx(
                srcdir=str(ROOT),
                confdir=None,
                outdir=str(WORK / builder),
                doctreedir=str(WORK / ".doctrees"),
                buildername=builder,
                confoverrides=config,
                status=None,
                warning=Relative(sys.stderr),  # type: ignore[arg-type]
            )
            report_progress(app)
            app.build()
            return app
    except ExecutionError as error:
        raise Fault(locate_failing_cell(Path(str(error)), error.__cause__)) from error
    except (SphinxError, SystemMessage) as error:
        raise Fault(one_line(error)) from error


def final_config(get_final_config: Any) -> dict[str, Any]:
    """The Sphinx configuration that `jupyter-book build .` would use, the files it comes from checked first."""
    import yaml
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    toc = ROOT / "_toc.yml"
    for path in (ROOT / "_config.yml", toc):
        try:
            yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise Fault(f"{path.name}: {error.strerror}; the book needs it at its top level") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise Fault(f"{path.name}{line}: not YAML: {getattr(error, 'problem', error)}; mend that line") from error
    try:
        site = parse_toc_yaml(toc)
    except MalformedError as error:
        raise Fault(f"_toc.yml: {error}; see Jupyter Book's table of contents, format jb-book") from error
    missing = [doc for doc in site if not (ROOT / f"{doc.removesuffix('.md')}.md").is_file()]
    if missing:
        raise Fault(f"_toc.yml: names {missing[0]}, but there is no {missing[0]}.md; write it or take the line out")
    overrides = {"external_toc_path": toc.as_posix(), "latex_individualpages": False}
    with contextlib.redirect_stdout(sys.stderr):
        config, _ = get_final_config(user_yaml=ROOT / "_config.yml", cli_config=overrides, sourcedir=ROOT)
    return dict(config)


def check_writable() -> None:
    """Ask for a place to write before anything is computed."""
    try:
        WORK.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=BUILD):
            pass
    except OSError as error:
        raise Fault(f"_build: {error.strerror}; the build writes there: make it writable, or remove it") from error


def report_progress(app: Any) -> None:
    """One line a section while it is read, for the cells take seconds."""
    clock: dict[str, float] = {}

    def begin(app: Any, docname: str, source: list[str]) -> None:
        clock[docname] = time.perf_counter()
        print(f"  {docname} … ", end="", flush=True)

    def end(app: Any, doctree: Any) -> None:
        docname = app.env.docname
        ran = app.env.nb_metadata.get(docname, {}).get("exec_data") if hasattr(app.env, "nb_metadata") else None
        took = time.perf_counter() - clock[docname]
        # A cached run keeps the time it once took; it is new only if it fits into the time since we began.
        how = "no cells" if not ran else f"executed in {ran['runtime']:.1f} s" if ran["runtime"] < took else "cached"
        print(how, flush=True)

    app.connect("source-read", begin, priority=1)
    app.connect("doctree-read", end, priority=999)


def locate_failing_cell(path: Path, cause: BaseException | None) -> str:
    """File, line, cell and reason of a cell that raised."""
    from myst_nb.core.read import read_myst_markdown_notebook
    from nbclient.exceptions import CellExecutionError

    where = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    if not isinstance(cause, CellExecutionError):
        return f"{where}: {one_line(cause)}"
    trace = re.sub(r"\x1b\[[0-9;]*m", "", cause.traceback)
    cell = re.search(r"Cell In\[(\d+)\], line (\d+)", trace)
    reason = f"{cause.ename}: {cause.evalue}".splitlines()[0].rstrip(": ")
    if cell is None:
        return f"{where}: a cell raised {reason}"
    number, line = int(cell[1]), int(cell[2])
    notebook = read_myst_markdown_notebook(path.read_text(encoding="utf-8"), add_source_map=True)
    code = [i for i, c in enumerate(notebook.cells) if c.cell_type == "code"]
    # The map points at the cell's fence; its options follow, and then the code.
    start = notebook.metadata["source_map"][code[number - 1]] + 1
    source = notebook.cells[code[number - 1]].source.splitlines()
    text = path.read_text(encoding="utf-8").splitlines()
    offset = next(i for i in range(start, len(text)) if text[i : i + len(source)] == source)
    code_line = source[line - 1].strip()
    return f"{where}:{offset + line}: cell {number}, line {line}: {reason} in `{code_line}`; mend it, or what it calls"


def one_line(error: object) -> str:
    lines = [line.strip() for line in str(error).replace(f"{ROOT}{os.sep}", "").splitlines() if line.strip()]
    return " ".join(lines) or type(error).__name__


def publish(*names: str) -> None:
    """Put what was built in the place of the last good one; a copy first, so that a reader never meets half a book."""
    for name in names:
        new, old, place = BUILD / f".{name}.new", BUILD / f".{name}.old", BUILD / name
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(WORK / name, new)
        if place.exists():
            place.rename(old)
        new.rename(place)
        shutil.rmtree(old, ignore_errors=True)


def make_html() -> str:
    app = build("html")
    front = app.config.root_doc
    (WORK / "html" / "index.html").write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{app.config.html_title}</title>'
        f'<meta http-equiv="refresh" content="0; url={front}.html"></head>'
        f'<body><p><a href="{front}.html">{app.config.html_title}</a></p></body></html>\n',
        encoding="utf-8",
    )
    publish("html", "figures")
    return "_build/html/index.html"


@contextlib.contextmanager
def faults_in_one_line() -> Iterator[None]:
    try:
        yield
    except Fault as fault:
        sys.exit(f"descent: {fault}")
    except KeyboardInterrupt:
        sys.exit("descent: interrupted; the last good book is untouched")
    except Exception as error:
        log = BUILD / "error.log"
        with contextlib.suppress(OSError):
            log.write_text(traceback.format_exc(), encoding="utf-8")
        sys.exit(f"descent: {one_line(error)} ({type(error).__name__}); details in _build/error.log")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m book._ext.build", description=__doc__)
    parser.add_argument("target", choices=["html", "pdf"])
    target = parser.parse_args().target
    began = time.perf_counter()
    with faults_in_one_line():
        print(f"building the book ({target})", flush=True)
        if target == "html":
            left = make_html()
        else:
            from book._ext.pdf import make_pdf

            left = make_pdf(build)
    print(f"{left} in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    # Under its own name, so that a Fault is the same class wherever it is raised.
    from book._ext.build import main as run

    run()
