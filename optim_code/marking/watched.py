"""Run code that somebody else wrote, and return whatever it does: raise, print, ask, exit, or never end.

On Linux a task runs in a process of its own, with its own session, its own output and none of the caller's files. What
it sends back is JSON, which the caller reads as data and never runs. A second process, the guard, waits beside it; when
the task is over, or its time is, the guard kills it and every process that it started. This keeps accidents away from
the caller. It is no security border: the task still has the caller's rights on files and on the network.

Elsewhere a fork is missing (Windows) or unsafe (macOS, with threads). There the task runs in the caller's process, and
an exception is thrown into it when its time is over; that ends every loop of Python, but no sleep.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import json
import os
import secrets
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optim_code.marking.faults import Fault, OutOfTime, Printed, place, refuse_breakpoint, refuse_input

PATIENCE = 0.5  # seconds for a class to go when it is told to
TICK = 0.05  # seconds between two looks at how much time a class has used
WALL = 4  # how many times its computing time a class may take on the clock, where the machine is busy
LARGEST = 1 << 24  # bytes that a task may send back
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # from linux/prctl.h


class Deadline(contextlib.AbstractContextManager["Deadline"]):
    """Throws `OutOfTime` into the thread that entered when its time is used up, again and again until it leaves.

    Time counts while the process computes, and while it waits; not while a busy machine lets it stand in a queue.

    Args:
        seconds: how much time there is.
        give_up: told the line where the thread is, if it hasn't left by the second time; it may end the process.
    """

    def __init__(self, seconds: float, give_up: Callable[[str], None] | None = None) -> None:
        self.thread = threading.get_ident()
        self.left = threading.Event()
        self.watch = threading.Thread(target=self.throw, args=[seconds, give_up], daemon=True)

    def throw(self, seconds: float, give_up: Callable[[str], None] | None) -> None:
        sys.settrace(None)  # Python 3.11 would go round in circles here if a debugger followed this thread, too
        thrown, spent, clock, computed = False, 0.0, time.monotonic(), time.process_time()
        while not self.left.wait(TICK):
            before, computed_before = clock, computed
            clock, computed = time.monotonic(), time.process_time()
            used = computed - computed_before
            spent += used if used > TICK / 20 else clock - before
            if spent < seconds:
                continue
            if thrown and give_up is not None:  # it waits outside of Python, or catches what is thrown
                give_up(place(traceback.extract_stack(sys._current_frames()[self.thread])))
            self.set(ctypes.py_object(OutOfTime))
            seconds, spent, thrown = PATIENCE, 0.0, True

    def set(self, exception: Any) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), exception)

    def __enter__(self) -> Deadline:
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.left.set()
            self.watch.join()
            self.watch.join()  # what was thrown in this very moment arrives by now
        except OutOfTime:
            self.left.set()
            self.watch.join()


# --- a process of its own ------------------------------------------------------------------------------------------

End = Callable[[Any], None]


def forked(task: Callable[[End], Any], seconds: float) -> tuple[Any, Printed]:
    """Do a task in a process of its own. It and everything that it started have ended afterwards.

    Args:
        task: takes a function that ends the process at once, with the result that it is given. A result is plain data:
            numbers, texts, lists, and dictionaries with texts as keys.
        seconds: of computing, after which the process is killed.

    Returns:
        The result as JSON has it, or the `Fault` that kept the task from returning; and what was printed. The result
        comes from a process that isn't trusted, so the caller has to check its form.
    """
    token = secrets.token_bytes(32)  # what the class itself writes to the pipe is not taken for a result
    results, sending = os.pipe()
    output, printing = os.pipe()
    over, alive = os.pipe()  # the guard ends the task when the caller closes it, or dies
    with warnings.catch_warnings():
        # A kernel has threads. The child needs neither them nor their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        guard = os.fork()
    if guard == 0:
        try:
            for descriptor in (results, output, alive):
                os.close(descriptor)
            _guard(task, seconds, token, sending, printing, over)
        finally:
            os._exit(0)
    for descriptor in (sending, printing, over):
        os.close(descriptor)
    printed = Printed()
    try:
        data, ended = _received(guard, results, output, printed, WALL * seconds + 4 * PATIENCE)
    finally:
        os.close(alive)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(guard, 0)
        for descriptor in (results, output):
            os.close(descriptor)
    if not data:
        # The guard says by one byte that it had to kill the task.
        return Fault("died", "It ends the whole Python process") if ended else Fault("endless", ""), printed
    if data.endswith(KILLED):
        return Fault("endless", ""), printed
    fault = Fault("tampers", "What came back from its process is no record of its steps")
    if not data.startswith(token) or len(data) > LARGEST:
        return fault, printed
    try:
        return json.loads(data[len(token) :]), printed
    except (ValueError, RecursionError):
        return fault, printed


KILLED = b"killed"
"""What the guard sends when it had to kill a task that had sent nothing."""


def _received(guard: int, results: int, output: int, printed: Printed, seconds: float) -> tuple[bytes, bool]:
    """What comes through the pipe of the results, and whether it was closed in time; what is printed is kept too.

    A class that kills the guard can leave a process behind that holds the pipes open; nobody waits for that one.
    """
    data, last, open_pipes = b"", time.monotonic() + seconds, [results, output]
    with contextlib.ExitStack() as closing:
        ends, gone = [], False
        if hasattr(os, "pidfd_open"):  # Linux
            ends.append(os.pidfd_open(guard))
            closing.callback(os.close, ends[0])
        while open_pipes:
            ready, _, _ = select.select(open_pipes + ends, [], [], max(0.0, last - time.monotonic()))
            if not ready:
                return data, gone
            for pipe in ready:
                if pipe in ends:
                    ends, gone, last = [], True, min(last, time.monotonic() + PATIENCE)
                    continue
                chunk = os.read(pipe, 1 << 16)
                if not chunk:
                    open_pipes.remove(pipe)
                elif pipe == results:
                    data += chunk
                    if len(data) > LARGEST:
                        return data, False
                else:
                    printed.write(chunk.decode("utf-8", "replace"))
    return data, True


def _guard(task: Callable[[End], Any], seconds: float, token: bytes, sending: int, printing: int, over: int) -> None:
    """Start a task and wait for its end; then kill all that is left of it."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Processes that the task leaves behind become the guard's children, in whatever session they are.
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    worker = os.fork()
    if worker == 0:
        _work(task, token, sending, printing)
    os.close(printing)
    last, ended = time.monotonic() + WALL * seconds, False
    while not (ended or select.select([over], [], [], 0.003)[0]):
        if time.monotonic() > last or _computed(worker) > seconds + 2 * PATIENCE:
            with contextlib.suppress(BlockingIOError):
                os.set_blocking(sending, False)
                os.write(sending, KILLED)
            break
        ended = os.waitpid(worker, os.WNOHANG)[0] == worker
    os.close(sending)
    if not ended:
        os.kill(worker, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker, signal.SIGKILL)
    last = time.monotonic() + 10 * PATIENCE
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < last:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                for child in _children():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                time.sleep(0.001)


def _work(task: Callable[[End], Any], token: bytes, sending: int, printing: int) -> None:
    """Do a task, send its result, and end the process."""
    encode, write, leave = json.dumps, os.write, os._exit

    def end(result: Any) -> None:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        rest = memoryview(token + encode(result).encode())
        while rest:
            rest = rest[write(sending, rest) :]
        leave(0)

    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(printing, 1)
        os.dup2(printing, 2)
        # The caller's files are out of reach; a number stays taken, because the caller's objects still hold it.
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor > 2 and descriptor not in (sending, nothing):
                with contextlib.suppress(OSError):
                    os.fstat(descriptor)
                    os.dup2(nothing, descriptor)
        text = open(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = sys.__stdout__ = sys.stderr = sys.__stderr__ = text  # type: ignore[misc]
        builtins.input = refuse_input  # a kernel's would ask over the caller's connection
        sys.breakpointhook = refuse_breakpoint
        end(task(end))
    finally:
        leave(0)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _computed(process: int) -> float:
    """How many seconds a process has computed."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children() -> list[int]:
    """The processes whose parent is this one."""
    me, found = str(os.getpid()), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if fields[1] == me:
                found.append(int(folder.name))
    return found
