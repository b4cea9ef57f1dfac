"""What goes wrong in a build, said in one line: what, where, what to do."""

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
IN_CELL = re.compile(r"^ *Cell In\[(\d+)\], line (\d+)", re.M)


class Fault(Exception):
    """Something a person can fix, said in one line: what, where, what to do."""


class OutputFault(Exception):
    """What a cell put out cannot be shown.

    Args:
        cell: the number of the code cell in its section, from 0.
        said: what is wrong, and what to do.
    """

    def __init__(self, cell: int, said: str) -> None:
        super().__init__(said)
        self.cell = cell


class Cell(NamedTuple):
    """A code cell of a section.

    Attributes:
        place: which of the notebook's cells it is, from 0.
        number: which of its code cells it is, from 1.
        line: the line of the page, with all that it includes, at which its code begins.
        source: its code.
    """

    place: int
    number: int
    line: int
    source: str


def one_line(error: object) -> str:
    lines = [line.strip() for line in str(error).replace(f"{ROOT}{os.sep}", "").splitlines() if line.strip()]
    return " ".join(lines) or type(error).__name__


def cell_fault(path: Path, error: BaseException | None) -> Fault:
    """File, line, cell and reason of a cell that raised, took too long, took its kernel with it, or cannot be shown.

    Args:
        path: the section.
        error: why it failed, if that is known.

    Returns:
        The fault, not raised.
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
        return raised(page, cells, cell, error.ename, error.evalue, re.sub(r"\x1b\[[0-9;]*m", "", error.traceback))
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


def raised(page: Page, cells: list[Cell], cell: Cell, name: str, message: str, trace: str) -> Fault:
    """What a cell raised, at which of its lines, and where that comes from if it is the book's own code."""
    # Python puts the name that it made up for the cell's file, and the line, into its message of a syntax error.
    said = re.sub(r" \((?:<\w+>|\w+\.py), line \d+\)$", "", message)
    said = " ".join(line.strip() for line in said.splitlines() if line.strip())
    reason = f"{name}: {said}" if said else name
    reason = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
    lines = cell.source.split("\n")
    line = raising_line(lines, name, message, trace)
    place = f"{page.where(cell.line + line - 2)}: cell {cell.number}, line {line}"
    deeper = origin(page, cells, trace)
    return Fault(f"{place}: {reason} in `{lines[line - 1].strip()}`{deeper}; fix it, or what it calls")


def raising_line(lines: list[str], name: str, message: str, trace: str) -> int:
    """The line of a cell, from 1, that raised; where nothing tells it, the first with code."""
    # IPython leaves out empty lines at the beginning, and does not count them.
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    # What came before is why; the line that counts is that of the last exception.
    *_, last = re.split(r"\n(?:During handling of|The above exception was) .* exception.*:\n", trace)
    frames = IN_CELL.findall(last) or IN_CELL.findall(trace)
    # Python's reader, and the printer of groups of exceptions, do not know that it is a cell.
    found = re.search(r"<tokenize>, line (\d+)\)$", message) or re.search(r'/ipykernel_\d+/\d+\.py", line (\d+)', trace)
    if frames:
        now = max(int(number) for number, _ in frames)
        line = first + next(int(line) for number, line in frames if int(number) == now)
    elif found:
        line = first + int(found[1])
    else:
        magic = re.search(r"%+\w+", message)
        sought = re.escape(magic[0]) if magic else r"\b(?:exit|quit|SystemExit)\b" if name == "SystemExit" else r"\S"
        line = next((i for i, text in enumerate(lines, start=1) if re.search(sought, text)), first + 1)
    return line if 1 <= line <= len(lines) else first + 1


def origin(page: Page, cells: list[Cell], trace: str) -> str:
    """Where an exception was raised, if that was in an earlier cell or in optim_code; or nothing."""
    *_, last = re.split(r"\n(?:During handling of|The above exception was) .* exception.*:\n", trace)
    frames = [*re.finditer(r"^(?:Cell In\[(\d+)\], line|File (\S+?):)\s?(\d+)", last, re.M)]
    own = [f for f in frames if f[1] or f[2].startswith(f"{ROOT / 'optim_code'}{os.sep}")]
    if len(own) < 2 or own[-1][1] == own[0][1]:
        return ""
    if own[-1][2]:
        return f" (raised at {own[-1][2].removeprefix(f'{ROOT}{os.sep}')}:{own[-1][3]})"
    # Cells are counted as they run; an empty one does not.
    ran = [cell for cell in cells if cell.source.strip()]
    cell = ran[min(int(own[-1][1]), len(ran)) - 1]
    return f" (raised at {page.where(cell.line + int(own[-1][3]) - 2)})"


def running_cell(cells: list[Cell], error: BaseException) -> Cell:
    """The cell that was running when this was raised."""
    # The executor knows which cell it was at; its exceptions do not say.
    running = [frame.f_locals["cell_index"] for frame, _ in traceback.walk_tb(error.__traceback__)
               if frame.f_code.co_name == "async_execute_cell"]  # fmt: skip
    return next(cell for cell in cells if not running or cell.place == running[-1])


def page_at(path: Path) -> Page:
    """The section that a file holds, with all that it includes."""
    root = next((folder for folder in path.parents if (folder / "_toc.yml").is_file()), path.parent)
    return read_page(root, path.relative_to(root).with_suffix("").as_posix())


def code_cells(page: Page) -> list[Cell]:
    """The code cells of a section, and where their code begins."""
    from myst_nb.core.read import read_myst_markdown_notebook

    notebook, lines = read_myst_markdown_notebook(page.text, add_source_map=True), page.lines
    found: list[Cell] = []
    for place, (cell, fence) in enumerate(zip(notebook.cells, notebook.metadata["source_map"], strict=True)):
        if cell.cell_type == "code":
            # The map points at the cell's fence; its options follow, and then the code.
            source = cell.source.splitlines()
            first = next((i for i in range(fence, len(lines)) if lines[i : i + len(source)] == source), fence)
            found.append(Cell(place, len(found) + 1, first + 1, cell.source))
    return found
