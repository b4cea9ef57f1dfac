"""What the parts of the book look like in LaTeX, and the numbers they bear: those of the HTML, by construction."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.nodes import Element
from sphinx.writers.latex import LaTeXTranslator

# A figure is drawn for the screen; at this part of its natural size two fit on a page, and its labels stay legible.
FIGURE_SCALE = 72
UNBROKEN = 24
"""Lines of code that are kept together on a page."""
BOX = 14
"""Lines for a heading and the beginning of a box below it."""
LONG = 30
"""Rows of a table that may be broken over pages, the limit of Sphinx; the lines in its cells are not, by itself."""
CHARACTERS = 93
"""What fits into a line of a table."""


class cited_work(nodes.General, nodes.TextElement):  # type: ignore[misc]
    """A work in a list of references; `key` is what a citation points at."""


class PrintTranslator(LaTeXTranslator):
    """Sphinx's LaTeX writer, which takes every number from Sphinx instead of letting LaTeX count anew."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # The title of the first page is a chapter like the others, not the title of the book.
        self.this_is_the_title = 0

    def visit_start_of_file(self, node: Element) -> None:
        super().visit_start_of_file(node)
        self.body.append(f"% from {node['docname']}\n")
        number = self.builder.env.toc_secnumbers.get(node["docname"], {}).get("")
        if not number:
            self.body.append("\\unnumbered\n")
        elif len(number) == 1:
            self.body.append(f"\\numbered{{{number[0]}}}\n")

    def say_number(self, counter: str, figtype: str, ids: list[str]) -> None:
        numbers = self.builder.env.toc_fignumbers.get(self.curfilestack[-1], {}).get(figtype, {})
        number = next((numbers[i] for i in ids if i in numbers), None)
        if number:
            # No empty line before it: that would end the paragraph that an equation is part of.
            self.body.append(f"\\saynumber{{{counter}}}{{{'.'.join(map(str, number))}}}\n")

    def visit_figure(self, node: Element) -> None:
        self.say_number("figure", "figure", node["ids"])
        super().visit_figure(node)

    def visit_table(self, node: Element) -> None:
        self.say_number("table", "table", node["ids"])
        rows = [[width(entry) for entry in row] for row in node.findall(nodes.row)]
        if len(rows) > LONG and "colwidths-given" not in node["classes"]:
            self.next_table_colspec = columns(rows)
        super().visit_table(node)

    def visit_captioned_literal_block(self, node: Element) -> None:
        self.say_number("literalblock", "code-block", node["ids"])

    def visit_math_block(self, node: Element) -> None:
        if node.get("label"):
            self.say_number("equation", "displaymath", [nodes.make_id(f"equation-{node['label']}")])
        super().visit_math_block(node)

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
            node["scale"] = FIGURE_SCALE
        super().visit_image(node)

    def visit_section(self, node: Element) -> None:
        # Code or a box that follows a heading at once would leave it behind on the page before.
        kinds = nodes.paragraph | nodes.literal_block | nodes.admonition
        first = next(node.findall(lambda n: isinstance(n, kinds)), None)
        if isinstance(first, nodes.literal_block):
            self.keep_together(first, beside=5)
        elif isinstance(first, nodes.admonition):
            self.body.append(f"\n\\keepwhole{{{BOX}}}")
        super().visit_section(node)

    def visit_literal_block(self, node: Element) -> None:
        if not self.table and not self.in_footnote:
            self.keep_together(node)
        super().visit_literal_block(node)

    def keep_together(self, code: nodes.literal_block, beside: int = 0) -> None:
        """Go on to the next page if a listing would be broken here, and is not too long to be kept whole."""
        lines = code.astext().count("\n") + 2
        if lines <= UNBROKEN:
            self.body.append(f"\n\\keepwhole{{{lines + beside}}}")

    visit_doctest_block = visit_literal_block

    def visit_cited_work(self, node: Element) -> None:
        self.body.append(rf"{chr(10)}\citedwork{{cite.{node['key']}}} ")

    def depart_cited_work(self, node: Element) -> None:
        self.body.append("\\par\n")

    def visit_admonition(self, node: Element) -> None:
        self.body.append("\n" + self.hypertarget_to(node, anchor=bool(node["ids"])))
        super().visit_admonition(node)


def width(entry: nodes.entry) -> float:
    """The width of a table's cell in letters; those of code are wider."""
    return 2 + len(entry.astext()) * (1.2 if next(entry.findall(nodes.literal), None) else 1)


def columns(rows: list[list[float]]) -> str | None:
    """LaTeX's columns for a long table: where its lines are too long for the page, those of the widest are broken."""
    widths = [max(column) for column in zip(*rows, strict=True)]
    widest = widths.index(max(widths))
    rest = CHARACTERS - sum(widths) + widths[widest]
    if sum(widths) <= CHARACTERS or rest < CHARACTERS / 4:
        return None
    broken = rf">{{\raggedright\arraybackslash}}\X{{{rest:.0f}}}{{{CHARACTERS}}}"
    return "".join(broken if number == widest else "l" for number in range(len(widths)))
