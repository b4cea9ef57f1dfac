"""`make slides`: the figures that `_config.yml` lists under `slides`, and all update equations, as a deck, one a page.

The deck is one more document of the hand-out builder, made from the doctrees that it has read, so its figures,
equations, captions and numbers are those of the book. `descentslides.sty` says what a slide looks like.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.nodes import Element
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.latex.nodes import math_reference
from sphinx.builders.latex.theming import Theme
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.util.texescape import escape
from sphinx.writers.latex import LaTeXTranslator

from book._ext.cli.publishing import WORK, publish
from book._ext.faults import ROOT, Fault, one_line
from book._ext.figures.figure_files import figure_number, figures_of
from book._ext.page.equations import await_verdicts, toc_order
from book._ext.printing.handouts import HandoutBuilder
from book._ext.printing.pdf import typeset_all
from book._ext.printing.typeset import PrintTranslator, equation_number, latex
from book._ext.sources.editions import EDITIONS
from book._ext.sources.findings import near
from book._ext.sources.settings import line_in
from book._ext.sources.strict import fail_on_warnings


class SlideTranslator(PrintTranslator):
    """The LaTeX of a figure, its caption and an equation on a slide."""

    def visit_figure(self, node: Element) -> None:
        pass

    depart_figure = visit_figure

    def visit_image(self, node: Element) -> None:
        self.body.append(f"\\slidefigure{{{self.builder.images[node['uri']]}}}\n")

    def depart_image(self, node: Element) -> None:
        pass

    def visit_caption(self, node: Element) -> None:
        self.body.append("\\slidecaption{")

    def depart_caption(self, node: Element) -> None:
        self.body.append("}")


class SlideBuilder(HandoutBuilder):
    """Writes the deck beside the hand-outs, from the same doctrees."""

    default_translator_class: type[LaTeXTranslator] = SlideTranslator

    def init_document_data(self) -> None:
        engine = self.config.latex_engine
        title, author = escape(self.config.html_title, engine), escape(self.config.author, engine)
        self.document_data.append((self.config.root_doc, "slides.tex", title, author, "manual", False))

    def update_doc_context(self, title: str, author: str, theme: Theme) -> None:
        super().update_doc_context(title, author, theme)
        self.context["preamble"] += "\n\\usepackage{descentslides}"
        self.context["tableofcontents"] = ""

    def write_cover(self) -> bool:
        return False

    def assemble_doctree(self, indexfile: str, toctree_only: bool, appendices: list[str]) -> nodes.document:
        self.document, self.docnames = indexfile, set()
        document = self.env.get_doctree(indexfile)
        document.clear()
        for docname in toc_order(self.env):
            if slides := list(self.slides(docname)):
                document += addnodes.start_of_file("", *slides, docname=docname)
        saved = [figure.name for page in toc_order(self.env) for figure in figures_of(self.env, page)]
        for name in self.config.slides:
            if name not in saved:
                hint = near(name, saved) or "draw it with that fname, or take it out of the list"
                place = line_in(ROOT / "_config.yml", name)
                raise Fault(f"{place}: slides: no figure of the book is saved as {name}.pdf; {hint}")
        self.env.resolve_references(document, indexfile, self)
        self.number_references(document)
        for page in document.children:
            self.docnames = {page["docname"]}
            self.name_outside_targets(page)
        take_links_out(document, self.env, self.config.math_eqref_format)
        return document

    def slides(self, docname: str) -> Iterator[nodes.Node]:
        """The slides of a page of the book, in its order."""
        named = {figure.id: figure.name for figure in figures_of(self.env, docname)}
        for node in self.env.get_doctree(docname).findall():
            if isinstance(node, nodes.math_block) and (node.get("label") or "").startswith("update-"):
                number = equation_number(self.env, docname, node["label"])
                place = f"equation {self.config.math_eqref_format.format(number=number)}"
                yield from self.slide(docname, "equation", place, node.deepcopy(), in_code(node["label"], self.app))
            elif isinstance(node, nodes.figure) and named.get(next(iter(node["ids"]), "")) in self.config.slides:
                place = self.config.numfig_format["figure"] % figure_number(self.env, docname, node["ids"][0])
                yield from self.slide(docname, "figure", place, node.deepcopy())

    def slide(self, docname: str, kind: str, place: str, *shown: nodes.Node) -> list[nodes.Node]:
        """A slide of a page of the book; its place is the number there of what it shows."""
        title = self.title_in_latex(docname)
        where = " ".join(filter(None, [self.number(docname), title]))
        arguments = "".join(f"{{{text}}}" for text in (title, where, escape(place, self.config.latex_engine)))
        return [latex(rf"\begin{{{kind}slide}}{arguments}"), *shown, latex(rf"\end{{{kind}slide}}")]


def in_code(label: str, app: Sphinx) -> nodes.paragraph:
    """The class of an update equation, and the names of its letters in the code."""
    program = next(verdict.program for verdict in await_verdicts(app) if verdict.label == label)
    small = latex(r"\slidecode{}")
    found = nodes.paragraph("", "", small, nodes.literal("", program["class"]), nodes.Text(": "))
    for hyper in program["hyper"]:
        comma = [nodes.Text(", ")] if hyper is not program["hyper"][0] else []
        found += [*comma, nodes.math("", hyper["symbol"]), nodes.Text(" is "), nodes.literal("", hyper["name"])]
    return found


def take_links_out(document: nodes.document, env: BuildEnvironment, equation: str) -> None:
    """Replace links by their text, because most of a section is not in the deck."""
    for reference in list(document.findall(nodes.reference)):
        if reference.get("refuri", "%").startswith("%"):
            reference.replace_self(reference.children)
    for reference in list(document.findall(math_reference)):
        number = equation_number(env, reference["docname"], reference["target"])
        reference.replace_self(nodes.Text(equation.format(number=number)))


def make_slides(build: Callable[[str, str], Any]) -> str:
    """Make the deck, `_build/slides/slides.pdf`. The old one stays until the new one is made."""
    app = build("latex", EDITIONS[0])
    deck = SlideBuilder(app, app.env)
    try:
        deck.init()
        deck.write()
        deck.copy_image_files()
        fail_on_warnings(app, None)
    except SphinxError as error:
        raise Fault(f"slides: {one_line(error)}") from error
    tex = Path(app.outdir, "slides.tex")
    pdf = typeset_all([tex])["slides"]
    finished = WORK / "latex" / "slides"
    finished.mkdir(exist_ok=True)
    shutil.copyfile(pdf, finished / "slides.pdf")
    publish("latex", "slides")
    return "_build/slides/slides.pdf"
