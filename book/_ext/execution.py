"""The sections that have to run do so side by side, before any is read; MyST-NB then finds their outputs in its cache.

Each runs through MyST-NB's own client, so what it stores is what it later looks for.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from myst_nb.core.execute import create_client
from myst_nb.core.read import create_nb_reader
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError

from book._ext import warm_kernels


class SectionFails(SphinxError):
    """A cell of a section raised, ran too long, or took its kernel with it; the cause is the error that says which."""

    category = "A cell fails"

    def __init__(self, path: Path, cause: BaseException) -> None:
        super().__init__(f"{path}: {type(cause).__name__}: {cause}")
        self.path = path
        self.cause = cause


class Listener:
    """The logger that a client wants: it says nothing, and remembers whether cells ran."""

    ran = False

    def info(self, message: str, *_: Any, **__: Any) -> None:
        self.ran = self.ran or message.startswith("Executing notebook")

    debug = warning = error = critical = info


def execute(path: Path, config: Any, notebooks: Any) -> float | None:
    """Run a section, or find that the cache holds it.

    Returns:
        The seconds that it ran; None if the cache held it, or it has no cells.
    """
    text = path.read_text(encoding="utf-8")
    reader = create_nb_reader(str(path), config, notebooks, text)
    if reader is None or "{code-cell}" not in text:
        return None
    listener = Listener()
    with create_client(reader.read(text), str(path), notebooks, listener, reader.read_fmt) as client:
        return client.exec_metadata["runtime"] if listener.ran and client.exec_metadata else None


def execute_sections(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Run what is to be read, as many sections at once as there are cores."""
    if app.config.nb_execution_mode != "cache":
        return
    paths = {name: Path(env.doc2path(name)) for name in docnames}
    config, notebooks = env.myst_config, env.mystnb_config  # type: ignore[attr-defined]
    # Made here once; two sections that make it at the same time would trip over each other.
    get_cache(notebooks.execution_cache_path).list_cache_records()
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        jobs = {pool.submit(execute, path, config, notebooks): name for name, path in paths.items()}
        for job in as_completed(jobs):
            name, error = jobs[job], job.exception()
            if error is not None:
                # The sections that run beside it may finish; what they have done is in the cache then.
                pool.shutdown(wait=True, cancel_futures=True)
                raise SectionFails(paths[name], error) from error
            seconds = job.result()
            if seconds is not None:
                app.emit("section-executed", name, seconds)
    except KeyboardInterrupt:
        warm_kernels.end(app)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_event("section-executed")
    app.connect("env-before-read-docs", execute_sections)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
