"""The script that brings the book's own code to the reader's browser: files of Python, and what they read as data.

It takes torch and SymPy, and some seconds, to make. So another process makes it while sections run, a fork of the
kernel server if it runs, once for each state of what it is made from. It is kept beside the packages of npm, where the
builds of other copies find it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from book._ext.execute import warm_kernels
from book._ext.execute.freshness import PACKAGE
from book._ext.files import files_digest, pins, text_digest
from book._ext.inpage import parts
from book._ext.inpage.data import PYTHON, has_modules, site_files
from book._ext.page.equations import modules_of
from book._ext.page.playground import figure_style
from book._ext.state import build_state
from optim_code.equations.sections import displayed_updates


def start_library(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Start a process that makes the script, if there is none of this state."""
    if app.builder.name != "html" or not parts.installed() or not has_modules(Path(app.srcdir)):
        return
    root, edition, state = Path(app.srcdir), app.config.edition, build_state(app)
    state.library = place = place_of(root, edition)
    if not parts.is_kept(place):
        command = [*warm_kernels.python(), "-m", __name__, str(root), edition, str(place)]
        state.making = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)


def library_script(app: Sphinx) -> str:
    """JavaScript that defines ``descentLibrary``: the files by name, and the colours and levels of figures.

    Raises:
        RuntimeError: what the process that makes it said last, if it failed.
    """
    state = build_state(app)
    if state.making is not None:
        _, said = state.making.communicate()
        if state.making.returncode:
            raise RuntimeError(f"the code that runs in pages: {(said.strip().splitlines() or ['it said nothing'])[-1]}")
    return state.library.read_text(encoding="utf-8")


def place_of(root: Path, edition: str) -> Path:
    """Where the script of an edition is kept."""
    here = Path(__file__).parent
    code = files_digest(root / PACKAGE, PYTHON, *here.glob("*.py"), *here.with_name("page").glob("*.py"))
    state = text_digest(code, pins(root), edition, json.dumps(displayed_updates(root)))
    return parts.folder() / f"library.{state[:16]}.js"


def make(root: Path, edition: str, place: Path) -> None:
    """Make the script of an edition."""
    library = {"files": site_files(root, edition, displayed_updates(root)), "look": figure_style(modules_of(root))}
    parts.keep(place, f"window.descentLibrary = {json.dumps(library, sort_keys=True)};\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
