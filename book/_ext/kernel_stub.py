"""What a notebook client starts in place of a kernel: ask the server for a fork, and live and die with it.

Run as ``python -I -S kernel_stub.py SOCKET -m MODULE …``. It imports next to nothing, for it stands between an
editor and the page.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    path, *arguments = sys.argv[1:]
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.connect(path)
    request = {"argv": arguments, "cwd": os.getcwd(), "env": dict(os.environ)}
    # The kernel writes where this process would.
    socket.send_fds(server, [json.dumps(request).encode() + b"\n"], [1, 2])
    said = server.makefile("rb")
    kernel = int(said.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(kernel, number))
    # The fork holds the other end, so this returns when it ends, with its exit status if it came to say it.
    # If this process ends first, the fork notices.
    status = said.read()
    sys.exit(status[0] if status else 1)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError):  # the server is gone, and with it all that it forked
        sys.exit(1)
