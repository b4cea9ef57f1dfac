"""What a notebook client starts in place of a kernel: it asks `kernel_server` for a fork, and ends when the fork ends.

Run as ``python -I -S kernel_stub.py SOCKET -m MODULE …``. An editor waits while it starts, so it imports `_socket` and
`_signal`, which the interpreter has already: the modules `socket` and `signal` take 20 ms, twice in each build.

If the server ends before it has forked, this process runs the module itself, which takes longer to start.
"""

import _signal  # type: ignore[import-not-found]  # typeshed does not know it
import _socket
import os
import sys


def main() -> None:
    path, *arguments = sys.argv[1:]
    # A program in the background of a script ignores Ctrl-C, and so do all that it starts. The preview stops its builds
    # by that signal, and a notebook client its kernels.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    try:
        server, fork, status = request_fork(path, arguments)
    except (OSError, ValueError):
        # If the server has ended with its build, its folder is removed or marked; otherwise it could not start.
        folder = os.path.dirname(path)
        if not os.path.isdir(folder) or os.path.exists(os.path.join(folder, "ended")):
            sys.exit(1)
        os.execv(sys.executable, [sys.executable, *arguments])
    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, lambda number, _: os.kill(fork, number))
    # The fork holds the other end of the socket, so this returns when the fork ends. It sends its exit status, unless
    # it was killed. If this process ends first, the fork notices.
    status += read_until(server)
    sys.exit(status[0] if status else 1)


def request_fork(path: str, arguments: list[str]) -> tuple[_socket.socket, int, bytes]:
    """Ask the server for a fork.

    Returns:
        The socket whose other end the fork holds, the number of its process, and what it has sent after that.

    Raises:
        OSError: if the server cannot be reached.
        ValueError: if it ended before it had forked.
    """
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    server.connect(path)
    request = f"{ {'argv': arguments, 'cwd': os.getcwd(), 'env': dict(os.environ)}!r}\n".encode()
    # The fork writes to the output and the error stream of this process.
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in (1, 2))
    sent = server.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    server.sendall(request[sent:])
    number, _, status = read_until(server, b"\n").partition(b"\n")
    return server, int(number), status


def read_until(server: _socket.socket, mark: bytes | None = None) -> bytes:
    """What the server sends, up to this mark or to its end."""
    data = b""
    while (mark is None or mark not in data) and (more := server.recv(100)):
        data += more
    return data


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError):  # the server has ended, and its forks with it
        sys.exit(1)
