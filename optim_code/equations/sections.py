"""The only reader of sections: which pages there are, what they include, and which blocks they contain.

All code that works on the source of a page (the check of equations, `check`, the notebooks, the two editions, the
digests of freshness, the search for leaks) gets its text from `read_page` and its structure from `Page.blocks`. So only
this module handles byte-order marks, Windows line ends and ``{include}``, and it finds directives at any depth: in
lists, quotations and other directives. It needs neither torch nor Sphinx.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

FENCES = ("fence", "colon_fence")
EQUATIONS = ("math_block", "math_block_label", "amsmath")
# Directives whose content is not MyST.
VERBATIM = {
    "bibliography", "code", "code-block", "code-cell", "csv-table", "equation-coverage", "eval-rst", "include",
    "literalinclude", "math", "mermaid", "parsed-literal", "playground", "raw", "sentence-coverage", "sourcecode",
}  # fmt: skip
OPTIONS = re.compile(
    r"\A(?:---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)|(?P<short>(?:[ \t]*:[^\s:][^:\n]*:[^\n]*(?:\n|\Z))+))",
    re.M | re.S,
)
"""The options at the head of a directive's content: YAML between lines of dashes, or lines that begin with a colon."""
INCLUDED = ("start-line", "end-line", "start-after", "end-before")
"""The options of an ``{include}`` that choose a part of the file."""
SHOWN = ("literal", "code")
"""The options of an ``{include}`` with which the file is shown as it is, and not read as MyST."""


class SectionError(ValueError):
    """The source of a page cannot be read; the message is one line with the place, what is wrong and what to do."""


@dataclass(frozen=True)
class Block:
    """A directive, a displayed equation or a table, at any depth of a page.

    Attributes:
        kind: ``directive``, ``equation``, ``table``, ``code`` (a fence without a directive's name), ``comment``, or
            ``html`` (raw HTML: a block of it, or a paragraph that holds some).
        name: of a directive, its name.
        argument: of a directive, what follows its name; of an equation, its label; of a comment, its text.
        options: of a directive, the text of its options, without the marks around them.
        body: the content, without the options and without the indents and marks of lists and quotations around it.
        first: its first line in `Page.lines`, counted from 0.
        last: the line after its last line.
        start: the line at which `body` begins.
        parents: the names of the directives around it, the outermost first.
        level: the number of lists and quotations around it, within the innermost directive.
        markup: what opens it, such as three backticks; an equation in the middle of a line has ``$$`` and level -1.
        closed: whether its end is marked; a fence that is not closed extends to the end of its container.
    """

    kind: str
    name: str
    argument: str
    options: str
    body: str
    first: int
    last: int
    start: int
    parents: tuple[str, ...] = ()
    level: int = 0
    markup: str = ""
    closed: bool = True


@dataclass(frozen=True)
class Text:
    """A part of a page that is read as MyST. A directive in it is one token; its content is a `Text` of its own.

    Attributes:
        tokens: the tokens of markdown-it; their lines are counted from `first`.
        first: the first line in `Page.lines`, counted from 0.
        parents: the names of the directives around it, the outermost first.
    """

    tokens: list[Token]
    first: int
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """The text of a page with all that it includes.

    Attributes:
        docname: its name, such as ``book/adam``.
        lines: its lines.
        places: for each line the file, as a path from the top of the book, and the line in it, counted from 1.
        included: the files that it includes or shows.
    """

    docname: str
    lines: list[str]
    places: list[tuple[str, int]] = field(default_factory=list)
    included: list[Path] = field(default_factory=list)

    @functools.cached_property
    def text(self) -> str:
        """The whole text."""
        return "\n".join(self.lines)

    @property
    def blocks(self) -> list[Block]:
        """All blocks, in their order; a directive comes before the blocks in it."""
        return parsed(self.text)[0]

    @property
    def texts(self) -> list[Text]:
        """All parts that are read as MyST: the page itself, and the content of each directive."""
        return parsed(self.text)[1]

    @functools.cached_property
    def front(self) -> dict[str, Any]:
        """What its front matter says; empty if there is none, or none that can be read, which `checking` reports."""
        import yaml

        first = next(iter(self.texts[0].tokens), None)
        if first is None or first.type != "front_matter":
            return {}
        try:
            found = load_yaml(first.content)
        except yaml.YAMLError:
            return {}
        return found if isinstance(found, dict) else {}

    def where(self, line: int) -> str:
        """File and line, for a message, of a line of this page counted from 0."""
        file, number = self.places[min(line, len(self.places) - 1)] if self.places else (f"{self.docname}.md", line + 1)
        return f"{file}:{number}"


# --- which pages ---------------------------------------------------------------------------------------------------


def contents(root: Path) -> list[str]:
    """The names of all pages of a book, in the order of its table of contents; empty if the table cannot be read.

    The build checks the table elsewhere; this function only finds the files that it names.
    """
    import yaml

    try:
        toc = load_yaml((root / "_toc.yml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    # A dictionary keeps the first of two equal names.
    return list(dict.fromkeys(pages_of(toc, root)))


def pages_of(entry: Any, root: Path) -> Iterator[str]:
    """The pages that a part of a table of contents names, without the suffix of their files."""
    if isinstance(entry, list):
        for item in entry:
            yield from pages_of(item, root)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            if key in ("root", "file") and isinstance(value, str):
                yield value.removesuffix(".md")
            elif key == "glob" and isinstance(value, str):
                found = sorted(root.glob(f"{value.removesuffix('.md')}.md"))
                yield from (path.relative_to(root).with_suffix("").as_posix() for path in found)
            else:
                yield from pages_of(value, root)


def read_pages(root: Path) -> dict[str, Page]:
    """All pages of a book by their names, in the order of its table of contents."""
    return {docname: read_page(root, docname) for docname in contents(root)}


# --- reading -------------------------------------------------------------------------------------------------------


def read_text(path: Path, root: Path | None = None) -> str:
    """The text of a file in UTF-8, without a byte-order mark, and with newlines as line ends.

    Args:
        path: the file.
        root: the top of the book; messages name the file from there. Without it they have only its name.

    Raises:
        SectionError: if the file does not exist, or is not UTF-8; with the line.
    """
    name = path.name if root is None else name_of(path, root)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SectionError(f"{name}: {error.strerror}; write it, or take out what names it") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02x}"
        raise SectionError(f"{name}:{line}: {byte} is not UTF-8; save the file as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_page(root: Path, docname: str) -> Page:
    """A page with all that it includes.

    Raises:
        SectionError: if a file does not exist or is not UTF-8, or an ``{include}`` is wrong; with file and line.
    """
    path = root / f"{docname}.md"
    lines = read_text(path, root).split("\n")
    name = name_of(path, root)
    places = [(name, number) for number in range(1, len(lines) + 1)]
    included: list[Path] = []
    if any("{include}" in line for line in lines):
        reader = Includer(root, path.parent, included)
        lines, places = reader.expanded(lines, places, (path,))
    return Page(docname, lines, places, included)


def name_of(path: Path, root: Path) -> str:
    """The path of a file from the top of the book, for a message."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


class Includer:
    """Replaces each ``{include}`` of a page by the file that it names.

    Args:
        root: the top of the book.
        folder: the folder of the page; names of files are relative to it, as in MyST.
        included: a list to which the paths of the files are added.
    """

    def __init__(self, root: Path, folder: Path, included: list[Path]) -> None:
        self.root, self.folder, self.included = root, folder, included

    def expanded(
        self, lines: Sequence[str], places: Sequence[tuple[str, int]], within: tuple[Path, ...]
    ) -> tuple[list[str], list[tuple[str, int]]]:
        """Lines and their places, with the included lines.

        Args:
            lines: the lines of a file.
            places: file and line of each.
            within: the files that are being read; one of them must not be included again.
        """
        new, origins = list(lines), list(places)
        found = parsed("\n".join(lines))[0]
        # From the last to the first, so that the line numbers of the other blocks stay right.
        for block in reversed(found):
            if block.kind != "directive" or block.name != "include":
                continue
            file, number = origins[block.first]
            inside = self.read(block, f"{file}:{number}", within)
            if inside is None:
                continue
            texts, their_places = inside
            before, rest = prefixes(new[block.first], block)
            texts = [((before if n == 0 else rest) + text).rstrip() for n, text in enumerate(texts)]
            new[block.first : block.last] = texts
            origins[block.first : block.last] = their_places
            for parent in found:
                if parent.kind == "directive" and parent.first < block.first and block.last <= parent.last:
                    # A fence must be longer than the fences in it, or it would end with them.
                    lengthen(new, parent, texts, len(texts) - (block.last - block.first))
        return new, origins

    def read(
        self, block: Block, where: str, within: tuple[Path, ...]
    ) -> tuple[list[str], list[tuple[str, int]]] | None:
        """The lines that an ``{include}`` adds, with their places; None if it shows the file as it is."""
        named = block.argument.strip()
        path = self.root / named.lstrip("/") if named.startswith("/") else self.folder / named
        if not named or not path.is_file():
            what = f"{{include}} names {named or 'no file'}, which is not there"
            raise SectionError(f"{where}: {what}; write it or fix the name")
        path = path.resolve()
        if path in within:
            raise SectionError(f"{where}: {{include}} {named}: the file includes itself; take one of the two out")
        if path not in self.included:
            self.included.append(path)
        options = read_options(block, where)
        if any(name in options for name in SHOWN):
            return None
        unknown = [name for name in options if name not in INCLUDED]
        if unknown:
            raise SectionError(f"{where}: {{include}} has no option {unknown[0]} here; it takes {', '.join(INCLUDED)}")
        lines = read_text(path, self.root.resolve()).split("\n")
        places = [(name_of(path, self.root.resolve()), number) for number in range(1, len(lines) + 1)]
        first, last = part_of(lines, options, f"{where}: {{include}} {named}")
        lines, places = lines[first:last], places[first:last]
        while lines and not lines[-1].strip():
            lines, places = lines[:-1], places[:-1]
        return self.expanded(lines or [""], places or [(name_of(path, self.root.resolve()), 1)], (*within, path))


def part_of(lines: list[str], options: dict[str, Any], what: str) -> tuple[int, int]:
    """The part of a file that the options of an ``{include}`` choose: its first line, and the line after its last."""
    try:
        first, last, _ = slice(options.get("start-line"), options.get("end-line")).indices(len(lines))
    except TypeError:
        raise SectionError(f"{what}: start-line and end-line are whole numbers; fix them") from None
    for name, text in options.items():
        if name in ("start-after", "end-before"):
            at = next((n for n in range(first, last) if str(text) in lines[n]), None)
            if at is None:
                raise SectionError(f"{what}: {name}: the file has no {text}; fix it")
            first, last = (at + 1, last) if name == "start-after" else (first, at)
    return first, last


def prefixes(line: str, block: Block) -> tuple[str, str]:
    """What stands before a block in its first line, and what its other lines need to stay in the same container."""
    before = line[: line.index(block.markup)] if block.markup in line else ""
    return before, re.sub(r"[^\s>]", " ", before)


def lengthen(lines: list[str], parent: Block, inside: list[str], grown: int) -> None:
    """Make a fence longer than all fences in it, at both ends.

    Args:
        lines: the lines of the page; two of them are changed.
        parent: the fence.
        inside: the included lines.
        grown: by how many lines the content has grown.
    """
    mark = parent.markup[0]
    longest = max((len(run) for line in inside for run in re.findall(rf"{re.escape(mark)}{{3,}}", line)), default=0)
    if longest < len(parent.markup):
        return
    for number in (parent.first, parent.last - 1 + grown):
        line = lines[number]
        old = re.search(rf"{re.escape(mark)}{{{len(parent.markup)},}}", line)
        if old:
            lines[number] = f"{line[: old.start()]}{mark * (longest + 1)}{line[old.end() :]}"


# --- structure -----------------------------------------------------------------------------------------------------


@functools.cache
def parser() -> MarkdownIt:
    """The parser of MyST with the extensions of this book, and `amsmath`, which finds equations without dollars."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.amsmath import amsmath_plugin
    from mdit_py_plugins.colon_fence import colon_fence_plugin
    from mdit_py_plugins.deflist import deflist_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.footnote import footnote_plugin
    from mdit_py_plugins.front_matter import front_matter_plugin
    from mdit_py_plugins.myst_blocks import myst_block_plugin
    from mdit_py_plugins.myst_role import myst_role_plugin

    return (
        MarkdownIt("commonmark")
        .enable("table")
        .use(front_matter_plugin)
        .use(myst_block_plugin)
        .use(myst_role_plugin)
        .use(footnote_plugin)
        .disable(["footnote_inline", "footnote_tail"])
        # A price in dollars is no formula: see `myst_dmath_allow_space` and `_digits` in _config.yml.
        .use(dollarmath_plugin, allow_labels=True, allow_space=False, allow_digits=False, double_inline=True)
        .use(colon_fence_plugin)
        .use(amsmath_plugin)
        .use(deflist_plugin)
    )


@functools.lru_cache(maxsize=256)
def parsed(text: str) -> tuple[list[Block], list[Text]]:
    """The blocks and the texts of a page; kept, because several modules use those of each page."""
    texts: list[Text] = []
    return list(blocks(text, texts=texts)), texts


def blocks(
    text: str, first: int = 0, parents: tuple[str, ...] = (), texts: list[Text] | None = None
) -> Iterator[Block]:
    """The blocks of a text in MyST, at any depth.

    Args:
        text: the text.
        first: its first line in the page.
        parents: the names of the directives around it.
        texts: a list to which it and the contents of its directives are added.
    """
    tokens = parser().parse(text)
    if texts is not None:
        texts.append(Text(tokens, first, parents))
    last_line = 0
    for token in tokens:
        line = first + (token.map[0] if token.map else last_line)
        last_line = token.map[0] if token.map else last_line
        end = first + (token.map[1] if token.map else last_line + 1)
        if token.type in FENCES:
            yield from fence(token, line, end, parents, texts)
        elif token.type in EQUATIONS:
            label = token.info if token.type == "math_block_label" else ""
            body = token.content.strip()
            name = "amsmath" if token.type == "amsmath" else ""
            yield Block("equation", name, label, "", body, line, end, line, parents, token.level, "$$")
        elif token.type == "table_open":
            yield Block("table", "", "", "", "", line, end, line, parents, token.level)
        elif token.type == "myst_line_comment":
            yield Block("comment", "", token.content.strip(), "", "", line, end, line, parents, token.level, "%")
        elif token.type == "html_block":
            yield Block("html", "", "", "", token.content, line, end, line, parents, token.level, "<")
        elif token.type == "inline":
            children = token.children or ()
            if any(child.type == "html_inline" for child in children):
                end = max(end, line + token.content.count("\n") + 1)  # a term has no lines of its own
                yield Block("html", "", "", "", token.content, line, end, line, parents, token.level, "<")
            for child in children:
                if child.type == "math_inline_double":
                    yield Block("equation", "", "", "", child.content, line, end, line, parents, -1, "$$")


def fence(token: Token, line: int, end: int, parents: tuple[str, ...], texts: list[Text] | None) -> Iterator[Block]:
    """The block of a fence, and the blocks in it if its content is MyST."""
    info, content = token.info.strip(), token.content
    closed = end - line == content.count("\n") + 2
    opening = re.match(r"\{([^{}\s]+)\}[ \t]*(.*)", info)
    if opening is None:
        yield Block("code", "", info, "", content, line, end, line + 1, parents, token.level, token.markup, closed)
        return
    name, argument = opening[1], opening[2].strip()
    given = OPTIONS.match(content)
    options = (given["yaml"] or given["short"] or "") if given else ""
    if given and given["short"]:
        options = re.sub(r"^[ \t]*:", "", options, flags=re.M)
    body = content[given.end() :] if given else content
    start = line + 1 + (content[: given.end()].count("\n") if given else 0)
    yield Block(
        "directive", name, argument, options, body, line, end, start, parents, token.level, token.markup, closed
    )
    if name not in VERBATIM:
        yield from blocks(body, start, (*parents, name), texts)


def load_yaml(text: str) -> Any:
    """What a text in YAML says; the loader in C, if there is one, is ten times as fast."""
    import yaml

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_options(block: Block, where: str) -> dict[str, Any]:
    """The options of a directive.

    Raises:
        SectionError: if they are not YAML; with file and line.
    """
    import yaml

    if not block.options.strip():
        return {}
    try:
        found = load_yaml(block.options)
    except yaml.YAMLError as error:
        raise SectionError(f"{where}: the options are not YAML ({one_problem(error)}); put a text in quotes") from error
    if not isinstance(found, dict):
        raise SectionError(f"{where}: the options are not YAML of the form name: value; fix them")
    return {str(name): value for name, value in found.items()}


def tags_of(cell: Block, where: str) -> list[str]:
    """The tags of a code cell."""
    tags = read_options(cell, where).get("tags", [])
    return [tags] if isinstance(tags, str) else list(map(str, tags or []))


def one_problem(error: Any) -> str:
    """The first line of what a YAML parser says about an error."""
    return str(getattr(error, "problem", None) or error).splitlines()[0]


# --- equations -----------------------------------------------------------------------------------------------------


def label_of(block: Block, where: str) -> str | None:
    """The label of a displayed equation, empty if it has none; None for any other block."""
    if block.kind == "equation":
        return block.argument
    if block.name == "math":
        return str(read_options(block, where).get("label", ""))
    return None


def displayed_updates(root: Path) -> dict[str, str]:
    """The LaTeX of all equations of a book with a label ``update-…``, by label.

    Raises:
        SectionError: if a page cannot be read; with file and line.
    """
    updates = {}
    for page in read_pages(root).values():
        for block in page.blocks:
            label = label_of(block, page.where(block.first))
            if label and label.startswith("update-"):
                updates[label] = block.body.strip()
    return updates
