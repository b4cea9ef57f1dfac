"""Which code of a section's cells is needed: by a figure, or by the cells that a notebook shows.

Hidden cells import, prepare figures, assert what the text claims and glue numbers. The program below a figure, and the
hidden cells of a notebook, keep only what later code needs: the statements, from the last one back to the first, that
bind a needed name or may change its value. Where names do not tell what code does, all but the checks is kept.
"""

from __future__ import annotations

import ast
import builtins
import dis
import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import copy
from types import CodeType
from typing import Any, NamedTuple

from book._ext.remembered import remembered

DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORT = (ast.Import, ast.ImportFrom)
AT_ONCE = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
"""Code that is compiled as a function, but runs where it stands; a generator nearly always does."""
UNTRACEABLE = {"eval", "exec", "globals", "locals", "vars"}
"""Functions that read or bind names that are nowhere in the code."""
PURE_METHODS = {
    *("abs", "all", "amax", "amin", "any", "clone", "copy", "cos", "cumsum", "detach", "diff", "exp", "expand"),
    *("flatten", "item", "items", "keys", "log", "max", "mean", "min", "norm", "numel", "pow", "prod", "repeat"),
    *("reshape", "sin", "sqrt", "std", "sum", "tolist", "unsqueeze", "values", "var"),
}
"""Methods that change nothing, whatever they are called on, unless a class of the section has one of that name."""
COPIES = ("clone", "copy")
"""Those of them whose result shares nothing with what they are called on."""
SEED = re.compile(r"[\w.]+\.(manual_seed|seed|set_rng_state)")
"""What seeds a module's own generator: every random number then depends on those drawn before it."""


class Program(NamedTuple):
    """What draws a figure: all of it, if that is known, and what of it stands in the figure's own cell."""

    whole: str
    own: str


@remembered
def program(cells: Sequence[str], drawing: Sequence[int], number: int) -> Program:
    """The program of a figure: it runs by itself, and draws this figure and no other.

    Args:
        cells: the code of a section's cells.
        drawing: the numbers of those whose last statement draws a figure.
        number: that of the figure's own cell.
    """
    try:
        # What the shell is told draws nothing.
        cells = [re.sub(r"^[%!].*$", "", cell, flags=re.M) for cell in cells[: number + 1]]
        others = [split(cell)[0] if at in drawing else cell for at, cell in enumerate(cells[:number])]
        before, last = split(cells[number])
        left, _ = needed_code([*((cell, True) for cell in (*others, before)), (last, False)])
        own = "\n".join(filter(None, left[-2:]))
        whole = "\n\n".join(filter(None, [*left[:-2], own]))
        ast.parse(whole)  # a cell may have been left whole because it is not Python
    except SyntaxError:
        return Program("", cells[number])
    return Program(whole, own)


def split(cell: str) -> tuple[str, str]:
    """A cell before its last statement, and this with the comments above it."""
    body, lines = ast.parse(cell).body, cell.split("\n")
    end = next((node.end_lineno or 0 for node in body[-2:-1]), 0)
    if body and end == body[-1].lineno:
        raise SyntaxError(f"two statements in one line: {lines[end - 1]}")
    return "\n".join(lines[:end]), "\n".join(lines[end:])


@remembered
def needed_code(cells: Sequence[tuple[str, bool]]) -> tuple[list[str], set[str]]:
    """Leave out of cells what nothing later needs.

    Args:
        cells: the code of each, and whether it is hidden. Of a visible one all but the glueing is needed.

    Returns:
        What is left of each cell, and the names that are used and bound nowhere before.
    """
    found = [read_cell(source, hidden).copied() for source, hidden in cells]
    statements = [statement for cell in found for statement in cell.statements]
    imports = [one for one in statements if isinstance(one.node, IMPORT)]
    modules = set().union(*(one.binds for one in imports if isinstance(one.node, ast.Import)))
    imported = set().union(*(one.binds for one in imports))
    classes = {name for name in imported if name[:1].isupper()}
    pure = PURE_METHODS.difference(*(one.methods for one in statements))
    for one in statements:  # a function leaves its module, and a class that it is given, as it is
        own = (one.reads | one.reads_later | one.binds) - {*dir(builtins)}
        asks = {name for name, method in one.asks if method not in pure} | (one.asks_result_of - imported)
        one.changes = (one.changes | asks - modules - classes) & own
    # What a function of the section changes, it changes where it is called.
    effects: dict[str, set[str]] = defaultdict(set)
    for one in statements:
        for name in one.binds if one.defines else ():
            effects[name] |= one.changes & one.reads_later
    everything = any(statement.is_untraceable for statement in statements)
    for one in statements:
        one.changes = set() if one.is_definition else one.changes.union(*(effects.get(n, ()) for n in one.reads))
    spread_changes(statements)
    late: set[str] = set()
    while True:
        needed: set[str] = set()
        for cell in reversed(found):
            needed = cell.leave_out(needed, late, everything)
        # A kept function may be called at any time: every value that it may find then is needed.
        more = {name for cell in found for statement in cell.kept() for name in statement.reads_later} - late
        if not more:
            first = set().union(*(statement.binds for cell in found for statement in cell.kept()))
            return [cell.text() for cell in found], needed | (late - first)
        late |= more


def spread_changes(statements: Sequence[Statement]) -> None:
    """What is changed is changed under all its names: ``b = a``, ``both = [a, b]``, ``optimizer = SGD([w])``."""
    values = {name for one in statements if not isinstance(one.node, (*DEFINITION, *IMPORT)) for name in one.binds}
    together: dict[str, set[str]] = {}
    for names in (names & values for one in statements for names in one.same):
        joined = names.union(*(together.get(name, ()) for name in names))
        together |= dict.fromkeys(joined, joined)
    for one in statements:
        one.changes = one.changes.union(*(together.get(name, ()) for name in one.changes))


class Statement:
    """A statement of a cell, not of a function in it.

    Attributes:
        reads: the names that it uses where it stands.
        reads_later: the names of the section that functions in it use when they are called.
        binds: the names that it gives a value.
        rebinds: those of them whose values of before nobody needs any more.
        defines: whether it gives a name to a function or a class.
        changes: the names whose values it may change; of a definition, when what it defines is called.
        asks: the names whose methods it calls, each with the method, or that it gives to a function for what that does.
        asks_result_of: the names of the functions whose results' methods it calls.
        methods: the names of the functions in it.
        same: sets of names, each set of one value, or of one and what holds it.
        is_untraceable: whether its names do not tell what it does.
    """

    def __init__(self, node: ast.stmt) -> None:
        self.node = node
        self.is_definition = isinstance(node, DEFINITION)
        inner = [[Statement(part) for part in block] for block in blocks(node)]
        head = without_blocks(node) if inner else node
        self.reads, self.reads_later, self.binds = names(head)
        # In a loop, its variable is that of this round.
        own = self.binds if isinstance(node, ast.For) else set()
        for block in inner:
            needed: set[str] = set()
            for last in reversed(block):
                needed = needed - last.rebinds | last.reads
                self.reads_later, self.binds = self.reads_later | last.reads_later, self.binds | last.binds
            self.reads = self.reads | (needed - own)
            own = set()
        parts = [*ast.walk(node)]
        targets = {
            part.id
            for target in getattr(node, "targets", ())
            for part in ast.walk(target)
            if isinstance(part, ast.Name)
        }
        self.rebinds: set[str] = self.binds & targets if isinstance(node, ast.Assign) else set()
        if isinstance(node, (*DEFINITION, *IMPORT)):
            self.rebinds = self.binds
        has_lambda = isinstance(node, ast.Assign) and any(isinstance(part, ast.Lambda) for part in parts)
        self.defines = self.is_definition or has_lambda
        self.changes = set().union(*map(changed, parts)) - {""}
        functions = [part.func for part in parts if isinstance(part, ast.Call)]
        methods = [function for function in functions if isinstance(function, ast.Attribute)]
        self.asks = {(root(method, False), method.attr) for method in methods} - {
            ("", method.attr) for method in methods
        }
        self.asks_result_of = {root(method) for method in methods if not root(method, False)} - {""}
        self.methods = {part.name for part in parts if isinstance(part, DEFINITION)}
        for part in parts:
            if isinstance(part, ast.Expr):
                names_in = {name for name in ast.walk(part) if isinstance(name, ast.Name)}
                self.asks |= {(name.id, "") for name in names_in.difference(functions)}
        self.same = [*filter(None, map(shared, parts))]
        calls = [*map(ast.unparse, functions)]
        stars = [part for part in parts if isinstance(part, ast.Global) or getattr(part, "name", "") == "*"]
        self.is_untraceable = bool(stars or UNTRACEABLE & {*calls} or any(map(SEED.fullmatch, calls)))


class Cell:
    """A cell, and what of it is not needed.

    Attributes:
        gone: the statements that are not needed, each with what stands in its place: nothing, or something shorter.
    """

    def __init__(self, source: str, hidden: bool) -> None:
        self.source, self.hidden = source, hidden
        self.body: list[ast.stmt] = []
        self.checks: dict[ast.stmt, str] = {}
        self.words: set[str] = set()
        try:
            self.body = ast.parse(source).body
            self.take_out_checks(self.body)
            self.statements = [Statement(node) for node in self.body if node not in self.checks]
        except SyntaxError:  # a line of it is IPython's, so every word may be a name that is needed
            self.statements, self.words = [], set(re.findall(r"[^\W\d]\w*", source))
        self.gone = self.checks

    def take_out_checks(self, block: list[ast.stmt]) -> None:
        """Take out of a block, and of those in it, what glues a number, and if it is hidden what asserts."""
        checks = [node for node in block if is_glue(node) or (self.hidden and is_check(node))]
        self.checks |= dict.fromkeys(checks, "")
        if block is not self.body and len(checks) == len(block):
            self.checks[checks[0]] = "pass"
        for node in block:
            for inner in blocks(node):
                self.take_out_checks(inner)
        if block is not self.body:
            block[:] = [node for node in block if node not in checks] or [ast.Pass(lineno=1, col_offset=0)]

    def leave_out(self, needed: set[str], late: set[str], everything: bool) -> set[str]:
        """Go through the statements backwards; given the names needed after them, the names needed before them."""
        self.gone = dict(self.checks)
        for statement in reversed(self.statements):
            live = needed | late
            if self.hidden and not everything:
                if live.isdisjoint(statement.binds | statement.changes):
                    self.gone[statement.node] = ""
                    continue
                if isinstance(statement.node, IMPORT) and not live >= statement.binds:
                    self.gone[statement.node] = shorter(statement.node, live)
            needed = needed - statement.rebinds | statement.reads
        return needed | self.words

    def copied(self) -> Cell:
        """A copy in which statements can be marked as changing names, and as gone."""
        cell = copy(self)
        cell.statements = [copy(statement) for statement in self.statements]
        return cell

    def kept(self) -> list[Statement]:
        return [statement for statement in self.statements if self.gone.get(statement.node) != ""]

    def text(self) -> str:
        """The source without what is gone, and without the comments right above that."""
        lines: list[str | None] = list(self.source.split("\n"))
        if not all(stands_alone(node, self.source.split("\n")) for node in self.gone):
            return "\n".join(self.gone.get(one.node) or ast.unparse(one.node) for one in self.kept())
        for node, instead in self.gone.items():
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]) - 1
            lines[first : node.end_lineno] = [None] * ((node.end_lineno or node.lineno) - first)
            if instead:
                lines[first] = " " * node.col_offset + instead
            while not instead and first and (lines[first - 1] or "").lstrip().startswith("#"):
                first -= 1
                lines[first] = None
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(line for line in lines if line is not None)).strip("\n")


@functools.lru_cache(maxsize=512)
def read_cell(source: str, hidden: bool) -> Cell:
    """A cell as it is read. Each figure of a section asks for the same cells, so it is read once."""
    return Cell(source, hidden)


def stands_alone(node: ast.stmt, lines: Sequence[str]) -> bool:
    """Whether a statement shares no line with another one."""
    before = lines[node.lineno - 1].encode()[: node.col_offset].decode()
    after = lines[(node.end_lineno or node.lineno) - 1].encode()[node.end_col_offset :].decode()
    return re.fullmatch(r"\s*\0\s*(#.*)?", f"{before}\0{after}") is not None


def is_glue(node: ast.stmt) -> bool:
    return (isinstance(node, ast.ImportFrom) and node.module == "myst_nb") or called(node) == "glue"


def is_check(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assert) or "assert" in called(node) or called(node) == "holds"


def called(node: ast.stmt) -> str:
    """The last name of the function that a statement calls, if it does nothing else."""
    function = node.value.func if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    return str(getattr(function, "attr", getattr(function, "id", "")))


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The blocks of statements in a compound one, but for a definition's."""
    for name in () if isinstance(node, DEFINITION) else ("body", "orelse", "finalbody"):
        if isinstance(block := getattr(node, name, None), list) and block:
            yield block
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from blocks(part)


def without_blocks(node: Any) -> Any:
    """The head of a compound statement, as a statement."""
    head = copy(node)
    for name in ("body", "orelse", "finalbody"):
        if getattr(node, name, None):
            setattr(head, name, [ast.Pass(lineno=1, col_offset=0)])
    for name in ("handlers", "cases"):
        if getattr(node, name, None):
            setattr(head, name, [without_blocks(part) for part in getattr(node, name)])
    return head


def shorter(node: ast.Import | ast.ImportFrom, needed: set[str]) -> str:
    """An import of no more than the needed names."""
    names = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in needed]
    new = ast.Import(names) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, names, node.level)
    return ast.unparse(new)


def names(node: ast.stmt) -> tuple[set[str], set[str], set[str]]:
    """The names that a statement uses where it stands, those that functions in it use, and those that it binds.

    Python's own compiler tells the names of the section from those of a function or a comprehension.
    """
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    module = compile(ast.Module([node], []), "cell", "exec", flags, dont_inherit=True)
    now: set[str] = set()
    later: set[str] = set()
    binds: set[str] = set()
    waiting: list[tuple[CodeType, bool]] = [(module, True)]
    for code, at_once in waiting:
        for step in dis.get_instructions(code):
            if step.opname.startswith("LOAD") and step.opname.endswith(("_NAME", "_GLOBAL", "_GLOBALS")):
                (now if at_once else later).add(step.argval)
            elif step.opname in ("STORE_NAME", "STORE_GLOBAL") and at_once:
                binds.add(step.argval)
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        waiting += [(constant, at_once and constant.co_name in AT_ONCE) for constant in inner]
    return now, later, binds


def changed(part: ast.AST) -> set[str]:
    """The names whose values a part of a statement changes: ``x[0] = 1``, ``x += 1``, ``x.append(1)``, ``f(x)``.

    A function whose result is used leaves its arguments as they are, unless it draws from a generator.
    """
    if isinstance(part, (ast.Attribute, ast.Subscript)) and not isinstance(part.ctx, ast.Load):
        return {root(part)}
    if isinstance(part, ast.AugAssign):
        return {root(part.target)}
    if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call) and isinstance(part.value.func, ast.Attribute):
        return {root(part.value.func)}
    if isinstance(part, ast.keyword) and part.arg == "generator" and not isinstance(part.value, ast.Call):
        return {root(part.value)}
    return set()


def shared(part: ast.AST) -> set[str]:
    """The names that a part of a statement gives to what has a name already, and that name."""
    if not isinstance(part, ast.Assign):
        return set()
    holders = (ast.List, ast.Tuple, ast.Set, ast.Dict)
    inside = [name for held in ast.walk(part.value) if isinstance(held, holders) for name in ast.iter_child_nodes(held)]
    targets = [target for around in part.targets for target in getattr(around, "elts", [around])]
    return {root(target) for target in targets} | {
        name.id for name in (part.value, *inside) if isinstance(name, ast.Name)
    }


def root(expression: ast.expr, of_result: bool = True) -> str:
    """The name at the left end of ``x.grad[0].add_(1)``; of ``f(x).add_(1)`` it is the function's, or none."""
    while isinstance(expression, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        if isinstance(expression, ast.Call):
            expression = expression.func
            is_copy = isinstance(expression, ast.Attribute) and expression.attr in COPIES
            if is_copy or (isinstance(expression, ast.Name) and not of_result):
                return ""
        else:
            expression = expression.value
    return expression.id if isinstance(expression, ast.Name) else ""
