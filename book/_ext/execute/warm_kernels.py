"""Kernels that start in a tenth of a second: forks of one process that has imported torch and matplotlib already.

Jupyter finds a kernel spec of the usual name, before its own one. The command of that spec is `kernel_stub`, which asks
`kernel_server` for a fork. A build that has cells to run starts the server, and stops it at its end. The live preview
starts one server for all its builds.
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
from book._ext.execute.freshness import outputs_path
from book._ext.state import kept_state

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

HERE = Path(__file__).parent
WAIT = 60.0
"""Seconds to wait for the socket of the server."""
LONGEST = 70
"""Characters in the name of a folder for temporary files, at most: the name of a socket there adds 36, up to 107."""


class WarmKernels:
    """A running server, its folder with the socket, and the kernel spec that leads to it.

    Args:
        builds: whether the server also forks builds.
    """

    def __init__(self, builds: bool = False) -> None:
        # The system allows only short names for sockets.
        long = len(tempfile.gettempdir()) > LONGEST
        self.folder = Path(tempfile.mkdtemp(prefix="descent-", dir="/tmp" if long else None))
        socket = self.folder / "socket"
        self.stub = stub_command(self.folder, "socket-builds" if builds else "socket")
        kernel = [*stub_command(self.folder), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = self.folder / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps({"argv": kernel, "display_name": "Python 3", "language": "python"}))
        command = [sys.executable, "-s", str(HERE / "kernel_server.py"), str(socket), *["--builds"] * builds]
        # Of Python's variables only this one: forks cannot have another, and what they find is theirs.
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, env={**own, "PYTHONHASHSEED": "0"})
        self.before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = os.pathsep.join([str(self.folder), *filter(None, [self.before])])
        # The server makes the socket before it imports anything; a stub that connects early waits in the queue.
        started = time.monotonic()
        while not socket.exists() and self.server.poll() is None and time.monotonic() - started < WAIT:
            time.sleep(0.01)

    def is_alive(self) -> bool:
        return self.server.poll() is None

    def stop(self) -> None:
        """Stop the server, and remove its folder and its kernel spec."""
        if not self.is_alive():
            print_once("the kernel server ended before the build did; kernels started one by one from then on")
        # A stub that still waits ends when it sees this file; without it, it would run its module itself.
        with contextlib.suppress(OSError):
            (self.folder / "ended").touch()
        self.server.terminate()
        self.server.wait()
        if self.before is None:
            os.environ.pop("JUPYTER_PATH", None)
        else:
            os.environ["JUPYTER_PATH"] = self.before
        shutil.rmtree(self.folder, ignore_errors=True)


def stub_command(folder: Path, socket: str = "socket") -> list[str]:
    """The command of a stub that asks the server in a folder; the module to run follows."""
    return [sys.executable, "-I", "-S", str(HERE / "kernel_stub.py"), str(folder / socket)]


running: WarmKernels | None = None


def start(builds: bool = False) -> None:
    """Start the server if none runs, and print a line if this system cannot fork.

    Args:
        builds: whether the server also forks builds.
    """
    global running
    if running is not None and not running.is_alive():
        stop()
    if running is None and LASTING not in os.environ:
        if can_fork():
            running = WarmKernels(builds)
        else:
            print_once(f"kernels start one by one here, because {sys.platform} cannot fork them")


@functools.cache
def print_once(line: str) -> None:
    print(line, flush=True)


def can_fork() -> bool:
    return sys.platform.startswith("linux")


def stop() -> None:
    """Stop the server if this process has started one."""
    global running
    if running is not None:
        running.stop()
        running = None


def folder() -> str | None:
    """The folder of the server, which is removed when the server ends; None without a server."""
    return os.environ.get(LASTING) or (str(running.folder) if running is not None else None)


def python() -> list[str]:
    """The command of a Python that has imported torch already; of an ordinary one without a server."""
    if LASTING in os.environ:
        return stub_command(Path(os.environ[LASTING]))
    return running.stub if running is not None else [sys.executable]


def environment() -> dict[str, str]:
    """The environment of a build that uses the running server, and does not stop it."""
    return {**os.environ, LASTING: str(running.folder)} if running is not None else dict(os.environ)


def start_if_needed(app: Sphinx, env: BuildEnvironment, *_: Any) -> list[str]:
    """Start the server if a section has no outputs yet."""
    keys = filter(None, kept_state(env).outputs.values())
    if not all(is_intact(outputs_path(Path(app.srcdir), key)) for key in keys):
        start()
    return []


def stop_server(app: Sphinx, *_: Any) -> None:
    """Stop the server at the end of a build."""
    stop()
