"""One process that has imported what every section imports, and forks a kernel whenever a stub asks.

Run as ``python -I kernel_server.py SOCKET``. It ends with the build that started it. Each kernel is a process of its
own: what one section sets, seeds or patches, no other sees.
"""

import json
import os
import random
import shutil
import signal
import socket
import sys
import threading
from typing import Any


def preload() -> None:
    """Import what takes seconds. Not optim_code: an editor may be changing it."""
    import ipykernel.kernelapp  # noqa: F401
    import matplotlib.backends.backend_pdf
    import matplotlib.backends.backend_svg  # noqa: F401
    import torch._dynamo  # noqa: F401  # torch imports it at the first optimizer


def serve(path: str, parent: int) -> None:
    """Answer requests until the build is gone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    # Kernels that have ended need nobody to wait for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    preload()
    listener.settimeout(0.5)
    while os.getppid() == parent:
        try:
            stub, _ = listener.accept()
        except TimeoutError:
            continue
        stub.settimeout(None)
        data, files, _, _ = socket.recv_fds(stub, 1 << 20, 2)
        while not data.endswith(b"\n"):
            data += stub.recv(1 << 20)
        kernel = os.fork()
        if kernel == 0:
            listener.close()
            become_kernel(json.loads(data), stub, files)
        stub.sendall(str(kernel).encode())
        stub.close()
        for file in files:
            os.close(file)
    # The build was killed before it could clean up.
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)


def become_kernel(request: dict[str, Any], stub: socket.socket, files: list[int]) -> None:
    """Turn this fork into the kernel that was asked for; it never returns."""
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    try:
        # With a parent it tells nobody how to connect, and ends when the server does.
        IPKernelApp.launch_instance(argv=[*request["argv"], f"--IPKernelApp.parent_handle={os.getppid()}"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def end_with(stub: socket.socket) -> None:
    """End the kernel when its stub has gone, however it went."""
    while stub.recv(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    serve(sys.argv[1], os.getppid())
