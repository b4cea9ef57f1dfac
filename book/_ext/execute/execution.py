"""Run the cells of outdated sections, in parallel, while Sphinx reads the pages that have no cells to run.

The outputs of a section are stored in a notebook whose name is a digest of all that they depend on (`freshness`), with
a checksum. MyST-NB gets them from there when it reads the section.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from myst_nb.core.execute.base import NotebookClientBase
from myst_nb.core.read import create_nb_reader
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError

from book._ext.cli.publishing import is_intact, write_checksum
from book._ext.compat import use_client
from book._ext.execute.freshness import LISTING, OUTPUTS, Code, outputs_path
from book._ext.faults import cell_fault
from book._ext.files import read_json
from book._ext.page.equations import await_verdicts
from book._ext.state import build_state, kept_state
from optim_code.equations.sections import Page, read_page

MADE_BY_RUNNING = ("language_info", "widgets")
"""The metadata of a notebook that its kernel writes."""
KEPT = 200
"""How many notebooks with outputs are kept, the newest ones."""


class SectionFails(SphinxError):
    """A cell of a section raised an error, ran too long, or ended its kernel.

    Args:
        path: the section.
        cause: the error.
    """

    category = "A cell fails"

    def __init__(self, path: Path, cause: BaseException) -> None:
        super().__init__(str(cell_fault(path, cause)))


def execute(app: Sphinx, docname: str) -> float:
    """Run a section, and store its outputs with their checksum.

    Returns:
        How many seconds it took.
    """
    from book._ext.execute.running import run

    started = time.perf_counter()
    env: Any = app.env
    path, stored = Path(env.doc2path(docname)), outputs_of(app, docname)
    page = read_page(Path(app.srcdir), docname)
    reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, page.text)
    # A file that is there is not intact: a killed build left it, or somebody changed it.
    stored.unlink(missing_ok=True)
    if reader is not None:
        notebook = reader.read(page.text)
        run(notebook, path.parent, env.mystnb_config.copy(**own_settings(page)))
        # If its sources changed while it ran, the outputs are not stored, and the next build runs it again.
        code = Code(Path(app.srcdir))
        if outputs_path(code.root, code.outputs_key(read_page(code.root, docname), code.data)) == stored:
            store(notebook, stored)
    return time.perf_counter() - started


def own_settings(page: Page) -> dict[str, Any]:
    """The settings of MyST-NB that a page's front matter makes for itself, such as its own ``execution_timeout``."""
    return dict(page.front.get("mystnb", {}))


def store(notebook: nbformat.NotebookNode, stored: Path) -> None:
    """Store a notebook that has run. Its cells get ids that are the same in every build, in place of random ones."""
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number}"
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True), encoding="utf-8")
    write_checksum(stored)


def outputs_of(app: Sphinx, docname: str) -> Path:
    """The file with the outputs of a section, as its sources are now."""
    return outputs_path(Path(app.srcdir), kept_state(app.env).outputs[docname])


def executed_cells(app: Sphinx, docname: str) -> list[dict[str, Any]]:
    """The code cells of the section that Sphinx is reading, with their outputs; callers must not change them."""
    read, cells = build_state(app).cells_read
    return cells if read == docname else []


def start_outdated_sections(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Start to run the sections that have no intact outputs, the longest one first.

    The longest is the one with the longest ``execution_timeout`` of its own, and then the longest source. Sphinx reads
    `docnames` in order: first the pages that do not have to run, then the sections, the longest one last, because the
    others end while it runs, and at the end the list of all equations, which waits for all verdicts.
    """
    keys, state = kept_state(env).outputs, build_state(app)
    running = [name for name in docnames if keys[name] and not is_intact(outputs_of(app, name))]
    if app.config.nb_execution_mode != "cache":
        running = []
    size = {
        name: (own_settings(state.pages[name]).get("execution_timeout", 0), Path(env.doc2path(name)).stat().st_size)
        for name in running
    }
    # One section on each core. The threads wait for kernels.
    state.pool = pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    longest_first = sorted(running, key=size.__getitem__, reverse=True)
    state.jobs = {name: pool.submit(execute, app, name) for name in longest_first}
    listing = [name for name in docnames if LISTING in state.pages[name].text]
    others = [name for name in sorted(docnames) if name not in running]
    docnames[:] = sorted([*others, *longest_first[1:], *longest_first[:1]], key=listing.__contains__)


def await_section(app: Sphinx, docname: str, source: list[str]) -> None:
    """Wait until a section has run, before Sphinx reads it.

    Raises:
        SectionFails: if a cell failed.
        EquationsFail: if an equation does not hold.
    """
    job = build_state(app).jobs.pop(docname, None)
    if job is not None:
        try:
            seconds = job.result()
        except Exception as error:
            # If an equation does not hold, that may be the reason, and its message says more.
            await_verdicts(app)
            raise SectionFails(Path(app.env.doc2path(docname)), error) from error
        app.emit("section-executed", docname, seconds)


class StoredOutputs(NotebookClientBase):  # type: ignore[misc]
    """Gives the cells of the page that MyST-NB reads their stored outputs, in place of MyST-NB's own cache.

    If the page has a cell with other code than the one that ran, because somebody has changed it in the meantime, the
    page runs here.

    Args:
        app: the application that reads the page.
        others: those of MyST-NB's clients.
    """

    def __init__(self, app: Sphinx, *others: Any, **named: Any) -> None:
        super().__init__(*others, **named)
        self.app = app

    def start_client(self) -> None:
        """Give the notebook its outputs.

        Raises:
            SectionFails: if the page has to run, and a cell fails; or if the book cannot show an output.
        """
        if all(cell.cell_type != "code" for cell in self.notebook.cells):
            return
        docname = self.app.env.docname
        stored = outputs_of(self.app, docname)
        ran = read_json(stored)
        if not ran or not give_outputs(self.notebook, ran):
            self.run_here()
        self.exec_metadata = {
            "mtime": stored.stat().st_mtime if ran else time.time(),
            "runtime": 0.0,
            "method": "cache",
            "succeeded": True,
            "error": None,
            "traceback": None,
        }
        # MyST-NB removes from the notebook what cells glue.
        cells = [cell for cell in copy.deepcopy(self.notebook.cells) if cell.cell_type == "code"]
        build_state(self.app).cells_read = docname, cells
        # The doctree has no trace of hidden cells.
        placed = enumerate(zip(self.notebook.metadata["source_map"], self.notebook.cells, strict=True))
        code = {place: (line, cell.source) for place, (line, cell) in placed if cell.cell_type == "code"}
        self.app.env.metadata[docname]["cells"] = code
        self.app.emit("outputs-known", docname, cells)

    def run_here(self) -> None:
        from book._ext.execute.running import run

        try:
            run(self.notebook, self.path.parent, self.nb_config)
        except Exception as error:
            raise SectionFails(self.path, error) from error


def give_outputs(notebook: nbformat.NotebookNode, ran: dict[str, Any]) -> bool:
    """Give the code cells of a page the outputs of its run, if each has the code of a cell that ran, in this order.

    The student's edition lacks the cells of solutions; the other cells show their outputs of the run of all cells.

    Args:
        notebook: the page as it is read now; it gets the outputs.
        ran: the notebook that ran.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    rest = iter([cell for cell in ran["cells"] if cell["cell_type"] == "code"])
    found = [next((old for old in rest if old["source"] == cell.source), None) for cell in code]
    if None in found:
        return False
    for cell, old in zip(code, nbformat.from_dict(found), strict=True):  # type: ignore[no-untyped-call]
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    made = {key: ran["metadata"][key] for key in MADE_BY_RUNNING if key in ran["metadata"]}
    notebook.metadata.update(nbformat.from_dict(made))  # type: ignore[no-untyped-call]
    return True


def finish_sections(app: Sphinx, error: Exception | None) -> None:
    """Let the running sections finish, so that their outputs are kept; remove the oldest outputs."""
    pool = build_state(app).pool
    if pool is not None:
        pool.shutdown(wait=True, cancel_futures=True)
    checksums = list((Path(app.srcdir) / OUTPUTS).glob("*.checksum"))
    for old in sorted(checksums, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink()
        old.with_suffix(".ipynb").unlink(missing_ok=True)


def setup(app: Sphinx) -> None:
    app.add_event("section-executed")
    app.add_event("outputs-known")
    use_client(functools.partial(StoredOutputs, app))
