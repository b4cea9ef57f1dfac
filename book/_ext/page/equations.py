"""Every displayed equation of the book is found, and checked, while the cells run.

An equation's label says what it claims: `update-…` is held against its class and torch, `identity-…` is evaluated at
random points, `claim-…` must have a hidden cell that asserts it, `def-…` claims nothing. What was checked once is not
checked again until the equation or the code that it was held against changes.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from book._ext.execute import warm_kernels
from book._ext.execute.freshness import LISTING, PACKAGE, code_of, pins
from book._ext.execute.light_imports import imported
from book._ext.faults import ROOT, Fault
from book._ext.files import files_digest, python_files, read_json, text_digest, write_json
from book._ext.page.verdicts import Finding
from book._ext.page.verdicts import verdicts as hold_here
from book._ext.sources.checking import SourceFaults, ask_sphinx, refuse_sources, remembered_names
from book._ext.sources.settings import check_contents
from book._ext.state import build_state, kept_state
from optim_code.equations.sections import Block, Page, SectionError, contents, label_of, read_options, read_page

KEPT = 500
"""How many verdicts are remembered."""

KINDS = ("update", "identity", "claim", "def")


@dataclass(frozen=True)
class Equation:
    """A displayed equation as it stands in a section."""

    label: str
    latex: str
    docname: str
    where: str

    @property
    def kind(self) -> str:
        return self.label.partition("-")[0]


@dataclass(frozen=True)
class Verdict:
    """What the check of one equation found; ``fault`` is empty if it holds, and ``program`` if it isn't an update."""

    label: str
    kind: str
    docname: str
    where: str
    against: str
    fault: str = ""
    program: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> str:
        result = f"FAILS: {self.fault}" if self.fault else self.against
        return f"{self.kind:<8}  {self.label:<34}  {self.where:<24}  {result}"

    @property
    def complaint(self) -> str:
        return f"{self.where}: {self.label or 'equation'}: {self.fault}"


class EquationsFail(SphinxError):
    """One line for each equation that does not hold."""

    category = "An equation fails"


# --- finding -------------------------------------------------------------------------------------------------------


def read_section(page: Page) -> tuple[list[Equation], dict[str, str]]:
    """The displayed equations of a page, and where the asserting cell of each claim is."""
    equations: list[Equation] = []
    cells: dict[str, str] = {}
    for block in page.blocks:
        where = page.where(block.first)
        label = label_of(block, where)
        if label is not None:
            equations.append(Equation(label, block.body.strip(), page.docname, where))
        elif block.name == "code-cell" and re.search(r"^\s*assert\b", block.body, re.M):
            for tag in tags_of(block, where):
                cells.setdefault(tag, where)
    return equations, cells


def tags_of(cell: Block, where: str) -> list[str]:
    """The tags of a code cell."""
    tags = read_options(cell, where).get("tags", [])
    return [tags] if isinstance(tags, str) else list(map(str, tags or []))


# --- checking ------------------------------------------------------------------------------------------------------


class Checker:
    """Checks the equations of a tree, remembering what it has checked before.

    Attributes:
        verdicts: on every displayed equation found, in their order; those of `pending` not yet reached.
        pending: the equations that have to be run, by their place among the verdicts, each with its key.
    """

    def __init__(self, root: Path, docnames: Iterable[str]) -> None:
        self.root = root
        self.memory = root / "_build" / ".equations.json"
        self.known: dict[str, list[Any]] = read_json(self.memory)
        self.used: dict[str, list[Any]] = {}
        code = code_of(root)
        self.base = "\0".join([code.whole, pins(root), files_digest(Path(__file__).with_name("verdicts.py"))])
        if code.fault:
            raise EquationsFail(code.fault)
        self.classes = optimizer_classes(root)
        if not self.classes and not (root / PACKAGE / "optimizers.py").is_file():
            raise EquationsFail("optim_code/optimizers.py: No such file; put it back, updates are checked against it")
        self.found: dict[str, list[Equation]] = {}
        self.verdicts: list[Verdict] = []
        self.pending: dict[int, tuple[str, Equation]] = {}
        first: dict[str, Equation] = {}
        for docname in docnames:
            self.found[docname], cells = read_section(read_page(root, docname))
            for equation in self.found[docname]:
                finding = self.judge(equation, cells, first)
                self.verdicts.append(Verdict(equation.label, equation.kind, docname, equation.where, *finding))
                first.setdefault(equation.label, equation)
        self.verdicts += self.classes_without_equation(first)

    @property
    def state(self) -> str:
        """A hash of what the verdicts will follow from."""
        rows = [*map(repr, self.verdicts), *(key for key, _ in self.pending.values()), *sorted(self.used)]
        return text_digest(*rows)

    def run(self, hold: Callable[[list[tuple[str, str]]], list[Finding]]) -> list[Verdict]:
        """Reach the verdicts that are pending, by a function as `book._ext.page.verdicts.verdicts`, and give all."""
        if self.pending:
            results = hold([(equation.label, equation.latex) for _, equation in self.pending.values()])
            for (place, (key, equation)), (against, fault, program) in zip(self.pending.items(), results, strict=True):
                told = self.with_remedy(equation, fault)
                self.verdicts[place] = replace(self.verdicts[place], against=against, fault=told, program=program)
                if not fault:
                    self.used[key] = [against, fault, program]
        # The oldest first; what is not used any more may come back, if an editor does.
        kept = {**{key: found for key, found in self.known.items() if key not in self.used}, **self.used}
        if kept != self.known:
            write_json(self.memory, dict(list(kept.items())[-KEPT:]))
        return self.verdicts

    def with_remedy(self, equation: Equation, fault: str) -> str:
        """What is wrong with a class rather than with its equation, and where that class is."""
        name = name_for(equation.label.partition("-")[2], self.classes)
        if " raises " in fault and name:
            return f"{fault}; fix the class, {self.classes[name]}"
        return f"{fault}; write it, or fix the label" if "has no class of that name" in fault else fault

    def judge(self, equation: Equation, cells: dict[str, str], first: dict[str, Equation]) -> Sequence[Any]:
        """What is found of an equation, as far as reading and remembering tells: see `Finding`."""
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
                return "", f"a claim needs a hidden cell with an assert: :tags: [remove-cell, {equation.label}]"
            file, _, line = where.rpartition(":")
            return (f"asserted by the cell at line {line}" + f" of {file}" * (file != f"{equation.docname}.md"),)
        key = text_digest(equation.label, equation.latex, self.base)
        if key in self.known:
            self.used[key] = self.known[key]
            return self.known[key]
        self.pending[len(self.verdicts)] = (key, equation)
        return ("",)

    def classes_without_equation(self, first: dict[str, Equation]) -> Iterator[Verdict]:
        covered = {name_for(label.partition("-")[2], self.classes) for label in first if label.startswith("update-")}
        for name, where in self.classes.items():
            if name not in covered:
                short = name.removesuffix("Optimizer").lower()
                fault = f"{name} has no update equation; label one update-{short}"
                yield Verdict(name, "update", "", where, "", fault)


def optimizer_classes(root: Path) -> dict[str, str]:
    """File and line of each class of `optim_code` whose name says that it is an optimizer, wherever it lies."""
    found: dict[str, str] = {}
    for path in python_files(root / PACKAGE):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Optimizer") and not node.name.startswith("_"):
                found[node.name] = f"{path.relative_to(root).as_posix()}:{node.lineno}"
    return found


def name_for(update: str, classes: Iterable[str]) -> str:
    """The class that an update is named after, as `optim_code.equations.class_for` finds it; empty if there is none."""
    short = update.replace("-", "")
    keys = {name.removesuffix("Optimizer").lower(): name for name in classes}
    found = [key for key in keys if key == short] or [key for key in keys if key.endswith(short)]
    return keys[found[0]] if len(found) == 1 and short else ""


# --- in the build --------------------------------------------------------------------------------------------------


def collect_equations(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Find all equations before anything is read, and refuse what reading them tells."""
    checker = Checker(Path(app.srcdir), toc_order(env))
    refuse(checker.verdicts)
    build_state(app).checker = checker
    kept_state(env).equations = checker.state
    return []


def start_check(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Begin to check what has to be run, in another process: a warm one, where there is one."""

    def hold(equations: list[tuple[str, str]]) -> list[Finding]:
        command = [*warm_kernels.python(), "-m", "book._ext.page.verdicts", json.dumps(equations)]
        done = subprocess.run(command, cwd=app.srcdir, capture_output=True, text=True, check=False)
        try:
            return [(against, fault, program) for against, fault, program in json.loads(done.stdout.splitlines()[-1])]
        except (ValueError, IndexError):
            raise EquationsFail(cannot_check(done.stderr, Path(app.srcdir))) from None

    state = build_state(app)
    assert state.checker is not None
    pool = ThreadPoolExecutor(max_workers=1)
    state.verdicts = pool.submit(state.checker.run, hold)
    pool.shutdown(wait=False)


def cannot_check(said: str, root: Path) -> str:
    """What ended the check itself, from the traceback that it left: file and line of the book's, and why."""
    within = re.findall(rf'File "{re.escape(str(root))}/([^"]+)", line (\d+)', said)
    place = ":".join(within[-1]) + ": " if within else ""
    reason = (said.strip().splitlines() or ["it said nothing"])[-1]
    return f"{place}{reason}, so the equations cannot be checked; fix that line, or what it imports"


def await_verdicts(app: Sphinx) -> list[Verdict]:
    """The verdicts, as soon as they are reached.

    Raises:
        EquationsFail: if an equation does not hold.
    """
    reached = build_state(app).verdicts
    assert reached is not None
    verdicts = reached.result()
    refuse(verdicts)
    return verdicts


def refuse(verdicts: list[Verdict]) -> None:
    faults = [verdict.complaint for verdict in verdicts if verdict.fault]
    if faults:
        raise EquationsFail("\n".join(faults))


def fill_listing(app: Sphinx, docname: str, source: list[str]) -> None:
    if LISTING in source[0]:
        kept_state(app.env).listed = [asdict(v) for v in await_verdicts(app)]


def require_verdicts(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """No page is written before all equations are known to hold; a page whose mark says something new is written."""
    kept = kept_state(env)
    before = kept.marks
    updates = [verdict for verdict in await_verdicts(app) if verdict.kind == "update"]
    kept.marks = {verdict.label: verdict.against for verdict in updates}
    moved = [v.docname for v in updates if before.get(v.label) != v.against]
    return [name for name in moved if name in env.found_docs]


def toc_order(env: BuildEnvironment) -> list[str]:
    """The pages of this edition, in the order of the table of contents."""
    return [docname for docname in contents(Path(env.srcdir)) if docname in env.found_docs]


class checked(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils has no types
    """The mark beside an update equation: against what, over how many runs, with what largest difference."""


def mark_updates(app: Sphinx, document: nodes.document) -> None:
    for block in list(document.findall(nodes.math_block)):
        label = block.get("label") or ""
        if label.startswith("update-"):
            block.parent.insert(block.parent.index(block) + 1, checked("", label=label))


def note(env: Any, mark: checked) -> str:
    return f"Held against {kept_state(env).marks[mark['label']]}, on the same gradients, at this build."


def visit_html(self: Any, node: checked) -> None:
    text = self.encode(note(self.builder.env, node))
    self.body.append(f'<details class="checked"><summary>checked</summary><p>{text}</p></details>\n')
    raise nodes.SkipNode


def skip(self: Any, node: checked) -> None:
    raise nodes.SkipNode


class PrintMarks(SphinxPostTransform):
    """In print the mark is a footnote sign in the equation, and one note."""

    default_priority = 30
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        for mark in list(self.document.findall(checked)):
            block = mark.parent[mark.parent.index(mark) - 1]
            assert isinstance(block, nodes.math_block)
            signed = block.astext().rstrip() + r" \;\text{\footnotemark}"
            block.rawsource, block.children = signed, []
            block += nodes.Text(signed)
            escaped = re.sub(r"([_&%#$])", r"\\\1", note(self.env, mark))
            footnote = nodes.raw("", rf"\footnotetext{{{escaped}}}", format="latex")
            # At the start of the paragraph below, for one of its own would be an empty line on the page.
            below = mark.next_node(descend=False, siblings=True)
            if isinstance(below, nodes.paragraph):
                mark.parent.remove(mark)
                below.insert(0, footnote)
            else:
                mark.replace_self(footnote)


class Coverage(SphinxDirective):
    """`{equation-coverage}`: how many equations of each kind there are, and all of them with their verdicts."""

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
    """`{notation}`: the table of symbols, from the table that the check of the equations uses."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        lines = ["| symbol | in code | meaning |", "| --- | --- | --- |"]
        for symbol in imported("optim_code.equations.compiler").NOTATION:
            code = f"`{symbol.name}`" if symbol.code is None else symbol.code
            lines.append(f"| ${symbol.latex}$ | {code} | {symbol.meaning} |")
        return parse_myst(self, lines)


def parse_myst(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
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
    """`make equations`: one row an equation, without a build."""
    argparse.ArgumentParser(prog="make equations", description=main.__doc__).parse_args()
    root = ROOT

    def hold(equations: list[tuple[str, str]]) -> list[Finding]:
        try:
            return hold_here(equations)
        except Exception:
            raise EquationsFail(cannot_check(traceback.format_exc(), root)) from None

    try:
        check_contents(root / "_toc.yml")
        warned = refuse_sources(root, contents(root), remembered_names(root) or ask_sphinx(root))
        if warned:
            raise SourceFaults("\n".join(map(str, warned)))
        found = Checker(root, contents(root)).run(hold)
    except (Fault, SourceFaults, EquationsFail, SectionError) as error:
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
