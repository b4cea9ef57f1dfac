"""The faults that a build reports, each in one line: file and line, what is wrong, what to do."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from typing import NamedTuple

from optim_code.equations.sections import Page, read_page

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 300
"""How many characters of an exception's message are shown."""
CHAIN = re.compile(r"\n(?:During handling of|The above exception was) .* exception.*:\n")
"""The line of a traceback between an exception and the one that followed from it."""
IN_CELL = re.compile(r"^ *Cell In\[(\d+)\], line (\d+)", re.M)


class Fault(Exception):
    """A fault that a person can fix; its message is one line with the place, what is wrong and what to do."""


class OutputFault(Exception):
    """The book cannot show an output of a cell.

    Args:
        cell: the number of the code cell in its section, from 0.
        text: what is wrong, and what to do.
    """

    def __init__(self, cell: int, text: str) -> None:
        super().__init__(text)
        self.cell = cell


class Cell(NamedTuple):
    """A code cell of a section.

    Attributes:
        number: its number among the code cells, from 1.
        line: the line at which its code begins, in the page with all that it includes.
        source: its code.
    """

    number: int
    line: int
    source: str


def one_line(error: object) -> str:
    """The message of an error in one line, with paths that begin at the top of the book."""
    lines = [line.strip() for line in str(error).replace(f"{ROOT}{os.sep}", "").splitlines() if line.strip()]
    return " ".join(lines) or type(error).__name__


def cell_fault(path: Path, error: BaseException | None) -> Fault:
    """The fault of a cell that raised an error, ran too long, ended its kernel, or has an output that cannot be shown.

    Args:
        path: the section.
        error: why the cell failed, if that is known.

    Returns:
        The fault, with file, line, cell and reason; it is not raised.
    """
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    where = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    if error is None:
        return Fault(f"{where}: a cell failed")
    page = page_at(path)
    cells = code_cells(page)
    if isinstance(error, OutputFault):
        cell = cells[error.cell]
        return Fault(f"{page.where(cell.line - 1)}: cell {cell.number}: {one_line(error)}")
    cell = running_cell(cells, error)
    if isinstance(error, CellExecutionError):
        trace = re.sub(r"\x1b\[[0-9;]*m", "", error.traceback)
        return exception_fault(page, cells, cell, error.ename, error.evalue, trace)
    place = f"{page.where(cell.line - 1)}: cell {cell.number}"
    if isinstance(error, CellTimeoutError):
        seconds = re.search(r"after (\d+)", str(error))
        limit = f"{seconds[1]} s" if seconds else "the limit"
        if "IOPub" in str(error):
            return Fault(
                f"{place}: ended, but what it put out did not arrive in {limit}; let it put out less, and build again"
            )
        return Fault(f"{place}: ran longer than {limit}; make it shorter, or raise execute: timeout in _config.yml")
    if isinstance(error, DeadKernelError):
        return Fault(f"{place}: the kernel died while it ran; look for what ends the process or takes all memory")
    return Fault(f"{where}: {one_line(error)}")


def exception_fault(page: Page, cells: list[Cell], cell: Cell, name: str, message: str, trace: str) -> Fault:
    """The fault of a cell that raised an exception: its line, and the line of the book's code where it was raised."""
    # The message of a syntax error ends with a line, and a name that Python invented for the cell's file.
    text = re.sub(r" \((?:<\w+>|\w+\.py), line \d+\)$", "", message)
    text = " ".join(line.strip() for line in text.splitlines() if line.strip())
    reason = f"{name}: {text}" if text else name
    reason = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
    lines = cell.source.split("\n")
    line = raising_line(lines, name, message, trace)
    place = f"{page.where(cell.line + line - 2)}: cell {cell.number}, line {line}"
    if name == "DoesNotHold":
        return sentence_fault(page, place, text)
    source = origin(page, cells, trace)
    return Fault(f"{place}: {reason} in `{lines[line - 1].strip()}`{source}; fix it, or what it calls")


def sentence_fault(page: Page, place: str, text: str) -> Fault:
    """The fault of a sentence that does not hold: the place of the phrase, the phrase, and what was compared."""
    from book._ext.sources.marks import marks_of

    name, _, reason = text.partition(": ")
    mark = next((mark for mark in marks_of(page) if mark.name == name), None)
    if mark is None:
        return Fault(f"{place}: {text}; fix the sentence or the run")
    what = f"{page.where(mark.line)}: “{mark.phrase}” does not hold: {reason} ({place})"
    return Fault(f"{what}; fix the sentence or the run")


def raising_line(lines: list[str], name: str, message: str, trace: str) -> int:
    """The line of a cell, from 1, that raised an exception; its first line with code if nothing tells the line."""
    # IPython does not count empty lines at the beginning.
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    # The last exception is the one that the cell raised; the ones before it are its causes.
    *_, last = CHAIN.split(trace)
    frames = IN_CELL.findall(last) or IN_CELL.findall(trace)
    # Python's tokenizer and the traceback of an exception group do not name the cell.
    unnamed = re.search(r"<tokenize>, line (\d+)\)$", message) or re.search(
        r'/ipykernel_\d+/\d+\.py", line (\d+)', trace
    )
    if frames:
        latest = max(int(number) for number, _ in frames)
        line = first + next(int(line) for number, line in frames if int(number) == latest)
    elif unnamed:
        line = first + int(unnamed[1])
    else:
        magic = re.search(r"%+\w+", message)
        sought = re.escape(magic[0]) if magic else r"\b(?:exit|quit|SystemExit)\b" if name == "SystemExit" else r"\S"
        line = next((i for i, text in enumerate(lines, start=1) if re.search(sought, text)), first + 1)
    return line if 1 <= line <= len(lines) else first + 1


def origin(page: Page, cells: list[Cell], trace: str) -> str:
    """The place where an exception was raised, if that is in an earlier cell or in optim_code; otherwise nothing."""
    *_, last = CHAIN.split(trace)
    frames = [*re.finditer(r"^(?:Cell In\[(\d+)\], line|File (\S+?):)\s?(\d+)", last, re.M)]
    own = [f for f in frames if f[1] or f[2].startswith(f"{ROOT / 'optim_code'}{os.sep}")]
    if len(own) < 2 or own[-1][1] == own[0][1]:
        return ""
    if own[-1][2]:
        return f" (raised at {own[-1][2].removeprefix(f'{ROOT}{os.sep}')}:{own[-1][3]})"
    # IPython does not count empty cells.
    counted = [cell for cell in cells if cell.source.strip()]
    cell = counted[min(int(own[-1][1]), len(counted)) - 1]
    return f" (raised at {page.where(cell.line + int(own[-1][3]) - 2)})"


def running_cell(cells: list[Cell], error: BaseException) -> Cell:
    """The cell that was running when this error was raised."""
    # Only the local variables of the executor say which cell it was.
    running = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)
               if frame.f_code.co_name == "async_execute_cell"]  # fmt: skip
    if not running:
        return cells[0]
    before = running[-1]["self"].nb.cells[: running[-1]["cell_index"]]
    return cells[sum(cell.cell_type == "code" for cell in before)]


def page_at(path: Path) -> Page:
    """The page in a file, with all that it includes."""
    root = next((folder for folder in path.parents if (folder / "_toc.yml").is_file()), path.parent)
    return read_page(root, path.relative_to(root).with_suffix("").as_posix())


def code_cells(page: Page) -> list[Cell]:
    """The code cells of a page, those that run."""
    cells: list[Cell] = []
    for block in page.blocks:
        if block.name == "code-cell" and block.kind == "directive" and not block.parents and block.level == 0:
            above, _, below = block.body.partition("\n")
            # MyST-NB takes out one empty line at the beginning of a cell.
            empty = bool(below.strip() and not above.strip())
            cells.append(Cell(len(cells) + 1, block.start + 1 + empty, below if empty else block.body))
    return cells
