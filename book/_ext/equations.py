"""Every displayed equation of the book is found, and checked, while the cells run.

An equation's label says what it claims: `update-…` is held against its class and torch, `identity-…` is evaluated at
random points, `claim-…` must have a hidden cell that asserts it, `def-…` claims nothing. What was checked once is not
checked again until the equation or the code that it was held against changes.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from book._ext import warm_kernels
from book._ext.freshness import LISTING, code_of, digest, pins
from book._ext.light_imports import imported
from book._ext.verdicts import Finding
from book._ext.verdicts import verdicts as hold_here

KEPT = 500
"""How many verdicts are remembered."""

KINDS = ("update", "identity", "claim", "def")
# Directives whose content is not MyST.
VERBATIM = ("code-cell", "code", "code-block", "literalinclude", "eval-rst", "raw", "bibliography", "math")


@dataclass(frozen=True)
class Equation:
    """A displayed equation as it stands in a section."""

    label: str
    latex: str
    docname: str
    line: int

    @property
    def kind(self) -> str:
        return self.label.partition("-")[0]

    @property
    def where(self) -> str:
        return f"{self.docname}.md:{self.line}"


@dataclass(frozen=True)
class Verdict:
    """What the check of one equation found; ``fault`` is empty if it holds, and ``program`` if it isn't an update."""

    label: str
    kind: str
    path: str
    line: int
    against: str
    fault: str = ""
    program: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> str:
        result = f"FAILS: {self.fault}" if self.fault else self.against
        return f"{self.kind:<8}  {self.label:<34}  {self.path}:{self.line:<5}  {result}"

    @property
    def complaint(self) -> str:
        return f"{self.path}:{self.line}: {self.label or 'equation'}: {self.fault}"


class EquationsFail(SphinxError):
    """One line for each equation that does not hold."""

    category = "An equation fails"


# --- finding -------------------------------------------------------------------------------------------------------


def parser() -> MarkdownIt:
    return (
        MarkdownIt("commonmark")
        .use(front_matter_plugin)
        .use(colon_fence_plugin)
        .use(dollarmath_plugin, allow_labels=True, double_inline=True)
    )


def read_section(docname: str, text: str) -> tuple[list[Equation], dict[str, int]]:
    """The displayed equations of a section, and the line of the asserting cell of each claim."""
    equations: list[Equation] = []
    cells: dict[str, int] = {}
    for name, content, label, line in blocks(text, 1):
        if name == "math":
            equations.append(Equation(label, content.strip(), docname, line))
        elif re.search(r"^\s*assert\b", content, re.M):
            tags = re.search(r"^:?\s*tags:\s*\[([^]]*)\]", content, re.M)
            for tag in tags[1].split(",") if tags else ():
                cells.setdefault(tag.strip(), line)
    return equations, cells


def blocks(text: str, first: int) -> Iterator[tuple[str, str, str, int]]:
    """The equations and code cells of a MyST text: kind, content, label, line; directives inside directives too."""
    for token in parser().parse(text):
        line = first + (token.map[0] if token.map else 0)
        if token.type in ("math_block", "math_block_label"):
            yield "math", token.content, token.info if token.type == "math_block_label" else "", line
        elif token.type == "inline":
            for child in token.children or ():
                if child.type == "math_inline_double":
                    yield "math", child.content, "", line
        elif token.type in ("fence", "colon_fence") and token.info.strip().startswith("{"):
            name = token.info.strip()[1:].partition("}")[0]
            if name == "math":
                label = re.search(r"^:label:\s*(\S+)", token.content, re.M)
                yield "math", re.sub(r"^:.*\n", "", token.content, flags=re.M), label[1] if label else "", line
            elif name == "code-cell":
                yield "cell", token.content, "", line
            elif name not in VERBATIM:
                yield from blocks(token.content, line + 1)


# --- checking ------------------------------------------------------------------------------------------------------


class Checker:
    """Checks the equations of a tree, remembering what it has checked before.

    Attributes:
        verdicts: on every displayed equation found, in their order; those of `pending` not yet reached.
        pending: the equations that have to be run, by their place among the verdicts, each with its key.
    """

    def __init__(self, root: Path, docnames: Iterable[str], read: dict[str, Any] | None = None) -> None:
        """Find the equations; ``read`` remembers what was found in which text."""
        self.root = root
        read = {} if read is None else read
        self.memory = root / "_build" / ".equations.json"
        try:
            self.known: dict[str, list[Any]] = json.loads(self.memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.known = {}
        self.used: dict[str, list[Any]] = {}
        code = code_of(root)
        shared = [piece.hash for name in ("equations", "optim", "descent", "problems") for piece in code.pieces[name]]
        self.base = "\0".join([*shared, pins(root), digest(Path(__file__).with_name("verdicts.py"))])
        if code.broken:
            raise EquationsFail(code.broken)
        if not (root / "optim_code" / "optimizers.py").is_file():
            raise EquationsFail("optim_code/optimizers.py: No such file; the updates are held against its classes")
        self.classes = class_sources(root)
        self.verdicts: list[Verdict] = []
        self.pending: dict[int, tuple[str, Equation]] = {}
        first: dict[str, Equation] = {}
        for docname in docnames:
            text = (self.root / f"{docname}.md").read_text(encoding="utf-8")
            if read.get(docname, ("",))[0] != text:
                read[docname] = (text, read_section(docname, text))
            equations, cells = read[docname][1]
            for equation in equations:
                found = self.judge(equation, cells, first)
                place = (f"{docname}.md", equation.line)
                self.verdicts.append(Verdict(equation.label, equation.kind, *place, *found))
                first.setdefault(equation.label, equation)
        self.verdicts += self.classes_without_equation(first)

    @property
    def state(self) -> str:
        """A hash of what the verdicts will follow from."""
        rows = [*map(repr, self.verdicts), *(key for key, _ in self.pending.values()), *sorted(self.used)]
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def run(self, hold: Callable[[list[tuple[str, str]]], list[Finding]]) -> list[Verdict]:
        """Reach the verdicts that are pending, by a function as `book._ext.verdicts.verdicts`, and give all."""
        if self.pending:
            results = hold([(equation.label, equation.latex) for _, equation in self.pending.values()])
            for (place, (key, _)), (against, fault, program) in zip(self.pending.items(), results, strict=True):
                self.verdicts[place] = replace(self.verdicts[place], against=against, fault=fault, program=program)
                if not fault:
                    self.used[key] = [against, fault, program]
        # The oldest first; what is not used any more may come back, if an editor does.
        kept = {**{key: found for key, found in self.known.items() if key not in self.used}, **self.used}
        if kept != self.known:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            new = self.memory.with_suffix(".new")
            new.write_text(json.dumps(dict(list(kept.items())[-KEPT:]), indent=1), encoding="utf-8")
            new.replace(self.memory)
        return self.verdicts

    def judge(self, equation: Equation, cells: dict[str, int], first: dict[str, Equation]) -> Sequence[Any]:
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
            line = cells.get(equation.label)
            if line is None:
                return "", f"a claim needs a hidden cell with an assert: :tags: [remove-cell, {equation.label}]"
            return (f"asserted by the cell at line {line}",)
        source = self.classes.get(equation.label.partition("-")[2], "") if equation.kind == "update" else ""
        key = hashlib.sha256("\0".join([equation.label, equation.latex, source, self.base]).encode()).hexdigest()
        if key in self.known:
            self.used[key] = self.known[key]
            return self.known[key]
        self.pending[len(self.verdicts)] = (key, equation)
        return ("",)

    def classes_without_equation(self, first: dict[str, Equation]) -> Iterator[Verdict]:
        covered = {self.classes.get(label.partition("-")[2]) for label in first if label.startswith("update-")}
        for name, line in class_lines(self.root).items():
            if self.classes[name.removesuffix("Optimizer").lower()] not in covered:
                fault = f"{name} has no update equation; label one update-{name.removesuffix('Optimizer').lower()}"
                yield Verdict(name, "update", "optim_code/optimizers.py", line, "", fault)


def class_lines(root: Path) -> dict[str, int]:
    tree = ast.parse((root / "optim_code" / "optimizers.py").read_text(encoding="utf-8"))
    return {node.name: node.lineno for node in tree.body if isinstance(node, ast.ClassDef)}


def class_sources(root: Path) -> Any:
    """A hash of all that each optimizer runs, by the name that its update's label uses: the class's, or its end."""
    code = code_of(root)
    sources = {name.removesuffix("Optimizer").lower(): code.reached([name]) for name in class_lines(root)}

    class Sources(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            found = [key for key in self if key == name] or [key for key in self if key.endswith(name)]
            return self[found[0]] if len(found) == 1 and name else default

    return Sources(sources)


# --- in the build --------------------------------------------------------------------------------------------------


def find(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Find all equations before anything is read, and refuse what reading them tells."""
    read: dict[str, Any] = getattr(env, "descent_read", {})
    env.descent_read = read  # type: ignore[attr-defined]
    docnames = [name for name in toc_order(env) if name in env.found_docs]
    checker = Checker(Path(app.srcdir), docnames, read)
    refuse(checker.verdicts)
    app.descent_checker = checker  # type: ignore[attr-defined]
    env.descent_equations = checker.state  # type: ignore[attr-defined]
    return []


def begin(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Begin to check what has to be run, in another process: a warm one, where there is one."""

    def hold(equations: list[tuple[str, str]]) -> list[Finding]:
        command = [*warm_kernels.python(), "-m", "book._ext.verdicts", json.dumps(equations)]
        done = subprocess.run(command, cwd=app.srcdir, capture_output=True, text=True, check=False)
        try:
            return [(against, fault, program) for against, fault, program in json.loads(done.stdout.splitlines()[-1])]
        except (ValueError, IndexError):
            said = done.stderr.strip().splitlines() or ["it said nothing"]
            raise EquationsFail(f"the equations could not be checked: {said[-1]}") from None

    checker = app.descent_checker  # type: ignore[attr-defined]
    pool = ThreadPoolExecutor(max_workers=1)
    app.descent_verdicts = pool.submit(checker.run, hold)  # type: ignore[attr-defined]
    pool.shutdown(wait=False)


def await_verdicts(app: Sphinx) -> list[Verdict]:
    """The verdicts, as soon as they are reached.

    Raises:
        EquationsFail: if an equation does not hold.
    """
    verdicts: list[Verdict] = app.descent_verdicts.result()  # type: ignore[attr-defined]
    refuse(verdicts)
    return verdicts


def refuse(verdicts: list[Verdict]) -> None:
    faults = [verdict.complaint for verdict in verdicts if verdict.fault]
    if faults:
        raise EquationsFail("\n".join(faults))


def before_listing(app: Sphinx, docname: str, source: list[str]) -> None:
    if LISTING in source[0]:
        app.env.descent_listed = [asdict(v) for v in await_verdicts(app)]  # type: ignore[attr-defined]


def conclude(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """No page is written before all equations are known to hold; a page whose mark says something new is written."""
    before: dict[str, str] = getattr(env, "descent_notes", {})
    updates = [verdict for verdict in await_verdicts(app) if verdict.kind == "update"]
    env.descent_notes = {verdict.label: verdict.against for verdict in updates}  # type: ignore[attr-defined]
    moved = [v.path.removesuffix(".md") for v in updates if before.get(v.label) != v.against]
    return [name for name in moved if name in env.found_docs]


def toc_order(env: BuildEnvironment) -> list[str]:
    site_map = getattr(env.app.config, "external_site_map", None)
    return list(site_map) if site_map is not None else sorted(env.found_docs)


class checked(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils has no types
    """The mark beside an update equation: against what, over how many runs, with what largest difference."""


def mark_updates(app: Sphinx, document: nodes.document) -> None:
    for block in list(document.findall(nodes.math_block)):
        label = block.get("label") or ""
        if label.startswith("update-"):
            block.parent.insert(block.parent.index(block) + 1, checked("", label=label))


def note(env: Any, mark: checked) -> str:
    return f"Held against {env.descent_notes[mark['label']]}, on the same gradients, at this build."


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
        verdicts = self.env.descent_listed  # type: ignore[attr-defined]
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
        self.env.note_dependency(str(Path(self.env.srcdir, "optim_code", "equations.py")))
        lines = ["| symbol | in code | meaning |", "| --- | --- | --- |"]
        for symbol in imported("optim_code.equations").NOTATION:
            code = f"`{symbol.name}`" if symbol.code is None else symbol.code
            lines.append(f"| ${symbol.latex}$ | {code} | {symbol.meaning} |")
        return parse_myst(self, lines)


def parse_myst(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    parent = nodes.container()
    source, _ = directive.get_source_info()
    directive.state.nested_parse(StringList(lines, source=source), directive.content_offset, parent)
    return parent.children


def setup(app: Sphinx) -> None:
    app.connect("env-get-outdated", find, priority=45)
    app.connect("env-before-read-docs", begin, priority=100)
    app.connect("source-read", before_listing)
    app.connect("env-updated", conclude)
    app.connect("doctree-read", mark_updates)
    app.add_node(checked, html=(visit_html, None), latex=(skip, None), text=(skip, None))
    app.add_post_transform(PrintMarks)
    app.add_directive("equation-coverage", Coverage)
    app.add_directive("notation", Notation)


# --- on the command line -------------------------------------------------------------------------------------------


def main() -> int:
    """`make equations`: one row an equation, without a build."""
    argparse.ArgumentParser(prog="make equations", description=main.__doc__).parse_args()
    root = Path(__file__).resolve().parents[2]
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    try:
        docnames = list(parse_toc_yaml(root / "_toc.yml"))
        found = Checker(root, docnames).run(hold_here)
    except (OSError, EquationsFail, MalformedError, yaml.YAMLError) as error:
        print(f"descent: {' '.join(str(error).split())}; mend it and run make equations again", file=sys.stderr)
        return 1
    for verdict in found:
        print(verdict.row)
    counts = ", ".join(f"{sum(v.kind == kind for v in found)} {kind}" for kind in KINDS)
    failed = sum(bool(verdict.fault) for verdict in found)
    print(f"{len(found)} equations: {counts}; {failed} fail")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
