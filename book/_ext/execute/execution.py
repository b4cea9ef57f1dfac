"""The sections that have to run do so side by side, while pages without cells are read; each is read when it has run.

What a section's cells put out is stored under the name of all that it depends on; MyST-NB finds it in its own cache.
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

SETUP = "book._ext.execute.kernel_setup"
"""The extension that IPython loads in each kernel."""
LATE = 60
"""Seconds for which the outputs of a cell that has ended are waited for."""
KEPT = 200
"""How many states of sections the cache keeps."""


class SectionFails(SphinxError):
    """A cell of a section raised, ran too long, or took its kernel with it; the cause is the error that says which."""

    category = "A cell fails"

    def __init__(self, path: Path, cause: BaseException) -> None:
        super().__init__(str(cell_fault(path, cause)))
        self.path = path
        self.cause = cause


class Client(AsyncKernelClient):
    """Jupyter's client, but for the fifth of a second for which that listens if a kernel that answers says more."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers, and what it puts out arrives.

        Raises:
            RuntimeError: if it ends instead, or does neither for too many seconds.
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
    """Run a section, store its outputs with their checksum. Returns the seconds."""
    began = time.perf_counter()
    env: Any = app.env
    path, folder = Path(env.doc2path(docname)), cache_of(app, docname)
    # Not whole, or it would not be run: what a killed build left, or somebody damaged.
    shutil.rmtree(folder, ignore_errors=True)
    page = read_page(Path(app.srcdir), docname)
    text = page.text
    reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
    if reader is not None:
        notebook = reader.read(text)
        run(notebook, path.parent, env.mystnb_config)
        normalise(notebook)
        # Changed while it ran: this build shows what it shows, but the next one runs the section again.
        if code_of(Path(app.srcdir)).outputs_key(read_page(Path(app.srcdir), docname)) == folder.name:
            store(notebook, path, folder)
            name_cells(folder)
            write_checksum(folder)
    return time.perf_counter() - began


def run(notebook: nbformat.NotebookNode, folder: Path, config: NbParserConfig) -> None:
    """Run the cells of a notebook as the settings of MyST-NB, and its own, say."""
    home = warm_kernels.folder()
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        inside = Path(temporary, "cells")
        inside.mkdir()
        manager = {"client_class": f"{__name__}.{Client.__name__}", "connection_file": f"{temporary}/kernel.json"}
        if home is not None:
            # A free port could be taken by another build's kernel before this one comes to use it; a file's name can't.
            manager |= {"transport": "ipc", "ip": temporary}
        done = single_nb_execution(
            notebook,
            cwd=str(inside if config.execution_in_temp else folder),
            timeout=config.execution_timeout,
            allow_errors=config.execution_allow_errors,
            # On a busy machine outputs can come seconds late; by default they would be left out then, with a warning.
            iopub_timeout=LATE,
            raise_on_iopub_timeout=True,
            extra_arguments=[f"--ext={SETUP}"],
            config=Config({"AsyncKernelManager": manager}),
        )
    if done.err is not None:
        raise done.err


def store(notebook: nbformat.NotebookNode, path: Path, folder: Path) -> None:
    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": 0.0})
    get_cache(str(folder)).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def name_cells(folder: Path) -> None:
    """Give the cells of a stored notebook names that are the same in every build; they come as random numbers."""
    for path in stored_notebooks(folder):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for number, cell in enumerate(notebook["cells"], start=1):
            cell["id"] = f"cell-{number}"
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")


def cache_of(app: Sphinx, docname: str) -> Path:
    return Path(app.config.nb_execution_cache_path, kept_state(app.env).outputs[docname])


def as_run(app: Sphinx, docname: str) -> list[dict[str, Any]]:
    """The code cells of a section that is being read, with their outputs; not to be changed."""
    stored = stored_notebooks(Path(app.outdir).parent / "jupyter_cache" / docname)
    return [cell for path in stored for cell in code_cells_in(path, path.stat().st_mtime_ns)]


@functools.lru_cache(maxsize=1)
def code_cells_in(path: Path, changed: int) -> list[dict[str, Any]]:
    """The code cells of a notebook's file; three ask for them, one after the other."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def start_outdated_sections(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Begin to run what has to run, the longest first; read first what has nothing to run, the rest as it ends."""
    keys, state = kept_state(env).outputs, build_state(app)
    running = [name for name in docnames if keys[name] and not is_intact(cache_of(app, name))]
    if app.config.nb_execution_mode != "cache":
        running = []
    size = {name: Path(env.doc2path(name)).stat().st_size for name in docnames}
    # One section a core. They are a queue of threads that wait for kernels.
    state.pool = pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    longest_first = sorted(running, key=lambda name: -size[name])
    state.jobs = {name: pool.submit(execute, app, name) for name in longest_first}
    listing = [name for name in docnames if LISTING in state.pages[name].text]
    docnames.sort(key=lambda name: (name in listing, name in running, -size[name] if name in running else 0, name))


def await_section(app: Sphinx, docname: str, source: list[str]) -> None:
    """Wait for a section that is about to be read, and let MyST-NB look into its cache."""
    env: Any = app.env
    if not kept_state(env).outputs.get(docname):
        return
    job = build_state(app).jobs.pop(docname, None)
    if job is not None:
        try:
            seconds = job.result()
        except Exception as error:
            # An equation that does not hold may be why, and says more.
            await_verdicts(app)
            raise SectionFails(Path(env.doc2path(docname)), error) from error
        app.emit("section-executed", docname, seconds)
    page = Page(docname, source[0].split("\n"))
    use_cache(env, lay_out(app, page))


def lay_out(app: Sphinx, page: Page) -> Path:
    """A cache that holds the outputs of a section for its cells as they are now.

    Cells are the same if their code is; MyST-NB's cache would run them again for a new caption, too. Where their code
    is another, the cache is left empty, and MyST-NB runs the section itself.
    """
    env: Any = app.env
    docname, text = page.docname, page.text
    folder = Path(app.outdir).parent / "jupyter_cache" / docname
    note, state = folder / "made_from", "\0".join([cache_of(app, docname).name, *cells_as_written(page)])
    if note.exists() and note.read_text(encoding="utf-8") == state:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    path = env.doc2path(docname)
    reader = create_nb_reader(path, env.myst_config, env.mystnb_config, text)
    stored = list(stored_notebooks(cache_of(app, docname)))
    if reader is None or len(stored) != 1:
        return folder
    notebook, ran = reader.read(text), nbformat.read(stored[0], as_version=4)  # type: ignore[no-untyped-call]
    code = [[cell for cell in nb.cells if cell.cell_type == "code"] for nb in (notebook, ran)]
    # An edition may have fewer cells, those of a solution less: it shows what the others put out when all of them ran.
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
    """Let what runs finish, for its outputs are kept then; and forget the oldest states of sections."""
    pool = build_state(app).pool
    if pool is not None:
        pool.shutdown(wait=True, cancel_futures=True)
    seals = list(Path(app.config.nb_execution_cache_path).glob("*.checksum"))
    for old in sorted(seals, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink()
        shutil.rmtree(old.with_suffix(""), ignore_errors=True)


def setup(app: Sphinx) -> None:
    app.add_event("section-executed")
