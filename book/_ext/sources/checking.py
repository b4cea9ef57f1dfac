"""What is wrong with the sources, said before a cell runs and before Sphinx reads a page: file, line, what to do.

All pages are looked through in one go, so one build names all faults. The build stops here for what Sphinx and MyST
would pass over, or name badly. Where they warn of it at its place, `warning_remedies` adds to their warning what to do.
They warn of a misspelt directive or role, too, but after the cells have run: here that is the first thing said.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util import logging
from sphinx.util.docutils import docutils_namespace

from book._ext.compat import directives_and_roles
from book._ext.execute.freshness import pins
from book._ext.files import files_digest, read_json, text_digest, write_json
from book._ext.sources.block_check import EXERCISES, check_block, labels_in, not_closed
from book._ext.sources.editions import EDITIONS
from book._ext.sources.findings import Book, Finding, Names, line_of, near
from book._ext.sources.text_check import check_token
from book._ext.sources.yaml_faults import read_yaml
from book._ext.state import build_state
from optim_code.equations.sections import Page, SectionError, Text, contents, label_of, read_page, read_text

if TYPE_CHECKING:
    from markdown_it.token import Token

logger = logging.getLogger(__name__)

FRONT_KEYS = {
    "file_format", "kernelspec", "jupytext", "edition", "execution", "mystnb", "myst", "substitutions", "html_meta",
    "orphan", "tocdepth", "nosearch", "title", "author", "authors", "date", "abstract", "keywords", "language_info",
}  # fmt: skip
RESERVED = {"search": "the page of the search", "index": "the way in", "genindex": "the index"}
RESERVED |= {"py-modindex": "the index of the module"}
"""What Sphinx and this book themselves write at the top of the book."""
NAMES = "_build/.names.json"
"""The file that keeps the names of all directives and roles."""


class SourceFaults(SphinxError):
    """The faults of the sources, one line each."""

    category = "The sources have faults"


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
    found, known = directives_and_roles(app)
    found["eval-rst"] = None
    takes = {
        name.lower(): sorted(getattr(directive, "option_spec", None) or ()) or None for name, directive in found.items()
    }
    shown = {name: takes[name] for name in sorted(takes) if name and not name.startswith("_")}
    return Names(shown, sorted({name.lower() for name in known if name}))


def check_all_sources(app: Sphinx) -> None:
    """Check all sources before anything else reads them.

    Raises:
        SourceFaults: if Sphinx would not warn of all that is wrong.
    """
    root, names = Path(app.srcdir), names_of(app)
    remember_names(root, names)
    docnames = [name for name in contents(root) if (root / f"{name}.md").is_file()]
    found = refuse_sources(root, docnames, names, check_bibliography(root))
    # What Sphinx warns of, too, is a warning here; `warning_remedies` then leaves out that of Sphinx.
    build_state(app).warned = {finding.page.docname for finding in found}
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


def names_digest(root: Path) -> str:
    """A digest of what decides which directives and roles there are."""
    return text_digest(pins(root), files_digest(root / "_config.yml", root / "book" / "_ext"))


def remember_names(root: Path, names: Names) -> None:
    """Keep the names for `make equations`, which has no Sphinx application to ask."""
    data = {"digest": names_digest(root), "directives": dict(names.directives), "roles": list(names.roles)}
    if read_json(root / NAMES) != data:
        write_json(root / NAMES, data)


def remembered_names(root: Path) -> Names | None:
    """The names that the last build knew; None if the settings or the extension have changed since."""
    data = read_json(root / NAMES)
    return Names(data["directives"], data["roles"]) if data.get("digest") == names_digest(root) else None


def ask_sphinx(root: Path) -> Names | None:
    """The names of a Sphinx application that is made for this purpose; that takes seconds, once."""
    from book._ext.sources.settings import read_settings

    with tempfile.TemporaryDirectory() as folder, docutils_namespace(), contextlib.suppress(SphinxError):
        config = read_settings(EDITIONS[0], Path(folder))
        Sphinx(str(root), None, folder, f"{folder}/trees", "dummy", config, status=None, warning=io.StringIO())
    # They are kept before anything can be found wrong.
    return remembered_names(root)
