"""Turns the blocks of a page, as Sphinx has resolved them, into Markdown that every Jupyter shows.

References, citations and numbers are the words that the page shows; equations get their numbers, boxes become
quotations or folds. What plain Markdown cannot show is a warning with its line, which ends the build.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.locale import admonitionlabels
from sphinx.util import logging
from sphinx.util.images import guess_mimetype
from sphinx_exercise.nodes import exercise_enumerable_node, exercise_node

from book._ext.state import kept_state

logger = logging.getLogger(__name__)

LISTED = re.compile(r"^(?:[-+*]|\d+[.)])(?: |$)", re.M)
BLOCK_START = re.compile(r"(?=[-+*](?:\s|$)|#{1,6}(?:\s|$)|>|(?:-+|=+)\s*$|\[[^]]*\]:)|\d{1,9}(?=[.)](?:\s|$))")
"""The beginning of a line that would be a list, a heading or another block without a backslash."""
MARKUP = re.compile(r"[\\`*<$~]|(?<!\w)_|_(?!\w)|\](?=[(\[])|&(?=#?\w+;)")
"""Characters that mean something in Markdown."""
BOXES = {**{name: str(title) for name, title in admonitionlabels.items()}, "versionmodified": ""}
"""The boxes with a title of their own, or none."""
FRAMES = (
    *(addnodes.compact_paragraph, addnodes.glossary, exercise_enumerable_node, exercise_node),
    *(nodes.compound, nodes.definition, nodes.figure, nodes.legend, nodes.section),
)
"""Elements that only surround other blocks."""
SILENT = (addnodes.index, addnodes.tabular_col_spec, nodes.citation, nodes.footnote, nodes.Invisible)
"""What a notebook leaves out. It has footnotes and the cited works at its end."""
UNSHOWN = ("checked", "downloads", "sd_tab_input")
"""What belongs to the page in a browser, by the names of its elements."""
CODE = {"default": "", "none": "", "ipython3": "python"}
"""The names of languages that other programs do not know."""
ELEMENTS = {"emphasis": "i", "strong": "b", "subscript": "sub", "superscript": "sup"}
"""What stands inside a line, with its element of HTML."""


class Markdown:
    """Writes the blocks of a page as plain Markdown."""

    def __init__(self, app: Sphinx, docname: str) -> None:
        """Prepare to write.

        Args:
            app: an application that has read all pages.
            docname: the page.
        """
        self.env, self.docname, self.formats = app.env, docname, app.config.numfig_format
        self.depth = 0
        self.in_table = False

    def warn(self, node: nodes.Node, message: str) -> str:
        """Say what a notebook cannot show; it has nothing there."""
        logger.warning("%s; write it otherwise", " ".join(message.split()), location=placed(node))
        return ""

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While this lasts, the text in a list, a quotation or a box is written, whose lines get a mark before them."""
        self.depth += 1
        yield
        self.depth -= 1

    # --- blocks ---

    def join(self, blocks: Sequence[nodes.Node]) -> str:
        """The Markdown of blocks, one below the other."""
        text = ""
        for block in blocks:
            text = self.append(text, block)
        return text

    def append(self, text: str, block: nodes.Node) -> str:
        """A text and below it a block."""
        found = self.block(block)
        if found and LISTED.search(text) and LISTED.match(found):
            text += "\n\n<!-- -->"  # else two lists would become one
        return under(text, found)

    def block(self, node: nodes.Node) -> str:
        name = node.tagname
        if isinstance(node, SILENT) or name in UNSHOWN:
            return ""
        write = getattr(self, f"write_{name}", None)
        if write is not None:
            return str(write(node))
        if isinstance(node, FRAMES):
            return self.join(node.children)
        if name in BOXES:
            # Sphinx's writer of HTML puts the title into the box.
            return self.box(node, BOXES[name], [c for c in node.children if not isinstance(c, nodes.title)])
        if isinstance(node, (nodes.TextElement, nodes.image)):
            return self.inline(node) if isinstance(node, nodes.Inline) else self.write_paragraph(node)
        return self.warn(node, f"a notebook has nothing for this {name.replace('_', ' ')}")

    def write_paragraph(self, node: nodes.TextElement) -> str:
        # A line that begins with such a character was none of these blocks on the page.
        lines = self.words(node).strip().split("\n")
        starts = [BLOCK_START.match(line) for line in lines]
        return "\n".join(
            f"{start[0]}\\{line[start.end() :]}" if start else line for start, line in zip(starts, lines, strict=True)
        )

    def write_title(self, node: nodes.title) -> str:
        """The heading of a section, or of an exercise, with the number that the page shows."""
        if not isinstance(node.parent, nodes.section):
            return bold(f"{self.number(node.parent)}{self.words(node)}")
        numbers = self.env.toc_secnumbers.get(self.docname, {})
        number = numbers.get(f"#{node.parent['ids'][0]}", numbers.get("") if self.level(node) == 1 else None)
        label = f"{'.'.join(map(str, number))}. " if number else ""
        return f"{'#' * self.level(node)} {label}{' '.join(self.words(node).split())}"

    def level(self, node: nodes.Node) -> int:
        above = node.parent
        return 0 if above is None else self.level(above) + (isinstance(above, nodes.section) and bool(above["names"]))

    def write_rubric(self, node: nodes.rubric) -> str:
        return bold(self.words(node))

    write_sd_tab_label = write_rubric

    def write_transition(self, node: nodes.transition) -> str:
        return "___" if self.depth else "---"

    def write_raw(self, node: nodes.raw) -> str:
        return self.inline(node).strip("\n")

    def write_literal_block(self, node: nodes.literal_block) -> str:
        language = node.get("language", "")
        if language == "default" and node.get("source", "").endswith(".py"):
            language = "python"
        return fenced(CODE.get(language, language), node.astext().strip("\n"))

    write_doctest_block = write_literal_block

    def write_caption(self, node: nodes.caption) -> str:
        """The numbered title of a listing or a figure."""
        return f"{bold(self.number(node.parent))} {self.words(node)}".strip()

    def write_math_block(self, node: nodes.math_block) -> str:
        latex = node.astext().strip()
        if "\\\\" in latex and r"\begin" not in latex:
            latex = f"\\begin{{split}}\n{latex}\n\\end{{split}}"
        if node["ids"]:
            latex += f" \\tag{{{self.number(node)}}}"
        if self.depth:
            # Jupyter finds dollars before quotations and lists, so their marks would become part of the formula.
            latex = re.sub(r"(?<!\\)%.*", "", latex)
            return f"$$ {' '.join(latex.split())} $$"
        return f"$$\n{latex}\n$$"

    def write_block_quote(self, node: nodes.block_quote) -> str:
        with self.inside():
            return quoted(self.join(node.children))

    def write_attribution(self, node: nodes.attribution) -> str:
        return f"— {self.words(node)}"

    def write_bullet_list(self, node: nodes.Element) -> str:
        return "\n".join(self.item("- ", item.children) for item in node.children)

    def write_enumerated_list(self, node: nodes.enumerated_list) -> str:
        numbered = enumerate(node.children, node.get("start", 1))
        return "\n".join(self.item(f"{number}. ", item.children) for number, item in numbered)

    def item(self, marker: str, blocks: Sequence[nodes.Node], before: str = "") -> str:
        with self.inside():
            text = self.join(blocks)
        return hanging(marker, before + text)

    def write_definition_list(self, node: nodes.definition_list) -> str:
        """A list of definitions, as a plain list."""
        return "\n\n".join(self.item("- ", item.children) for item in node.children)

    write_term = write_rubric

    def write_footnotes(self, notes: Sequence[nodes.footnote]) -> str:
        """The footnotes of a page."""
        items = [self.item("- ", note.children[1:], f"[{note[0].astext()}] ") for note in notes]
        return under("---", "\n".join(items)) if items else ""

    def write_table(self, node: nodes.table) -> str:
        rows = list(node.findall(nodes.row))
        if not node.next_node(nodes.thead):
            rows.insert(0, nodes.row("", *(nodes.entry() for _ in rows[0])))
        marks = {"text-left": ":---", "text-right": "---:", "text-center": ":---:"}
        sides = [next((marks[name] for name in cell["classes"] if name in marks), "---") for cell in rows[-1]]
        told = [[self.cell(cell) for cell in row.children] for row in rows]
        text = "\n".join(f"| {' | '.join(row)} |" for row in [told[0], sides, *told[1:]])
        title = node.next_node(nodes.title)
        return under(f"{bold(self.number(node))} {self.words(title)}".strip() if title is not None else "", text)

    def cell(self, entry: nodes.entry) -> str:
        if len(entry) > 1 or not all(isinstance(block, nodes.paragraph) for block in entry):
            return self.warn(entry[0], "a notebook's table has one paragraph in each cell, and no more")
        if "morecols" in entry or "morerows" in entry:
            return self.warn(entry, "a notebook's table has no cell across several rows or columns")
        self.in_table = True
        text = "".join(map(self.words, entry.children))
        self.in_table = False
        return text.replace("|", r"\|").replace("\n", " ")

    def write_playground(self, node: nodes.Element) -> str:
        figure = self.formats["figure"] % kept_state(self.env).playground[1][node["figure"]]["number"]
        return f"> {figure} can be played with in the HTML book: drag the start, and change the settings."

    def write_solution_node(self, node: nodes.Element) -> str:
        return folded("Solution", self.join(node.children[1:]))

    def write_admonition(self, node: nodes.Element) -> str:
        titled = bool(node.children) and isinstance(node[0], nodes.title)
        return self.box(node, self.words(node[0]) if titled else "", node.children[titled:])

    write_topic = write_sidebar = write_admonition

    def box(self, node: nodes.Element, title: str, text: Sequence[nodes.Node]) -> str:
        if "dropdown" in node["classes"]:
            return folded(title, self.join(text))
        with self.inside():
            return quoted(under(title and bold(title), self.join(text)))

    def write_container(self, node: nodes.container) -> str:
        part = node.get("design_component")
        if part == "card-title":
            return bold(self.words(node))
        return self.write_block_quote(node) if part == "card" else self.join(node.children)

    def write_dropdown_main(self, node: nodes.Element) -> str:
        title, *text = node.children
        words = [part for part in title.children if "sd-summary-text" in part["classes"]]
        return folded("".join(map(self.words, words)) or "…", self.join(text))

    def number(self, node: nodes.Element) -> str:
        """The number of a figure, an equation or the like on the page, and its kind; empty if it has none."""
        is_equation = isinstance(node, nodes.math_block)
        domain = self.env.get_domain("math" if is_equation else "std")
        kind = domain.get_enumerable_node_type(node) or ""
        numbers = self.env.toc_fignumbers.get(self.docname, {}).get(kind, {})
        number = next((numbers[name] for name in node["ids"] if name in numbers), ())
        told = ".".join(map(str, number))
        return self.formats.get(kind, "%s") % told if told else ""

    # --- inside a line ---

    def words(self, node: nodes.Node) -> str:
        """The Markdown of what is in an element without blocks."""
        return "".join(map(self.inline, node.children))

    def inline(self, node: nodes.Node) -> str:
        name, text = node.tagname, node.astext()
        if isinstance(node, nodes.Text):
            return escaped(text, around(node)[1] if text.endswith("]") else "")
        if name in ("literal", "literal_strong", "literal_emphasis"):
            return code(text)
        if name in ("math", "math_block"):
            return self.formula(text)
        if name in ELEMENTS:
            return self.marked(node, {"emphasis": "*", "strong": "**"}.get(name, ""))
        if name == "raw":
            return self.markup(node, text) if node["format"] == "html" else ""
        if name == "image":
            picture = self.picture(node)
            return f"![{bracketed(node.get('alt', ''))}]({picture})" if picture else ""
        if name == "footnote_reference":
            return f"<sup>[{text}]</sup>"
        if name == "abbreviation" and node.get("explanation"):
            return f'<abbr title="{html.escape(node["explanation"])}">{self.words(node)}</abbr>'
        if name == "reference":
            return self.link(node, self.words(node))
        if isinstance(node, SILENT) and name != "target":
            return ""
        if isinstance(node, nodes.TextElement):
            return self.words(node)
        return self.warn(node, f"a notebook has no words for this {name.replace('_', ' ')}")

    def marked(self, node: nodes.Element, mark: str) -> str:
        """What is emphasised, by Markdown's marks where they count as such."""
        text, element = self.words(node), ELEMENTS[node.tagname]
        plain = node.astext()
        ends = zip((plain[:1], plain[-1:]), around(node), strict=True)
        # Beside a letter outside, a mark needs one inside.
        if mark and all(inner.isalnum() or not (outer.isalnum() or inner.isspace()) for inner, outer in ends):
            return f"{mark}{text}{mark}"
        return f"<{element}>{text}</{element}>"

    def formula(self, latex: str) -> str:
        latex = " ".join(latex.split("\n"))
        # Between the bars of a table, a bar would end its cell.
        return f"${latex.replace('|', chr(92) + 'vert ') if self.in_table else latex}$"

    def link(self, node: nodes.reference, words: str) -> str:
        """A link to another site; of a link into the book only the words, because the notebook lacks its target."""
        target = node.get("refuri", "")
        if not re.match(r"https?://|mailto:", target):
            return words
        if node.astext() == target.removeprefix("mailto:"):
            return f"<{node.astext()}>"
        place = f"<{target}>" if re.search(r"[()\s]", target) else target
        title = node.get("reftitle", "")
        return f"[{words}]({place}{title and ' ' + json.dumps(title, ensure_ascii=False)})"

    def markup(self, node: nodes.raw, text: str) -> str:
        """Raw HTML without its comments. It must not show a file, because the notebook does not contain the file."""
        if text.strip() == "<br />" and isinstance(node.parent, nodes.TextElement):
            return "\\\n"
        if re.search(r"\s(?:src|srcset|data)\s*=", text):
            return self.warn(node, f"a notebook has not the file that {text.split('>')[0].strip()}> shows")
        return re.sub(r"<!--.*?-->", "", text, flags=re.S)

    def picture(self, node: nodes.image) -> str:
        """The address of a picture; for a file of the book, the file itself as data."""
        source: str = next(iter(node.get("candidates", {"": node["uri"]}).values()))
        if re.match(r"https?:|data:", source):
            return source
        path, kind = Path(self.env.srcdir, unquote(source)), guess_mimetype(source) or ""
        if not kind.startswith("image/") or not path.is_file():
            return self.warn(node, f"a notebook cannot show {source}")
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


# --- plain Markdown ------------------------------------------------------------------------------------------------


def bold(text: str) -> str:
    return f"<b>{text}</b>" if re.search(r"\*|(?<!\w)_|_(?!\w)", text) else text and f"**{text}**"


def code(text: str) -> str:
    """A code span, with more backticks around it than any run in it."""
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def fenced(info: str, text: str) -> str:
    """A code block, with a longer fence than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{info}\n{text}\n{fence}"


def escaped(words: str, after: str) -> str:
    """A text with a backslash before each character that means something in Markdown, given the character after it."""
    text = MARKUP.sub(r"\\\g<0>", words)
    return f"{text[:-1]}\\]" if text.endswith("]") and after in ("(", "[") else text


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


# --- the doctree ---------------------------------------------------------------------------------------------------


def around(node: nodes.Node) -> tuple[str, str]:
    """The characters before and after a node in its block; empty at the ends."""
    block: Any = node
    while isinstance(block, (nodes.Text, nodes.Inline)):
        block = block.parent
    texts, own = list(block.findall(nodes.Text)), [id(text) for text in node.findall(nodes.Text)]
    places = [place for place, text in enumerate(texts) if id(text) in own]
    before, after = texts[: places[0]][-1:] if places else [], texts[places[-1] + 1 :][:1] if places else []
    return "".join(before)[-1:], "".join(after)[:1]


def placed(node: nodes.Node) -> nodes.Node:
    """The node that tells the line of a node: itself, or the last one above it that has a line."""
    # MyST gives the title of a box, and what a substitution puts into a paragraph, the line after.
    while isinstance(node.parent, (nodes.TextElement, nodes.Admonition)) and node.parent.line == (node.line or 0) - 1:
        node = node.parent
    if node.line is None:
        above = takewhile(lambda other: other is not node, node.document.findall())
        node = [node.document, *(other for other in above if other.line)][-1]
    return node
