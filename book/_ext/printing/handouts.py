"""The LaTeX builder of the book: one document for the whole, and one for each numbered section, a hand-out.

The documents follow from `_toc.yml`. In a hand-out, a reference into another section becomes words that name it. At its
end are the works it cites, its exercises with room to write, and the answers (`worksheets`). `typeset` says what each
node looks like in print.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.latex import LaTeXBuilder
from sphinx.builders.latex.nodes import math_reference
from sphinx.builders.latex.theming import Theme
from sphinx.locale import admonitionlabels
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import clean_astext, inline_all_toctrees
from sphinx.util.texescape import escape
from sphinx.writers.latex import LaTeXTranslator
from sphinx_exercise.nodes import exercise_latex_number_reference
from sphinxcontrib.bibtex.nodes import raw_latex

from book._ext.printing.cover import NAME, write_cover
from book._ext.printing.pdf import numbered_sections, pdf_names
from book._ext.printing.typeset import PrintTranslator, cited_work, latex, title_formula, without_links
from book._ext.printing.typeset import equation_number as equation_number
from book._ext.printing.worksheets import worksheets
from book._ext.website.fonts import write_print_fonts

PAPER, POINTS = "a4paper", "11pt"
"""The paper and the size of letters, unless `latex_elements` says otherwise."""
HIDDEN = {"tag_hide-cell": ("cell_input", "cell_output"), "tag_hide-input": ("cell_input",)}
BOXED = {*admonitionlabels, "exercise_node", "exercise_enumerable_node", "solution_node"}


def names_of(app: Sphinx) -> dict[str, str]:
    """The name of the PDF of each page that has one. The first page stands for the whole book."""
    env: Any = app.env
    return pdf_names(app.config.html_title, app.config.root_doc, numbered_sections(env.external_site_map))


class HandoutBuilder(LaTeXBuilder):
    """Sphinx's LaTeX builder, with one document for the book and one for each numbered section."""

    default_translator_class: type[LaTeXTranslator] = PrintTranslator

    def init_document_data(self) -> None:
        """The book first, then its numbered sections, each as (page, file, title, author, theme, not only its toc)."""
        root = self.config.root_doc
        author = escape(self.config.author, self.config.latex_engine)
        for docname, name in names_of(self.app).items():
            title = escape(self.config.html_title, self.config.latex_engine)
            title = title if docname == root else self.title_in_latex(docname)
            self.document_data.append((docname, f"{name}.tex", title, author, "manual", False))
        self.titles = []

    def write_cover(self) -> bool:
        """Draw the cover of the book. Returns whether it has one."""
        return write_cover(self.app)

    def copy_latex_additional_files(self) -> None:
        super().copy_latex_additional_files()
        write_print_fonts(Path(self.outdir))

    def chapters(self) -> list[str]:
        """The pages of the first level of the table of contents, in its order."""
        return list(self.env.toctree_includes.get(self.config.root_doc, []))

    def title_in_latex(self, docname: str) -> str:
        """The title of a page for the head of its hand-out: with formulas and citations, without links."""
        document = self.env.get_doctree(docname)
        title = next(document.findall(nodes.title)).deepcopy()
        for note in list(title.findall(nodes.footnote_reference)):
            note.parent.remove(note)
        document.clear()
        document += title
        self.env.resolve_references(document, docname, self)
        plain = nodes.title("", "", *(without_links(title, self.env, self.config) or title.children))
        words = []
        for text in plain.findall(nodes.Text):
            if isinstance(text.parent, nodes.math):
                words.append(title_formula(str(text), self.config.latex_engine))
            else:
                raw = isinstance(text.parent, nodes.raw)
                words.append(str(text) if raw else escape(str(text), self.config.latex_engine))
        return "".join(words)

    def number(self, docname: str, anchor: str = "") -> str:
        """The number that HTML gives to a section, or nothing."""
        return ".".join(map(str, self.env.toc_secnumbers.get(docname, {}).get(anchor) or ()))

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:
        # Every page gets an address; references out of a hand-out are turned into words afterwards.
        return f"%{docname}"

    def update_doc_context(self, title: str, author: str, theme: Theme) -> None:
        super().update_doc_context(title, author, theme)
        project = escape(self.config.html_title, self.config.latex_engine)
        subtitle = escape(self.config.subtitle, self.config.latex_engine)
        whole = self.document == self.config.root_doc
        asked = self.config.latex_elements
        paper = self.context["papersize"] = asked.get("papersize") or PAPER
        self.context["pointsize"] = asked.get("pointsize") or POINTS
        cover = NAME if whole and self.write_cover() else ""
        self.context["maketitle"] = r"\makebooktitle" if whole else r"\makehandouttitle"
        self.context["tableofcontents"] = r"\sphinxtableofcontents" if whole else ""
        year = escape(self.config.copyright, self.config.latex_engine)
        self.context["preamble"] = (
            "% from _config.yml\n"
            rf"\def\booktitle{{{project}}}\def\booksubtitle{{{subtitle}}}\def\bookyear{{{year}}}"
            rf"\def\bookpaper{{{paper}}}\def\bookcover{{{cover}}}"
            f"\n\\usepackage{{descentprint}}\n{asked.get('preamble', '')}"
            + ("" if whole else f"\n% from {self.document}.md")  # whose title comes next
        )

    def get_contentsname(self, indexfile: str) -> str:
        return "Contents"

    def assemble_doctree(self, indexfile: str, toctree_only: bool, appendices: list[str]) -> nodes.document:
        """The pages of one PDF as its chapters, with all references resolved."""
        whole = indexfile == self.config.root_doc
        self.document = indexfile
        self.docnames = {indexfile}
        document = self.env.get_doctree(indexfile)
        chapters = [document.deepcopy(), *map(self.env.get_doctree, self.chapters() if whole else [])]
        document.clear()
        for docname, tree in zip([indexfile, *(self.chapters() if whole else [])], chapters, strict=True):
            self.docnames.add(docname)
            if docname == self.config.root_doc:
                for toctree in list(tree.findall(addnodes.toctree)):
                    toctree.parent.remove(toctree)
            tree = inline_all_toctrees(self, self.docnames, docname, tree, str, [docname])
            document += addnodes.start_of_file("", *tree.children, docname=docname)
        self.env.resolve_references(document, indexfile, self)
        leave_out_hidden_cells(document)
        text = document[0]
        ending = [] if whole else worksheets(document, self.app)
        text += ending
        box(document)
        self.number_references(document)
        if not whole:
            self.name_outside_targets(document)
            text.insert(len(text) - len(ending), self.cited_works(document))
        return document

    def number_references(self, document: nodes.document) -> None:
        """Write the numbers of sections. Sphinx leaves them to LaTeX, but a hand-out lacks the other sections."""
        for reference in document.findall(addnodes.number_reference):
            docname, target = self.target_of(reference)
            section = self.env.get_doctree(docname).ids.get(target)
            if isinstance(section, nodes.section):
                number = self.number(docname, f"#{section['ids'][0]}") or self.number(docname)
                reference.children = [nodes.Text(reference["title"] % number)]

    def target_of(self, reference: nodes.reference) -> tuple[str, str]:
        """The page that a reference points to, and the target on it."""
        if "refid" in reference:
            return enclosing_page(reference), reference["refid"]
        docname, _, target = reference["refuri"].removeprefix("%").partition("#")
        return docname, target

    def name_outside_targets(self, document: nodes.document) -> None:
        """Turn references to pages outside this document into words."""
        for reference in list(document.findall(nodes.reference)):
            if not reference.get("refuri", "").startswith("%"):
                continue
            docname, target = self.target_of(reference)
            if docname not in self.docnames:
                reference.replace_self(self.outside_words(reference, docname, target))
        for equation in list(document.findall(math_reference)):
            if equation["docname"] not in self.docnames:
                number = equation_number(self.env, equation["docname"], equation["target"])
                text = nodes.Text(self.config.math_eqref_format.format(number=number))
                equation.replace_self([text, *self.of(equation["docname"], " in ")])

    def outside_words(self, reference: nodes.reference, docname: str, target: str) -> list[nodes.Node]:
        text = reference.astext()
        if text == clean_astext(self.env.titles[docname]):
            return self.of(docname, "")
        if next(reference.findall(nodes.literal), None):  # a name from the module says where it belongs
            return reference.children
        words = [nodes.Text(text.replace(" ", "\u00a0"))] if "title" in reference else reference.children
        return [*words, *(self.of(docname, " in ") if target else self.of(docname, " (", ")"))]

    def of(self, docname: str, before: str, after: str = "") -> list[nodes.Node]:
        title = self.env.titles[docname].deepcopy()
        return [nodes.Text(before), nodes.emphasis("", "", *title.children), nodes.Text(after)]

    def cited_works(self, document: nodes.document) -> list[nodes.Node]:
        """The list of works that a hand-out cites and does not list; the book has it in a chapter of its own."""
        cited = "".join(node.rawsource for node in document.findall(raw_latex))
        keys = set(re.findall(r"\\hyperlink\{cite\.([^}]*)\}", cited))
        domain: Any = self.env.get_domain("cite")
        every = {f"{work.bibliography_key.docname}:{work.citation_id}": work for work in domain.citations}
        elsewhere = [key for key, work in every.items() if work.bibliography_key.docname not in self.docnames]
        works = [cited_work(key, format_work(every[key])) for key in elsewhere if key in keys]
        return [latex(r"\begin{handoutreferences}"), *works, latex(r"\end{handoutreferences}")] if works else []


def format_work(citation: Any) -> list[nodes.Node]:
    """A cited work as a list of references shows it."""
    from sphinxcontrib.bibtex.transforms import BibliographyTransform, node_text_transform

    paragraph = BibliographyTransform.backend.paragraph(citation.formatted_entry)
    node_text_transform(paragraph)
    return list(paragraph.children)


def enclosing_page(node: nodes.Node) -> str:
    """The page that a node of an assembled document came from."""
    while not isinstance(node, addnodes.start_of_file):
        node = node.parent
    return str(node["docname"])


def leave_out_hidden_cells(document: nodes.document) -> None:
    """Leave out what a reader of the HTML has to unfold, such as the code that draws a figure."""
    for cell in document.findall(nodes.container):
        hidden = {part for tag, parts in HIDDEN.items() if tag in cell["classes"] for part in parts}
        for part in list(cell.children):
            if isinstance(part, nodes.container) and hidden.intersection(part["classes"]):
                cell.remove(part)


def box(document: nodes.document) -> None:
    """Turn exercises, solutions, hints, notes and warnings into one kind of box with a title."""
    for node in list(document.findall(lambda n: isinstance(n, nodes.Admonition) and n.tagname in BOXED)):
        if not isinstance(node[0], nodes.title):
            node.insert(0, nodes.title("", admonitionlabels[node.tagname]))
        content = [
            grandchild
            for child in node.children
            for grandchild in (child.children if isinstance(child, nodes.section) else [child])
        ]
        ids = [*node["ids"], *([node["label"]] if "label" in node and node["label"] not in node["ids"] else [])]
        node.replace_self(nodes.admonition("", *content, ids=ids, classes=node["classes"]))
    for rule in list(document.findall(lambda n: isinstance(n, nodes.transition) and "footnotes" in n["classes"])):
        rule.parent.remove(rule)  # it stood above footnotes, which in print are at the foot of the page
    for reference in list(document.findall(exercise_latex_number_reference)):
        reference.replace_self(addnodes.number_reference("", "", *reference.children, **reference.attributes))


class KeepBibliographyInPlace(SphinxPostTransform):
    """Keep the list of works in its chapter; Sphinx would move it to the end of the document."""

    default_priority = 740
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        for citation in list(self.document.findall(nodes.citation)):
            key = f"{citation['docname']}:{citation['ids'][0]}"
            paragraph = next(citation.findall(nodes.paragraph))
            citation.replace_self(cited_work(key, paragraph.children))


def setup(app: Sphinx) -> None:
    app.add_config_value("subtitle", "", "", str)
    app.add_config_value("cover", "", "", str)
    app.add_config_value("slides", [], "", list)
    app.add_builder(HandoutBuilder, override=True)
    app.add_post_transform(KeepBibliographyInPlace)
