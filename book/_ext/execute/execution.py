"""Run the cells of outdated sections, in parallel, while Sphinx reads the pages that have no cells to run.

The outputs of a section are stored in a folder whose name is a digest of all that they depend on (`freshness`), with a
checksum. Before Sphinx reads a section, they are copied into a cache in which MyST-NB finds them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from jupyter_client.asynchronous.client import AsyncKernelClient
from myst_nb.core.config import NbParserConfig
from myst_nb.core.read import create_nb_reader
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from traitlets.config import Config

from book._ext.cli.publishing import is_intact, write_checksum
from book._ext.compat import stored_notebooks, use_cache
from book._ext.execute import warm_kernels
from book._ext.execute.freshness import LISTING, cells_as_written, code_of
from book._ext.execute.output_forms import normalise
from book._ext.faults import cell_fault
from book._ext.page.equations import await_verdicts
from book._ext.state import build_state, kept_state
from optim_code.equations.sections import Page, read_page

MADE_BY_RUNNING = ("language_info", "widgets")
"""The metadata of a notebook that its kernel writes."""
SETUP = "book._ext.execute.kernel_setup"
"""The extension that IPython loads in each kernel."""
LATE = 60
"""Seconds to wait for the outputs of a cell that has ended."""
KEPT = 200
"""How many folders of outputs are kept, the newest ones."""


class SectionFails(SphinxError):
    """A cell of a section raised an error, ran too long, or ended its kernel.

    Args:
        path: the section.
        cause: the error.
    """

    category = "A cell fails"

    def __init__(self, path: Path, cause: BaseException) -> None:
        super().__init__(str(cell_fault(path, cause)))


class Client(AsyncKernelClient):
    """Jupyter's client without its wait of 0.2 seconds after the kernel has answered."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers, and its outputs arrive.

        Raises:
            RuntimeError: if the kernel ends, or does not answer within ``timeout`` seconds.
        """
        end = time.monotonic() + (timeout or math.inf)
        while time.monotonic() < end and await self.is_alive():
            self.kernel_info()
            with contextlib.suppress(Empty):
                await self.get_shell_msg(timeout=1)
                await self.get_iopub_msg(timeout=0.2)
                return
        raise RuntimeError("the kernel does not start")


def execute(app: Sphinx, docname: str) -> float:
    """Run a section, and store its outputs with their checksum.

    Returns:
        How many seconds it took.
    """
    started = time.perf_counter()
    env: Any = app.env
    path, folder = Path(env.doc2path(docname)), outputs_folder(app, docname)
    # A folder that is there is not intact: a killed build left it, or somebody changed it.
    shutil.rmtree(folder, ignore_errors=True)
    page = read_page(Path(app.srcdir), docname)
    text = page.text
    reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
    if reader is not None:
        notebook = reader.read(text)
        run(notebook, path.parent, env.mystnb_config.copy(**own_settings(page)))
        normalise(notebook)
        # If its sources changed while it ran, the outputs are not stored, and the next build runs it again.
        code = code_of(Path(app.srcdir))
        if code.outputs_key(read_page(code.root, docname), code.data) == folder.name:
            store(notebook, path, folder)
            number_cells(folder)
            write_checksum(folder)
    return time.perf_counter() - started


def own_settings(page: Page) -> dict[str, Any]:
    """The settings of MyST-NB that a page's front matter makes for itself, such as its own ``execution_timeout``."""
    front = page.texts[0].tokens[:1]
    settings = yaml.safe_load(front[0].content) if front and front[0].type == "front_matter" else {}
    return dict(settings.get("mystnb", {}))


def run(notebook: nbformat.NotebookNode, folder: Path, config: NbParserConfig) -> None:
    """Run the cells of a notebook with the settings of MyST-NB.

    Args:
        notebook: the notebook; it gets the outputs.
        folder: the folder of its section.
        config: the settings.
    """
    home = warm_kernels.folder()
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        inside = Path(temporary, "cells")
        inside.mkdir()
        manager = {"client_class": f"{__name__}.{Client.__name__}", "connection_file": f"{temporary}/kernel.json"}
        if home is not None:
            # Another build's kernel could take a free port before this one does; the name of a file is safe.
            manager |= {"transport": "ipc", "ip": temporary}
        done = single_nb_execution(
            notebook,
            cwd=str(inside if config.execution_in_temp else folder),
            timeout=config.execution_timeout,
            allow_errors=config.execution_allow_errors,
            # On a busy machine outputs can arrive seconds late. By default they would be left out, with a warning.
            iopub_timeout=LATE,
            raise_on_iopub_timeout=True,
            extra_arguments=[f"--ext={SETUP}"],
            config=Config({"AsyncKernelManager": manager}),
        )
    if done.err is not None:
        raise done.err


def store(notebook: nbformat.NotebookNode, path: Path, folder: Path) -> None:
    """Store a notebook that has run in a folder, in the layout of jupyter-cache."""
    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": 0.0})
    get_cache(str(folder)).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def number_cells(folder: Path) -> None:
    """Give the cells of a stored notebook ids that are the same in every build, in place of random ones."""
    for path in stored_notebooks(folder):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for number, cell in enumerate(notebook["cells"], start=1):
            cell["id"] = f"cell-{number}"
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")


def outputs_folder(app: Sphinx, docname: str) -> Path:
    """The folder for the outputs of a section, as its sources are now."""
    return Path(app.config.nb_execution_cache_path, kept_state(app.env).outputs[docname])


def executed_cells(app: Sphinx, docname: str) -> list[dict[str, Any]]:
    """The code cells of the section that Sphinx is reading, with their outputs; callers must not change them."""
    stored = stored_notebooks(Path(app.outdir).parent / "jupyter_cache" / docname)
    return [cell for path in stored for cell in code_cells_in(path, path.stat().st_mtime_ns)]


@functools.lru_cache(maxsize=1)
def code_cells_in(path: Path, changed: int) -> list[dict[str, Any]]:
    """The code cells of a notebook's file, kept because three listeners read them, one after the other."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def start_outdated_sections(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Start to run the sections that have no intact outputs, the longest one first.

    The longest is the one with the longest ``execution_timeout`` of its own, and then the longest source. Sphinx reads
    `docnames` in order: first the pages that do not have to run, then the sections, the longest one last, because the
    others end while it runs, and at the end the list of all equations, which waits for all verdicts.
    """
    keys, state = kept_state(env).outputs, build_state(app)
    running = [name for name in docnames if keys[name] and not is_intact(outputs_folder(app, name))]
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
    """Wait until a section has run, before Sphinx reads it, and let MyST-NB find its outputs.

    Raises:
        SectionFails: if a cell failed.
        EquationsFail: if an equation does not hold.
    """
    env: Any = app.env
    if not kept_state(env).outputs.get(docname):
        return
    job = build_state(app).jobs.pop(docname, None)
    if job is not None:
        try:
            seconds = job.result()
        except Exception as error:
            # If an equation does not hold, that may be the reason, and its message says more.
            await_verdicts(app)
            raise SectionFails(Path(env.doc2path(docname)), error) from error
        app.emit("section-executed", docname, seconds)
    page = Page(docname, source[0].split("\n"))
    use_cache(env, page_cache(app, page))


def page_cache(app: Sphinx, page: Page) -> Path:
    """A cache with the outputs of one page, its cells as they are now.

    The code of a cell decides whether its outputs are still right; jupyter-cache alone would run the cell again for a
    new caption, too. If a cell has other code than the one that ran, the cache stays empty, and MyST-NB runs the page.
    """
    env: Any = app.env
    docname, text = page.docname, page.text
    folder = Path(app.outdir).parent / "jupyter_cache" / docname
    note, state = folder / "made_from", "\0".join([outputs_folder(app, docname).name, *cells_as_written(page)])
    if note.exists() and note.read_text(encoding="utf-8") == state:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    path = env.doc2path(docname)
    reader = create_nb_reader(path, env.myst_config, env.mystnb_config, text)
    stored = list(stored_notebooks(outputs_folder(app, docname)))
    if reader is None or len(stored) != 1:
        return folder
    notebook, ran = reader.read(text), nbformat.read(stored[0], as_version=4)  # type: ignore[no-untyped-call]
    code = [[cell for cell in nb.cells if cell.cell_type == "code"] for nb in (notebook, ran)]
    # The student's edition lacks the cells of solutions; the other cells show their outputs of the run of all cells.
    rest = iter(code[1])
    for cell in code[0]:
        old = next((old for old in rest if old.source == cell.source), None)
        if old is None:
            return folder
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    notebook.metadata.update({key: ran.metadata[key] for key in MADE_BY_RUNNING if key in ran.metadata})
    store(notebook, Path(path), folder)
    note.write_text(state, encoding="utf-8")
    return folder


def finish_sections(app: Sphinx, error: Exception | None) -> None:
    """Let the running sections finish, so that their outputs are kept; remove the oldest outputs."""
    pool = build_state(app).pool
    if pool is not None:
        pool.shutdown(wait=True, cancel_futures=True)
    checksums = list(Path(app.config.nb_execution_cache_path).glob("*.checksum"))
    for old in sorted(checksums, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink()
        shutil.rmtree(old.with_suffix(""), ignore_errors=True)


def setup(app: Sphinx) -> None:
    app.add_event("section-executed")
