"""What Python in the page needs: its files, the same for all pages, and what each page runs before its reader's cells.

The files are `optim_code`'s own, the small torch, and data that are made from the book's equations at build time. In
the student's edition no file has a class that students write; the printed equation stands in its place.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from book._ext.figures.needed_code import needed_code

PYTHON = Path(__file__).with_name("python")
MODULES = (
    *("__init__", "optim", "problems", "descent", "figures"),
    *("equations/__init__", "equations/notation", "equations/rules"),
    *("marking/__init__", "marking/checking", "marking/faults", "marking/hints"),
    *("marking/judging", "marking/trials", "marking/versions"),
)
"""The modules of `optim_code` that the page runs, in both editions."""
OPTIMIZERS = "optim_code/optimizers.py"


def site_files(root: Path, edition: str, updates: Mapping[str, str]) -> dict[str, str]:
    """The files of the page's Python: their text by their path, from the folder that is first on ``sys.path``.

    Args:
        root: the top of the book.
        edition: ``teacher`` or ``student``.
        updates: the update equations of the book, LaTeX by label.
    """
    files = {path.relative_to(PYTHON).as_posix(): path.read_text("utf-8") for path in sorted(PYTHON.rglob("*.py"))}
    files["optim_code/pictures.py"] = files.pop("pictures.py")
    for name in MODULES:
        files[f"optim_code/{name}.py"] = (root / f"optim_code/{name}.py").read_text("utf-8")
    if edition == "teacher":
        files[OPTIMIZERS] = (root / OPTIMIZERS).read_text("utf-8")
    files |= {f"optim_code/methods/{label}.json": json.dumps(data) for label, data in methods(updates).items()}
    files["torch/whole.json"] = json.dumps(names_of_torch())
    return files


def methods(updates: Mapping[str, str]) -> dict[str, Any]:
    """For each update equation the rule and its mistakes, ready to run where there is no SymPy."""
    from optim_code.equations.compiler import UpdateRule
    from optim_code.marking import mistakes

    return {label: mistakes.method(UpdateRule.from_latex(latex)).to_data() for label, latex in updates.items()}


def names_of_torch() -> dict[str, str]:
    """The names that PyTorch has, by the class or module, so that the small one can tell what it lacks from a slip."""
    import torch

    places: dict[str, Any] = {
        "torch": torch, "Tensor": torch.Tensor, "torch.linalg": torch.linalg, "torch.optim": torch.optim,
    }  # fmt: skip
    return {place: " ".join(name for name in dir(of) if not name.startswith("_")) for place, of in places.items()}


def page_data(cells: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    """What `reader.start` needs of a page.

    Args:
        cells: the code of the page's cells in their order, and whether each is hidden.

    Returns:
        ``setup``: the code that runs before the reader's first cell: all imports of visible cells, so that a reader may
        begin with any cell, and of the hidden cells what visible ones need.
    """
    kept, _ = needed_code(cells)
    hidden = [code for code, (_, is_hidden) in zip(kept, cells, strict=True) if is_hidden and code.strip()]
    return {"setup": [*imports(code for code, is_hidden in cells if not is_hidden), *hidden]}


def imports(cells: Iterable[str]) -> list[str]:
    """The import statements at the top level of cells."""
    found = [node for code in cells for node in ast.parse(code).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return [*dict.fromkeys(ast.unparse(node) for node in found)]
