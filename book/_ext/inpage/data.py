"""What Python in the page needs: its files, the same for all pages, and what each page runs before its reader's cells.

The files are `optim_code`'s own, the small torch, and data that are made from the book's equations at build time. In
the student's edition no file has a class that students write; the printed equation stands in its place.
"""

from __future__ import annotations

import ast
import builtins
import json
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from book._ext.figures.needed_code import needed_code
from book._ext.sources.editions import CLASSES, edition_text
from optim_code.equations import class_named_after
from optim_code.equations.sections import blocks, read_page, tags_of

PYTHON = Path(__file__).with_name("python")
MODULES = (
    *("__init__", "optim", "problems", "descent", "figures"),
    *("equations/__init__", "equations/notation", "equations/rules"),
    *("marking/__init__", "marking/checking", "marking/faults", "marking/hints"),
    *("marking/judging", "marking/trials", "marking/versions"),
)
"""The modules of `optim_code` that the page runs, in both editions."""
FACE = ("import torch", "from optim_code import Optim, check, output, w")
"""What every cell of the book may use."""
HIDDEN = {"remove-cell", "remove-input"}
"""The tags of cells whose code a reader does not see."""


def has_modules(root: Path) -> bool:
    """Whether the book's module has what the page runs; a book of another shape is built without."""
    return all((root / f"optim_code/{name}.py").is_file() for name in MODULES) and (root / CLASSES).is_file()


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
    classes = (root / CLASSES).read_text("utf-8")
    files[CLASSES] = classes if edition == "teacher" else classes_of_equations(classes, updates)
    files |= {f"optim_code/methods/{label}.json": json.dumps(data) for label, data in methods(updates).items()}
    files["torch/whole.json"] = json.dumps(names_of_torch())
    return files


def classes_of_equations(source: str, updates: Iterable[str]) -> str:
    """A module in place of the book's classes, for students, who write those: each runs its printed equation.

    Args:
        source: the text of the module that has the classes.
        updates: the labels of the update equations.
    """
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    found = {class_named_after(label.removeprefix("update-"), names): label for label in updates}
    lines = [
        f'{name} = type("{name}", (compiled("{label.removeprefix("update-")}"),), {{}})'
        for name, label in found.items()
    ]
    head = '"""The book\'s methods, each run by its printed equation. You write the classes yourself."""'
    return "\n".join([head, "", "from optim_code.marking.checking import compiled", "", *lines, ""])


def methods(updates: Mapping[str, str]) -> dict[str, Any]:
    """For each update equation the rule and its mistakes, ready to run where there is no SymPy."""
    from optim_code.equations.compiler import UpdateRule
    from optim_code.marking import mistakes

    return {label: mistakes.method(UpdateRule.from_latex(latex)).to_data() for label, latex in updates.items()}


def names_of_torch() -> dict[str, str]:
    """The names that PyTorch has, by the class or module, so that the small one can tell what it lacks from a slip.

    All submodules are among them, because PyTorch imports some of them late: else it would depend on what this process
    has done before.
    """
    import torch

    places: dict[str, Any] = {
        "torch": torch, "Tensor": torch.Tensor, "torch.linalg": torch.linalg, "torch.optim": torch.optim,
    }  # fmt: skip
    names = {
        place: {*dir(of), *(module.name for module in pkgutil.iter_modules(getattr(of, "__path__", ())))}
        for place, of in places.items()
    }
    return {place: " ".join(sorted(name for name in names[place] if not name.startswith("_"))) for place in places}


def page_data(root: Path, docname: str, edition: str) -> dict[str, Any]:
    """What `reader.start` needs of a page.

    Args:
        root: the top of the book.
        docname: the page, such as ``book/adam``.
        edition: ``teacher`` or ``student``.

    Returns:
        ``runs``: whether its cells can run in the page; not if they import what is not there.
        ``setup``: the code that runs before the reader's first cell, so that a reader may begin anywhere: `FACE`.
        If the cells can run, also the imports of visible ones, and of hidden ones what the visible ones use.
    """
    cells = page_cells(root, docname, edition)
    visible = [code for code, is_hidden in cells if not is_hidden]
    try:
        runs = all(is_there(name) for code in visible for name in imported_modules(code))
    except SyntaxError:  # a command of IPython
        runs = False
    if not runs:
        return {"runs": False, "setup": [*FACE]}
    _, lacking = needed_code([(code, False) for code in visible])
    wanted = "\n".join(sorted(lacking - {*dir(builtins)}))
    kept, _ = needed_code([*((code, True) for code, _ in cells), (wanted, False)]) if wanted else ([""], set())
    return {"runs": True, "setup": [*dict.fromkeys([*FACE, *imports(visible), *filter(str.strip, kept[:-1])])]}


def page_cells(root: Path, docname: str, edition: str) -> list[tuple[str, bool]]:
    """The code of a page's cells in their order, and whether it is hidden from the reader."""
    page = read_page(root, docname)
    cells = [block for block in blocks(edition_text(page.text, edition, page.where)) if block.name == "code-cell"]
    return [(cell.body, not HIDDEN.isdisjoint(tags_of(cell, page.where(cell.first)))) for cell in cells]


def imported_modules(code: str) -> Iterator[str]:
    """The modules that a cell imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def is_there(module: str) -> bool:
    """Whether the page has a module."""
    package, _, name = module.partition(".")
    if package == "optim_code":
        return name.replace(".", "/") in ("", "optimizers", *MODULES)
    return package == "torch" or package in sys.stdlib_module_names


def imports(cells: Iterable[str]) -> list[str]:
    """The import statements at the top level of cells."""
    found = [node for code in cells for node in ast.parse(code).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return [*dict.fromkeys(ast.unparse(node) for node in found)]
