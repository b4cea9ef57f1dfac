"""Every displayed equation of the book is found, and checked, before a cell runs.

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
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
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

from book._ext.freshness import digest

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
    """What the check of one equation found; ``fault`` is empty if it holds."""

    label: str
    kind: str
    path: str
    line: int
    against: str
    fault: str = ""

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
    """Checks the equations of a tree, remembering what it has checked before."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.memory = root / "_build" / ".equations.json"
        try:
            self.known: dict[str, list[str]] = json.loads(self.memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.known = {}
        self.used: dict[str, list[str]] = {}
        code = root / "optim_code"
        shared = [code / f"{name}.py" for name in ("equations", "optim", "descent", "problems")]
        self.base = digest(*shared, root / "requirements.txt")
        self.classes = class_sources(code / "optimizers.py")

    def check(self, docnames: Iterable[str]) -> list[Verdict]:
        """A verdict on every displayed equation of these sections, in their order."""
        verdicts: list[Verdict] = []
        first: dict[str, Equation] = {}
        for docname in docnames:
            text = (self.root / f"{docname}.md").read_text(encoding="utf-8")
            equations, cells = read_section(docname, text)
            for equation in equations:
                against, fault = self.judge(equation, cells, first)
                place = (f"{docname}.md", equation.line)
                verdicts.append(Verdict(equation.label, equation.kind, *place, against, fault))
                first.setdefault(equation.label, equation)
        verdicts += self.classes_without_equation(first)
        if self.used != self.known:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            self.memory.write_text(json.dumps(self.used, indent=1, sort_keys=True), encoding="utf-8")
        return verdicts

    def judge(self, equation: Equation, cells: dict[str, int], first: dict[str, Equation]) -> tuple[str, str]:
        """Against what an equation was held, and what is wrong with it."""
        if not equation.label:
            return "", "a displayed equation needs a label: $$ … $$ (update-…, identity-…, claim-… or def-…)"
        if equation.kind not in KINDS:
            return "", f"the label must begin with one of {', '.join(k + '-' for k in KINDS)}"
        if equation.label in first:
            return "", f"the label is used at {first[equation.label].where} already; give one of them another"
        if equation.kind == "def":
            return "a definition, which claims nothing", ""
        if equation.kind == "claim":
            line = cells.get(equation.label)
            if line is None:
                return "", f"a claim needs a hidden cell with an assert: :tags: [remove-cell, {equation.label}]"
            return f"asserted by the cell at line {line}", ""
        source = self.classes.get(equation.label.partition("-")[2], "") if equation.kind == "update" else ""
        key = hashlib.sha256("\0".join([equation.label, equation.latex, source, self.base]).encode()).hexdigest()
        against, fault = self.known[key] if key in self.known else run_check(equation)
        if not fault:
            self.used[key] = [against, fault]
        return against, fault

    def classes_without_equation(self, first: dict[str, Equation]) -> Iterator[Verdict]:
        covered = {self.classes.get(label.partition("-")[2]) for label in first if label.startswith("update-")}
        lines = class_lines(self.root / "optim_code" / "optimizers.py")
        for name, line in lines.items():
            if self.classes[name.removesuffix("Optimizer").lower()] not in covered:
                fault = f"{name} has no update equation; label one update-{name.removesuffix('Optimizer').lower()}"
                yield Verdict(name, "update", "optim_code/optimizers.py", line, "", fault)


def class_nodes(path: Path) -> list[ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def class_lines(path: Path) -> dict[str, int]:
    return {node.name: node.lineno for node in class_nodes(path)}


def class_sources(path: Path) -> Any:
    """The source of each optimizer by the name that its update's label uses: the class's, or the end of it."""
    sources = {node.name.removesuffix("Optimizer").lower(): ast.unparse(node) for node in class_nodes(path)}

    class Sources(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            found = [key for key in self if key == name] or [key for key in self if key.endswith(name)]
            return self[found[0]] if len(found) == 1 and name else default

    return Sources(sources)


def run_check(equation: Equation) -> tuple[str, str]:
    """Check one update or identity. A build with nothing to check needs neither torch nor SymPy, so they load here."""
    from optim_code import equations as compiled

    try:
        if equation.kind == "identity":
            largest = compiled.check_identity(equation.latex)
            close = f"to {largest:.1e}" if largest else "exactly"
            return f"equal at {compiled.POINTS} random points, {close}", ""
        cls = compiled.class_for(equation.label.partition("-")[2])
        found = compiled.check_update(compiled.UpdateRule.from_latex(equation.latex), cls)
    except compiled.EquationError as error:
        return "", str(error)
    oracles = " and ".join(found.oracles)
    return f"{oracles}, {found.runs} runs of {found.steps} steps each, largest difference {found.largest:.1e}", ""


# --- in the build --------------------------------------------------------------------------------------------------


def check_book(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Check all equations before anything is read; the page that lists them is read again if the list has changed."""
    docnames = [name for name in toc_order(env) if name in env.found_docs]
    verdicts = Checker(Path(app.srcdir)).check(docnames)
    faults = [verdict.complaint for verdict in verdicts if verdict.fault]
    if faults:
        raise EquationsFail("\n".join(faults))
    rows = [asdict(verdict) for verdict in verdicts]
    listed = list(getattr(env, "descent_coverage_pages", ()))
    outdated = listed if rows != getattr(env, "descent_verdicts", None) else []
    env.descent_verdicts = rows  # type: ignore[attr-defined]
    return [name for name in outdated if name in env.found_docs]


def toc_order(env: BuildEnvironment) -> list[str]:
    site_map = getattr(env.app.config, "external_site_map", None)
    return list(site_map) if site_map is not None else sorted(env.found_docs)


class checked(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils has no types
    """The mark beside an update equation: against what, over how many runs, with what largest difference."""


def mark_updates(app: Sphinx, document: nodes.document) -> None:
    verdicts = {v["label"]: v for v in app.env.descent_verdicts}  # type: ignore[attr-defined]
    for block in list(document.findall(nodes.math_block)):
        label = block.get("label") or ""
        if label.startswith("update-") and label in verdicts:
            mark = checked("", note=f"Held against {verdicts[label]['against']}, on the same gradients, at this build.")
            block.parent.insert(block.parent.index(block) + 1, mark)


def visit_html(self: Any, node: checked) -> None:
    note = self.encode(node["note"])
    self.body.append(f'<details class="checked"><summary>checked</summary><p>{note}</p></details>\n')
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
            escaped = re.sub(r"([_&%#$])", r"\\\1", mark["note"])
            note = nodes.raw("", rf"\footnotetext{{{escaped}}}", format="latex")
            # At the start of the paragraph below, for one of its own would be an empty line on the page.
            below = mark.next_node(descend=False, siblings=True)
            if isinstance(below, nodes.paragraph):
                mark.parent.remove(mark)
                below.insert(0, note)
            else:
                mark.replace_self(note)


class Coverage(SphinxDirective):
    """`{equation-coverage}`: how many equations of each kind there are, and all of them with their verdicts."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        pages: set[str] = getattr(self.env, "descent_coverage_pages", set())
        self.env.descent_coverage_pages = pages | {self.env.docname}  # type: ignore[attr-defined]
        verdicts = self.env.descent_verdicts  # type: ignore[attr-defined]
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
        from optim_code.equations import NOTATION

        self.env.note_dependency(str(Path(self.env.srcdir, "optim_code", "equations.py")))
        lines = ["| symbol | in code | meaning |", "| --- | --- | --- |"]
        for symbol in NOTATION:
            code = f"`{symbol.name}`" if symbol.code is None else symbol.code
            lines.append(f"| ${symbol.latex}$ | {code} | {symbol.meaning} |")
        return parse_myst(self, lines)


def parse_myst(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    parent = nodes.container()
    source, _ = directive.get_source_info()
    directive.state.nested_parse(StringList(lines, source=source), directive.content_offset, parent)
    return parent.children


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("env-get-outdated", check_book)
    app.connect("doctree-read", mark_updates)
    app.add_node(checked, html=(visit_html, None), latex=(skip, None), text=(skip, None))
    app.add_post_transform(PrintMarks)
    app.add_directive("equation-coverage", Coverage)
    app.add_directive("notation", Notation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# --- on the command line -------------------------------------------------------------------------------------------


def main() -> int:
    """`make equations`: one row an equation, without a build."""
    argparse.ArgumentParser(prog="make equations", description=main.__doc__).parse_args()
    root = Path(__file__).resolve().parents[2]
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    try:
        docnames = list(parse_toc_yaml(root / "_toc.yml"))
        verdicts = Checker(root).check(docnames)
    except (OSError, MalformedError, yaml.YAMLError) as error:
        print(f"descent: {' '.join(str(error).split())}; mend it and run make equations again", file=sys.stderr)
        return 1
    for verdict in verdicts:
        print(verdict.row)
    counts = ", ".join(f"{sum(v.kind == kind for v in verdicts)} {kind}" for kind in KINDS)
    failed = sum(bool(verdict.fault) for verdict in verdicts)
    print(f"{len(verdicts)} equations: {counts}; {failed} fail")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
