"""Running what somebody else wrote, and coming back whatever it does: raise, print, ask, exit, or never end.

On Linux a task runs in a forked process, so that nothing it does reaches the caller, and one that waits for what never
comes is killed. Elsewhere a fork is missing (Windows) or unsafe (macOS, with threads); there an exception is thrown
into it, which ends every loop of Python, but no sleep.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import io
import os
import pickle
import select
import signal
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NOT_THEIRS = (str(HERE), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
CELLS = ("ipykernel_", "<ipython-input")
PATIENCE = 0.5  # seconds for a class to go when it is told to


@dataclass
class Fault:
    """How a class broke off.

    Attributes:
        kind: ``raises``, ``stub`` (nothing is written yet), ``shape``, ``endless`` or ``died``.
        text: what happened, in words.
        where: in which line of the class, where that is known.
        held: what was in ``group`` and in ``state`` then, in words, where that is known.
    """

    kind: str
    text: str
    where: str = ""
    held: str = ""

    @property
    def told(self) -> str:
        return f"{self.text}, {self.where}." if self.where else f"{self.text}."

    @property
    def error(self) -> str:
        """The name of the exception that it raised."""
        return self.text.partition(":")[0]


class OutOfTime(BaseException):
    """Thrown into a class that does not end."""


def first_line(error: BaseException) -> str:
    try:
        said = str(error).strip().splitlines() or [""]
    except Exception:
        said = ["(its text cannot be read)"]
    return said[0] if len(said[0]) <= 200 else f"{said[0][:200]}…"


def line_of(error: BaseException) -> str:
    """The last line of the class's own that an error came through; empty if it came through none."""
    return place(traceback.extract_tb(error.__traceback__))


def is_stub(error: BaseException) -> bool:
    """Whether somebody raised it to say that there is nothing yet; torch raises the same for what it cannot do."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    said = [frame.line or "raise" for frame in last]
    return isinstance(error, NotImplementedError) and any(line.lstrip().startswith("raise") for line in said)


def place(frames: Iterable[traceback.FrameSummary]) -> str:
    """The last of some frames that is the class's own, in words; empty if none is."""
    own = [
        frame
        for frame in frames
        if not frame.filename.startswith(NOT_THEIRS) or frame.filename == str(HERE / "optimizers.py")
    ]
    if not own:
        return ""
    last = own[-1]
    book = "cell" if any(mark in last.filename for mark in CELLS) else "file"
    return f"in {last.name}, line {last.lineno} of the {book}" + (f": `{last.line.strip()}`" if last.line else "")


class Printed(io.TextIOBase):
    """Takes what is printed, keeps the first line of it, and counts the rest."""

    def __init__(self) -> None:
        self.first = ""
        self.ended = 0

    def write(self, text: str) -> int:
        if not self.ended:
            self.first = (self.first + text.partition("\n")[0])[:80]
        self.ended += text.count("\n")
        return len(text)

    @property
    def lines(self) -> int:
        return self.ended + (self.ended == 0 and self.first != "")


class Deadline(contextlib.AbstractContextManager["Deadline"]):
    """Throws `OutOfTime` into the thread that entered, again and again from ``seconds`` on, until it leaves.

    Args:
        seconds: when to begin.
        give_up: told the line where the thread is, if it hasn't left by the second time; it may end the process.
    """

    def __init__(self, seconds: float, give_up: Callable[[str], None] | None = None) -> None:
        self.thread = threading.get_ident()
        self.left = threading.Event()
        self.watch = threading.Thread(target=self.throw, args=[seconds, give_up], daemon=True)

    def throw(self, seconds: float, give_up: Callable[[str], None] | None) -> None:
        thrown = False
        while not self.left.wait(seconds):
            if thrown and give_up is not None:  # it waits outside of Python, or catches what is thrown
                give_up(place(traceback.extract_stack(sys._current_frames()[self.thread])))
            self.set(ctypes.py_object(OutOfTime))
            seconds, thrown = PATIENCE, True

    def set(self, exception: Any) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), exception)

    def __enter__(self) -> Deadline:
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()
        self.watch.join()
        self.set(None)  # what was thrown in this very moment


def forked(task: Callable[[Callable[[Any], None]], Any], seconds: float) -> Any:
    """What a task returns, or the fault that kept it from returning; done by a forked process, dead afterwards.

    Args:
        task: takes a function that ends the process at once, with the result that it is given.
        seconds: after which the process is killed.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # There may be threads, as in a kernel: the child needs none of them, and none of their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:

        def end(result: Any) -> None:
            with open(writing, "wb") as pipe:
                pickle.dump(result, pipe)
            os._exit(0)

        try:
            os.close(reading)
            builtins.input = refuse_input  # a kernel's would ask over the parent's connection
            end(task(end))
        finally:
            os._exit(0)
    os.close(writing)
    data, last = b"", time.monotonic() + seconds
    killed = True
    try:
        while select.select([reading], [], [], max(0.0, last - time.monotonic()))[0]:
            chunk = os.read(reading, 1 << 16)
            if not chunk:
                killed = False  # it closed its end itself
                break
            data += chunk
    finally:
        os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        os.close(reading)
    try:
        return pickle.loads(data)
    except (EOFError, pickle.UnpicklingError):
        return Fault("endless", "It had to be killed") if killed else Fault("died", "It ends the whole Python process")


def refuse_input(*_: object) -> str:
    raise EOFError("there is nobody to ask while a class is checked")
