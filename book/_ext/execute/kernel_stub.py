"""What a notebook client starts in place of a kernel: ask the server for a fork, and live and die with it.

Run as ``python -I -S kernel_stub.py SOCKET -m MODULE …``. It imports next to nothing, for it stands between an
editor and the page: what socket and signal are made of is there already, they themselves take 20 ms, twice a build.

If the server is gone before it has forked, this process runs the module itself, which takes longer to start.
"""

import _signal  # type: ignore[import-not-found]  # typeshed does not know it
import _socket
import os
import sys


def main() -> None:
    path, *arguments = sys.argv[1:]
    try:
        server, kernel, status = ask(path, arguments)
    except (OSError, ValueError):
        # It has ended with the build, and its folder has gone or is going; otherwise it could not start.
        folder = os.path.dirname(path)
        if not os.path.isdir(folder) or os.path.exists(os.path.join(folder, "ended")):
            sys.exit(1)
        os.execv(sys.executable, [sys.executable, *arguments])
    for caught in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(caught, lambda caught, _: os.kill(kernel, caught))
    # The fork holds the other end, so this returns when it ends, with its exit status if it came to say it.
    # If this process ends first, the fork notices.
    status += until(server)
    sys.exit(status[0] if status else 1)


def ask(path: str, arguments: list[str]) -> tuple[_socket.socket, int, bytes]:
    """Ask for a fork.

    Returns:
        The socket that the fork holds, the number of its process, and what it may have said since.

    Raises:
        OSError: if the server cannot be reached.
        ValueError: if it ended before it had forked.
    """
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    server.connect(path)
    request = f"{ {'argv': arguments, 'cwd': os.getcwd(), 'env': dict(os.environ)}!r}\n".encode()
    # The kernel writes where this process would.
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in (1, 2))
    sent = server.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    server.sendall(request[sent:])
    number, _, status = until(server, b"\n").partition(b"\n")
    return server, int(number), status


def until(server: _socket.socket, mark: bytes | None = None) -> bytes:
    """What the server says, to this mark or to its end."""
    said = b""
    while (mark is None or mark not in said) and (more := server.recv(100)):
        said += more
    return said


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError):  # the server is gone, and with it all that it forked
        sys.exit(1)
