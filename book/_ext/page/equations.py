"""Find every displayed equation of the book, and check it while the cells run.

The label of an equation says what it claims: the build compares `update-…` with its class and with torch, and evaluates
`identity-…` at random points; `claim-…` must have a hidden cell that asserts it; `def-…` claims nothing. A verdict is
kept in `_build/.equations.json` until the equation or the code changes. `make equations` does the same without a build.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from book._ext.execute import warm_kernels
from book._ext.execute.freshness import LISTING, PACKAGE, Code, code_of
from book._ext.execute.light_imports import imported
from book._ext.faults import ROOT, Fault
from book._ext.files import files_digest, pins, python_files, read_json, text_digest, write_json
from book._ext.page.verdicts import Finding
from book._ext.remembered import remembered
from book._ext.sources.asserts import surely_asserts
from book._ext.sources.checking import check_without_build
from book._ext.sources.editions import EDITIONS, edition_text
from book._ext.sources.marks import marks_of
from book._ext.state import build_state, kept_state
from optim_code.equations import class_named_after
from optim_code.equations.sections import (
    Page,
    SectionError,
    contents,
    label_of,
    read_page,
    read_text,
    tags_of,
)

KEPT = 500
"""How many verdicts are kept for the next builds."""

KINDS = ("update", "identity", "claim", "def")

CHECK = "its check "
"""How the fault of an equation begins whose check did not come to an end."""


@dataclass(frozen=True)
class Equation:
    """A displayed equation of a section."""

    label: str
    latex: str
    docname: str
    where: str

    @property
    def kind(self) -> str:
        """The first part of its label, which should be one of `KINDS`."""
        return self.label.partition("-")[0]


@dataclass(frozen=True)
class Verdict:
    """What the check of one equation found.

    Attributes:
        against: what it was checked against.
        fault: what is wrong with it; empty if it holds.
        program: what a playground runs; empty if it is not an update.
    """

    label: str
    kind: str
    docname: str
    where: str
    against: str
    fault: str = ""
    program: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> str:
        """The verdict as a line of `make equations`."""
        result = f"FAILS: {self.fault}" if self.fault else self.against
        return f"{self.kind:<8}  {self.label:<34}  {self.where:<24}  {result}"

    @property
    def complaint(self) -> str:
        """The fault as a message to the editor."""
        return f"{self.where}: {self.label or 'equation'}: {self.fault}"


class EquationsFail(SphinxError):
    """Some equations do not hold; the message has one line for each."""

    category = "An equation fails"


# --- finding -------------------------------------------------------------------------------------------------------


def read_section(page: Page) -> tuple[list[Equation], dict[str, str]]:
    """The displayed equations of a page, and the places of its cells that assert claims, by the label of the claim."""
    equations: list[Equation] = []
    cells: dict[str, str] = {}
    for block in page.blocks:
        where = page.where(block.first)
        label = label_of(block, where)
        if label is not None:
            equations.append(Equation(label, block.body.strip(), page.docname, where))
        elif block.name == "code-cell" and "claim-" in block.options and surely_asserts(block.body):
            for tag in tags_of(block, where):
                cells.setdefault(tag, where)
    return equations, cells


# --- checking ------------------------------------------------------------------------------------------------------


class Checker:
    """Checks the equations of a book, and keeps verdicts for the next check.

    Args:
        root: the top of the book.
        docnames: its pages, in their order.
        code: the modules of `optim_code`, if they have been read.
        edition: the edition that lists them; all are checked.

    Attributes:
        verdicts: the verdict on each displayed equation, in their order; preliminary ones on the pending equations.
        pending: the equations that have to be run, by their index in `verdicts`, each with its key in `known`.
        known: the findings of earlier checks. A key is a digest of the equation and of the code that decides about it.
        modules: those of `optim_code`, by their paths.
        phrases: how many phrases each page of the edition marks as asserted.
        shown: the labels of the equations that the edition shows.
        used: those findings of `known` that this check has used, and its new ones.

    Raises:
        EquationsFail: if the module is broken, or has no optimizers.
    """

    def __init__(
        self, root: Path, docnames: Iterable[str], code: Code | None = None, edition: str = EDITIONS[0]
    ) -> None:
        self.root = root
        self.memory = root / "_build" / ".equations.json"
        self.known: dict[str, list[Any]] = read_json(self.memory)
        self.used: dict[str, list[Any]] = {}
        code = code or Code(root)
        self.base = "\0".join([code.whole, pins(root), files_digest(Path(__file__).with_name("verdicts.py"))])
        if code.fault:
            raise EquationsFail(code.fault)
        self.modules = modules_of(root)
        if ambiguous := [*ambiguities(self.modules)]:
            raise EquationsFail("\n".join(ambiguous))
        self.classes = optimizer_classes(self.modules)
        if not self.classes and not (root / PACKAGE / "optimizers.py").is_file():
            raise EquationsFail("optim_code/optimizers.py: No such file; put it back, updates are checked against it")
        self.found: dict[str, list[Equation]] = {}
        self.phrases: dict[str, int] = {}
        self.shown: set[str] = set()
        self.verdicts: list[Verdict] = []
        self.pending: dict[int, tuple[str, Equation]] = {}
        first: dict[str, Equation] = {}
        for docname in docnames:
            page = read_page(root, docname)
            shown = replace(page, lines=edition_text(page.text, edition, page.where).split("\n"))
            self.phrases[docname] = len(marks_of(shown))
            self.found[docname], cells = read_section(page)
            own = self.found[docname] if shown.lines == page.lines else read_section(shown)[0]
            self.shown |= {equation.label for equation in own}
            for equation in self.found[docname]:
                finding = self.judge(equation, cells, first)
                self.verdicts.append(Verdict(equation.label, equation.kind, docname, equation.where, *finding))
                first.setdefault(equation.label, equation)
        self.verdicts += self.classes_without_equation(first)

    @property
    def state(self) -> str:
        """A digest of all that decides about the verdicts."""
        rows = [*map(repr, self.verdicts), *(key for key, _ in self.pending.values()), *sorted(self.used)]
        return text_digest(*rows)

    def run(self, find: Callable[[list[tuple[str, str]]], list[Finding]]) -> list[Verdict]:
        """Check the pending equations, and keep what was found.

        Args:
            find: `find_verdicts`, or a function that gives the findings up to the first equation that cannot be
                checked.

        Returns:
            The verdicts on all equations.
        """
        if self.pending:
            findings = find([(equation.label, equation.latex) for _, equation in self.pending.values()])
            for (index, (key, equation)), found in zip(self.pending.items(), findings, strict=False):
                against, fault, program = found
                fault = self.with_remedy(equation, fault)
                self.verdicts[index] = replace(self.verdicts[index], against=against, fault=fault, program=program)
                if not fault:
                    self.used[key] = [against, fault, program]
        # Findings that this check has not used stay, because an editor may undo an edit; the oldest are dropped.
        kept = {**{key: found for key, found in self.known.items() if key not in self.used}, **self.used}
        if kept != self.known:
            write_json(self.memory, dict(list(kept.items())[-KEPT:]))
        return self.verdicts

    def with_remedy(self, equation: Equation, fault: str) -> str:
        """A fault with what to do about it, if the fault is in the class or in the label."""
        name = class_named_after(equation.label.partition("-")[2], self.classes)
        if " raises " in fault and name:
            return f"{fault}; fix the class, {self.classes[name]}"
        if fault.startswith(CHECK):
            what = f"{name}, {self.classes[name]}" if equation.kind == "update" and name else "the equation"
            return f"{fault}; fix {what}"
        return f"{fault}; write it, or fix the label" if "has no class of that name" in fault else fault

    def judge(self, equation: Equation, cells: dict[str, str], first: dict[str, Equation]) -> Sequence[Any]:
        """The finding on an equation, as far as it is known without running it."""
        if not equation.label:
            return "", "a displayed equation needs a label: $$ … $$ (update-…, identity-…, claim-… or def-…)"
        if equation.kind not in KINDS:
            return "", f"the label must begin with one of {', '.join(k + '-' for k in KINDS)}"
        if equation.label in first:
            return "", f"the label is used at {first[equation.label].where} already; give one of them another"
        if equation.kind == "def":
            return ("a definition, which claims nothing",)
        if equation.kind == "claim":
            where = cells.get(equation.label)
            if where is None:
                how = f":tags: [remove-cell, {equation.label}]"
                return "", f"a claim needs a hidden cell with an assert at its left margin, or in a loop there: {how}"
            file, _, line = where.rpartition(":")
            return (f"asserted by the cell at line {line}" + f" of {file}" * (file != f"{equation.docname}.md"),)
        key = text_digest(equation.label, equation.latex, self.base)
        if key in self.known:
            self.used[key] = self.known[key]
            return self.known[key]
        self.pending[len(self.verdicts)] = (key, equation)
        return ("not checked",)

    def classes_without_equation(self, first: dict[str, Equation]) -> Iterator[Verdict]:
        """A verdict with a fault for each optimizer without an update equation."""
        covered = {
            class_named_after(label.partition("-")[2], self.classes) for label in first if label.startswith("update-")
        }
        for name, where in self.classes.items():
            if name not in covered:
                short = name.removesuffix("Optimizer").lower()
                fault = f"{name} has no update equation; label one update-{short}"
                yield Verdict(name, "update", "", where, "", fault)


class Module(NamedTuple):
    """What the source of a module has at its top.

    Attributes:
        classes: for each class its line, and what readers call it: its docstring up to the first colon, or its name.
        constants: the values of the names that are set to a literal.
        repeated: the names that are defined twice, in the module or in a class, each with its first and second line.
    """

    classes: dict[str, tuple[int, str]]
    constants: dict[str, Any]
    repeated: list[tuple[str, int, int]]


@remembered
def read_module(source: str) -> Module:
    """Read the source of a module, because an import takes seconds."""
    tree = ast.parse(source)
    found = Module({}, {}, [*repeated(tree.body)])
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            said, colon, _ = (ast.get_docstring(node) or "").split("\n")[0].partition(":")
            found.classes[node.name] = node.lineno, said if colon else node.name.removesuffix("Optimizer")
        elif isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = [*zip(target.elts, value.elts, strict=False)]
            for constant, literal in pairs:
                with contextlib.suppress(ValueError, TypeError):
                    found.constants[ast.unparse(constant)] = ast.literal_eval(literal)
    return found


def repeated(body: list[ast.stmt]) -> Iterator[tuple[str, int, int]]:
    """The classes and functions that a later one of the same name replaces: the name, and both lines."""
    first: dict[str, int] = {}
    for node in body:
        # Decorators such as `overload` and `setter` are for several functions of one name.
        if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not node.decorator_list):
            if node.name in first:
                yield node.name, first[node.name], node.lineno
            first.setdefault(node.name, node.lineno)
        if isinstance(node, ast.ClassDef):
            yield from repeated(node.body)


def ambiguities(modules: dict[str, Module]) -> Iterator[str]:
    """A line for each second definition of a name in a module, and for each optimizer with the name of another."""
    for path, module in modules.items():
        for name, first, second in module.repeated:
            yield f"{path}:{second}: {name} is defined at line {first} already; rename one of the two, or take it out"
    called: dict[str, str] = {}
    for name, where in optimizer_classes(modules).items():
        said = modules[where.rpartition(":")[0]].classes[name][1].strip()
        if said.lower() in called:
            text = (
                f"{where}: {name} is called {said}, like {called[said.lower()]}; begin its docstring with another name"
            )
            yield f"{text} and a colon"
        called.setdefault(said.lower(), name)


def modules_of(root: Path) -> dict[str, Module]:
    """The modules of `optim_code`, by their paths from the top of the book."""
    paths = {path.relative_to(root).as_posix(): path for path in python_files(root / PACKAGE)}
    return {name: read_module(read_text(path, root)) for name, path in paths.items()}


def optimizer_classes(modules: dict[str, Module]) -> dict[str, str]:
    """File and line of each class in these modules whose name ends with ``Optimizer``."""
    return {
        name: f"{path}:{line}"
        for path, module in modules.items()
        for name, (line, _) in module.classes.items()
        if name.endswith("Optimizer") and not name.startswith("_")
    }


# --- in the build --------------------------------------------------------------------------------------------------


def collect_equations(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Find all equations before Sphinx reads a page.

    Raises:
        EquationsFail: if some have a fault that shows without running them.
    """
    checker = Checker(Path(app.srcdir), toc_order(env), code_of(app), app.config.edition)
    kept = kept_state(env)
    refuse_faults(checker.verdicts)
    build_state(app).checker = checker
    kept.sentences = checker.phrases
    kept.listed_digest = text_digest(checker.state, repr(kept.sentences), *sorted(checker.shown))
    return []


def start_check(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Start to check the pending equations in another process, a fork of the kernel server if it runs."""
    state = build_state(app)
    assert state.checker is not None
    pool = ThreadPoolExecutor(max_workers=1)
    state.verdicts = pool.submit(state.checker.run, partial(find_verdicts, app.config.nb_execution_timeout))
    pool.shutdown(wait=False)


def find_verdicts(seconds: int, equations: list[tuple[str, str]]) -> list[Finding]:
    """The findings on equations, from another process.

    Args:
        seconds: how long the check of one equation may take.
        equations: pairs of label and LaTeX.

    Returns:
        A finding for each equation, up to the first whose check does not come to an end.

    Raises:
        EquationsFail: if the check of an equation fails.
    """
    command = [*warm_kernels.python(), "-m", "book._ext.page.verdicts", str(seconds), json.dumps(equations)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = [(against, fault, program) for against, fault, program in map(json.loads, done.stdout.splitlines())]
    if len(found) < len(equations):
        if "Timeout (" not in done.stderr and "Traceback (" in done.stderr:
            raise EquationsFail(cannot_check(done.stderr))
        what = f"takes longer than {seconds} s" if "Timeout (" in done.stderr else "ended without a word"
        found.append(("", CHECK + what, {}))
    return found


def cannot_check(trace: str) -> str:
    """A message about a check that failed: the last line of the book's own code in a traceback, and the error."""
    within = re.findall(rf'File "{re.escape(str(ROOT))}/([^"]+)", line (\d+)', trace)
    place = ":".join(within[-1]) + ": " if within else ""
    reason = trace.strip().splitlines()[-1]
    return f"{place}{reason}, so the equations cannot be checked; fix that line, or what it imports"


def await_verdicts(app: Sphinx) -> list[Verdict]:
    """Wait for the verdicts on all equations.

    Raises:
        EquationsFail: if an equation does not hold.
    """
    pending = build_state(app).verdicts
    assert pending is not None
    verdicts = pending.result()
    refuse_faults(verdicts)
    return verdicts


def refuse_faults(verdicts: list[Verdict]) -> None:
    """Raise `EquationsFail` if there are faults."""
    faults = [verdict.complaint for verdict in verdicts if verdict.fault]
    if faults:
        raise EquationsFail("\n".join(faults))


def fill_listing(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give the page that lists all equations of this edition their verdicts before Sphinx reads it."""
    if LISTING in source[0]:
        checker = build_state(app).checker
        assert checker is not None
        kept_state(app.env).listed = [asdict(v) for v in await_verdicts(app) if v.label in checker.shown]


def require_verdicts(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Wait for the verdicts before Sphinx writes a page. Returns the pages on which the text of a mark has changed."""
    kept = kept_state(env)
    before = kept.marks
    updates = [verdict for verdict in await_verdicts(app) if verdict.kind == "update"]
    kept.marks = {verdict.label: verdict.against for verdict in updates}
    changed = [verdict.docname for verdict in updates if before.get(verdict.label) != verdict.against]
    return [docname for docname in changed if docname in env.found_docs]


def toc_order(env: BuildEnvironment) -> list[str]:
    """The pages of this edition, in the order of the table of contents."""
    return [docname for docname in contents(Path(env.srcdir)) if docname in env.found_docs]


class checked(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils has no types
    """The mark beside an update equation: what it was checked against, in how many runs, the largest difference."""


def mark_updates(app: Sphinx, document: nodes.document) -> None:
    """Put a mark behind each update equation."""
    for block in list(document.findall(nodes.math_block)):
        label = block.get("label") or ""
        if label.startswith("update-"):
            block.parent.insert(block.parent.index(block) + 1, checked("", label=label))


def mark_text(env: Any, mark: checked) -> str:
    """The text of a mark."""
    return f"Held against {kept_state(env).marks[mark['label']]}, on the same gradients, at this build."


def visit_html(self: Any, node: checked) -> None:
    text = self.encode(mark_text(self.builder.env, node))
    self.body.append(f'<details class="checked"><summary>checked</summary><p>{text}</p></details>\n')
    raise nodes.SkipNode


def skip(self: Any, node: checked) -> None:
    raise nodes.SkipNode


class PrintMarks(SphinxPostTransform):
    """In print, turn each mark into the sign of a footnote in the equation, and the footnote."""

    default_priority = 30
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        for mark in list(self.document.findall(checked)):
            block = mark.parent[mark.parent.index(mark) - 1]
            assert isinstance(block, nodes.math_block)
            block["tex"] = block.astext().rstrip()
            signed = block["tex"] + r" \;\text{\checkednote}"
            block.rawsource, block.children = signed, []
            block += nodes.Text(signed)
            escaped = re.sub(r"([_&%#$])", r"\\\1", mark_text(self.env, mark))
            footnote = nodes.raw("", rf"\footnotetext{{{escaped}}}", format="latex")
            # At the start of the paragraph below, because in a paragraph of its own it would be an empty line.
            below = mark.next_node(descend=False, siblings=True)
            if isinstance(below, nodes.paragraph):
                mark.parent.remove(mark)
                below.insert(0, footnote)
            else:
                mark.replace_self(footnote)


class Coverage(SphinxDirective):
    """`{equation-coverage}`: the number of equations of each kind, and a table of all verdicts."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        verdicts = kept_state(self.env).listed
        lines = ["| kind | equations | of all |", "| --- | --- | --- |"]
        for kind in KINDS:
            count = sum(v["kind"] == kind for v in verdicts)
            lines.append(f"| {kind} | {count} | {count / len(verdicts):.0%} |")
        lines += ["", "| equation | label | verdict |", "| --- | --- | --- |"]
        lines += [f"| {{eq}}`{v['label']}` | `{v['label']}` | {v['against']} |" for v in verdicts]
        return parse_myst(self, lines)


class Notation(SphinxDirective):
    """`{notation}`: the table of symbols, made from the table with which equations are compiled."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        lines = ["| symbol | in code | meaning |", "| --- | --- | --- |"]
        for symbol in imported("optim_code.equations.notation").NOTATION:
            code = f"`{symbol.name}`" if symbol.code is None else symbol.code
            lines.append(f"| ${symbol.latex}$ | {code} | {symbol.meaning} |")
        return parse_myst(self, lines)


def parse_myst(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    """The nodes of some lines of MyST."""
    parent = nodes.container()
    source, _ = directive.get_source_info()
    directive.state.nested_parse(StringList(lines, source=source), directive.content_offset, parent)
    return parent.children


def setup(app: Sphinx) -> None:
    app.add_node(checked, html=(visit_html, None), latex=(skip, None), text=(skip, None))
    app.add_post_transform(PrintMarks)
    app.add_directive("equation-coverage", Coverage)
    app.add_directive("notation", Notation)


# --- on the command line -------------------------------------------------------------------------------------------


def main() -> int:
    """`make equations`: check all equations without a build, and print a line for each."""
    argparse.ArgumentParser(prog="make equations", description=main.__doc__).parse_args()
    try:
        settings = check_without_build()
        found = Checker(ROOT, contents(ROOT)).run(partial(find_verdicts, settings.nb_execution_timeout))
    except (Fault, SphinxError, SectionError) as error:
        print("\n".join(f"descent: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    for verdict in found:
        print(verdict.row)
    counts = ", ".join(f"{sum(v.kind == kind for v in found)} {kind}" for kind in KINDS)
    failed = sum(bool(verdict.fault) for verdict in found)
    print(f"{len(found)} equations: {counts}; {failed} fail")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
