"""Kernels that start in a tenth of a second: forks of one process that has imported torch and matplotlib already.

To Jupyter this is an ordinary kernel spec of the usual name, found first. Its command is a stub that asks the server
for a fork (`kernel_stub`, `kernel_server`). The server starts with the first build that has something to run, and ends
with that build; the live preview has one of its own, for all its builds.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from book._ext.cli.publishing import LASTING, is_intact
from book._ext.state import kept_state

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

HERE = Path(__file__).parent
WAIT = 60.0
LONGEST = 70
"""How long the name of the folder for temporary files may be; the names of sockets have 32 more, of 107."""
BUILDS = [
    "jinja2.ext",
    "jupyter_book.config",
    "jupyter_cache.readers",
    "jupytext",
    "latexcodec.codec",
    "matplotlib.figure",
    "myst_nb.ext.glue.domain",
    "myst_nb.sphinx_ext",
    "myst_parser.sphinx_ext.directives",
    "nbformat.validator",
    "numpy.typing",
    "pybtex.backends.plaintext",
    "pybtex.database.input.bibtex",
    "pybtex.style.formatting.unsrt",
    "pybtex.style.sorting.none",
    "pygments.lexers.shell",
    "pygments.styles.bw",
    "sphinx.builders.html.transforms",
    "sphinx.ext.autodoc.typehints",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_book_theme",
    "sphinx_comments",
    "sphinx_copybutton",
    "sphinx_design.extension",
    "sphinx_exercise",
    "sphinx_external_toc.collectors",
    "sphinx_jupyterbook_latex",
    "sphinx_thebe",
    "sphinx_togglebutton",
    "sphinxcontrib.bibtex.style.referencing.author_year",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
    "sympy.parsing.latex",
]
"""What a build imports, if it is forked too."""


class WarmKernels:
    """The server, the socket it listens at, and the kernel spec that leads there.

    Args:
        builds: whether builds are to be forked from it too, so that it imports what they need.
    """

    def __init__(self, builds: bool = False) -> None:
        # The name of a socket is short, by the system's demand.
        long = len(tempfile.gettempdir()) > LONGEST
        self.folder = Path(tempfile.mkdtemp(prefix="descent-", dir="/tmp" if long else None))
        socket = self.folder / "socket"
        self.stub = stub(self.folder, "socket-builds" if builds else "socket")
        kernel = [*stub(self.folder), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = self.folder / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps({"argv": kernel, "display_name": "Python 3", "language": "python"}))
        preload = BUILDS if builds else []
        self.server = subprocess.Popen(
            [sys.executable, "-I", str(HERE / "kernel_server.py"), str(socket), *preload], stdin=subprocess.DEVNULL
        )
        self.before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = os.pathsep.join([str(self.folder), *filter(None, [self.before])])
        # The socket is there before the imports are done; a stub that connects early waits in the queue.
        began = time.monotonic()
        while not socket.exists() and self.server.poll() is None and time.monotonic() - began < WAIT:
            time.sleep(0.01)

    def alive(self) -> bool:
        return self.server.poll() is None

    def end(self) -> None:
        if not self.alive():
            say_once("the kernel server ended before the build did; kernels started one by one from then on")
        # A stub that still waits is to end, too, and not to do without the server.
        with contextlib.suppress(OSError):
            (self.folder / "ended").touch()
        self.server.terminate()
        self.server.wait()
        if self.before is None:
            os.environ.pop("JUPYTER_PATH", None)
        else:
            os.environ["JUPYTER_PATH"] = self.before
        shutil.rmtree(self.folder, ignore_errors=True)


def stub(folder: Path, socket: str = "socket") -> list[str]:
    return [sys.executable, "-I", "-S", str(HERE / "kernel_stub.py"), str(folder / socket)]


running: WarmKernels | None = None


def start(builds: bool = False) -> None:
    """Start the server, if there is none and this system can fork."""
    global running
    if running is not None and not running.alive():
        end()
    if running is None and LASTING not in os.environ:
        if can_fork():
            running = WarmKernels(builds)
        else:
            say_once(f"kernels start one by one here, for {sys.platform} cannot fork them")


@functools.cache
def say_once(line: str) -> None:
    print(line, flush=True)


def can_fork() -> bool:
    return sys.platform.startswith("linux")


def end() -> None:
    global running
    if running is not None:
        running.end()
        running = None


def folder() -> str | None:
    """The folder that goes when the server does, however the build ends; None without a server."""
    return os.environ.get(LASTING) or (str(running.folder) if running is not None else None)


def python() -> list[str]:
    """The command of a Python that has imported torch already, or of an ordinary one."""
    if LASTING in os.environ:
        return stub(Path(os.environ[LASTING]))
    return running.stub if running is not None else [sys.executable]


def environment() -> dict[str, str]:
    """The environment of a build that uses the server that runs now, and leaves it running."""
    return {**os.environ, LASTING: str(running.folder)} if running is not None else dict(os.environ)


def start_if_needed(app: Sphinx, env: BuildEnvironment, *_: Any) -> list[str]:
    """Start it if cells have to run, or many equations to be checked."""
    cache = Path(app.config.nb_execution_cache_path)
    if any(key and not is_intact(cache / key) for key in kept_state(env).outputs.values()):
        start()
    return []


def stop_server(app: Sphinx, *_: Any) -> None:
    end()
