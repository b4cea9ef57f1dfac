"""What draws a figure: of a section's cells, the statements that its last line needs, as a program that runs by itself.

From the figure it goes back through the section, and keeps what gives a value to a name that is needed further down, or
changes one: a cautious slice, so that the program draws the very figure. Checks and glued numbers are left out.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORT = (ast.Import, ast.ImportFrom)
OWN_NAMES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BLOCK = (ast.For, ast.While, ast.If, ast.With)


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement of a section, not of a function in it.

    Attributes:
        cell: the number of its cell.
        text: as it is written, with the comments before it.
    """

    cell: int
    node: ast.stmt
    text: str

    @cached_property
    def binds(self) -> set[str]:
        """The names that it gives a value."""
        return set(bound(self.node))

    @cached_property
    def changes(self) -> set[str]:
        """The names whose values it may change: it sets a part of them, calls their method, draws from them."""
        return set(changed(self.node))

    @cached_property
    def needs(self) -> set[str]:
        """The names that it uses, or what it defines uses."""
        return used(self.node)


class Program(NamedTuple):
    """What draws a figure: the whole of it, if that is known, and what of it stands in the figure's own cell."""

    whole: str
    own: str


def read(cells: list[str]) -> list[Statement]:
    """The statements of a section's cells.

    Raises:
        SyntaxError: if a cell cannot be read as Python, for it is IPython's, or a line of it holds two statements.
    """
    return [statement for number, cell in enumerate(cells) for statement in split(number, cell)]


def split(number: int, cell: str) -> Iterator[Statement]:
    # What the shell is told makes no figure.
    cell = re.sub(r"^[%!].*$", "", cell, flags=re.M)
    lines, end = cell.splitlines(), 0
    for node in ast.parse(cell).body:
        if node.lineno <= end:
            raise SyntaxError(f"two statements in one line: {lines[end - 1]}")
        last, left_out = node.end_lineno or node.lineno, list(checks(node))
        gone = {line for check in left_out for line in range(check.lineno, (check.end_lineno or check.lineno) + 1)}
        if left_out != [node]:
            text = "\n".join(line for at, line in enumerate(lines[end:last], end + 1) if at not in gone)
            yield Statement(number, node, text.strip("\n"))
        end = last


def checks(node: ast.stmt) -> Iterator[ast.stmt]:
    """The parts of a statement, or all of it, that only assert or glue a number: nothing that follows needs them."""
    called = node.value.func if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    if isinstance(node, ast.Assert) or (isinstance(called, ast.Name) and called.id == "glue"):
        yield node
    elif isinstance(node, BLOCK):
        found = [list(checks(inner)) for inner in node.body]
        whole = all([inner] == those for inner, those in zip(node.body, found, strict=True))
        yield from [node] if whole else [check for those in found for check in those]


def bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, DEFINITION):
        yield node.name
    elif isinstance(node, IMPORT):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if not isinstance(node, (*DEFINITION, *OWN_NAMES)):
        for part in ast.iter_child_nodes(node):
            yield from bound(part)


def used(node: ast.stmt) -> set[str]:
    """The names of the section that a statement uses, in the functions and comprehensions in it, too."""
    if not isinstance(node, ast.For):
        return {*referenced(node), *changed(node)}
    found, own = {*referenced(node.iter)}, {*bound(node.target)}
    for inner in [*node.body, *node.orelse]:
        found |= used(inner) - own
        # What this round has given a value is not from before the loop.
        own |= {*bound(inner)} if isinstance(inner, ast.Assign) else set()
    return found


def referenced(node: ast.AST) -> Iterator[str]:
    waiting = [symtable.symtable(ast.unparse(node), "cell", "exec")]
    while waiting:
        table = waiting.pop()
        outermost = table.get_type() == "module"
        yield from (n.get_name() for n in table.get_symbols() if n.is_referenced() and (outermost or n.is_global()))
        waiting += table.get_children()


def changed(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, DEFINITION):
        return
    for part in ast.walk(node):
        if isinstance(part, (ast.Attribute, ast.Subscript)) and not isinstance(part.ctx, ast.Load):
            yield from owner(part)
        elif isinstance(part, ast.AugAssign):
            yield from owner(part.target)
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            yield from owner(part.value.func) if isinstance(part.value.func, ast.Attribute) else ()
        elif isinstance(part, ast.keyword) and part.arg == "generator":
            yield from owner(part.value)


def owner(node: ast.expr) -> Iterator[str]:
    """`a`, of `a.b`, of `a[0]`, of `a.b[0].c` and of itself."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def program(statements: list[Statement], cell: int) -> Program:
    """The program of the figure that the last statement of a cell draws."""
    before = [statement for statement in statements if statement.cell <= cell]
    last = before.pop()
    kept, needed = [last], needs_of(last, before)
    while before:
        statement = before.pop()
        if needed & (statement.binds | statement.changes):
            kept.insert(0, narrowed(statement, needed))
            if isinstance(statement.node, (ast.Assign, ast.AnnAssign, *DEFINITION, *IMPORT)):
                needed -= statement.binds
            needed |= needs_of(statement, before)
    own = [statement for statement in kept if statement.cell == cell and not isinstance(statement.node, IMPORT)]
    return Program(joined(kept), joined(own))


def needs_of(statement: Statement, before: list[Statement]) -> set[str]:
    """The names that a statement needs, itself and by the functions and classes that it names, down to the last."""
    found: set[str] = set()
    waiting = {*statement.needs}
    while waiting:
        name = waiting.pop()
        found.add(name)
        giver = next((one for one in reversed(before) if name in one.binds), None)
        if giver is not None and isinstance(giver.node, DEFINITION):
            waiting |= giver.needs - found
    return found


def narrowed(statement: Statement, needed: set[str]) -> Statement:
    """The statement; if it is an import, of no more than is needed."""
    node = statement.node
    if not isinstance(node, ast.ImportFrom):
        return statement
    names = [alias for alias in node.names if (alias.asname or alias.name) in needed]
    return replace(statement, text=ast.unparse(ast.ImportFrom(node.module, names, node.level)))


def joined(statements: list[Statement]) -> str:
    """The statements one below the other; a definition between empty lines."""
    text, before = "", ""
    for statement in statements:
        kind = next((kind.__name__ for kind in (*DEFINITION, *IMPORT) if isinstance(statement.node, kind)), "statement")
        kind = "import" if kind.startswith("Import") else kind
        apart = 0 if not text else 3 if "Def" in before + kind else 1 if before == kind else 2
        text += "\n" * apart + statement.text
        before = kind
    return text


def seeds(code: str) -> list[int]:
    """The seeds of a program: those it names, and the 0 that `descend` and `output` take where it asks for noise."""
    found = set()
    for call in ast.walk(ast.parse(code)):
        if isinstance(call, ast.Call):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            called = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            noise, seed = given.get("noise"), given.get("seed")
            if called == "manual_seed" and call.args:
                seed = call.args[0]
            elif noise is not None and not (isinstance(noise, ast.Constant) and noise.value == 0):
                seed = seed or ast.Constant(0)
            if isinstance(seed, ast.Constant) and isinstance(seed.value, int):
                found.add(seed.value)
    return sorted(found)
