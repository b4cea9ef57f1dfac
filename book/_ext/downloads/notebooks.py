"""The Jupyter notebook of each page that has cells, made when the page is written.

Where the section prints its class, a student's notebook has the exercise to write it, a stub and a check; the figures
after it use the student's class. A teacher's notebook has the class there, and the solutions.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx_exercise.nodes import is_exercise_node, solution_node

from book._ext.compat import warning_count
from book._ext.downloads.plain_markdown import Markdown, folded
from book._ext.figures.needed_code import IMPORT, Cell, needed_code
from book._ext.page.equations import await_verdicts
from book._ext.page.listings import without_docstring
from book._ext.printing.handouts import format_work
from book._ext.sources.editions import CLASSES, WRITTEN, exercise_of
from book._ext.state import build_state, kept_state
from optim_code.equations.sections import read_page, read_text

logger = logging.getLogger(__name__)

FOLDER = "_notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MY_STEP = "-my-step"
"""The end of the label of the exercise that asks for the section's class."""
STUB = """\
    def my_step(self, p, state, group):
        # p.data holds the parameter, to be changed in place, and
        # p.grad.data its gradient. state is a dictionary, empty at
        # the first step, for what you keep from step to step.
        # group holds the settings:
        # {settings}.
{not_written}"""
NOT_WRITTEN = '        raise NotImplementedError("write my_step")'
CHECK = """\
from optim_code import check

check("{method}", {name})"""
ANSWER = "*Your answer:*"
MODULE_CHECK = """\
# The cells below need the folder optim_code beside this notebook. Where it is missing, this cell says so.
from importlib.util import find_spec

if find_spec("optim_code") is None:
    missing = ModuleNotFoundError({message})
    missing._render_traceback_ = lambda *_: [str(missing)]
    raise missing"""
"""The first cell: it does nothing if `optim_code` is there; if not, IPython shows one line and no traceback."""
PICTURE = re.compile(r"\]\(data:(image/[\w.+-]+);base64,([\w/+=]+)\)")
"""A picture in a text, as `plain_markdown` writes it."""


@dataclass(frozen=True)
class Part:
    """A cell of a notebook, and its purpose.

    Attributes:
        kind: ``text``, ``caption``, ``hint``, ``code``, ``class``, ``check``, ``exercise``, ``answer`` or ``solution``.
        source: the text or code of the cell.
        name: for a class and a check, the name of the class; for the others, the label of the exercise.
        hidden: whether the page does not show the cell.
        points: for an exercise, a check and an answer, the points of the exercise, if it gives them.
    """

    kind: str
    source: str
    name: str = ""
    hidden: bool = False
    points: int | None = None

    @property
    def is_code(self) -> bool:
        return self.kind in ("code", "class", "check")


def notebook(app: Sphinx, docname: str, document: nodes.document) -> nbformat.NotebookNode:
    """The notebook of a page, not run.

    Args:
        app: an application that has read all pages.
        docname: the page.
        document: the page with all references resolved.
    """
    return assemble(parts_of(app, docname, document))


def assemble(parts: list[Part]) -> nbformat.NotebookNode:
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(parts, start=1):
        cell: dict[str, Any] = dict(cell_type="markdown", id=f"cell-{number}", metadata={}, source=part.source)
        # nbformat and nbgrader want 1 to 64 letters, digits, hyphens and underscores, and no id twice.
        name = re.sub(r"[^A-Za-z0-9_-]", "-", f"{part.kind}-{part.name}")[:64]
        if part.name and all(other["id"] != name for other in cells):
            cell["id"] = name
        if part.kind == "solution":
            cell["source"] = folded("Solution", part.source)
        if part.is_code:
            cell |= dict(cell_type="code", execution_count=None, outputs=[])
        else:
            attach_pictures(cell)
        cells.append(cell)
    made = dict(cells=cells, metadata=METADATA, nbformat=4, nbformat_minor=5)
    return nbformat.from_dict(made)  # type: ignore[no-untyped-call]


def attach_pictures(cell: dict[str, Any]) -> None:
    """Move the pictures from a cell's text, which they would make unreadable, to its attachments."""
    attachments: dict[str, dict[str, str]] = {}

    def attach(found: re.Match[str]) -> str:
        name = f"picture-{len(attachments) + 1}"
        attachments[name] = {found[1]: found[2]}
        return f"](attachment:{name})"

    cell["source"] = PICTURE.sub(attach, cell["source"])
    if attachments:
        cell["attachments"] = attachments


def as_text(made: nbformat.NotebookNode) -> str:
    """A notebook as the text of its file."""
    return str(nbformat.v4.writes(made)) + "\n"  # type: ignore[no-untyped-call]


def parts_of(app: Sphinx, docname: str, document: nodes.document) -> list[Part]:
    """The cells of a page's notebook, in order."""
    section = Section(app, docname)
    parts = section.with_class_exercise(list(section.read(document)))
    parts = section.with_needed_code([section.with_introduction(parts[0]), *parts[1:], *section.cited_works()])
    return section.with_module_check(parts)


class Section:
    """Turns a page into the cells of a notebook."""

    def __init__(self, app: Sphinx, docname: str) -> None:
        self.app, self.env, self.docname, self.edition = app, app.env, docname, app.config.edition
        self.root = Path(app.srcdir)
        self.markdown = Markdown(app, docname)
        self.module = ast.parse(read_text(self.root / CLASSES, self.root))
        programs = [verdict.program for verdict in await_verdicts(app) if verdict.program]
        self.methods: dict[str, str] = {program["class"]: program["name"] for program in programs}
        self.asked: dict[str, str] = {}  # the label of the exercise to write each class
        self.update = ""  # the update equation that stands last above
        # The line and the source of each code cell, by its place among all cells.
        self.cells: dict[int, tuple[int, str]] = dict(self.env.metadata[docname]["cells"])

    # --- reading ---

    def read(self, document: nodes.document) -> Iterator[Part]:
        """The cells of the page as they come: code, a class where it is printed, exercises by themselves, and text."""
        text = ""
        shown = {cell["cell_index"]: self.cells.pop(cell["cell_index"])[1] for cell in document.findall(is_cell)}
        for node in top_blocks(document):
            hidden, parts = self.hidden_above(node), self.own_cells(node, document, shown)
            if text and (hidden or parts is not None):
                yield Part("text", text)
                text = ""
            yield from hidden
            if parts is None:
                text = self.markdown.append(text, node)
            else:
                yield from parts
        if text:
            yield Part("text", text)
        if notes := self.markdown.write_footnotes(list(document.findall(nodes.footnote))):
            yield Part("text", notes)

    def hidden_above(self, node: nodes.Node) -> list[Part]:
        """The cells above a block that the page does not show; none that came before."""
        begins = next((inside.line for inside in node.findall() if inside.line), 0)
        above = [place for place, (line, _) in self.cells.items() if line < begins]
        return [Part("code", self.cells.pop(place)[1], hidden=True) for place in above]

    def own_cells(self, node: nodes.Node, document: nodes.document, shown: dict[int, str]) -> list[Part] | None:
        """The cells that a block becomes; None if it is a part of the text."""
        labels = [equation.get("label") or "" for equation in node.findall(nodes.math_block)]
        self.update = [self.update, *(label[7:] for label in labels if label.startswith("update-"))][-1]
        if name := self.class_at(node):
            source = read_page(self.root, self.docname).text
            self.asked.setdefault(name, exercise_of(source, self.update))
            return [Part("class", "", name)]
        if is_cell(node):
            return [Part("code", shown[node["cell_index"]]), *self.captions(node, document)]
        if isinstance(node, nodes.container) and "beside" in node["classes"]:
            return []  # their captions are below their cells
        if isinstance(node, nodes.hint):
            return [Part("hint", self.markdown.block(node))]
        if isinstance(node, solution_node):
            label = node["target_label"]
            # The notebook has the solution that prints the class further up, as the class.
            is_class = label.endswith(MY_STEP) and any(map(self.class_at, node.findall(nodes.literal_block)))
            return [] if is_class else [Part("solution", self.markdown.join(node.children[1:]), label)]
        if asked := list(node.findall(is_exercise_node)):  # in a box, too
            texts = [self.markdown.block(node), *[""] * (len(asked) - 1)]
            points = map(self.points_of, asked)
            return [
                Part("exercise", text, one["label"], points=n)
                for text, one, n in zip(texts, asked, points, strict=True)
            ]
        # Left out is the sentence of the page in whose place the notebook has a stub.
        above = node.parent[: node.parent.index(node)][-1:]
        return [] if any(isinstance(block, nodes.comment) and self.class_at(block) for block in above) else None

    def class_at(self, node: nodes.Node) -> str:
        """The name of the class that a block prints, or that a comment in its place leaves to the student."""
        if isinstance(node, nodes.comment):
            found = WRITTEN.fullmatch(f"% {node.astext()}")
        elif isinstance(node, nodes.literal_block) and node.get("source", "").endswith(CLASSES):
            found = re.match(r"class (\w+)", node.astext())
        else:
            found = None
        return found[1] if found and found[1] in self.methods else ""

    def captions(self, cell: nodes.Element, document: nodes.document) -> Iterator[Part]:
        """The captions of the figures that a cell draws."""
        for figure in document.findall(nodes.figure):
            if figure.get("cell_index") == cell["cell_index"] or figure in cell.findall(nodes.figure):
                for caption in figure.findall(nodes.caption):
                    yield Part("caption", " ".join(self.markdown.block(caption).split()))

    def points_of(self, exercise: nodes.Element) -> int | None:
        """The points that an exercise gives by a class such as ``points-5``; None if it gives none."""
        said = next((name for name in exercise["classes"] if name.startswith("points-")), "points-")
        number = said.removeprefix("points-")
        if number and not number.isdecimal():
            logger.warning("%s names no number of points; write a class such as points-5", said, location=exercise)
        return int(number) if number.isdecimal() else None

    # --- arranging ---

    def with_class_exercise(self, parts: list[Part]) -> list[Part]:
        """Move the exercise to write a class to where the class is printed; put an answer below each other one."""
        parts = with_hints(parts)
        classes = {part.name: part for part in reversed(parts) if part.kind == "class"}  # where each stands first
        asking = {part.name: part for part in parts if part.kind == "exercise"}
        exercises = {name: asking.pop(label) for name, label in self.asked.items() if label in asking}
        arranged: list[Part] = []
        for part in parts:
            if part is classes.get(part.name):
                asked = exercises.get(part.name)
                arranged += [
                    *([self.named_as_in_book(asked, part.name)] if asked else []),
                    *self.class_parts(part.name, asked.points if asked else None),
                ]
            elif part in exercises.values():
                title = part.source.partition("\n")[0]
                arranged.append(Part("text", f"{title} stands further up, where its class belongs."))
            elif part.kind == "exercise" and self.edition == "student":
                arranged += [*[part] * bool(part.source), Part("answer", ANSWER, part.name, points=part.points)]
            elif part.source:
                arranged.append(part)
        return arranged

    def named_as_in_book(self, exercise: Part, name: str) -> Part:
        """The exercise with the class's name in the book in place of `MyAdam`, because the figures use that name."""
        own = re.search(r'check\("[\w-]+", (\w+)\)', exercise.source)
        source = re.sub(rf"\b{own[1]}\b", name, exercise.source) if own else exercise.source
        drawn = "The figures further down are drawn with the class that you write here."
        before, fold, hint = source.partition("\n\n<details>")
        return replace(exercise, source=f"{before} {drawn}{fold}{hint}")

    def class_parts(self, name: str, points: int | None) -> list[Part]:
        check = CHECK.format(method=self.methods[name], name=name)
        return [Part("class", self.class_source(name), name), Part("check", check, name, points=points)]

    def class_source(self, name: str) -> str:
        """A class as the page prints it; for students its constructor and a stub."""
        source = read_text(self.root / CLASSES, self.root)
        node = next(node for node in self.module.body if isinstance(node, ast.ClassDef) and node.name == name)
        if self.edition == "teacher":
            return without_docstring(definition(source, node))
        init = next(n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
        settings = [f'group["{argument.arg}"]' for argument in init.args.args[2:]]
        told = " and ".join(filter(None, [", ".join(settings[:-1]), settings[-1]]))
        bases = ", ".join(map(ast.unparse, node.bases))
        constructor = textwrap.indent(definition(source, init), "    ")
        return f"class {name}({bases}):\n{constructor}\n\n{STUB.format(settings=told, not_written=NOT_WRITTEN)}"

    def with_introduction(self, first: Part) -> Part:
        """The first cell, with a sentence for readers who have only the notebook."""
        number = ".".join(map(str, self.env.toc_secnumbers.get(self.docname, {}).get("") or ()))
        what = f"Section {number} of" if number else "From"
        where = f"It runs beside the folder `optim_code`, which lies in {self.source_of_module()}."
        how = f"*{what} {self.app.config.html_title}, as a notebook. {where}*"
        title, _, rest = first.source.partition("\n\n")
        return replace(first, source=f"{title}\n\n{how}\n\n{rest}")

    def source_of_module(self) -> str:
        """Where readers who have only the notebook find `optim_code`."""
        place = self.app.config.repository_url or self.app.config.html_baseurl
        return f"the book's source and in the student's kit{place and f', see {place}'}"

    def with_module_check(self, parts: list[Part]) -> list[Part]:
        """The cells, with one before the first code that says so if `optim_code` is missing and needed."""
        first = next((place for place, part in enumerate(parts) if part.is_code), len(parts))
        if not any(part.is_code and "optim_code" in part.source for part in parts):
            return parts
        message = (
            "There is no folder optim_code, the book's own code, beside this notebook. "
            f"It lies in {self.source_of_module()}: copy it here, then run this cell again."
        )
        cell = Part("code", MODULE_CHECK.format(message=json.dumps(message, ensure_ascii=False)))
        return [*parts[:first], cell, *parts[first:]]

    def cited_works(self) -> list[Part]:
        """The works that the page cites; their list is on another page."""
        domain: Any = self.env.get_domain("cite")
        keys = {
            target.key for cited in domain.citation_refs if cited.docname == self.docname for target in cited.targets
        }
        works = [citation for citation in domain.citations if citation.key in keys]
        lines = ["- " + "".join(node.astext() for node in format_work(work)) for work in works]
        return [Part("text", "\n".join(["**Works cited**", "", *lines]))] if lines else []

    # --- code ---

    def with_needed_code(self, parts: list[Part]) -> list[Part]:
        """Leave out code that the notebook does not need, and cells that are empty then."""
        own = {part.name for part in parts if part.kind == "class"}
        code = [replace(part, source=self.without_own_imports(part.source, own)) for part in parts if part.is_code]
        sources, lacking = needed_code([(part.source, part.hidden) for part in code])
        for name in sorted(lacking & own):
            logger.warning("%s is used before the section prints it; print it first", name, location=self.docname)
        left = iter(zip(code, sources, strict=True))
        found: list[Part] = []
        for part in parts:
            if part.is_code:
                part, source = next(left)
                part = replace(
                    part, source=self.with_module_imports(lacking, source) if part.kind == "class" else source
                )
            if not part.source:
                continue
            if part.kind == "text" and found and found[-1].kind == "text":
                found[-1] = replace(part, source=f"{found[-1].source}\n\n{part.source}")
            else:
                found.append(part)
        return found

    def with_module_imports(self, lacking: set[str], source: str) -> str:
        """A class with those imports of its module that no cell before it has."""
        lines = []
        for statement in self.module.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                names = [alias for alias in statement.names if (alias.asname or alias.name) in lacking]
                if names and isinstance(statement, ast.ImportFrom):
                    lines.append(ast.unparse(ast.ImportFrom(f"{absolute_module(statement)}", names, 0)))
                elif names:
                    lines.append(ast.unparse(ast.Import(names)))
        return "\n".join([*lines, *(["", ""] if lines else []), source])

    def without_own_imports(self, source: str, own: set[str]) -> str:
        """A cell without imports of classes that the notebook defines or that students don't have."""
        cell = Cell(source, hidden=False)
        imports = [node for node in cell.body if isinstance(node, IMPORT)]
        gone = own if self.edition == "teacher" else {*self.methods}
        instead: list[str] = []
        for node in imports:
            if isinstance(node, ast.ImportFrom) and absolute_module(node) in ("optim_code", "optim_code.optimizers"):
                kept = [alias for alias in node.names if alias.name not in gone]
                others = [alias for alias in node.names if alias.name in gone - own]
                if len(kept) < len(node.names):
                    cell.gone[node] = ast.unparse(ast.ImportFrom(node.module, kept, 0)) if kept else ""
                instead += [f'{one.asname or one.name} = compiled("{self.methods[one.name]}")' for one in others]
        if instead:
            last = imports[-1]
            before = cell.gone.get(last, ast.get_source_segment(source, last))
            heading = ["", "# the other methods, run by their equations"]
            imported = "from optim_code.marking.checking import compiled"
            cell.gone[last] = "\n".join([*filter(None, [before]), *heading, imported, *instead])
        return cell.text()


def top_blocks(node: nodes.Element) -> Iterator[nodes.Node]:
    """The blocks of a page: of sections, and of whatever contains cells, those inside."""
    for child in node.children:
        if isinstance(child, nodes.section) or (not is_cell(child) and any(map(is_cell, child.findall()))):
            yield from top_blocks(child)
        else:
            yield child


def is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def with_hints(parts: list[Part]) -> list[Part]:
    """Move the hint that follows an exercise into its cell."""
    found: list[Part] = []
    for part in parts:
        if part.kind == "hint" and found and found[-1].kind == "exercise":
            found[-1] = replace(found[-1], source=f"{found[-1].source}\n\n{part.source}")
        else:
            found.append(replace(part, kind="text") if part.kind == "hint" else part)
    return found


def absolute_module(statement: ast.ImportFrom) -> str:
    """The absolute name of the module of an import."""
    module = statement.module or ""
    return f"optim_code.{module}".rstrip(".") if statement.level else module


def definition(source: str, node: ast.stmt) -> str:
    """The source of a definition, without indent."""
    return textwrap.dedent(ast.get_source_segment(source, node, padded=True) or "")


# --- in the build --------------------------------------------------------------------------------------------------


def notebook_names(env: BuildEnvironment) -> dict[str, str]:
    """The names of the notebooks, without their ending, by the pages that have one.

    A name is the page's own, such as ``adam``; of pages with the same, in several folders, each has as many of its
    folders before it as tell it from the others, such as ``first-intro``. It depends on nothing but the pages.
    """
    keys = kept_state(env).outputs
    pages = {page: reversed(page.split("/")) for page, key in keys.items() if key}
    tails = {page: list(accumulate(parts, lambda tail, part: f"{part}-{tail}")) for page, parts in pages.items()}
    count = Counter(tail.lower() for page in tails for tail in tails[page])
    return {
        # For those that even all their folders do not tell apart, as in a/b-c and a-b/c.
        page: next((tail for tail in tails[page] if count[tail.lower()] == 1), page.replace("/", "--"))
        for page in tails
    }


def notebook_of(app: Sphinx, docname: str) -> str:
    """The place of a page's notebook in the HTML book; nothing if it has none."""
    name = notebook_names(app.env).get(docname)
    return f"{FOLDER}/{name}.ipynb" if name else ""


def find_renamed(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages whose notebook is called otherwise than at the last build, because another page came or went."""
    kept, names = kept_state(env), notebook_names(env)
    before, kept.notebooks = kept.notebooks, names
    return [page for page, name in names.items() if before.get(page, name) != name]


def write_notebook(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Whenever a page is written, its notebook is: it shows the same numbers of the same other pages."""
    place = notebook_of(app, pagename)
    state = build_state(app)
    # With a warning there is no book; what was said of the page need not be said of its notebook again.
    if place and doctree is not None and warning_count(app) == state.warnings_before_notebook:
        path = Path(app.outdir, place)
        path.parent.mkdir(exist_ok=True)
        made = notebook(app, pagename, doctree)
        path.write_text(as_text(made), encoding="utf-8")
        # What is said of a notebook is no reason to be silent about the next one.
        state.warnings_before_notebook = warning_count(app)


def remove_stale_notebooks(app: Sphinx, error: Exception | None) -> None:
    """Remove the notebooks of pages that are no more."""
    if error is None and app.builder.name == "html":
        wanted = {notebook_of(app, docname) for docname in app.env.found_docs}
        for path in Path(app.outdir, FOLDER).glob("*"):
            if f"{FOLDER}/{path.name}" not in wanted:
                path.unlink()


def note_class_file(app: Sphinx, docname: str, source: list[str]) -> None:
    """A student's notebook takes the constructor of its class from where the class is, though the page shows none."""
    if CLASSES in source[0]:
        app.env.note_dependency(str(Path(app.srcdir, CLASSES)))
