"""A section's MyST as the Markdown that any Jupyter shows.

References, citations and numbers become the words that the page shows; a displayed equation carries its number; boxes
become quotations, or fold, as they do on the page. What there is no plain Markdown for is a warning, and so no book.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docutils import nodes
from markdown_it import MarkdownIt
from mdit_py_plugins.myst_blocks import myst_block_plugin
from myst_nb.core.variables import format_plain_text
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import new_document

from book._ext.handouts import equation_number
from optim_code.sections import OPTIONS, parser

logger = logging.getLogger(__name__)

ROLE = re.compile(
    r"(?<!\\)\$[^$]+\$"
    r"|(?:\{(?P<name>[\w:+.-]+)\})?(?P<ticks>`+)(?P<content>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|(?P<other>\{\{.+?\}\}|\[[^][]*\]\((?!https?://|mailto:)[^)\s]*\))",
    re.S,
)
"""Maths, a role or code, and what else MyST alone knows: a substitution, a link to a page or a label."""
TITLED = re.compile(r"(?P<title>.+?)\s*<(?P<target>[^<>]+)>", re.S)
HEADING = re.compile(r"^(#+) +(.*)$")
BOXES = ("note", "hint", "tip", "warning", "important", "attention", "caution", "danger", "error", "seealso")
CODE = ("code", "code-block", "sourcecode")


@dataclass(frozen=True)
class Directive:
    """A directive as it stands in a text: a fence, or a displayed equation with its label as the argument."""

    name: str
    argument: str
    options: dict[str, str] = field(default_factory=dict)
    body: str = ""

    @classmethod
    def read(cls, info: str, content: str) -> Directive:
        name, _, argument = info.strip()[1:].partition("}")
        given = OPTIONS.match(content)
        lines = re.findall(r"^:?([\w-]+):[ \t]*(.*)$", given[0], re.M) if given else []
        return cls(name, argument.strip(), dict(lines), content[given.end() if given else 0 :].strip("\n"))


@functools.cache
def reader() -> MarkdownIt:
    return parser().use(myst_block_plugin)


def pieces(text: str) -> Iterator[Directive | str]:
    """A MyST text piece by piece: directives and displayed equations by themselves, and what stands between them.

    Labels are left out. A comment is a directive `%`, and what is to be taken as it stands, such as code, `verbatim`.
    """
    lines = text.split("\n")
    last = 0
    for token in reader().parse(text):
        if token.level or token.map is None or token.nesting < 0:
            continue
        first, after = token.map
        found: list[Directive | str] = []
        if token.type in ("fence", "colon_fence") and token.info.strip().startswith("{"):
            found = [Directive.read(token.info, token.content)]
        elif token.type in ("math_block", "math_block_label"):
            found = [Directive("math", token.info, body=token.content.strip())]
        elif token.type == "myst_line_comment":
            found = [Directive("%", token.content.strip())]
        elif token.type in ("fence", "code_block", "html_block"):
            found = [Directive("verbatim", "", body="\n".join(lines[first:after]).rstrip())]
        elif token.type not in ("myst_target", "myst_block_break"):
            continue
        yield from filter(str.strip, ["\n".join(lines[last:first])])
        yield from found
        last = after
    yield from filter(str.strip, ["\n".join(lines[last:])])


class Plain:
    """The plain Markdown of one page.

    Args:
        app: an application that has read the page.
        docname: the page.
        source: its text, to say in which line a warning belongs.
    """

    def __init__(self, app: Sphinx, docname: str, source: str) -> None:
        self.app, self.env, self.docname, self.source = app, app.env, docname, source
        self.numbers = iter(numbers or () for numbers in self.env.toc_secnumbers.get(docname, {}).values())
        self.references = resolve_references(app, docname)
        stored = Path(self.env.mystnb_config.output_folder, f"{docname}.glue.json")  # type: ignore[attr-defined]
        self.glued: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}

    # --- blocks ---

    def text(self, myst: str) -> str:
        return "\n\n".join(filter(None, map(self.piece, pieces(myst))))

    def piece(self, piece: Directive | str) -> str:
        if isinstance(piece, Directive):
            return self.directive(piece)
        lines = self.inline(piece).strip("\n").split("\n")
        return "\n".join(HEADING.sub(self.numbered, line) for line in lines)

    def numbered(self, heading: re.Match[str]) -> str:
        """A heading with the number that the page shows."""
        number = ".".join(map(str, next(self.numbers, ())))
        return f"{heading[1]} {number and f'{number}. '}{heading[2]}"

    def directive(self, directive: Directive) -> str:
        name, argument, body = directive.name, directive.argument, directive.body
        if name in ("%", "bibliography"):  # the works that are cited stand at the end of each notebook
            return ""
        if name == "verbatim":
            return body
        if name == "math":
            return self.equation(directive.options.get("label", argument), body)
        if name in CODE:
            return f"```{argument}\n{body}\n```"
        if name == "playground":
            figure = self.number("figure", argument)
            return f"> {figure} can be played with in the HTML book: drag the start, and change the settings."
        if name == "admonition" or name in BOXES:
            title = self.inline(argument) if name == "admonition" else name.capitalize()
            inside = body if name == "admonition" else "\n\n".join(filter(None, [argument, body]))
            folds = "dropdown" in directive.options.get("class", "")
            return (folded if folds else boxed)(title, self.text(inside))
        self.warn(f"{{{name}}}", f"a notebook has nothing for {{{name}}}")
        return ""

    def equation(self, label: str, latex: str) -> str:
        if "\\\\" in latex and r"\begin" not in latex:
            latex = f"\\begin{{split}}\n{latex}\n\\end{{split}}"
        if label:
            latex += f" \\tag{{{equation_number(self.env, self.docname, label)}}}"
        return f"$$\n{latex}\n$$"

    def number(self, kind: str, label: str) -> str:
        """A figure, or an exercise, as the page names it: by its kind and number."""
        numbers = self.env.toc_fignumbers.get(self.docname, {}).get(kind, {})
        form: str = self.app.config.numfig_format[kind]
        return form % ".".join(map(str, numbers.get(label, ())))

    # --- inside a line ---

    def inline(self, text: str) -> str:
        return ROLE.sub(self.role, text)

    def role(self, found: re.Match[str]) -> str:
        if found["other"]:
            # A link to a place in the book says no more than its words, where that place isn't.
            said = found[0][1:].partition("](")[0] if found[0].startswith("[") else ""
            if not said:
                self.warn(found[0], f"a notebook has no words for {found[0]}")
            return said or found[0]
        if found["name"] is None:
            return found[0]
        name, content = found["name"], " ".join(found["content"].split())
        if name == "glue:text":
            return self.glue(content, found[0])
        if name == "math":
            return f"${content}$"
        titled = TITLED.fullmatch(content)
        target = (titled["target"] if titled else content).lower()
        words = self.references.get((name.rpartition(":")[2], target, titled is not None))
        if words is None:
            self.warn(found[0], f"a notebook has no words for {found[0]}")
            return content
        return titled["title"] if titled else words

    def glue(self, content: str, role: str) -> str:
        key, _, form = content.partition(":")
        data = self.glued.get(key, {}).get("data", {})
        if "text/plain" not in data:
            self.warn(role, f"a notebook has no number for {role}")
            return key
        return str(format_plain_text(data["text/plain"], form or "s"))

    def warn(self, what: str, message: str) -> None:
        line = self.source[: max(0, self.source.find(what))].count("\n") + 1
        logger.warning("%s; write it otherwise", " ".join(message.split()), location=(self.docname, line))


def boxed(title: str, text: str) -> str:
    """A box as a quotation; one that holds displayed maths stands free, for Jupyter looks for its dollars first."""
    text = f"**{title}**\n\n{text}"
    return text if "$$" in text else "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def folded(title: str, text: str) -> str:
    """What a reader unfolds; the empty lines make Jupyter take the text inside as Markdown."""
    return f"<details><summary><b>{title}</b></summary>\n\n{text}\n\n</details>"


def resolve_references(app: Sphinx, docname: str) -> dict[tuple[str, str, bool], str]:
    """The words that the page shows for each of its references: by role, target, and whether it has a title of its own.

    Sphinx resolves copies of them, in a document that holds nothing else.
    """
    found = [node.deepcopy() for node in app.env.get_doctree(docname).findall(addnodes.pending_xref)]
    keys = [
        (node["reftype"], " ".join(node["reftarget"].split()).lower(), bool(node.get("refexplicit"))) for node in found
    ]
    document = new_document(docname)
    document.settings.env = app.env
    document += [nodes.paragraph("", "", node) for node in found]
    app.env.resolve_references(document, docname, app.builder)
    return dict(zip(keys, [paragraph.astext() for paragraph in document.findall(nodes.paragraph)], strict=True))
