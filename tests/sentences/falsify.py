"""Make each marked sentence of a page false once, and see whether its assertion notices.

`PAGE.yml` beside this file has for each mark of a page a change of the page's cells under which the phrase is false:
``name: old → new``, or a list of such changes. This module runs the cells in order. Before the first cell that a change
concerns it forks: the child runs the changed cells, up to the assertion of that phrase, and says what became of it.

    python tests/sentences/falsify.py sgd [NAME …]
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ARROW = " → "


class Asserted(BaseException):
    """The assertion that was waited for has run."""


class WithoutAsserts(ast.NodeTransformer):
    """Takes out plain asserts: another one must not end a changed run before the assertion in question."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)


def changes(page: str) -> dict[str, list[tuple[str, str]]]:
    """The changes of a page, by the name of the sentence that each makes false."""
    read = yaml.safe_load((HERE / f"{page}.yml").read_text(encoding="utf-8")) or {}
    texts = {name: [text] if isinstance(text, str) else text for name, text in read.items()}
    return {name: [parted(name, text) for text in given] for name, given in texts.items()}


def parted(name: str, text: str) -> tuple[str, str]:
    old, arrow, new = text.partition(ARROW)
    if not arrow or old == new:
        raise SystemExit(f"{name}: {text} is no change; write old{ARROW}new")
    return old, new


def falsify(page: str, only: list[str]) -> dict[str, str]:
    """What each assertion says when its sentence is false: the message of `holds`, or why there is none."""
    from book._ext.execute.kernel_setup import Comparisons
    from optim_code import sentences
    from optim_code.equations.sections import read_page

    cells = [block.body for block in read_page(ROOT, f"book/{page}").blocks if block.name == "code-cell"]
    waiting = {name: given for name, given in changes(page).items() if not only or name in only}
    real = sentences.holds
    target = ""

    def holds(name: str, *claims: object, over: str = "") -> None:
        said = "it holds in spite of the change"
        try:
            real(name, *claims, over=over)
        except sentences.DoesNotHold as error:
            said = str(error)
        except TypeError:
            if name == target:
                raise
        if name == target:
            raise Asserted(said)

    sentences.holds = holds

    def run(code: str, names: dict[str, Any]) -> None:
        tree = ast.fix_missing_locations(WithoutAsserts().visit(Comparisons().visit(ast.parse(code))))
        with contextlib.redirect_stdout(io.StringIO()):  # what a cell prints is no part of the answer
            exec(compile(tree, "<cell>", "exec"), names)

    found: dict[str, str] = {}
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, code in enumerate(cells):
        for name, given in list(waiting.items()):
            if any(old in code for old, _ in given):
                del waiting[name]
                reading, writing = os.pipe()
                child = os.fork()
                if child == 0:
                    target = name
                    said = outcome([changed(later, given) for later in cells[number:]], run, names)
                    os.write(writing, said.encode())
                    os._exit(0)
                os.close(writing)
                with os.fdopen(reading, "rb") as pipe:
                    found[name] = pipe.read().decode()
                os.waitpid(child, 0)
        if not waiting:
            break
        run(code, names)
    for name, given in waiting.items():
        found[name] = f"no cell has {given[0][0]!r}"
    return found


def outcome(cells: list[str], run: Callable[[str, dict[str, Any]], None], names: dict[str, Any]) -> str:
    """What the assertion said that ends a run of these cells; else what happened in its place."""
    try:
        for code in cells:
            run(code, names)
    except Asserted as end:
        return str(end)
    except BaseException as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        return f"the changed cells raise {type(error).__name__}: {error} ({line.name}, line {line.lineno})"
    return "no assertion of this name has run"


def changed(code: str, given: list[tuple[str, str]]) -> str:
    for old, new in given:
        code = code.replace(old, new)
    return code


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch._dynamo  # noqa: F401  # torch imports it at the first optimizer: once here, not in each child

    page, *only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        found = falsify(page, only)
        os.chdir(ROOT)
    print(json.dumps(found, indent=1, ensure_ascii=False))
