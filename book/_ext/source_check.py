"""What is wrong with the sources, said before a cell runs and before Sphinx reads a page: file, line, what to do.

All pages are looked through in one go, so one build names all faults. The build stops here for what Sphinx and MyST
would pass over, or name badly. Where they warn of it at its place, `warning_remedies` adds to their warning what to do.
They warn of a misspelt directive or role, too, but after the cells have run: here that is the first thing said.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import importlib
import io
import json
import os
import re
import tempfile
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util import logging
from sphinx.util.docutils import docutils_namespace

from book._ext.editions import EDITIONS
from book._ext.freshness import digest, pins
from optim_code.sections import Block, Page, SectionError, Text, contents, label_of, read_page, read_text

if TYPE_CHECKING:
    from markdown_it.token import Token

logger = logging.getLogger(__name__)

EXERCISES = ("exercise", "exercise-start")
SOLUTIONS = ("solution", "solution-start")
CELLS = ("code-cell", "raw-cell")
ONLY_HERE = ("only",)
"""Directives whose content takes the place of their fence, so that a code cell in it is run."""
TAGS = {
    "remove-cell", "remove-input", "remove-output", "remove-stdout", "remove-stderr", "hide-cell", "hide-input",
    "hide-output", "scroll-output", "output_scroll", "raises-exception", "skip-execution", "full-width", "margin",
    "popout", "parameters", "injected-parameters", "thebe-init", "thebe-interactive",
}  # fmt: skip
"""The tags that MyST-NB, the theme and Jupyter know."""
CLAIMS = ("update-", "identity-", "claim-", "def-")
"""What a tag that names an equation begins with."""
CELL_OPTIONS = {
    "tags", "mystnb", "load", "editable", "deletable", "slideshow", "jupyter", "collapsed", "scrolled", "vscode",
    "nbgrader", "id",
}  # fmt: skip
MYSTNB_OPTIONS = {
    "image", "figure", "markdown_format", "text_lexer", "error_lexer", "merge_streams", "remove_code_source",
    "remove_code_outputs", "scroll_outputs", "code_prompt_show", "code_prompt_hide", "number_source_lines",
    "output_stderr", "render_plugin",
}  # fmt: skip
FIGURE_OPTIONS = {"name", "caption", "caption_before", "classes", "align"}
IMAGE_OPTIONS = {"alt", "classes", "height", "width", "scale", "align"}
FRONT_KEYS = {
    "file_format", "kernelspec", "jupytext", "edition", "execution", "mystnb", "myst", "substitutions", "html_meta",
    "orphan", "tocdepth", "nosearch", "title", "author", "authors", "date", "abstract", "keywords", "language_info",
}  # fmt: skip
RESERVED = {"search": "the page of the search", "index": "the way in", "genindex": "the index"}
RESERVED |= {"py-modindex": "the index of the module"}
"""What Sphinx and this book themselves write at the top of the book."""
ROLES_OF_OTHERS = {"cite": "cite:p", "citep": "cite:p", "citet": "cite:t", "eqref": "eq", "figref": "numref"}
LABEL = re.compile(r"\w[\w.:+-]*")
ESCAPED = r"(?<!\\)(?:\\\\)*"
MASK = "\0"


class SourceFaults(SphinxError):
    """The faults of the sources, one line each."""

    category = "The sources have faults"


@dataclass(frozen=True)
class Finding:
    """A fault of a page.

    Attributes:
        page: the page.
        line: its line there, counted from 0.
        text: what is wrong; what to do.
        warns: whether Sphinx warns of it as well, later.
    """

    page: Page
    line: int
    text: str
    warns: bool = False

    @property
    def where(self) -> str:
        return self.page.where(self.line)

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True)
class Names:
    """What directives and roles there are: of each directive the options that it takes, None if any."""

    directives: Mapping[str, list[str] | None]
    roles: Collection[str]


@dataclass
class Book:
    """What the pages say to one another.

    Attributes:
        root: its top.
        names: the directives and roles; None if they are not known.
        pages: the pages by their names.
        labels: the place of each label.
        exercises: the labels of the exercises.
        references: the keys of the bibliography.
        definitions: the footnotes and the addresses that the page being checked defines, anywhere.
    """

    root: Path
    names: Names | None
    pages: dict[str, Page] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    exercises: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)
    definitions: set[str] = field(default_factory=set)


def check_sources(root: Path, docnames: Iterable[str], names: Names | None) -> tuple[list[str], list[Finding]]:
    """Look through the pages of a book.

    Args:
        root: the top of the book.
        docnames: its pages, in their order.
        names: the directives and roles that there are; unknown ones are not looked for if None.

    Returns:
        The files that cannot be read, a line each; and what is wrong with the others, in the order of the pages.
    """
    book, unreadable = Book(root, names), []
    for docname in docnames:
        try:
            book.pages[docname] = read_page(root, docname)
        except SectionError as error:
            unreadable.append(str(error))
    book.references = bibliography_keys(root)
    for page in book.pages.values():
        book.exercises |= {label for block in page.blocks if block.name in EXERCISES for label in labels_in(block)}
    found = []
    for page in book.pages.values():
        said = without_followers(sorted(check_page(book, page), key=lambda finding: finding.line))
        # The first thing that is wrong with a line; the others are often the same thing.
        found += list({finding.where: finding for finding in reversed(said)}.values())[::-1]
    return unreadable, found


def without_followers(found: list[Finding]) -> list[Finding]:
    """The findings of a page, without those that others bring along: a $$ without partner turns all below it around."""
    extra = [finding for finding in found if "partner" in finding.text and "$$" in finding.text][1:]
    if any("opens no fence" in finding.text for finding in found):
        extra += [finding for finding in found if "closes nothing" in finding.text]
    return [finding for finding in found if finding not in extra]


def bibliography_keys(root: Path) -> set[str]:
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in sorted((root / "book").glob("*.bib")))
    return {key for text in texts for key in re.findall(r"^\s*@\w+\s*\{\s*([^\s,]+)", text, re.M)}


def check_page(book: Book, page: Page) -> Iterator[Finding]:
    if not page.text.strip():
        yield Finding(page, 0, "the page is empty; write a title, # Title, or take it out of _toc.yml")
        return
    yield from check_characters(page)
    yield from check_front_matter(page)
    yield from check_headings(page)
    book.definitions = {name.lower() for name in re.findall(r"^[\s>]*\[([^\]\n]+)\]:", page.text, re.M)}
    for name in sorted(name for name in book.definitions if name.startswith("^")):
        if page.text.lower().count(f"[{name}]") == 1:
            line = next(n for n, text in enumerate(page.lines) if f"[{name}]:" in text.lower())
            yield Finding(
                page, line, f"the footnote [{name}] is lost, as nothing mentions it; write [{name}] in the text"
            )
    notebook = is_notebook(page)
    # What is open swallows what follows, so the first tells of the others.
    left_open = next((block for block in page.blocks if block.kind in ("directive", "code") and not block.closed), None)
    if left_open is not None:
        yield Finding(page, left_open.first, not_closed(page, left_open))
    for block in page.blocks:
        if block.closed:
            yield from check_block(book, page, block, notebook)
    for text in page.texts:
        for token, line in with_lines(text):
            yield from check_token(book, page, token, line)


def with_lines(text: Text) -> Iterator[tuple[Token, int]]:
    line = text.first
    for token in text.tokens:
        if token.map:
            line = text.first + token.map[0]
        yield token, line


def near(name: str, names: Iterable[str]) -> str:
    """The question whether another name is meant; empty if none is like it."""
    found = difflib.get_close_matches(name.lower(), list(names), 1, 0.7)
    return f"did you mean {found[0]}?" if found else ""


# --- the page as a whole -------------------------------------------------------------------------------------------

LOST = re.compile("\ufffd|â€|Ã[\u0080-\u00bf]|\0")


def check_characters(page: Page) -> Iterator[Finding]:
    for number, line in enumerate(page.lines):
        if found := LOST.search(line):
            if found[0] == "\0":
                yield Finding(page, number, "the file holds zero bytes: it is not UTF-8; save it as UTF-8")
                return
            text = f"{found[0]} is what is left of a character in a wrongly converted file; type it again"
            yield Finding(page, number, text)


def check_front_matter(page: Page) -> Iterator[Finding]:
    tokens = page.texts[0].tokens
    front = tokens[0] if tokens and tokens[0].type == "front_matter" else None
    if front is None:
        first = next((n for n, line in enumerate(page.lines) if line.strip()), 0)
        if re.fullmatch(r"---\s*", page.lines[first]):
            if first == 0:
                yield Finding(page, 0, "the front matter is not closed; put a line --- below it")
            elif re.match(r"(file_format|kernelspec|jupytext|edition)\s*:", page.lines[first + 1]):
                yield Finding(page, first, "the front matter must begin in the first line; take out what is above it")
        return
    value, faults = read_yaml(page, front.content, 1, "the front matter")
    yield from faults
    if faults:
        return
    if not isinstance(value, dict):
        yield Finding(page, 1, "the front matter is not of the form name: value; fix it or take it out")
        return
    for key in value:
        if key not in FRONT_KEYS and (question := near(str(key), FRONT_KEYS)):
            yield Finding(page, line_of(page, 1, str(key)), f"the front matter knows no {key}; {question}")
    if value.get("file_format", "mystnb") != "mystnb":
        line = line_of(page, 1, "file_format")
        yield Finding(page, line, f"there is no file_format {value['file_format']}; write file_format: mystnb")
    kernel = value.get("kernelspec")
    if kernel is not None and (not isinstance(kernel, dict) or kernel.get("name") != "python3"):
        line = line_of(page, 1, "kernelspec")
        yield Finding(page, line, "the cells run in Python; write kernelspec: and below it, indented, name: python3")


def line_of(page: Page, first: int, key: str) -> int:
    """The line, from a first one on, that gives a key its value."""
    pattern = re.compile(rf"[\s>:]*['\"]?{re.escape(key)}['\"]?\s*:")
    return next((n for n in range(first, len(page.lines)) if pattern.match(page.lines[n])), first)


def is_notebook(page: Page) -> bool:
    """Whether MyST-NB takes a page for a notebook, and runs its cells."""
    tokens = page.texts[0].tokens
    if not tokens or tokens[0].type != "front_matter":
        return False
    value, _ = read_yaml(page, tokens[0].content, 1, "")
    return isinstance(value, dict) and (value.get("file_format") == "mystnb" or "jupytext" in value)


def check_headings(page: Page) -> Iterator[Finding]:
    if any(token.type == "heading_open" for token in page.texts[0].tokens):
        return
    if any(block.name == "eval-rst" for block in page.blocks):
        return
    tokens = page.texts[0].tokens
    above = tokens[0].map[1] if tokens and tokens[0].type == "front_matter" and tokens[0].map else 0
    first = next((n for n, line in enumerate(page.lines) if n >= above and line.strip()), 0)
    yield Finding(page, first, "the page has no title; write one above the text, # Title")


# --- YAML ----------------------------------------------------------------------------------------------------------


def read_yaml(page: Page, text: str, first: int, what: str) -> tuple[Any, list[Finding]]:
    """What YAML in a page says, and what is wrong with it: it cannot be read, or loses a part of it.

    Args:
        page: the page.
        text: the YAML.
        first: its first line there.
        what: what it is, in words.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(text, loader)
    except yaml.YAMLError as error:
        line, reason = why_not_yaml(text, error)
        return None, [Finding(page, first + line, f"{what} cannot be read: {reason}")]
    lines, faults = text.split("\n"), []
    if "#" in text or "\\" in text or text.count(":") > 1:
        for node, key in scalars(yaml.compose(text, loader)):
            line = node.start_mark.line
            if key is DOUBLE:
                reason = f"{node.value} stands twice; join the two"
                faults.append(Finding(page, first + line, f"{what}: {reason}"))
            elif lost := lost_in(node, lines):
                faults.append(Finding(page, first + node.start_mark.line, f"{what}: {lost}"))
    return value, faults


def read_plain(page: Page, text: str, first: int, what: str) -> tuple[Any, list[Finding]]:
    """As `read_yaml`, of the options of all directives but cells: MyST reads them as names and texts."""
    from myst_parser.parsers.options import TokenizeError, options_to_items

    text = textwrap.dedent(text)
    try:
        items, state = options_to_items(text)
    except TokenizeError as error:
        reason = next(said for pattern, said in REASONS if re.search(pattern, error.problem))
        return None, [Finding(page, first + error.problem_mark.line, f"{what} cannot be read: {reason}")]
    faults, seen = [], set()
    for number, line in enumerate(text.split("\n")):
        found = re.match(r"([\w-]+):(?:\s+(.*)|$)", line)
        name, value = (found[1], found[2] or "") if found else ("", line)
        if name in seen:
            faults.append(Finding(page, first + number, f"{what}: {name} stands twice; join the two"))
        seen.add(name or MASK)
        quoted = re.match(r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^']|'')*'?", value)
        eaten = EATEN.search(value) if value.startswith('"') else None
        lost = re.search(r"(?:^|\s)(#\S*)", value[quoted.end() if quoted else 0 :])
        if eaten:
            reason = f"{eaten[1]} in double quotes loses its backslash; write single quotes"
            faults.append(Finding(page, first + number, f"{what}: {reason}"))
        elif lost and state.has_comments:
            reason = f"all from {lost[1]} on is lost, as a comment; put the text in quotes"
            faults.append(Finding(page, first + number, f"{what}: {reason}"))
    return dict(items), faults


DOUBLE = object()


def scalars(node: Any, key: Any = None) -> Iterator[tuple[Any, Any]]:
    """The scalars of a YAML document, and the keys, marked `DOUBLE`, that stand twice in one mapping."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        yield node, key
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from scalars(item, key)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode):
                if name.value in seen:
                    yield name, DOUBLE
                seen.add(name.value)
            yield from scalars(value, getattr(name, "value", None))


EATEN = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:[abefrvx]|nabla|ne|nu|not|times|tau|theta|text|to|tan|tilde)[A-Za-z]*)")
"""A command of LaTeX in double quotes, where YAML reads its first letter as a character's name."""


def lost_in(node: Any, lines: list[str]) -> str:
    """What YAML loses of a text, and what to do; empty if it loses nothing."""
    start, end = node.start_mark, node.end_mark
    if node.style == '"':
        source = "\n".join(lines[start.line : end.line + 1])
        found = EATEN.search(source, start.column)
        return f"{found[1]} in double quotes loses its backslash; write single quotes" if found else ""
    if node.style in ("'", "|", ">") or end.line >= len(lines):
        return ""
    rest = lines[end.line][end.column :].strip()
    # What follows a number or a word is a comment, if it looks like one.
    is_text, no_space = node.tag.endswith((":str", ":null")), bool(rest[1:2].strip())
    if rest.startswith("#") and is_text and (" " in node.value or no_space):
        return f"all from {rest.split()[0]} on is lost, as a comment; put the text in quotes"
    return ""


REASONS = (
    (r"mapping values are not allowed", "a colon inside a text; put the text in quotes"),
    (r"'\\t'", "a tab; write spaces"),
    (r"got '?<stream end>|expected ',' or|unexpected end of stream", "a bracket or a quote is not closed; close it"),
    (r"not find expected ':'|expected ':'", "a line without a colon; write name: value"),
    (r"cannot start any token|undefined alias|expected alphabetic|unknown escape", "a sign that no text begins with; put the text in quotes"),
    (r"expected key to start", "words after a quote, or a line that is indented; put the whole text in quotes"),
    (r"expected <block end>", "a line that is indented otherwise than the one above it; indent both alike"),
    (r"could not determine a constructor|tag", "a text that begins with !; put it in quotes"),
)  # fmt: skip


def why_not_yaml(text: str, error: Any) -> tuple[int, str]:
    """The line at which a text is not YAML, counted from 0, and why, with what to do."""
    import yaml

    try:
        # The parser in Python says more than the one in C.
        yaml.load(text, yaml.loader.SafeLoader)
    except yaml.YAMLError as other:
        error = other
    mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", None) or error)
    reason = next((said for pattern, said in REASONS if re.search(pattern, problem)), None)
    context = getattr(error, "context_mark", None)
    if reason and reason.startswith("a bracket") and context is not None:
        mark = context
    line = text.split("\n")[mark.line] if mark and mark.line <= text.count("\n") else ""
    if "expected <block end>" in problem and re.search(r""":\s+(["'\[{])""", line):
        reason = "words after a quote or a bracket; put the whole text in quotes"
    if "mapping values" in problem and re.fullmatch(r"\s*[\w-]+:(\s[^:]*)?", line):
        reason = "a line that is indented otherwise than the one above it; indent both alike"
    if reason is None:
        reason = f"{problem.splitlines()[0]}; put texts in quotes"
    at = mark.line if mark else 0
    if reason.startswith("a line without") and context is not None:
        at = context.line
    return min(at, max(text.count("\n") - 1, 0)), reason


# --- directives ----------------------------------------------------------------------------------------------------


def check_block(book: Book, page: Page, block: Block, notebook: bool) -> Iterator[Finding]:
    if block.kind == "directive":
        yield from check_directive(book, page, block, notebook)
    elif block.kind == "code":
        yield from check_code(book, page, block)
    elif block.kind == "table":
        yield from check_table(page, block)
    elif block.kind == "equation":
        yield from check_equation(page, block)


def not_closed(page: Page, block: Block) -> str:
    mark, opened = block.markup, f"{{{block.name}}}" if block.name else block.argument
    if not opened and block.level == 0:
        return (
            f"{mark} closes nothing, or what it opens is not closed; take it out, or close it (a fence around "
            "another one needs one mark more, at both its ends)"
        )
    above = (b for b in reversed(page.blocks) if b.first < block.first)
    around = next((b for b in above if (*b.parents, b.name) == block.parents), None)
    if around is not None and around.markup[0] == mark[0] and len(around.markup) <= len(mark):
        longer = mark + mark[0]
        return (
            f"{mark}{opened} ends at the end of the fence around it, {around.markup}{{{around.name}}}; "
            f"write that with one mark more, {longer}{{{around.name}}}, and {longer} at its end"
        )
    shorter = re.compile(rf"[\s>]*({re.escape(mark[0])}{{3,{len(mark) - 1}}})\s*") if len(mark) > 3 else None
    for number in range(block.first + 1, min(block.last, len(page.lines))):
        if shorter and (found := shorter.fullmatch(page.lines[number])):
            there = page.where(number).rpartition(":")[2]
            return f"{mark}{opened} is not closed, line {there} has only {found[1]}; make both equally long"
    return f"{mark}{opened} is not closed; put {mark} in a line of its own below it"


def check_directive(book: Book, page: Page, block: Block, notebook: bool) -> Iterator[Finding]:
    name, line = block.name, block.first
    if book.names and name.lower() not in book.names.directives:
        yield Finding(page, line, unknown_directive(name, book.names), warns=True)
        return
    head = page.lines[line]
    if f"{block.markup}{{{name}}}" not in head:
        if name in CELLS:
            yield Finding(page, line, f"a space before {{{name}}}, so it is not run; take it out")
    elif re.search(re.escape(f"{{{name}}}") + r"[^\s]", head):
        yield Finding(page, line, f"no space after {{{name}}}; write one")
    options: Any = None
    if block.options:
        start = block.start - block.options.count("\n") - (1 if is_long(page, block) else 0)
        read = read_yaml if name in CELLS else read_plain
        options, faults = read(page, block.options, start, f"{{{name}}}: its options")
        yield from faults
        if not faults and not isinstance(options, dict):
            yield Finding(page, start, f"{{{name}}}: its options are not of the form name: value; write them so")
    yield from check_above_body(page, block)
    if name == "toctree":
        yield Finding(page, line, "{toctree}: the contents of the book are in _toc.yml; list the pages there, and take"
                                  " it out")  # fmt: skip
    known = book.names.directives.get(name.lower()) if book.names else None
    if isinstance(options, dict) and known and name not in CELLS:
        for key in options:
            if key not in known:
                where = line_of(page, line, str(key))
                hint = near(str(key), known) or f"it takes {', '.join(known)}"
                yield Finding(page, where, f"{{{name}}}: there is no option {key}; {hint}")
    if name in CELLS:
        yield from check_cell(page, block, options, notebook)
    yield from check_labels(book, page, block, options)


def is_long(page: Page, block: Block) -> bool:
    """Whether the options of a directive stand between lines of dashes."""
    return block.start > 0 and page.lines[block.start - 1].strip(" >").startswith("---")


def unknown_directive(name: str, names: Names) -> str:
    said = f"there is no directive {{{name}}}"
    if name.lower() in ("python", "ipython", "ipython3", "py", "code_cell", "codecell", "cell", "r", "julia"):
        return f"{said}; write ```{{code-cell}} to run code, or ```python to show it"
    if name.startswith("."):
        return f"{said}; write the name without a dot, and what else it is as options below it"
    return f"{said}; {near(name, names.directives) or 'fix its name, or write it as text'}"


ABOVE_BODY = re.compile(r"\s*:(?P<short>[\w-]+)(?::(?:\s|$)|\s|$)|\s*(?P<long>---)\s*$|\s*(?P<quarto>#\|)")
BARE = re.compile(r"\s*(?P<bare>tags|mystnb|name|caption|label|figure)\s*:")


def check_above_body(page: Page, block: Block) -> Iterator[Finding]:
    """Options that aren't taken for options, but for content."""
    if block.name in ("eval-rst", "code", "code-block", "sourcecode", "literalinclude", "parsed-literal", "raw"):
        return
    lines = block.body.split("\n")
    first = next((n for n, text in enumerate(lines) if text.strip()), None)
    if first is None:
        return
    of, line, text = f"{{{block.name}}}", block.start + first, lines[first]
    if found := ABOVE_BODY.match(text):
        if found["long"]:
            yield Finding(page, line, f"{of}: the options are not closed; put a line --- below them")
        elif found["quarto"]:
            yield Finding(page, line, f"{of} takes no options as comments; write :tags: [remove-cell] and the like")
        elif first:
            yield Finding(page, line, f"{of}: the options must follow at once; take out the empty line above them")
        elif found["short"]:
            yield Finding(page, line, f"{of}: the option has one colon only; write :{found['short']}: and its value")
    elif block.name in CELLS and (found := BARE.match(text)):
        yield Finding(page, line, f"{of}: an option needs a colon before it, too; write :{found['bare']}: …")


def check_cell(page: Page, block: Block, options: Any, notebook: bool) -> Iterator[Finding]:
    of, line = f"{{{block.name}}}", block.first
    around = [parent for parent in block.parents if parent not in ONLY_HERE]
    if around or block.level > 0 or block.markup.startswith(":"):
        inside = f"{{{around[-1]}}}" if around else "a fence of colons" if block.level == 0 else "a list or a quotation"
        how = "write it with backticks" if inside.startswith("a fence") else "put it below that, at the left margin"
        yield Finding(page, line, f"{of} is not run inside {inside}; {how}")
        return
    if not notebook:
        front = "file_format: mystnb, kernelspec: and, indented, name: python3"
        text = f"{of} is not run, as the page has no front matter; begin the page with {front} between lines ---"
        yield Finding(page, line, text, warns=True)
    if not isinstance(options, dict):
        return
    for place, known, given in (
        ("", CELL_OPTIONS, options),
        ("mystnb: ", MYSTNB_OPTIONS, options.get("mystnb")),
        ("mystnb: figure: ", FIGURE_OPTIONS, in_mystnb(options, "figure")),
        ("mystnb: image: ", IMAGE_OPTIONS, in_mystnb(options, "image")),
    ):
        if given is None:
            continue
        if not isinstance(given, dict):
            name = place.rstrip(": ").split(": ")[-1]
            where = line_of(page, line, name)
            yield Finding(page, where, f"{of}: {name} takes options of its own; write them below it, indented")
            continue
        for key in given:
            if key not in known:
                where = line_of(page, line, str(key))
                hint = near(str(key), known) or belongs(str(key)) or f"it takes {', '.join(sorted(known))}"
                yield Finding(page, where, f"{of}: there is no option {place}{key}; {hint}")
    tags = options.get("tags")
    where = line_of(page, line, "tags")
    if tags is not None and not isinstance(tags, list):
        yield Finding(page, where, f"{of}: tags is no list; write :tags: [{tags}]")
        return
    for tag in tags or ():
        if str(tag) not in TAGS and not str(tag).startswith(CLAIMS):
            hint = near(str(tag).replace("_", "-"), TAGS) or "take it out, or fix its name"
            yield Finding(page, where, f"{of}: there is no tag {tag}; {hint}")


def in_mystnb(options: dict[str, Any], name: str) -> Any:
    mystnb = options.get("mystnb")
    return mystnb.get(name) if isinstance(mystnb, dict) else None


def belongs(key: str) -> str:
    if key in FIGURE_OPTIONS:
        return f"write mystnb: and, indented, figure: and, indented, {key}: …"
    if key in ("figure", "image", *IMAGE_OPTIONS):
        return f"write mystnb: and, indented, {key}: …"
    return ""


def labels_in(block: Block) -> Iterator[str]:
    """The label of a directive, as its options give it; all that is not YAML is said elsewhere."""
    for name in ("label", "name"):
        if found := re.search(rf"^[ \t]*{name}[ \t]*:[ \t]*(\S[^\n]*)$", block.options, re.M):
            if block.name not in CELLS or re.search(r"^\s*figure\s*:", block.options, re.M):
                yield found[1].strip().strip("'\"")
            return


def check_labels(book: Book, page: Page, block: Block, options: Any) -> Iterator[Finding]:
    of, line = f"{{{block.name}}}", block.first
    labels = [] if block.name == "math" else list(labels_in(block))
    if block.name in EXERCISES and not labels:
        yield Finding(page, line, f"{of} has no label; write :label: ex-… below it, to refer to it")
    if block.name in SOLUTIONS:
        asked = block.argument
        if not asked:
            yield Finding(page, line, f"{of} does not say of what; write the label of its exercise after it")
        elif asked not in book.exercises:
            hint = near(asked, book.exercises) or "fix it, or write the exercise"
            yield Finding(page, line, f"{of}: there is no exercise {asked}; {hint}")
    for label in labels:
        yield from check_label(book, page, line_of(page, line, "label" if "label" in block.options else "name"), label)


def check_label(book: Book, page: Page, line: int, label: str) -> Iterator[Finding]:
    if not LABEL.fullmatch(label):
        yield Finding(page, line, f"the label {label} has a character that breaks it; use letters, digits and -")
        return
    key = label.lower()
    if key in book.labels:
        text = f"the label {label} is used at {book.labels[key]} already; give one of the two another"
        yield Finding(page, line, text)
    else:
        book.labels[key] = page.where(line)


# --- fences that are no directives ---------------------------------------------------------------------------------


def check_code(book: Book, page: Page, block: Block) -> Iterator[Finding]:
    info, mark = block.argument, block.markup
    word = info.split()[0] if info else ""
    known: Iterable[str] = book.names.directives if book.names else CELLS
    if "{" in info or "}" in info:
        name = next((name for name in re.findall(r"[\w:-]+", info) if name in known), "")
        say = f"write {mark}{{{name}}}" if name else "write the name of a directive in braces, or of a language without"
        yield Finding(page, block.first, f"{mark}{info} is no directive; {say}")
    elif word in known and (mark.startswith(":") or not is_language(word)):
        yield Finding(page, block.first, f"{mark}{word} shows its content as it is; write {mark}{{{word}}}")
    elif not mark.startswith(":") and word and not is_language(word) and (hint := near(word, known)):
        yield Finding(page, block.first, f"{mark}{word}: there is no language {word}; {braced(hint)}")


def braced(question: str) -> str:
    return re.sub(r"mean (\S+)\?", r"mean {\1}?", question)


@functools.cache
def is_language(name: str) -> bool:
    from pygments.lexers import find_lexer_class_by_name
    from pygments.util import ClassNotFound

    try:
        return bool(find_lexer_class_by_name(name))
    except ClassNotFound:
        return name in ("ipython", "ipython3", "none", "default", "mermaid")


# --- tables --------------------------------------------------------------------------------------------------------

CODE_OR_MATH = re.compile(
    rf"{ESCAPED}(?:(?<!`)(?P<ticks>`+)(?!`)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)|\$(?P<math>[^$]+)\$)"
)


def check_table(page: Page, block: Block) -> Iterator[Finding]:
    columns = cells_of(page.lines[block.first])
    for number in range(block.first, min(block.last, len(page.lines))):
        row = page.lines[number]
        if cut := cut_by_a_bar(row):
            yield Finding(page, number, cut)
        elif cells_of(row) > columns:
            text = f"a row of {cells_of(row)} cells in a table of {columns}: the last are lost; take them out"
            yield Finding(page, number, text)


def cells_of(row: str) -> int:
    """How many cells a row of a table has."""
    row = re.sub(r"^[\s>]*\|?|\|?\s*$", "", row)
    return len(re.findall(rf"{ESCAPED}\|", row)) + 1


def cut_by_a_bar(row: str) -> str:
    """What to say of a row in which a formula or code holds the mark between two cells; empty if none does."""
    for found in CODE_OR_MATH.finditer(row):
        if found["math"] is not None and "|" in found["math"] and is_formula(found["math"]):
            if re.search(ESCAPED + r"\|", found["math"]) and not re.search(r"[\\^_=]|^\|[^|]+\|$", found["math"]):
                continue
            return r"in a table | inside a formula ends the cell; write \vert, and \Vert for \|"
        if found["code"] is not None and re.search(ESCAPED + r"\|", found["code"]):
            return r"in a table | inside code ends the cell; write \|"
    return ""


def is_formula(text: str) -> bool:
    """Whether what stands between two dollars is a formula, and not text between two prices."""
    words = re.sub(r"\\[A-Za-z]+(\{[^{}]*\})?", "", text)
    if re.search(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}", words):
        return False
    return bool(text.strip()) and (bool(re.search(r"[\\^_=]", text)) or not re.search(r"^\s*\d|[A-Za-z]{3,}", words))


# --- equations -----------------------------------------------------------------------------------------------------


def check_equation(page: Page, block: Block) -> Iterator[Finding]:
    if block.name == "amsmath":
        what = re.match(r"\\begin\{(\w+\*?)\}", block.body)
        name = f"\\begin{{{what[1]}}}" if what else "an equation"
        text = f"{name} outside dollars stands raw on the page; write $$ before it and $$ (label) after it"
        yield Finding(page, block.first, f"{text}, and aligned for align")
    elif block.level < 0:
        text = "an equation in the middle of a paragraph; put an empty line above it, and $$ in lines of its own"
        yield Finding(page, block.first, text)
    elif "\n\n" in re.sub(r"\n[ \t]+(?=\n)", "\n", block.body) or swallowed(block.body):
        text = "an equation with text or an empty line in it: a $$ lacks its partner; close it, or take the line out"
        yield Finding(page, block.first, text)


def swallowed(latex: str) -> bool:
    """Whether a formula goes over text: a role, code, or four words side by side."""
    bare = re.sub(
        r"\\(?:text|math(?:rm|it|sf)|operatorname|mbox|hbox|label|tag)\w*\*?\{[^{}]*\}",
        "",
        latex,
    )
    return "`" in bare or bool(re.search(r"(?<![\\\w])[A-Za-z]{2,}(?:[,;]?\s+[A-Za-z]{2,}){3}", bare))


# --- the text itself -----------------------------------------------------------------------------------------------


def check_token(book: Book, page: Page, token: Token, line: int) -> Iterator[Finding]:
    if token.type == "inline":
        yield from check_text(book, page, token, line)
    elif token.type == "myst_target":
        yield from check_label(book, page, line, token.content)
        below = next((text for text in page.lines[line + 1 :] if text.strip()), None)
        if below is None:
            yield Finding(page, line, f"({token.content})= names nothing, for nothing follows it; take it out")
    elif token.type == "code_block":
        first = next((n for n, text in enumerate(token.content.split("\n")) if text.strip()), 0)
        text = token.content.split("\n")[first].strip()
        if re.match(r"(`{3,}|~{3,}|:{3,})\s*\{", text):
            yield Finding(page, line + first, f"{text.split()[0]} is indented by four spaces, so it is shown as it is;"
                                              " take the spaces out")  # fmt: skip
        elif re.match(r"\$\$", text):
            yield Finding(page, line + first, "an equation that is indented by four spaces is shown as it is; take the"
                                              " spaces out")  # fmt: skip
    elif token.type == "html_block" and (
        found := re.search(r"\\\[|\\\(|\$\$|\\begin\{", without_comments(token.content))
    ):
        number = line + token.content[: found.start()].count("\n")
        yield Finding(page, number, "an equation inside HTML is not checked; write it outside, $$ … $$ (label)")


def without_comments(html: str) -> str:
    return re.sub(r"<!--.*?(-->|\Z)", lambda found: re.sub(r"[^\n]", " ", found[0]), html, flags=re.S)


def check_text(book: Book, page: Page, token: Token, line: int) -> Iterator[Finding]:
    roles = book.names.roles if book.names else frozenset({"ref", "eq", "numref", "cite:p", "cite:t", "doc"})
    for child in token.children or ():
        if child.type == "myst_role" and book.names and child.meta["name"].lower() not in roles:
            at = line + token.content[: max(token.content.find(f"{{{child.meta['name']}}}"), 0)].count("\n")
            yield Finding(page, at, unknown_role(child.meta["name"], roles), warns=True)
        elif child.type == "math_inline" and swallowed(child.content):
            begin = token.content.find(f"${child.content}$")
            at = line + token.content[: max(begin, 0)].count("\n")
            text = f"the formula ${' '.join(child.content.split()[:3])} … goes over text; close it, or write \\$"
            yield Finding(page, at, f"{text} for a dollar")
        elif child.type == "image" and re.match(r"https?:", str(child.attrs.get("src", ""))):
            at = line + token.content[: max(token.content.find(str(child.attrs["src"])), 0)].count("\n")
            yield Finding(page, at, "a picture of another host is not there without a network; save it beside the page")
        elif child.type == "link_open":
            yield from check_link(book, page, str(child.attrs.get("href", "")), line, token.content)
    for found in NO_TABLE.finditer(token.content) if "|" in token.content else ():
        yield Finding(page, line + token.content[: found.start()].count("\n"), table_of_text(found))
    for text, patterns in ((masked(token), PATTERNS), (unread(token), PATTERNS_OF_LINKS)):
        for sign, pattern, say in patterns:
            for found in pattern.finditer(text) if sign in text else ():
                if said := say(found, book, roles):
                    yield Finding(page, line + text[: found.start()].count("\n"), said)


def unknown_role(name: str, roles: Iterable[str]) -> str:
    meant = ROLES_OF_OTHERS.get(name.lower())
    hint = f"did you mean {meant}?" if meant else near(name, roles) or "fix its name, or write it as text"
    return f"there is no role {{{name}}}; {hint}"


def check_link(book: Book, page: Page, href: str, line: int, content: str) -> Iterator[Finding]:
    at = line + content[: max(content.find(href), 0)].count("\n")
    path = href.partition("#")[0]
    if re.match(r"[A-Za-z]:[\\/]|/(?:home|Users)/", unquote(href)):
        href = unquote(href)
        yield Finding(page, at, f"{href} is a file of this machine only; put it beside the page and name it from there")
    elif path.endswith((".md", ".ipynb", ".rst")) and not re.match(r"[a-z]+:", path):
        top = path.startswith("/")
        target = book.root / path.lstrip("/") if top else (book.root / page.docname).parent / path
        name = os.path.relpath(target, book.root).replace(os.sep, "/")
        if target.is_file() and name.rpartition(".")[0] not in book.pages:
            yield Finding(page, at, f"{path} is no page of the book; add it to _toc.yml, or take the link out")
        elif path.endswith(".ipynb") and target.with_suffix(".md").is_file():
            yield Finding(page, at, f"{path}: the page is written in Markdown; write {path.rpartition('.')[0]}.md")


def unread(token: Token) -> str:
    """The text of a paragraph as the parser leaves it: what looks like a link in it is none."""
    return "".join(
        child.content if child.type == "text" else "\n" if child.type.endswith("break") else MASK
        for child in token.children or ()
    )


def masked(token: Token) -> str:
    """The text of a paragraph as it was written, without code, formulas, roles, HTML and addresses."""
    content, at = token.content, 0
    out = content
    for child in token.children or ():
        if child.type in ("code_inline", "myst_role"):
            name = r"\{[^{}`\s]+\}" if child.type == "myst_role" else ""
            found = re.compile(rf"{name}(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S).search(content, at)
        elif child.type in ("math_inline", "math_inline_double"):
            found = re.compile(r"\${1,2}" + re.escape(child.content) + r"\${1,2}").search(content, at)
        elif child.type == "html_inline":
            found = re.compile(re.escape(child.content)).search(content, at)
        elif child.type in ("image", "link_open"):
            found = None
        else:
            continue
        if found:
            at = found.end()
            out = out[: found.start()] + re.sub(r"[^\n]", MASK, found[0]) + out[found.end() :]
    hidden = re.compile(r"(?<=\])\([^()\s]*(?:\([^()\s]*\))?[^()\s]*(?:\s+(?:\"[^\"]*\"|'[^']*'))?\)|<[a-z]+:[^>\s]*>")
    if any(child.type in ("image", "link_open") for child in token.children or ()):
        out = hidden.sub(lambda found: re.sub(r"[^\n]", MASK, found[0]), out)
    return out


Say = Callable[[re.Match[str], Book, Iterable[str]], str]


def role_without_backticks(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    name, after = found[1], found[2]
    # Others are words, too, that may stand in braces.
    certain = ":" in name or name in ("ref", "eq", "numref", "doc", "term", "math")
    if name not in roles or not (certain or after == " " + MASK or after in tuple("'\"´‘“(<")):
        return ""
    if after == " " + MASK:
        return f"a space between {{{name}}} and its backtick; take it out"
    return f"{{{name}}} has no text in backticks right after it; write {{{name}}}`…`"


def rest_role(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    name = found[1]
    return f":{name}: is reStructuredText; write {{{name}}}`…`" if name in roles else ""


def rest_directive(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    return f".. {found[1]}:: is reStructuredText; write ```{{{found[1]}}}, its content, and ``` below it"


def lone_dollars(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    if not is_formula(found[1]):
        return ""
    shown = f"${found[1]}$"
    if found[1] != found[1].strip():
        return f"{shown} is not typeset: a space beside a dollar; take it out, or write \\$ for a dollar"
    return f"{shown} is not typeset: a digit beside a dollar; write the digit inside, or \\$ for a dollar"


NO_TABLE = re.compile(r"^([^\n]*\|[^\n]*)\n(\|?[ :]*-{2,}[-| :]*)$", re.M)


def table_of_text(found: re.Match[str]) -> str:
    head, dashes = cells_of(found[1]), cells_of(found[2])
    if cut := cut_by_a_bar(found[1]):
        return cut
    return f"no table: its head has {head} cells and the line of dashes {dashes}; make them as many"


def cited(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    keys = re.findall(r"@([\w:-]+)", found[0])
    return f"{found[0]} is no citation here; write {{cite:p}}`{','.join(keys)}`" if set(keys) & book.references else ""


def saying(text: str) -> Say:
    return lambda found, book, roles: text.replace("%1", found[1] if found.re.groups else found[0])


def no_footnote(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    if found[1].lower() in book.definitions:
        return ""
    return f"there is no footnote [{found[1]}]; write [{found[1]}]: and its text below"


def no_address(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    if (found[2] or found[1]).lower() in book.definitions:
        return ""
    return "a link to an address that is not given; write [text](address)"


def latex_environment(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    how = {
        "itemize": "a list, - …",
        "enumerate": "a list, 1. …",
        "figure": "```{figure}",
        "table": "a table, | … | … |",
    }
    if found[1] in how or found[1] in ("center", "verbatim", "quote", "tabular", "abstract", "document", "lstlisting"):
        return f"\\begin{{{found[1]}}} is LaTeX; write it in Markdown{': ' + how[found[1]] if found[1] in how else ''}"
    return f"\\begin{{{found[1]}}} stands raw on the page; write $$ … $$ (label) around it"


NAMES_OF_SYMBOLS = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|eta|theta|lambda|mu|nu|xi|rho|sigma|tau|phi|psi|omega|nabla|partial|"
    "infty|times|cdot|leq|geq|approx|sqrt|frac|sum|int|hat|bar|mathbb|mathrm|left|right"
)
PATTERNS: tuple[tuple[str, re.Pattern[str], Say], ...] = (
    ("{", re.compile(r"(?<!\{)\{([A-Za-z][\w:-]*)\}(?!\})( \0|.|$)", re.M), role_without_backticks),
    (":\0", re.compile(r"(?<![\w:]):([A-Za-z][\w:-]*?):\0"), rest_role),
    (".. ", re.compile(r"^\s*\.\. ([\w:-]+)::", re.M), rest_directive),
    (".. ", re.compile(r"^\s*\.\. _([\w:-]+):", re.M),
     saying(".. _%1: is reStructuredText; write (%1)= above a heading")),
    ("\0_", re.compile(r"\0__?(?=[\s.,;)]|$)", re.M),
     saying("`text <address>`_ is reStructuredText; write [text](address)")),
    ("$$", re.compile(ESCAPED + r"\$\$"),
     saying("$$ without its partner; write $$ on both sides, each in a line of its own")),
    ("\\[", re.compile(ESCAPED + r"\\\[(?=[\s\S]*?\\\])(?=[^\]]*[=^_]|[^\]]*\\[A-Za-z])"),
     saying(r"\[ … \] is no equation here; write $$ … $$ (label)")),
    ("\\(", re.compile(ESCAPED + r"\\\((?=[^)\n]*(?:\\\)))(?=\s*\w\s*\\\)|[^)\n]*[\\=^_][^)\n]*\\\))"),
     saying(r"\( … \) is no formula here; write $ … $")),
    ("\\begin", re.compile(r"\\begin\{(\w+\*?)\}"), latex_environment),
    ("$", re.compile(ESCAPED + r"\$(?!\$)((?:[^$\n\0]|\n(?!\n))+?)" + ESCAPED + r"\$(?!\$)"), lone_dollars),
    ("\\", re.compile(ESCAPED + r"(\\(?:eqref|ref|cite[tp]?|label|textbf|textit|emph|section|subsection|footnote|item|"
                r"url|href|includegraphics|caption)\b\*?(?=[\[{]))"),
     saying("%1 is LaTeX; write it in Markdown: {eq}`label`, {ref}`label`, {cite:p}`key`, **bold**, # Title")),
    ("\\", re.compile(ESCAPED + rf"(\\(?:{NAMES_OF_SYMBOLS})\b)"),
     saying("%1 outside a formula stands raw; write $ … $")),
    ("=", re.compile(r"^\s*(\([\w:.+-]+\)\s*=)", re.M),
     saying("%1 is no label; write it in a line of its own, (name)=")),
    (")=", re.compile(r"(?<=\s)(\([\w:.+-]+\)=)\s*$", re.M), saying("%1 is no label; write it in a line of its own")),
    ("#", re.compile(r"^(#{1,6})(?=[A-Za-z])[^\n]*\Z"), saying("%1 without a space is no heading; write one after it")),
    ("[!", re.compile(r"^\s*\[!(\w+)\]", re.M),
     saying("[!%1] is GitHub's; write ```{note}, the text, and ``` below it")),
    ("@", re.compile(r"\[?(?<![\w@])@[\w:-]+(?:; ?@[\w:-]+)*\]?"), cited),
    ("~~", re.compile(r"~~(?=\S)([^~\n]+)~~"), saying("~~ does not strike out here; take it out")),
    ("```", re.compile(r"^(`{3,})", re.M), saying("%1 opens no fence, as its line has a backtick more; take that out")),
    ("`", re.compile(ESCAPED + r"`"), saying("a backtick without its partner; close it, or write \\`")),
)  # fmt: skip
PATTERNS_OF_LINKS: tuple[tuple[str, re.Pattern[str], Say], ...] = (
    ("[^", re.compile(r"\[(\^[^\]\s]+)\](?!:)"), no_footnote),
    ("](", re.compile(r"(?<!\\)\]\((file:[^\s)]*)"),
     saying("%1 is a file of this machine only; put it beside the page and name it from there")),
    ("](", re.compile(r"(?<!\\)\]\((?=\S)"),
     saying("a link that is not closed, or has a space in its address; write [text](address)")),
    ("] (", re.compile(r"(?<!\\)\] \((?=https?:|[\w/.-]+\.md\b)"),
     saying("a space inside a link; write [text](address)")),
    (")[", re.compile(r"\([^()\n]+\)\[(?:https?:|[\w/.-]+\.md\b)"),
     saying("a link the wrong way round; write [text](address)")),
    ("][", re.compile(r"(?<![\w\]\\])\[([^\[\]\n\0]+)\]\[([^\[\]\n]*)\]"), no_address),
)  # fmt: skip


# --- the contents --------------------------------------------------------------------------------------------------


def check_page_names(root: Path, docnames: Iterable[str]) -> Iterator[str]:
    """The pages whose names Sphinx or the book needs for a page of its own, a line each."""
    for docname in docnames:
        if docname.lower() in RESERVED:
            text = f"{docname} is the name of {RESERVED[docname.lower()]}; give the file another, or put it in book/"
            yield f"{place_in(root / '_toc.yml', docname)}: {text}"


def place_in(path: Path, word: str) -> str:
    """File and line at which a word stands."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        return path.name
    pattern = re.compile(rf"(?<![\w/.-]){re.escape(word)}(?![\w/-])")
    number = next((n for n, line in enumerate(lines, 1) if pattern.search(line)), 0)
    return f"{path.name}:{number}" if number else path.name


def check_bibliography(root: Path) -> Iterator[str]:
    """What is wrong with the files of references, a line each."""
    from pybtex.database.input.bibtex import Parser
    from pybtex.exceptions import PybtexError

    for path in sorted((root / "book").glob("*.bib")):
        name = path.relative_to(root).as_posix()
        try:
            text = read_text(path, root)
        except SectionError as error:
            yield str(error)
            continue
        lines: dict[str, int] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            if found := re.match(r"\s*@(?!comment|string|preamble)\w+\s*\{\s*([^\s,]+)", line, re.I):
                key = found[1].lower()
                if key in lines:
                    yield f"{name}:{number}: {found[1]} stands at line {lines[key]} already; take one of the two out"
                lines.setdefault(key, number)
            elif re.match(r"\s*@(?!comment|string|preamble)\w+\s*\{\s*$", line, re.I):
                yield f"{name}:{number}: an entry without a key; write one after the brace, and a comma"
                lines[f"line {number}"] = number
            elif re.match(r"(article|book|inproceedings|misc|phdthesis|techreport|incollection)\s*\{", line, re.I):
                yield f"{name}:{number}: an entry without @; write @{line.split('{')[0].strip()}"
        try:
            with pybtex_errors() as said:
                Parser().parse_string(text)
            faults = [error for error in said if "repeated bibliography entry" not in str(error)]
        except PybtexError as error:
            faults = [error]
        for fault in () if any(key.startswith("line ") for key in lines) else faults[:1]:
            # An entry that isn't closed, or a comma that is missing, is seen at what follows it.
            seen = int(getattr(fault, "lineno", None) or 1)
            start = max((line for line in lines.values() if line <= seen), default=1)
            before = max((line for line in lines.values() if line < start), default=start)
            at = before if re.match(r"\s*@", text.split("\n")[min(seen, text.count("\n")) - 1]) else start
            reason = str(fault).partition(": ")[2] or str(fault)
            yield f"{name}:{at}: the entry cannot be read ({reason}); write the comma, brace or quote that is missing"


@contextlib.contextmanager
def pybtex_errors() -> Iterator[list[Any]]:
    """What the parser of references complains of, instead of printing it."""
    from pybtex.errors import capture

    with capture() as said:
        yield said


# --- in the build --------------------------------------------------------------------------------------------------


def names_of(app: Sphinx) -> Names:
    """All directives and roles that docutils, Sphinx and its extensions have."""
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en

    found: dict[str, Any] = {name: docutils_directive(name) for name in directives._directive_registry}
    found |= {name: found.get(of) for name, of in en.directives.items()}
    known = {*roles._role_registry, *en.roles, *roles._roles}
    for domain in app.env.domains.values():
        # Those of the standard domain and of the primary one need no prefix.
        for prefix in ("", f"{domain.name}:") if domain.name in ("std", app.config.primary_domain) else (
            f"{domain.name}:",):  # fmt: skip
            found |= {f"{prefix}{name}": directive for name, directive in domain.directives.items()}
            known |= {f"{prefix}{name}" for name in domain.roles}
    found |= {**directives._directives, "eval-rst": None}
    takes = {
        name.lower(): sorted(getattr(directive, "option_spec", None) or ()) or None for name, directive in found.items()
    }
    shown = {name: takes[name] for name in sorted(takes) if name and not name.startswith("_")}
    return Names(shown, sorted({name.lower() for name in known if name}))


def docutils_directive(name: str) -> Any:
    from docutils.parsers.rst import directives

    module, directive = directives._directive_registry[name]
    return getattr(importlib.import_module(f"docutils.parsers.rst.directives.{module}"), directive, None)


def check(app: Sphinx) -> None:
    """Check all sources before anything else reads them.

    Raises:
        SourceFaults: if Sphinx would not warn of all that is wrong.
    """
    root, names = Path(app.srcdir), names_of(app)
    remember_names(root, names)
    docnames = [name for name in contents(root) if (root / f"{name}.md").is_file()]
    found = refuse_sources(root, docnames, names, check_bibliography(root))
    # What Sphinx warns of, too, is a warning here; `warning_remedies` then leaves out that of Sphinx.
    app.descent_said = {finding.page.docname for finding in found}  # type: ignore[attr-defined]
    for finding in found:
        logger.warning("%s", finding.text, location=str(root / finding.where), type="descent", subtype="source")


def refuse_sources(root: Path, docnames: list[str], names: Names | None, others: Iterable[str] = ()) -> list[Finding]:
    """What is wrong with the sources that Sphinx will warn of, too.

    Args:
        root: the top of the book.
        docnames: its pages.
        names: see `check_sources`.
        others: faults that were found elsewhere, a line each.

    Raises:
        SourceFaults: if there is more than what Sphinx will warn of.
    """
    unreadable, found = check_sources(root, docnames, names)
    faults = [*check_page_names(root, docnames), *others, *unreadable]
    if faults or not all(finding.warns for finding in found):
        raise SourceFaults("\n".join([*faults, *map(str, found)]))
    return found


def check_math(app: Sphinx, document: nodes.document) -> None:
    """Each displayed equation of a page must be one that the check of the equations has found in its text."""
    page = read_page(Path(app.srcdir), app.env.docname)
    seen = {"".join(block.body.split()) for block in page.blocks}
    seen |= {label_of(block, "") or "" for block in page.blocks} - {""}
    for block in document.findall(nodes.math_block):
        if block.get("label") in seen or "".join(block.astext().split()) in seen or made_by_a_cell(block):
            continue
        text = "a displayed equation that is not checked; write it in Markdown, $$ … $$ (label)"
        logger.warning(text, location=block)


def made_by_a_cell(node: nodes.Node) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, nodes.Element) and node.get("nb_element") in ("cell_code_output", "mime_bundle"):
            return True
    return False


# --- without a build -----------------------------------------------------------------------------------------------


def memory(root: Path) -> tuple[Path, str]:
    """Where the names are remembered, and a hash of what they follow from."""
    parts = [pins(root), digest(root / "_config.yml", root / "book" / "_ext")]
    return root / "_build" / ".names.json", hashlib.sha256("\0".join(parts).encode()).hexdigest()


def remember_names(root: Path, names: Names) -> None:
    """Keep the names for `make equations`, which has no Sphinx application to ask."""
    path, key = memory(root)
    text = json.dumps({"key": key, "directives": names.directives, "roles": names.roles})
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(text, encoding="utf-8")
        new.replace(path)


def remembered_names(root: Path) -> Names | None:
    """The names that the last build knew, if it was one of the same extensions."""
    path, key = memory(root)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Names(found["directives"], found["roles"]) if found["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask_sphinx(root: Path) -> Names | None:
    """The names, from an application that is made for that alone; it takes seconds, but only once."""
    from book._ext.settings import read_settings  # which imports this module

    with tempfile.TemporaryDirectory() as folder, docutils_namespace(), contextlib.suppress(SphinxError):
        config = read_settings(EDITIONS[0], Path(folder))
        Sphinx(str(root), None, folder, f"{folder}/trees", "dummy", config, status=None, warning=io.StringIO())
    # They are kept before anything can be found wrong.
    return remembered_names(root)


def setup(app: Sphinx) -> dict[str, Any]:
    # Before the bibliography is read; all directives are known by then.
    app.connect("builder-inited", check, priority=100)
    app.connect("doctree-read", check_math)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
