"""The LaTeX of each part of the book. All numbers are those of the HTML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.nodes import Element
from sphinx import addnodes
from sphinx.builders.latex.nodes import footnotemark, footnotetext, math_reference
from sphinx.util import logging
from sphinx.util.texescape import escape
from sphinx.writers.latex import LaTeXTranslator
from sphinxcontrib.bibtex.nodes import raw_latex

from book._ext.page.formula_text import plain_text

logger = logging.getLogger(__name__)
LINKS = (
    nodes.reference, addnodes.number_reference, math_reference, raw_latex,
    nodes.footnote, nodes.footnote_reference, footnotemark, footnotetext, nodes.target,
)  # fmt: skip
PLACED = (nodes.paragraph, nodes.section, nodes.math_block, nodes.literal_block, nodes.figure, nodes.table)
"""The nodes whose lines are written into the LaTeX, so that a message of TeX leads to the page."""
# Percent. Figures are drawn for the screen; at this size two fit on a page, and their labels can be read.
FIGURE_SCALE = 72
SMALL_FIGURE_SCALE = 90
"""Percent, of the figures that stand in the margin of a page; so their labels are as large as those of the others."""
SMALLEST_SCALE = 60
"""Percent, of figures side by side; smaller, their labels could not be read on a sheet with two pages."""
TEXT_WIDTH = 440
"""Points, of the text on A4."""
UNBROKEN = 24
"""Lines of code that are kept together on a page."""
BOX = 14
"""Lines that a heading and the beginning of the box below it need."""
LONG = 15
"""Rows from which on a table may break over pages; then Sphinx does not break the lines in its cells by itself."""
CHARACTERS = 93
"""Letters that fit into a line of a table."""


def latex(text: str) -> nodes.raw:
    """A node that is this LaTeX."""
    return nodes.raw("", text, format="latex")


def cited_work(key: str, words: list[nodes.Node]) -> nodes.Element:
    """A work in a list of references; its key is what a citation points at."""
    return nodes.generated("", "", latex(rf"{chr(10)}\citedwork{{cite.{key}}} "), *words, latex("\\par\n"))


class PrintTranslator(LaTeXTranslator):
    """Sphinx's LaTeX writer, with every number from Sphinx, so that LaTeX does not count by itself."""

    builder: Any
    """A `HandoutBuilder`, whose module imports this one."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # The title of the first page is a chapter like the others, not the title of the book.
        self.this_is_the_title = 0

    def visit_start_of_file(self, node: Element) -> None:
        super().visit_start_of_file(node)
        self.body.append(f"% from {node['docname']}.md\n")
        number = self.builder.env.toc_secnumbers.get(node["docname"], {}).get("")
        if not number:
            self.body.append("\\unnumbered\n")
        elif len(number) == 1:
            self.body.append(f"\\numbered{{{number[0]}}}\n")

    def dispatch_visit(self, node: nodes.Node) -> None:
        # TeX names lines of LaTeX. These comments lead from there to the line of the page.
        if isinstance(node, PLACED) and node.line and self.curfilestack:
            page = f"{self.curfilestack[-1]}.md"
            own = node.source is None or node.source.endswith(page)
            lead = "" if not self.body or self.body[-1].endswith("\n") else "%\n"
            self.body.append(f"{lead}% from {page}:{node.line}\n" if own else f"{lead}% from {page}\n")
        super().dispatch_visit(node)

    def set_counter(self, counter: str, figtype: str, ids: list[str]) -> None:
        numbers = self.builder.env.toc_fignumbers.get(self.curfilestack[-1], {}).get(figtype, {})
        number = next((numbers[i] for i in ids if i in numbers), None)
        if number:
            # Without an empty line before it, which would end the paragraph that an equation is part of.
            self.body.append(f"\\saynumber{{{counter}}}{{{'.'.join(map(str, number))}}}\n")

    def visit_container(self, node: Element) -> None:
        if self.is_row(node):
            self.body.append("\n\\begin{figurerow}\n")
        super().visit_container(node)

    def depart_container(self, node: Element) -> None:
        super().depart_container(node)
        if self.is_row(node):
            self.body.append("\\end{figurerow}\n")

    def is_row(self, node: Element) -> bool:
        """Whether these are figures that stand side by side, because they can still be read in the width they have."""
        images = list(node.findall(nodes.image)) if "beside" in node.get("classes", ()) else []
        room = TEXT_WIDTH / max(1, len(images))
        return bool(images) and all(width_of(Path(self.builder.srcdir, i["uri"].lstrip("/"))) < room for i in images)

    def visit_figure(self, node: Element) -> None:
        if self.is_row(node.parent):
            # Without an empty line between two of them, which would end the row.
            self.body.append(f"\\begin{{figureinrow}}{{{len(node.parent)}}}%\n")
            self.set_counter("figure", "figure", node["ids"])
            self.context.append("\\end{figureinrow}%\n")
            return
        self.set_counter("figure", "figure", node["ids"])
        if is_small(node):
            self.body.append("\\begin{smallfigure}\n")
            self.context.append("\\end{smallfigure}\n")
        else:
            super().visit_figure(node)

    def visit_caption(self, node: Element) -> None:
        if isinstance(node.parent, nodes.figure) and is_small(node.parent):
            self.body.append("\\captionbeside\n")
        super().visit_caption(node)

    def visit_table(self, node: Element) -> None:
        self.set_counter("table", "table", node["ids"])
        rows = [[cell_width(entry) for entry in row] for row in node.findall(nodes.row)]
        if len(rows) > LONG and "colwidths-given" not in node["classes"] and (columns := column_spec(rows)):
            node["classes"].append("longtable")
            self.next_table_colspec = columns
        super().visit_table(node)

    def visit_captioned_literal_block(self, node: Element) -> None:
        self.set_counter("literalblock", "code-block", node["ids"])

    def visit_math_block(self, node: Element) -> None:
        if node.get("label"):
            self.set_counter("equation", "displaymath", [nodes.make_id(f"equation-{node['label']}")])
        self.body.append(tagged_as("Formula", node.get("tex", node.astext())))
        try:
            super().visit_math_block(node)
        finally:  # it leaves by an exception, which says that it has seen to what is inside
            self.body.append("\\tagdone\n")

    def visit_number_reference(self, node: Element) -> None:
        if node.get("refid"):
            target = f"{self.curfilestack[-1]}:{node['refid']}"
        else:
            target = node["refuri"].removeprefix("%").replace("#", ":")
        text = self.encode(node.astext().replace(" ", "\u00a0"))
        self.body.append(rf"\hyperref[{self.idescape(target)}]{{{text}}}")
        raise nodes.SkipNode

    def visit_image(self, node: Element) -> None:
        if "jupyter_execute" in node["uri"] and not {"width", "height", "scale"} & set(node.attributes):
            node["scale"] = SMALL_FIGURE_SCALE if is_small(node) else FIGURE_SCALE
        first = len(self.body)
        super().visit_image(node)
        for place in range(first, len(self.body)):  # nothing is there of a picture that could not be had
            if self.body[place].startswith("\\sphinxincludegraphics"):
                self.body[place] = f"{tagged_as('Figure', node.get('alt', ''))}{self.body[place]}"
                self.body.insert(place + 1, "\\tagdone{}")
                break

    def visit_title(self, node: Element) -> None:
        super().visit_title(node)
        if isinstance(node.parent, nodes.section) and (plain := without_links(node, self.builder.env, self.config)):
            # The contents, the bookmarks and the running head are links themselves, and have no footnotes.
            self.pushbody([])
            for child in plain:
                child.walkabout(self)
            short = "".join(self.popbody()).strip()
            self.body[-1] = f"{self.body[-1].removesuffix('{')}[{{{short}}}]{{"

    def visit_math(self, node: Element) -> None:
        if self.in_title:
            self.body.append(title_formula(node.astext(), self.config.latex_engine))
            raise nodes.SkipNode
        super().visit_math(node)

    def visit_section(self, node: Element) -> None:
        # A heading must not stay behind on the page before when code or a box follows it at once.
        kinds = nodes.paragraph | nodes.literal_block | nodes.admonition
        first = next(node.findall(lambda n: isinstance(n, kinds)), None)
        lines = BOX if isinstance(first, nodes.admonition) else 0
        if isinstance(first, nodes.literal_block) and (code := lines_of(first)) <= UNBROKEN:
            lines = code + 5
        if lines:
            self.body.append(f"\n\\needspace{{{lines}\\baselineskip}}")
        super().visit_section(node)

    def visit_literal_block(self, node: Element) -> None:
        if not self.table and not self.in_footnote and (lines := lines_of(node)) <= UNBROKEN:
            self.body.append(f"\n\\keepwhole{{{lines}}}")
        super().visit_literal_block(node)

    visit_doctest_block = visit_literal_block

    def visit_admonition(self, node: Element) -> None:
        self.body.append("\n" + self.hypertarget_to(node, anchor=bool(node["ids"])))
        super().visit_admonition(node)


def title_formula(tex: str, engine: str) -> str:
    """A formula of a title in LaTeX; in the bookmarks, which have none, as plain text."""
    return rf"\texorpdfstring{{\protect\({tex}\protect\)}}{{{escape(plain_text(tex), engine)}}}"


def is_small(node: nodes.Node) -> bool:
    """Whether the node belongs to a cell whose figure stands in the margin of a page."""
    above = node.parent
    while above is not None and "tag_margin" not in above.get("classes", ()):
        above = above.parent
    return above is not None


def width_of(drawing: Path) -> float:
    """The width in points of a figure's PDF, as small as it may be drawn."""
    found = re.search(rb"/MediaBox \[ *\S+ +\S+ +([\d.]+)", drawing.read_bytes())
    return float(found[1]) * SMALLEST_SCALE / 100 if found else 0


def tagged_as(tag: str, alt: str) -> str:
    """What begins a part of the page that has a tag, with the text that is read in its place; `\\tagdone` ends it."""
    text = re.sub(r"[~\s]+", " ", alt.strip())
    text = re.sub(r"[\\%#{}&]", lambda sign: rf"\tagsign{{{ord(sign[0])}}}", text)
    return f"\\tagas{{{tag}}}{{{text}}}"


def lines_of(code: nodes.Element) -> int:
    """The lines that a listing takes, and one for the space around it."""
    return code.astext().count("\n") + 2


def without_links(title: Element, env: Any, config: Any) -> list[nodes.Node]:
    """The content of a title without its links and footnotes; empty if it has none of them."""
    copy = title.deepcopy()
    for mark in list(copy.findall(lambda node: isinstance(node, LINKS))):
        copy.attributes["plain"] = True
        if isinstance(mark, nodes.reference | addnodes.number_reference):
            mark.replace_self([nodes.Text(mark.astext())] if "title" in mark else mark.children)
        elif isinstance(mark, math_reference):
            number = equation_number(env, mark["docname"], mark["target"])
            mark.replace_self(nodes.Text(config.math_eqref_format.format(number=number)))
        elif isinstance(mark, raw_latex):
            mark.replace_self(nodes.raw("", citation_words(mark), format="latex"))
        else:
            mark.parent.remove(mark)
    return copy.children if "plain" in copy else []


def citation_words(citation: raw_latex) -> str:
    """A citation in LaTeX, without its link."""
    return re.sub(r"\\hyperlink\{[^}]*\}", "", citation.rawsource)


def equation_number(env: Any, docname: str, label: str) -> str:
    """The number that HTML gives to an equation."""
    numbers = env.toc_fignumbers.get(docname, {}).get("displaymath", {})
    return ".".join(map(str, numbers[nodes.make_id(f"equation-{label}")]))


def cell_width(entry: nodes.entry) -> float:
    """The width of a table's cell, in letters; letters of code are wider."""
    return 2 + len(entry.astext()) * (1.2 if next(entry.findall(nodes.literal), None) else 1)


def column_spec(rows: list[list[float]]) -> str | None:
    """The columns of a long table in LaTeX. If its lines are too long, those in the widest column are broken.

    Nothing, if that would leave too little for them.
    """
    widths = [max(column) for column in zip(*rows, strict=True)]
    widest = widths.index(max(widths))
    rest = CHARACTERS - sum(widths) + widths[widest]
    if sum(widths) <= CHARACTERS:
        return "l" * len(widths)
    if rest < CHARACTERS / 4:
        return None
    broken = rf">{{\raggedright\arraybackslash}}\X{{{rest:.0f}}}{{{CHARACTERS}}}"
    return "".join(broken if number == widest else "l" for number in range(len(widths)))
