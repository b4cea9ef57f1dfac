"""A process that imports torch and matplotlib once, and then forks a Python process for each request: mostly kernels.

`warm_kernels` runs it as ``python -s kernel_server.py SOCKET [--builds]``; `kernel_stub` sends the requests to SOCKET.
With ``--builds`` a second server listens at SOCKET-builds: a fork of this one in which `rehearsal` has built a small
book. Builds are forked from it; kernels are not, so they start without anything that a build has done. Each fork is a
process of its own, so no section sees what another one sets, seeds or patches. Both servers end with the process that
started this one.
"""

import ast
import contextlib
import functools
import gc
import importlib
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
    "torch",
    "torch.fx.experimental.symbolic_shapes",  # torch imports it, and SymPy, where `grad` is given gradients
]
"""What kernels need. Not optim_code, because an editor may be changing it. Not matplotlib_inline, because it sets up
the kernel that imports it, and this process is no kernel."""
COMPILER = "torch._dynamo"
"""torch's compiler. To import it takes as long as all the rest of torch."""


def preload() -> None:
    """Do once what would take each kernel seconds. What fails here, the kernels do themselves."""
    # The imported modules stay, so the garbage collector would find nothing in them; it takes a fifth of the time.
    gc.disable()
    import_early(EARLY)
    with contextlib.suppress(Exception):
        read_formula()
    with contextlib.suppress(Exception):
        spare_compiler()


def import_early(modules: Iterable[str]) -> None:
    """Import modules. Print a line about each one that cannot be imported."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            reason = " ".join(str(error).split())
            print(f"kernel_server.py: {module} is not imported early ({type(error).__name__}: {reason})", flush=True)


def spare_compiler() -> None:
    """Let torch's optimizers work without its compiler, which they import only to keep it away from their methods.

    In a process that has imported it, all is as torch has it.
    """
    from torch.optim import Optimizer

    for cls in (Optimizer, *Optimizer.__subclasses__()):
        for name, method in list(vars(cls).items()):
            if COMPILER in getattr(getattr(method, "__code__", None), "co_names", ()):
                setattr(cls, name, sparing(method))


def sparing(method: Any) -> Any:
    """A method of an optimizer that imports the compiler, without that."""
    from torch import set_grad_enabled

    @functools.wraps(method)
    def run(self: Any, *arguments: Any, **named: Any) -> Any:
        if COMPILER in sys.modules:
            return method(self, *arguments, **named)
        # All of what torch puts around a step but the compiler.
        step = set_grad_enabled(self.defaults["differentiable"]) if method.__name__ == "step" else None
        with step or contextlib.nullcontext():
            return method.__wrapped__(self, *arguments, **named)

    return run


def read_formula() -> None:
    """Read a formula, so that matplotlib builds its parser of formulas."""
    from matplotlib.mathtext import MathTextParser

    MathTextParser("path").parse("$x$")


def serve(path: str, with_builds: bool, parent: int) -> None:
    """Answer requests until the parent process has ended.

    Args:
        path: the socket.
        with_builds: whether to fork a second server, for builds.
        parent: the process that started this one.
    """
    builds = listen(f"{path}-builds") if with_builds else None
    listener = listen(path)
    # The system removes kernels that have ended; this process does not wait for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Ctrl-C ends the build, and the end of the build ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload()
    if builds is not None:
        server = os.getpid()
        if os.fork() == 0:
            listener, parent = builds, server
            # If it fails, perhaps because the disk is full, the first builds are only slower.
            with contextlib.suppress(Exception):
                runpy.run_path(os.path.join(os.path.dirname(__file__), "rehearsal.py"))
        else:
            builds.close()
    # A kernel that collects garbage must not search what is imported here: the system would copy all of that memory.
    gc.freeze()
    # A figure is many small objects that live to the end, so the kernels search for garbage less often.
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
        # A stub that was killed early has sent only a part of its request.
        if data.endswith(b"\n") and os.fork() == 0:
            listener.close()
            run_request(ast.literal_eval(data.decode()), stub, files)
        stub.close()
        for file in files:
            os.close(file)
    # The build was killed before it could remove its folder.
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)


def listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A socket gets its name when somebody listens: a stub that finds it earlier would be refused.
    listener.bind(f"{path}-new")
    listener.listen()
    os.rename(f"{path}-new", path)
    return listener


def run_request(request: dict[str, Any], stub: socket.socket, files: list[int]) -> None:
    """Run a module in this fork as ``python -m`` would, and end the process.

    Args:
        request: the arguments, the working directory and the environment of the stub.
        stub: the connection to the stub; it gets the number of this process, and the exit status at the end.
        files: the stub's standard output and standard error.
    """
    os.setsid()
    try:
        stub.sendall(f"{os.getpid()}\n".encode())
    except OSError:  # the stub has been killed
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    os.environ.pop("JPY_PARENT_PID", None)  # it names the parent of the stub, not of this process
    sys.path[:0] = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    # A new interpreter would seed these from the system.
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    threading.Thread(target=exit_with_stub, args=[stub], daemon=True).start()
    _, module, *arguments = request["argv"]
    if module == "ipykernel_launcher":
        # A kernel with a parent does not print how to connect to it, and ends when its parent ends.
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


def exit_with_stub(stub: socket.socket) -> None:
    """End this process as soon as its stub has ended or was killed."""
    while stub.recv(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file
    try:
        serve(sys.argv[1], sys.argv[2:] == ["--builds"], os.getppid())
    except Exception as error:
        # The build goes on without this server, and prints a line about it.
        print(f"kernel_server.py: {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        sys.exit(1)
