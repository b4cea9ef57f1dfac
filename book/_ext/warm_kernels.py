"""Kernels that start in a tenth of a second: forks of one process that has imported torch and matplotlib already.

To Jupyter this is an ordinary kernel spec of the usual name, found first. Its command is a stub that asks the server
for a fork (`kernel_stub`, `kernel_server`). The server starts with the first build that has a section to read, and
ends with that build.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
WAIT = 60.0


class WarmKernels:
    """The server, the socket it listens at, and the kernel spec that leads there."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="descent-"))
        socket = self.folder / "socket"
        stub = [sys.executable, "-I", "-S", str(HERE / "kernel_stub.py"), str(socket), "-f", "{connection_file}"]
        spec = self.folder / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps({"argv": stub, "display_name": "Python 3", "language": "python"}))
        self.server = subprocess.Popen(
            [sys.executable, "-I", str(HERE / "kernel_server.py"), str(socket)], stdin=subprocess.DEVNULL
        )
        self.before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = os.pathsep.join([str(self.folder), *filter(None, [self.before])])
        # The socket is there before the imports are done; a stub that connects early waits in the queue.
        began = time.monotonic()
        while not socket.exists() and self.server.poll() is None and time.monotonic() - began < WAIT:
            time.sleep(0.01)

    def end(self) -> None:
        self.server.terminate()
        self.server.wait()
        if self.before is None:
            os.environ.pop("JUPYTER_PATH", None)
        else:
            os.environ["JUPYTER_PATH"] = self.before
        shutil.rmtree(self.folder, ignore_errors=True)


def start(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Start the server if a section with cells is to be read; while it imports, the equations are checked."""
    sections = (Path(env.doc2path(name)).read_text(encoding="utf-8") for name in added | changed)
    if any("{code-cell}" in text for text in sections):
        if sys.platform.startswith("linux"):
            app.descent_kernels = WarmKernels()  # type: ignore[attr-defined]
        else:
            logger.info("kernels start one by one here, for %s cannot fork them", sys.platform)
    return []


def end(app: Sphinx, *_: Any) -> None:
    kernels = getattr(app, "descent_kernels", None)
    if kernels is not None:
        app.descent_kernels = None  # type: ignore[attr-defined]
        kernels.end()


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("env-get-outdated", start, priority=100)
    app.connect("env-updated", end)
    app.connect("build-finished", end)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
