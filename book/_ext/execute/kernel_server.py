"""One process that has imported what every section imports, and forks a Python whenever a stub asks: mostly a kernel.

Run as ``python -I kernel_server.py SOCKET [MODULE …]``. With modules to import besides, builds are forked too: from a
fork of this process that has rehearsed one, for a kernel must find nothing that was done before it. They are asked for
at SOCKET-builds. It ends with the build that started it. Each fork is a process of its own: what one section sets,
seeds or patches, no other sees.
"""

import ast
import contextlib
import gc
import importlib
import io
import os
import random
import runpy
import shutil
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterable
from typing import Any

EARLY = [
    "ipykernel.kernelapp",
    "IPython.core.pylabtools",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg",
    "matplotlib.pyplot",
    "myst_nb.ext.glue",
    "torch._dynamo",  # torch imports it at the first optimizer
]
"""What kernels need. Not optim_code: an editor may be changing it. Not matplotlib_inline: it sets up the kernel that
imports it, and here is none."""


def preload(others: list[str]) -> None:
    """Do once what every kernel would spend seconds on; what cannot be done now is left to the kernels."""
    # All that is imported stays: looking for garbage in it, again and again, would take a fifth of the time.
    gc.disable()
    import_early(EARLY)
    with contextlib.suppress(Exception):
        draw_once()
    import_early(others)
    if others:
        import_early(getattr(sys.modules.get("sphinx.application"), "builtin_extensions", ()))


def import_early(modules: Iterable[str]) -> None:
    """Import modules; of one that cannot be imported, say so in a line."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            said = " ".join(str(error).split())
            print(f"kernel_server.py: {module} is not imported early ({type(error).__name__}: {said})", flush=True)


def draw_once() -> None:
    """Matplotlib builds its reader of formulas, and fontTools its reader of fonts, when they are first needed."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.set(yscale="log", title="$x$")
    axes.contour([[0, 1], [1, 2]])
    for format in ("svg", "pdf"):
        with matplotlib.rc_context({"pdf.fonttype": 42, "mathtext.fontset": "dejavusans"}):
            figure.savefig(io.BytesIO(), format=format)


def serve(path: str, others: list[str], parent: int) -> None:
    """Answer requests until the build is gone."""
    builds = listen(f"{path}-builds") if others else None
    listener = listen(path)
    # Kernels that have ended need nobody to wait for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Ctrl-C is for the build; this process ends when that has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload(others)
    if builds is not None:
        server = os.getpid()
        if os.fork() == 0:
            listener, parent = builds, server
            # Without it, on a full disk perhaps, the first builds are slower, and no worse.
            with contextlib.suppress(Exception):
                runpy.run_path(os.path.join(os.path.dirname(__file__), "rehearsal.py"))
        else:
            builds.close()
    # What is here stays; no kernel need go through it, and have it copied, whenever it collects its garbage.
    gc.freeze()
    # Figures are many small objects that live to the end: looking for garbage among them less often costs nothing.
    gc.set_threshold(100_000, 50, 100)
    gc.enable()
    listener.settimeout(0.5)
    while os.getppid() == parent:
        try:
            stub, _ = listener.accept()
        except TimeoutError:
            continue
        stub.settimeout(None)
        data, files, _, _ = socket.recv_fds(stub, 1 << 20, 2)
        while not data.endswith(b"\n") and (more := stub.recv(1 << 20)):
            data += more
        # A stub that was killed before it had asked wants nothing any more.
        if data.endswith(b"\n") and os.fork() == 0:
            listener.close()
            become(ast.literal_eval(data.decode()), stub, files)
        stub.close()
        for file in files:
            os.close(file)
    # The build was killed before it could clean up.
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)


def listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    return listener


def become(request: dict[str, Any], stub: socket.socket, files: list[int]) -> None:
    """Turn this fork into the module that was asked for, as ``python -m`` would run it; it never returns."""
    os.setsid()
    try:
        stub.sendall(f"{os.getpid()}\n".encode())
    except OSError:  # the stub was killed meanwhile
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    os.environ.pop("JPY_PARENT_PID", None)  # the stub's parent is not this process's
    sys.path[:0] = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    # A fresh interpreter would have seeded these from the system.
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    threading.Thread(target=end_with, args=[stub], daemon=True).start()
    _, module, *arguments = request["argv"]
    if module == "ipykernel_launcher":
        # With a parent it tells nobody how to connect, and ends when the server does.
        arguments.append(f"--IPKernelApp.parent_handle={os.getppid()}")
    sys.argv = [module, *arguments]
    status = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        stub.sendall(bytes([status]))
        os._exit(status)


def end_with(stub: socket.socket) -> None:
    """End this process when its stub has gone, however it went."""
    while stub.recv(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    try:
        serve(sys.argv[1], sys.argv[2:], os.getppid())
    except Exception as error:
        # The build goes on without it, and says so.
        print(f"kernel_server.py: {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        sys.exit(1)
