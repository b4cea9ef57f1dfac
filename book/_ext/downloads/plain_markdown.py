"""Turns the MyST of a page into Markdown that every Jupyter shows.

MyST's own parser reads the text, and its tokens are written back as they stand in the source. Only what is MyST's own
changes: references, citations and numbers become the words that the page shows, equations get their numbers, boxes
become quotations or folds. What plain Markdown cannot show is a warning with its line, which ends the build.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml
from docutils import nodes
from docutils.parsers.rst.directives.misc import TestDirective
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from myst_nb.core.variables import format_plain_text
from myst_parser.config.main import merge_file_level
from myst_parser.parsers.directives import parse_directive_text
from myst_parser.parsers.mdit import create_md_parser
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives.code import LiteralInclude, LiteralIncludeReader
from sphinx.locale import admonitionlabels
from sphinx.util import logging
from sphinx.util.docutils import new_document
from sphinx.util.images import guess_mimetype
from sphinx.util.template import BaseRenderer

from book._ext.page.listings import without_docstring
from book._ext.sources.editions import CLASSES, FRONT, edition_text
from book._ext.sources.marks import split

logger = logging.getLogger(__name__)

TITLED = re.compile(r"(?P<title>.+?)\s*<(?P<target>[^<>]+)>", re.S)
LISTED = re.compile(r"^(?:[-+*]|\d+[.)])(?: |$)", re.M)
BLOCK_START = re.compile(r"(?=[-+*](?:\s|$)|#{1,6}(?:\s|$)|>|(?:-+|=+)\s*$|`{3}|~{3})|\d{1,9}(?=[.)](?:\s|$))")
"""The beginning of a line that would be a list, a heading or another block without a backslash."""
MARKUP = re.compile(r"[\\`*<$]|(?<!\w)_|_(?!\w)")
"""Characters that mean something in Markdown."""
BOXES = {name: str(title) for name, title in admonitionlabels.items()}
TITLED_BOXES = ("admonition", "card", "grid-item-card", "sidebar", "tab-item", "topic")
FRAMES = ("div", "grid", "grid-item", "margin", "tab-set")
"""Directives that only surround other text."""
WITHOUT_TITLE = (*BOXES, "margin")
"""Directives without a title: their text may begin on the first line."""
CODE = ("code", "code-block", "sourcecode")
SILENT = ("%", "bibliography", "exercise-end", "solution-end")
"""Directives that a notebook leaves out. It has the cited works at its end."""
ROLES = {"sub": "sub", "subscript": "sub", "sup": "sup", "superscript": "sup", "strong": "b", "emphasis": "i"}
"""Roles that become elements of HTML."""


@dataclass(frozen=True)
class Directive:
    """A directive of a page.

    Attributes:
        name: without its braces.
        argument: the text after the name.
        options: its options as they are written.
        body: its text.
        line: its line in the page, from 1.
        first: the line in the page at which its body begins, from 0.
    """

    name: str
    argument: str
    options: dict[str, str]
    body: str
    line: int
    first: int

    @classmethod
    def of(cls, node: SyntaxTreeNode) -> Directive | None:
        """The directive of a fence; None if it has none."""
        name, _, argument = node.info.strip().partition(" ") if node.type in ("fence", "colon_fence") else ("", "", "")
        if not (name.startswith("{") and name.endswith("}")):
            return None
        name, argument, start = name[1:-1], argument.strip(), line_of(node) - 1
        # As in MyST, three colons begin a fence and not an option.
        nested = node.type == "colon_fence" and node.content.startswith(":::")
        read = parse_directive_text(TestDirective, argument, "\n" * nested + node.content)
        body, first = "\n".join(read.body), start + 1 - nested + read.body_offset
        if name in WITHOUT_TITLE:
            body, first, argument = argument + "\n" * (first - start) + body, start, ""
        return cls(name, argument, read.options, body, start + 1, first)

    @property
    def classes(self) -> list[str]:
        return str(self.options.get("class") or "").split()


def line_of(node: SyntaxTreeNode) -> int:
    """The line of a node, from 1, or of the nearest node around it that has one."""
    around: SyntaxTreeNode | None = node
    while around is not None and not around.is_root:
        if around.map is not None:
            return around.map[0] + 1
        around = around.parent
    return 1


def with_place(rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    """A rule of the parser that also notes in each of its tokens the line in the text and the source."""

    def placed(state: StateInline, silent: bool) -> bool:
        start, before = state.pos, len(state.tokens)
        found = rule(state, silent)
        for token in state.tokens[before:]:
            token.meta.setdefault("line", state.src.count("\n", 0, start))
            token.meta.setdefault("source", state.src[start : state.pos])
        return found

    return placed


class Plain:
    """Writes one page as plain Markdown.

    Attributes:
        page: the blocks of the page.
    """

    def __init__(self, app: Sphinx, docname: str, source: str, edition: str) -> None:
        """Read a page.

        Args:
            app: an application that has read the page.
            docname: the page.
            source: its text.
            edition: one of `EDITIONS`; it may differ from the one that the application has read.
        """
        self.app, self.env, self.docname, self.source, self.edition = app, app.env, docname, source, edition
        text = edition_text(source, edition)
        doctree = self.env.get_doctree(docname)
        self.numbers = iter(numbers or () for numbers in self.env.toc_secnumbers.get(docname, {}).values())
        self.references = resolve_references(app, docname, list(doctree.findall(addnodes.pending_xref)))
        self.nameless = {kind: iter(nameless(numbers)) for kind, numbers in self.numbered(docname).items()}
        self.placed: dict[tuple[str, int], tuple[int, ...]] = {}
        notes = [node for node in doctree.findall(nodes.footnote) if isinstance(node[0], nodes.label)]
        self.note_numbers = {name.lower(): node[0].astext() for node in notes for name in node["names"]}
        self.notes: dict[int, SyntaxTreeNode] = {}
        stored = Path(self.env.mystnb_config.output_folder, f"{docname}.glue.json")  # type: ignore[attr-defined]
        self.glued: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
        self.is_quiet = False
        self.depth = 0
        self.in_table = False
        front = FRONT.match(text)
        top = (yaml.safe_load(front["yaml"]) if front else None) or {}
        config = merge_file_level(self.env.myst_config, top, lambda *_: None)  # type: ignore[attr-defined]
        self.substitutions = config.substitutions
        self.parser = create_md_parser(config, RendererHTML).disable("text_join")
        ruler = self.parser.inline.ruler
        for name, rule in zip(ruler.get_active_rules(), ruler.getRules(""), strict=True):
            ruler.at(name, with_place(rule))
        self.memory: dict[str, Any] = {}
        self.page = self.parse(text, 0)

    def parse(self, text: str, first: int, line: int | None = None) -> list[SyntaxTreeNode]:
        """The blocks of a text that begins at a line of the page, from 0, or that has its origin in a single line."""
        tokens = self.parser.parse(text, self.memory)
        for token in tokens:
            if token.map is not None:
                token.map = [line - 1, line] if line else [number + first for number in token.map]
        return SyntaxTreeNode(tokens).children

    def warn(self, line: int, message: str) -> None:
        if self.is_quiet:
            return
        logger.warning("%s; write it otherwise", " ".join(message.split()), location=(self.docname, line))

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While this lasts, the text in a list, a quotation or a box is written, whose lines get a mark before them."""
        self.depth += 1
        yield
        self.depth -= 1

    # --- blocks ---

    def join(self, blocks: Sequence[SyntaxTreeNode], tight: bool = False) -> str:
        """The Markdown of blocks, one below the other."""
        text, last = "", ""
        for block in blocks:
            found = self.block(block)
            if not found.strip():
                continue
            if LISTED.search(text) and LISTED.match(found):
                text += "\n\n<!-- -->"  # else two lists would become one
            close = tight and last == "paragraph" and block.type in ("bullet_list", "ordered_list")
            text += ("" if not text else "\n" if close else "\n\n") + found
            last = block.type
        return text

    def nested(self, directive: Directive) -> str:
        """The Markdown of a directive's body."""
        return self.join(self.parse(directive.body, directive.first))

    def block(self, node: SyntaxTreeNode) -> str:
        directive = Directive.of(node)
        if directive is not None:
            return self.directive(directive)
        write = getattr(self, f"write_{node.type}", None)
        if write is None:
            self.warn(line_of(node), f"a notebook has nothing for this {node.type.replace('_', ' ')}")
            return ""
        return str(write(node))

    def write_nothing(self, node: SyntaxTreeNode) -> str:
        return ""

    write_front_matter = write_myst_target = write_myst_line_comment = write_myst_block_break = write_nothing

    def write_inline(self, node: SyntaxTreeNode) -> str:
        return self.inline((node.token and node.token.children) or [], line_of(node))

    def write_paragraph(self, node: SyntaxTreeNode) -> str:
        # The parser drops the space before a line, which may have kept the line from being a list.
        lines = "".join(map(self.write_inline, node.children)).strip("\n").split("\n")
        starts = [BLOCK_START.match(line) for line in lines]
        return "\n".join(
            f"{start[0]}\\{line[start.end() :]}" if start else line for start, line in zip(starts, lines, strict=True)
        )

    def write_heading(self, node: SyntaxTreeNode) -> str:
        """A heading with the number that the page shows."""
        number = "" if self.depth else ".".join(map(str, next(self.numbers, ())))
        text = " ".join("".join(map(self.write_inline, node.children)).split("\n"))
        return f"{'#' * int(node.tag[1])} {number and f'{number}. '}{text}"

    def write_hr(self, node: SyntaxTreeNode) -> str:
        return "___" if self.depth else node.markup

    def write_html_block(self, node: SyntaxTreeNode) -> str:
        text = re.sub(r"<!--.*?-->", "", node.content, flags=re.S).strip("\n")
        self.refuse_files(text, line_of(node))
        return text

    def write_fence(self, node: SyntaxTreeNode) -> str:
        return fenced(node.info.strip(), node.content, node.markup[:1] or "`")

    write_code_block = write_fence

    def write_colon_fence(self, node: SyntaxTreeNode) -> str:
        return self.join(self.parse(node.content, line_of(node)))

    def write_math_block(self, node: SyntaxTreeNode) -> str:
        return self.equation(node.info, node.content.strip(), line_of(node))

    write_math_block_label = write_math_block

    def write_blockquote(self, node: SyntaxTreeNode) -> str:
        with self.inside():
            return quoted(self.join(node.children))

    def write_bullet_list(self, node: SyntaxTreeNode) -> str:
        items = [self.item(f"{item.info}{item.markup} ", item.children) for item in node.children]
        tight = any(child.hidden for item in node.children for child in item.children)
        return ("\n" if tight else "\n\n").join(items)

    write_ordered_list = write_bullet_list

    def item(self, marker: str, blocks: Sequence[SyntaxTreeNode], before: str = "") -> str:
        with self.inside():
            text = before + self.join(blocks, any(block.hidden for block in blocks))
        return hanging(marker, text)

    def write_dl(self, node: SyntaxTreeNode) -> str:
        """A list of definitions, as a plain list."""
        items: list[str] = []
        for child in node.children:
            with self.inside():
                if child.type == "dt":
                    items.append(bold("".join(map(self.write_inline, child.children))))
                else:
                    items[-1] += f"\n\n{self.join(child.children)}"
        return "\n\n".join(hanging("- ", item) for item in items)

    def write_table(self, node: SyntaxTreeNode) -> str:
        rows = [row for part in node.children for row in part.children]
        marks = {"text-align:left": ":---", "text-align:right": "---:", "text-align:center": ":---:"}
        sides = [marks.get(str(cell.attrs.get("style")), "---") for cell in rows[0].children]
        return table([[self.cell(cell.children) for cell in row.children] for row in rows], sides)

    def cell(self, parts: Sequence[SyntaxTreeNode]) -> str:
        self.in_table = True
        text = "".join(map(self.write_inline, parts))
        self.in_table = False
        return text.replace("|", r"\|").replace("\n", " ")

    def write_footnote_reference(self, node: SyntaxTreeNode) -> str:
        """Keep a footnote for the end of the notebook."""
        number = self.note_numbers.get(node.meta["label"].lower())
        if number is not None:
            self.notes[int(number)] = node
        return ""

    def footnotes(self) -> str:
        """The footnotes of the page. To be called when all the rest is written."""
        items = [self.item("- ", note.children, f"[{number}] ") for number, note in sorted(self.notes.items())]
        return "\n\n".join(["---", "\n".join(items)]) if items else ""

    def write_substitution_block(self, node: SyntaxTreeNode) -> str:
        return self.join(self.parse(self.substituted(node.content), 0, line_of(node)))

    def substituted(self, content: str) -> str:
        """The value of a substitution. The build warns elsewhere of one that is wrong."""
        return BaseRenderer().render_string(f"{{{{{content}}}}}", {**self.substitutions, "env": self.env})

    # --- directives ---

    def directive(self, directive: Directive) -> str:
        name, argument, options, line = directive.name, directive.argument, directive.options, directive.line
        if name in SILENT:
            return ""
        if name == "math":
            label = options.get("label", options.get("name", ""))
            return self.equation(label, "\n".join(filter(None, [argument, directive.body])), line)
        if name in CODE:
            caption = self.titled("code-block", options.get("name", ""), options.get("caption", ""), line)
            return under(caption, fenced(argument, directive.body))
        if name == "literalinclude":
            return self.listing(directive)
        if name in ("image", "figure"):
            return self.figure(directive)
        if name in ("table", "list-table"):
            title = self.titled("table", options.get("name", ""), argument, line)
            return under(title, self.nested(directive) if name == "table" else self.list_table(directive))
        if name == "playground":
            figure = self.number("figure", argument, line)
            return f"> {figure} can be played with in the HTML book: drag the start, and change the settings."
        if name == "exercise":
            return "" if "hidden" in options else under(self.exercise_title(directive), self.nested(directive))
        if name == "solution":
            hidden = self.edition == "student" or "hidden" in options
            return "" if hidden else folded("Solution", self.nested(directive))
        # After these the text follows as blocks of the page.
        if name == "exercise-start":
            return self.exercise_title(directive)
        if name == "solution-start":
            return bold("Solution")
        if name == "only" and argument in ("teacher", "student"):
            return self.nested(directive) if argument == self.edition else ""
        if name == "rubric":
            return bold(self.words(argument, line))
        if name in FRAMES:
            return self.nested(directive)
        if name == "dropdown":
            return folded(self.words(argument, line) or "…", self.nested(directive))
        if name in BOXES or (name in TITLED_BOXES and not self.is_decorated(directive)):
            return self.box(directive, BOXES.get(name) or self.words(argument, line))
        self.warn(line, f"a notebook has nothing for {{{name}}}")
        return ""

    def is_decorated(self, directive: Directive) -> bool:
        """Whether a card has pictures, a header or a footer, which a box can't have."""
        pictures = any(option.startswith("img-") for option in directive.options)
        rules = re.search(r"^(?:\^{3,}|\+{3,})", directive.body, re.M)
        return "card" in directive.name and (pictures or rules is not None)

    def box(self, directive: Directive, title: str) -> str:
        if "dropdown" in directive.classes:
            return folded(title, self.nested(directive))
        with self.inside():
            return quoted(under(title and bold(title), self.nested(directive)))

    def exercise_title(self, directive: Directive) -> str:
        label = directive.options.get("label", "")
        number = "Exercise" if "nonumber" in directive.options else self.number("exercise", label, directive.line)
        title = self.words(directive.argument, directive.line)
        return bold(f"{number} ({title})" if title else number)

    def equation(self, label: str, latex: str, line: int) -> str:
        if "\\\\" in latex and r"\begin" not in latex:
            latex = f"\\begin{{split}}\n{latex}\n\\end{{split}}"
        if label:
            latex += f" \\tag{{{self.number('displaymath', f'equation-{label}', line)}}}"
        if self.depth:
            # Jupyter finds dollars before quotations and lists, so their marks would become part of the formula.
            latex = re.sub(r"(?<!\\)%.*", "", latex)
            return f"$$ {' '.join(latex.split())} $$"
        return f"$$\n{latex}\n$$"

    def listing(self, directive: Directive) -> str:
        """A file that the page prints, or a part of it."""
        name, options = directive.options.get("pyobject", ""), directive.options
        if self.edition == "student" and directive.argument.endswith(CLASSES):
            return f"You write the class `{name}` yourself."
        known = {key: LiteralInclude.option_spec[key](value) for key, value in options.items() if key != "class"}
        path = self.env.relfn2path(directive.argument, self.docname)[1]
        source, _ = LiteralIncludeReader(path, known, self.env.config).read()
        if "listing" in directive.classes:
            source = without_docstring(source)
        caption = self.titled("code-block", options.get("name", ""), options.get("caption") or "", directive.line)
        language = options.get("language", "python" if path.endswith(".py") else "")
        return under(caption, fenced(language, source.strip("\n")))

    def figure(self, directive: Directive) -> str:
        """A picture, its numbered caption and the rest of the figure's text."""
        picture = self.picture(directive.argument, directive.line)
        image = f"![{bracketed(directive.options.get('alt') or '')}]({picture})" if picture else ""
        blocks = self.parse(directive.body, directive.first) if directive.name == "figure" else []
        told = blocks[0] if blocks and blocks[0].type == "paragraph" else None
        caption = self.write_paragraph(told) if told is not None else ""
        number = self.number("figure", directive.options.get("name", ""), directive.line) if caption else ""
        return "\n\n".join(filter(None, [image, number and f"{bold(number)} {caption}", self.join(blocks[1:])]))

    def picture(self, source: str, line: int) -> str:
        """The address of a picture; for a file of the book, the file itself as data."""
        if re.match(r"https?:|data:", source):
            return source
        path = Path(self.env.relfn2path(unquote(source), self.docname)[1])
        kind = guess_mimetype(path.name) or ""
        if not kind.startswith("image/") or not path.is_file():
            self.warn(line, f"a notebook cannot show {source}")
            return ""
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"

    def list_table(self, directive: Directive) -> str:
        (around,) = (block for block in self.parse(directive.body, directive.first) if block.type == "bullet_list")
        cells = [[cell for row in item.children for cell in row.children] for item in around.children]
        for cell in (cell for row in cells for cell in row):
            if [block.type for block in cell.children] not in ([], ["paragraph"]):
                self.warn(line_of(cell), "a notebook's table has one paragraph in each cell, and no more")
                return ""
        rows = [
            [self.cell([part for block in cell.children for part in block.children]) for cell in row] for row in cells
        ]
        if not int(directive.options.get("header-rows") or 0):
            rows.insert(0, [""] * len(rows[0]))
        return table(rows, ["---"] * len(rows[0]))

    def titled(self, kind: str, label: str, title: str, line: int) -> str:
        """The numbered title of a table or a listing; empty if there is no title."""
        return f"{bold(self.number(kind, label, line))} {self.words(title, line)}" if title else ""

    def number(self, kind: str, label: str, line: int) -> str:
        """The name of a figure, an exercise or the like on the page: its kind and number."""
        every = [self.numbered(name).get(kind, {}) for name in (self.docname, *sorted(self.env.found_docs))]
        names = (label, nodes.make_id(label)) if label else ()
        number = next((numbers[name] for numbers in every for name in names if name in numbers), None)
        if not label:
            self.placed[kind, line] = number = self.nameless_number(kind, line)
        if number is None:
            self.warn(line, f"a notebook has no number for {label or f'a {kind} without a name'}")
        form: str = self.app.config.numfig_format.get(kind, "%s")
        return form % ".".join(map(str, number or ()))

    def nameless_number(self, kind: str, line: int) -> tuple[int, ...]:
        """The number of the next thing without a label; the page has these in the same order."""
        if self.edition == self.app.config.edition:
            return next(self.nameless.get(kind, iter(())), ())
        return self.page_as_read.placed.get((kind, line), ())

    @functools.cached_property
    def page_as_read(self) -> Plain:
        """This page in the edition that the application has read, written to find its numbers."""
        read = Plain(self.app, self.docname, self.source, self.app.config.edition)
        read.is_quiet = True
        read.join(read.page)
        read.footnotes()
        return read

    def pass_over(self, directive: Directive) -> None:
        """Count the numbered things in a directive that the notebook leaves out."""
        self.is_quiet = True
        self.nested(directive)
        self.is_quiet = False

    def numbered(self, docname: str) -> dict[str, dict[str, tuple[int, ...]]]:
        """The numbers of the figures, tables and the like of a page, by kind and label, in order."""
        found: dict[str, dict[str, tuple[int, ...]]] = self.env.toc_fignumbers.get(docname, {})
        return found

    # --- inside a line ---

    def words(self, text: str, line: int) -> str:
        """The Markdown of a text without blocks, such as a title."""
        (inline,) = self.parser.parseInline(text, self.memory)
        return self.inline(inline.children or [], line)

    def inline(self, tokens: Sequence[Token], line: int) -> str:
        found: list[str] = []
        links: list[tuple[int, Token]] = []
        for place, token in enumerate(tokens):
            if token.type == "link_open":
                links.append((len(found), token))
            elif token.type == "link_close":
                start, opened = links.pop()
                found[start:] = [self.link(opened, "".join(found[start:]), line + opened.meta.get("line", 0))]
            else:
                found.append(self.inline_token(token, line + token.meta.get("line", 0)))
            after = tokens[place + 1].content[:1] if place + 1 < len(tokens) else ""
            if token.type == "myst_role" and found[-1].endswith("]") and after in ("(", "["):
                found[-1] = found[-1][:-1] + r"\]"  # or it would be a link
        return "".join(found)

    def inline_token(self, token: Token, line: int) -> str:
        kind, source = token.type, token.meta.get("source", "")
        if kind == "text":
            return token.content
        if kind in ("text_special", "em_open", "em_close", "strong_open", "strong_close", "s_open", "s_close"):
            return token.markup
        if kind == "softbreak":
            return "\n"
        if kind == "hardbreak":
            return "\\\n"
        if kind == "code_inline":
            return code(token.content) if self.in_table else str(source)
        if kind in ("math_inline", "math_single"):
            return self.formula(token.content)
        if kind == "math_inline_double":
            return f"$${self.formula(token.content)}$$".replace("$$$", "$$")
        if kind == "html_inline":
            self.refuse_files(token.content, line)
            return "" if token.content.startswith("<!--") else token.content
        if kind == "image":
            picture = self.picture(str(token.attrs["src"]), line)
            return f"![{bracketed(token.content)}]({picture})" if picture else ""
        if kind == "footnote_ref":
            number = self.note_numbers.get(token.meta["label"].lower())
            if number is None:
                self.warn(line, f"a notebook has no footnote for [^{token.meta['label']}]")
            return f"<sup>[{number}]</sup>"
        if kind == "substitution_inline":
            text = self.substituted(token.content)
            if re.match(r"\s{0,3}([`~:]{3,})\{", text):
                self.warn(line, f"a notebook has no words for {{{{ {token.content} }}}} inside a line")
                return ""
            return self.words(text, line)
        if kind == "myst_role":
            return self.role(token.meta["name"], token.content, line)
        self.warn(line, f"a notebook has no words for {source or kind}")
        return ""

    def formula(self, latex: str) -> str:
        latex = " ".join(latex.split("\n"))
        # Between the bars of a table, a bar would end its cell.
        return f"${latex.replace('|', chr(92) + 'vert ') if self.in_table else latex}$"

    def link(self, opened: Token, words: str, line: int) -> str:
        """A link to another site; of a link into the book only the words, because the notebook lacks its target."""
        target, title = str(opened.attrs["href"]), str(opened.attrs.get("title", ""))
        if opened.markup == "autolink" and re.match(r"https?:|mailto:", target):
            return f"<{words}>"
        if re.match(r"https?://|mailto:", target):
            place = f"<{target}>" if re.search(r"[()\s]", target) else target
            return f"[{words}]({place}{title and ' ' + json.dumps(title, ensure_ascii=False)})"
        if not words or opened.markup == "autolink":
            self.warn(line, f"a notebook has no words for [{words}]({unquote(target)})")
        return words

    def role(self, name: str, content: str, line: int) -> str:
        """The Markdown of a role."""
        content, source = " ".join(content.split()), f"{{{name}}}`{content}`"
        if name == "math":
            return self.formula(content)
        if name in ("code", "literal"):
            return code(content)
        if name in ROLES:
            return f"<{ROLES[name]}>{html.escape(content, quote=False)}</{ROLES[name]}>"
        if name in ("holds", "play"):
            return self.words(split(content)[0], line)
        if name == "abbr" and (found := re.fullmatch(r"(.*?)\s*\((.*)\)", content)):
            return f'<abbr title="{html.escape(found[2])}">{html.escape(found[1])}</abbr>'
        if name == "glue:text":
            key, _, form = content.partition(":")
            data = self.glued.get(key, {}).get("data", {})
            if "text/plain" in data:
                return escaped(str(format_plain_text(data["text/plain"], form or "s")))
            self.warn(line, f"a notebook has no number for {source}")
            return key
        words = self.referred(name, content)
        if words is None:
            self.warn(line, f"a notebook has no words for {source}")
            return content
        return escaped(words)

    def referred(self, role: str, content: str) -> str | None:
        """The words that the page shows for a reference; None if the role is no reference."""
        kind = role.rpartition(":")[2]
        titled = TITLED.fullmatch(content)
        target, title = (titled["target"], titled["title"]) if titled else (content, "")
        key = (kind, target.lower(), title)
        if key not in self.references and role in ("eq", "ref", "numref", "doc"):
            # The application has read the other edition, which lacks this reference.
            node = addnodes.pending_xref("", nodes.inline("", title or target), reftype=kind, reftarget=target)
            node["refdomain"], node["refdoc"] = "math" if kind == "eq" else "std", self.docname
            node["refexplicit"], node["refwarn"] = bool(title), True
            self.references |= resolve_references(self.app, self.docname, [node])
        return self.references.get(key)

    def refuse_files(self, markup: str, line: int) -> None:
        """Warn of raw HTML that shows a file, because the notebook does not contain the file."""
        if re.search(r"\s(?:src|srcset|data)\s*=", markup):
            self.warn(line, f"a notebook has not the file that {markup.split('>')[0].strip()}> shows")


# --- plain Markdown ------------------------------------------------------------------------------------------------


def bold(text: str) -> str:
    return f"<b>{text}</b>" if re.search(r"\*|(?<!\w)_|_(?!\w)", text) else f"**{text}**"


def code(text: str) -> str:
    """A code span, with more backticks around it than any run in it."""
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def fenced(info: str, text: str, mark: str = "`") -> str:
    """A code block, with a longer fence than any in it."""
    longest = max((len(run) for run in re.findall(f"{mark}+", text)), default=0)
    fence = mark * max(3, longest + 1)
    return f"{fence}{info}\n{text.removesuffix(chr(10))}\n{fence}"


def escaped(words: str) -> str:
    """A text with a backslash before each character that means something in Markdown."""
    return MARKUP.sub(r"\\\g<0>", words)


def bracketed(text: str) -> str:
    """A text for use between brackets."""
    return re.sub(r"(?<!\\)([][])", r"\\\1", " ".join(text.split()))


def quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def hanging(marker: str, text: str) -> str:
    """An item of a list."""
    first, *others = (marker + text).split("\n")
    return "\n".join([first.rstrip(), *(line and " " * len(marker) + line for line in others)])


def under(title: str, text: str) -> str:
    return "\n\n".join(filter(None, [title, text]))


def folded(title: str, text: str) -> str:
    """A text that readers unfold. The empty lines make Jupyter read it as Markdown."""
    return f"<details><summary><b>{title}</b></summary>\n\n{text}\n\n</details>"


def table(rows: list[list[str]], sides: list[str]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], sides, *rows[1:]])


# --- what the page shows -------------------------------------------------------------------------------------------


def nameless(numbers: dict[str, tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The numbers of things without a label, to which docutils or sphinx-exercise gave a name."""
    return [number for name, number in numbers.items() if re.fullmatch(r"id\d+|.*-exercise-\d+", name)]


def resolve_references(
    app: Sphinx, docname: str, references: list[addnodes.pending_xref]
) -> dict[tuple[str, str, str], str]:
    """The words that a page shows for references, by role, target, and the reference's own title, if it has one.

    Sphinx resolves copies of them, in a document that contains nothing else.
    """
    found = [node.deepcopy() for node in references]
    keys = [
        (
            node["reftype"],
            " ".join(node["reftarget"].split()).lower(),
            " ".join(node.astext().split()) if node.get("refexplicit") else "",
        )
        for node in found
    ]
    document = new_document(docname)
    document.settings.env = app.env
    document += [nodes.paragraph("", "", node) for node in found]
    app.env.resolve_references(document, docname, app.builder)
    return dict(zip(keys, [paragraph.astext() for paragraph in document.findall(nodes.paragraph)], strict=True))
