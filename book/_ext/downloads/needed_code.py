"""Of the hidden cells of a section, what its visible ones need: a slice of the code, by the names that it uses.

A hidden cell imports, prepares what a figure shows, asserts what the text claims, and glues numbers. In a notebook only
what later cells need of it stays, so that every figure has its short set-up; of no cell stays what glues.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
COMPOUND = (ast.For, ast.While, ast.If, ast.With, ast.Try)


def needed_code(cells: Sequence[tuple[str, bool]]) -> tuple[list[str], set[str]]:
    """The needed code of each cell, given with whether it is hidden; and the names that nothing before binds."""
    trees = [(source, parsed(source), hidden) for source, hidden in cells]
    binds = set().union(*(names_of(tree)[1] for _, tree, _ in trees if tree))
    late: set[str] = set()
    while True:
        left, lacking = needed_before(trees, late)
        # A function may use what is bound only after it, before it is called.
        if lacking & binds <= late:
            return left, lacking
        late |= lacking & binds


def parsed(source: str) -> ast.Module | None:
    """A cell's syntax; none if it has a line that is IPython's, not Python's."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


def needed_before(cells: Sequence[tuple[str, ast.Module | None, bool]], needed: set[str]) -> tuple[list[str], set[str]]:
    """Go through the cells backwards, given the names needed after them."""
    left: list[str] = []
    for source, tree, hidden in reversed(cells):
        if tree is None:
            needed = needed | set(re.findall(r"[^\W\d]\w*", source))
            left.append(source)
            continue
        slicer = Slice(hidden)
        needed = slicer.block(tree.body, needed)
        left.append(slicer.without_dropped(source, tree))
    return left[::-1], needed


class Slice:
    """Which statements of a cell are dropped.

    Attributes:
        dropped: these statements, each with what stands in its place: nothing, or a shorter one.
    """

    def __init__(self, hidden: bool) -> None:
        self.hidden = hidden
        self.dropped: dict[ast.stmt, str] = {}

    def block(self, statements: Sequence[ast.stmt], needed: set[str]) -> set[str]:
        """Go through statements backwards, given the names needed after them; the names needed before them."""
        for statement in reversed(statements):
            self.dropped.pop(statement, None)
            before = self.before(statement, needed)
            if before is None:
                self.dropped[statement] = ""
            else:
                needed = before
        return needed

    def before(self, statement: ast.stmt, needed: set[str]) -> set[str] | None:
        """The names needed before a statement, given those after it; None if it isn't needed itself."""
        if is_glue(statement) or (self.hidden and is_check(statement)):
            return None
        if isinstance(statement, COMPOUND):
            return self.before_compound(statement, needed)
        uses, binds = names_of(statement)
        if not self.hidden:
            return needed - binds | uses
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return self.before_import(statement, needed)
        if needed.isdisjoint(binds | changed_by(statement)):
            return None
        return needed - binds | uses

    def before_import(self, statement: ast.Import | ast.ImportFrom, needed: set[str]) -> set[str] | None:
        kept = [alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) in needed]
        if not kept:
            return None
        if len(kept) < len(statement.names):
            self.dropped[statement] = ast.unparse(shorter(statement, kept))
        return needed - {alias.asname or alias.name.partition(".")[0] for alias in kept}

    def before_compound(self, statement: ast.stmt, needed: set[str]) -> set[str] | None:
        """What a loop's body needs, the body before it may have made; so go through it until nothing is new."""
        head_uses, targets = names_of(*heads(statement))
        inside: set[str] = set()
        while True:
            after = needed | inside
            found = set().union(*(self.block(block, after) for block in blocks(statement)))
            if found <= after:
                break
            inside |= found
        empty = all(inner in self.dropped and not self.dropped[inner] for b in blocks(statement) for inner in b)
        if self.hidden and empty and needed.isdisjoint(targets):
            return None
        return (needed | found) - targets | head_uses

    def kept(self, statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
        """The statements that stay as they are, and hold no others but as a definition does."""
        for statement in statements:
            inner = [node for block in blocks(statement) for node in block]
            if statement not in self.dropped:
                yield from self.kept(inner) if inner else [statement]

    def without_dropped(self, source: str, tree: ast.Module) -> str:
        """The source of the cell without what is dropped, and without the comments right above that."""
        lines: list[str | None] = list(source.split("\n"))
        kept = {line for node in self.kept(tree.body) for line in span(node)}
        waiting = [tree.body]
        for block in waiting:
            dropped = {node: self.dropped[node] for node in block if node in self.dropped}
            if block is not tree.body and len(dropped) == len(block) and not any(dropped.values()):
                dropped[block[0]] = "pass"
            waiting += [inner for node in block if node not in dropped for inner in blocks(node)]
            for node, instead in dropped.items():
                if kept & set(span(node)):
                    continue
                first = node.lineno - 1
                for line in span(node):
                    lines[line - 1] = None
                if instead:
                    lines[first] = " " * node.col_offset + instead
                    continue
                above = min(span(node)) - 2
                while above >= 0 and (lines[above] or "").lstrip().startswith("#") and above + 1 not in kept:
                    lines[above] = None
                    above -= 1
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(line for line in lines if line is not None)).strip("\n")


def is_glue(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return isinstance(statement, ast.ImportFrom) and statement.module == "myst_nb"
    return called(statement) == "glue"


def is_check(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assert) or "assert" in called(statement)


def called(statement: ast.stmt) -> str:
    """The last name of the function that a statement calls, if it does nothing else."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return ""
    function = statement.value.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def changed_by(statement: ast.stmt) -> set[str]:
    """The names of what a statement may change without binding them anew: ``x[0] = 1``, ``x.append(1)``, ``f(x)``."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        return {root(part) for part in (call.func, *call.args, *(k.value for k in call.keywords))} - {""}
    targets: list[ast.expr] = []
    if isinstance(statement, (ast.Assign, ast.Delete)):
        targets = list(statement.targets)
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        targets = [statement.target]
    for target in targets:
        if isinstance(target, (ast.Tuple, ast.List)):
            targets += target.elts
    return {root(target) for target in targets} - {""}


def root(expression: ast.expr) -> str:
    """The name at the left end of ``x.grad[0].add_(1)``."""
    while isinstance(expression, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        expression = expression.func if isinstance(expression, ast.Call) else expression.value
    return expression.id if isinstance(expression, ast.Name) else ""


def shorter(statement: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> ast.stmt:
    """The same import, of fewer names."""
    if isinstance(statement, ast.Import):
        return ast.Import(names)
    return ast.ImportFrom(statement.module, names, statement.level)


# --- names ---------------------------------------------------------------------------------------------------------


def names_of(*nodes: ast.AST) -> tuple[set[str], set[str]]:
    """The names that code takes from around it, and those that it binds there."""
    names = Names()
    for node in nodes:
        names.visit(node)
    return names.uses, names.binds


class Names(ast.NodeVisitor):
    """Follows Python's scopes: what a function binds is its own."""

    def __init__(self) -> None:
        self.uses: set[str] = set()
        self.binds: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        (self.uses if isinstance(node.ctx, ast.Load) else self.binds).add(node.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        # It needs what was there.
        self.uses.add(root(node.target))
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        self.binds.add(node.asname or node.name.partition(".")[0])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.binds.add(node.name)
        for around in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(around)
        self.scope(node.args, *node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for around in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(around)
        self.scope(node.args, node.body)

    def visit_arg(self, node: ast.arg) -> None:
        self.binds.add(node.arg)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.binds.add(node.name)
        for around in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.visit(around)
        self.scope(*node.body)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.visit(node.generators[0].iter)
        self.scope(*ast.iter_child_nodes(node))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = comprehension

    def scope(self, *nodes: ast.AST) -> None:
        uses, binds = names_of(*nodes)
        self.uses |= uses - binds


# --- statements ----------------------------------------------------------------------------------------------------


def blocks(statement: ast.AST) -> Iterator[list[ast.stmt]]:
    """The blocks of statements in a compound one, but for a definition's."""
    for name in BLOCKS if isinstance(statement, (*COMPOUND, ast.ExceptHandler, ast.match_case, ast.Match)) else ():
        found = getattr(statement, name, [])
        if name in ("handlers", "cases"):
            for part in found:
                yield from blocks(part)
        elif found:
            yield found


def heads(statement: ast.stmt) -> Iterable[ast.AST]:
    """What stands in the head of a compound statement."""
    for name, value in ast.iter_fields(statement):
        if name not in BLOCKS:
            yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, ast.AST))


def span(node: ast.stmt) -> range:
    """The lines of a statement, its decorators among them."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return range(first, (node.end_lineno or node.lineno) + 1)
