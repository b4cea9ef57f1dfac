"""The assertions in the code of a cell: whether one runs whenever the cell does, and which are always true."""

from __future__ import annotations

import ast
import contextlib
import re

from book._ext.remembered import remembered


def parsed(source: str) -> ast.Module | None:
    """The code of a cell; None if it is not Python, so that the cell will fail."""
    # IPython's own commands are not Python.
    for code in (source, re.sub(r"^([ \t]*)(?:\w+[ \t]*=[ \t]*)?[%!].*$", r"\1pass", source, flags=re.M)):
        with contextlib.suppress(SyntaxError):
            return ast.parse(code)
    return None


@remembered
def surely_asserts(source: str) -> bool:
    """Whether a cell asserts something whenever it runs, by ``assert`` or ``holds``, at its left margin or in a loop.

    An assertion elsewhere may never run, as in a function, or its failure may be caught.
    """
    # What stands below a cell magic may not be run as Python.
    tree = None if source.lstrip().startswith("%%") else parsed(source)
    statements: list[ast.stmt] = list(tree.body) if tree else []
    for statement in statements:
        if isinstance(statement, ast.For):
            statements += statement.body
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(statement, ast.Assert) or getattr(getattr(call, "func", None), "id", "") == "holds":
            return True
    return False


@remembered
def empty_asserts(source: str) -> list[tuple[int, str]]:
    """The assertions in a cell that are true whatever happens: the line of each, from 0, and what it asserts."""
    tree = parsed(source) if "assert" in source else None
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)] if tree else []
    return [(node.lineno - 1, ast.unparse(node.test)) for node in found if is_always_true(node.test)]


def is_always_true(test: ast.expr) -> bool:
    """Whether an expression is true by its form: a tuple or list with elements, a generator, a function, a constant."""
    if isinstance(test, (ast.Tuple, ast.List, ast.Set)):
        return bool(test.elts)
    return isinstance(test, (ast.GeneratorExp, ast.Lambda)) or (isinstance(test, ast.Constant) and bool(test.value))
