"""How a class broke off, and what it printed: in words, for a verdict. It needs nothing that the page has not."""

from __future__ import annotations

import io
import os
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

PACKAGE = Path(__file__).parents[__name__.count(".") - 1]
NOT_THEIRS = ("<frozen", str(PACKAGE), str(Path(os.__file__).parent), str(Path(torch.__file__).parents[1]))
"""How the files of Python, of this module and of what is installed begin."""
CELLS = ("ipykernel_", "<ipython-input", "<cell")
KINDS = ("raises", "stub", "shape", "type", "endless", "slow", "died", "tampers")


@dataclass
class Fault:
    """How a class broke off.

    Attributes:
        kind: one of `KINDS`: ``raises``, ``stub`` (nothing is written yet), ``shape`` and ``type`` (of a parameter),
            ``endless``, ``slow``, ``died``, or ``tampers`` (what came back is no record of its steps).
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
    """The name of an exception, and the first line of what it says."""
    try:
        said = (str(error).strip().splitlines() or [""])[0]
    except BaseException:
        said = "(its text cannot be read)"
    said = said if len(said) <= 200 else f"{said[:200]}…"
    tells = any(c.isalnum() for c in said) and said != "None"  # as `exit()` and `raise SystemExit(",")` say
    return f"{type(error).__name__}: {said}" if tells else type(error).__name__


def line_of(error: BaseException) -> str:
    """The last line of the class's own that an error came through; empty if it came through none."""
    return place(traceback.extract_tb(error.__traceback__))


def is_stub(error: BaseException) -> bool:
    """True if the class raised it as a stub. Torch raises the same type for what it does not support."""
    last, of_torch = traceback.extract_tb(error.__traceback__)[-1:], str(Path(torch.__file__).parent)
    said = [frame.line or "raise" for frame in last if not frame.filename.startswith(of_torch)]
    return isinstance(error, NotImplementedError) and any(line.lstrip().startswith("raise") for line in said)


def place(frames: Iterable[traceback.FrameSummary]) -> str:
    """The last of some frames that is the class's own, in words; empty if none is."""
    own = [
        frame
        for frame in frames
        if not frame.filename.startswith(NOT_THEIRS) or frame.filename == str(PACKAGE / "optimizers.py")
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


class Breakpoint(Exception):
    """Raised where a class calls ``breakpoint``."""


def refuse_breakpoint(*_: object, **__: object) -> None:
    raise Breakpoint("a debugger needs somebody who types, and there is nobody while a class is checked")


def refuse_input(*_: object) -> str:
    raise EOFError("there is nobody to ask while a class is checked")
