"""What goes wrong in a build, said in one line: what, where, what to do."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Fault(Exception):
    """Something a person can fix, said in one line: what, where, what to do."""


def one_line(error: object) -> str:
    lines = [line.strip() for line in str(error).replace(f"{ROOT}{os.sep}", "").splitlines() if line.strip()]
    return " ".join(lines) or type(error).__name__


def cell_fault(path: Path, error: BaseException | None) -> Fault:
    """File, line, cell and reason of a cell that raised, took too long, or took its kernel with it."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    where = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    if error is None:
        return Fault(f"{where}: a cell failed")
    number, first, size = find_cell(path, error)
    if isinstance(error, CellExecutionError):
        reason = f"{error.ename}: {error.evalue}".splitlines()[0].rstrip(": ")
        trace = re.sub(r"\x1b\[[0-9;]*m", "", error.traceback)
        found = re.search(r"Cell In\[\d+\], line (\d+)", trace)
        line = int(found[1]) if found and 1 <= int(found[1]) <= size else 0
        if not line:
            return Fault(f"{where}:{first}: cell {number}: {reason}; mend it, or what it calls")
        code = path.read_text(encoding="utf-8").splitlines()[first + line - 2].strip()
        place = f"{where}:{first + line - 1}: cell {number}, line {line}"
        return Fault(f"{place}: {reason} in `{code}`; mend it, or what it calls")
    place = f"{where}:{first}: cell {number}"
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


def find_cell(path: Path, error: BaseException) -> tuple[int, int, int]:
    """The number of the code cell that was running, the line its code begins at, and how many lines it has."""
    from myst_nb.core.read import read_myst_markdown_notebook

    # The executor knows which cell it was at; its exceptions do not say.
    running = [frame.f_locals["cell_index"] for frame, _ in traceback.walk_tb(error.__traceback__)
               if frame.f_code.co_name == "async_execute_cell"]  # fmt: skip
    text = path.read_text(encoding="utf-8")
    notebook = read_myst_markdown_notebook(text, add_source_map=True)
    index = running[-1] if running else next(i for i, c in enumerate(notebook.cells) if c.cell_type == "code")
    source, lines = notebook.cells[index].source.splitlines(), text.splitlines()
    # The map points at the cell's fence; its options follow, and then the code.
    fence = notebook.metadata["source_map"][index]
    first = next((i for i in range(fence, len(lines)) if lines[i : i + len(source)] == source), fence)
    number = sum(cell.cell_type == "code" for cell in notebook.cells[: index + 1])
    return number, first + 1, len(source)
