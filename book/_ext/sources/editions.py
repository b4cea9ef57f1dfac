"""Make two editions of one source: the teacher's, which is the whole book, and the student's, without solutions.

What a student must not see is removed from the text of a section before anything else reads it, so it cannot appear in
a page, in the index of the search, in a PDF or in a notebook. Both editions show the outputs of the same run: code
cells stay, except those in a solution. `optim_code.equations.sections` finds what to remove, at any depth.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from book._ext.files import python_files
from book._ext.sources.findings import near
from optim_code.equations.sections import (
    Block,
    Page,
    SectionError,
    blocks,
    name_of,
    pages_of,
    prefixes,
    read_page,
    read_text,
)

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx
    from sphinx.config import Config

EDITIONS = ("teacher", "student")
CLASSES = "optim_code/optimizers.py"
"""The file whose classes students write themselves."""
LISTINGS = ("literalinclude", "include")
"""The directives that can show a file."""

WRITE = "% the class {} is left to the student"
"""A comment in Markdown; it takes the place of a listing of a class in the student's text."""
WRITTEN = re.compile(WRITE.format(r"(\w+)"))
"""Finds that comment."""
EXERCISE = re.compile(r"^:label:\s*(ex-[\w-]+-my-step)\s*$", re.M)
UPDATE = re.compile(r"\(update-([\w-]+)\)")
"""The label of an update equation, below it."""
HTML_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
EMPTY = "<!-- -->"
"""What remains where a list item began with a removed block: without it the item would end there."""


# --- a section's text ----------------------------------------------------------------------------------------------


def edition_text(text: str, edition: str, where: Callable[[int], str] = lambda line: f"line {line + 1}") -> str:
    """The text of a section in an edition, with as many lines as its source.

    ``{only} teacher`` and ``{only} student`` contain what only one edition shows; there the content replaces the fence.
    The student's edition has no ``{solution}``, gated or not, and no comments. In place of a listing of a class of
    `CLASSES` it has a sentence that says who writes the class.

    Args:
        text: the text with what it includes, as `read_page` gives it.
        edition: one of `EDITIONS`.
        where: gives file and line of a line of the text, counted from 0.

    Raises:
        SectionError: if a block to remove has no clear end, or ``{only}`` names no edition; with file and line.
    """
    if edition == EDITIONS[0] and "{only}" not in text.lower():
        return text
    lines = text.split("\n")
    all_blocks = list(blocks(text))
    removed_to = 0  # the blocks before this line are removed
    removed: list[int] = []
    for number, block in enumerate(all_blocks):
        name = block.name.lower()
        if block.first < removed_to:
            continue
        if name == "only" and is_for(block, edition, where):
            take_out(lines, block, block.first, block.first + 1)
            if block.closed:
                take_out(lines, block, block.last - 1, block.last)
        elif name == "only" or (edition == "student" and name == "solution"):
            take_out(lines, block, block.first, removed_to := block.last)
            removed.append(block.first)
        elif edition == "student" and name == "solution-start":
            take_out(lines, block, block.first, removed_to := end_of(block, all_blocks[number + 1 :], where))
            removed.append(block.first)
        elif edition == "student" and name in LISTINGS and shows_classes(block):
            replace_listing(lines, block, text)
        elif edition == "student" and block.kind == "comment":
            take_out(lines, block, block.first, block.last)
            if block.parents:  # a directive must not be left with nothing in it
                lines[block.first] = prefixes(text.split("\n")[block.first], block)[0] + EMPTY
        elif edition == "student" and "<!--" in block.body + block.argument + block.options:
            # A comment in the title or the options of a directive; one in its content is a block of its own.
            last = block.start if block.kind == "directive" else block.last
            if block.kind in ("directive", "html"):
                shown = "\n".join(lines[block.first : last])
                lines[block.first : last] = HTML_COMMENT.sub(without_words, shown).split("\n")
    for block in reversed(all_blocks):
        # A directive, such as a box, that contained nothing else is removed, too.
        if any(block.first < first < block.last for first in removed) and is_empty(block, lines):
            take_out(lines, block, block.first, block.last)
    return "\n".join(lines)


def is_empty(block: Block, lines: list[str]) -> bool:
    """Whether nothing is left in a directive; an exercise may be empty, so it never counts."""
    inside = lines[block.start : block.last - block.closed]
    left = any(line.replace(EMPTY, "").strip(" \t>") for line in inside)
    return block.kind == "directive" and not block.name.lower().startswith(("exercise", "only")) and not left


def take_out(lines: list[str], block: Block, first: int, last: int) -> None:
    """Empty some lines of a block, but keep what continues the lists and quotations around it."""
    before, rest = prefixes(lines[block.first], block)
    begins = before + EMPTY if before.strip(" \t>") else rest.rstrip()
    lines[first:last] = [begins if number == block.first else rest.rstrip() for number in range(first, last)]


def without_words(comment: re.Match[str]) -> str:
    """What remains of an HTML comment: an empty comment, its line ends, and the marks of quotations after them."""
    return EMPTY + "".join(re.findall(r"\n[ \t>]*", comment[0]))


def is_for(block: Block, edition: str, where: Callable[[int], str]) -> bool:
    """Whether an ``{only}`` is for an edition."""
    if block.argument not in EDITIONS:
        what = f"{{only}} {block.argument}".rstrip()
        raise SectionError(
            f"{where(block.first)}: {what}: there are two editions, {' and '.join(EDITIONS)}; name one of them"
        )
    return block.argument == edition


def end_of(start: Block, after: list[Block], where: Callable[[int], str]) -> int:
    """The line after the end of a gated solution.

    Args:
        start: its ``{solution-start}``.
        after: the blocks after that.
        where: gives file and line of a line.
    """
    gates = [block for block in after if block.name.lower() in ("solution-start", "solution-end")]
    if not gates or gates[0].name.lower() != "solution-end":
        raise SectionError(f"{where(start.first)}: {{solution-start}} has no {{solution-end}}; write it at its end")
    if (gates[0].parents, gates[0].level) != (start.parents, start.level):
        raise SectionError(
            f"{where(gates[0].first)}: {{solution-end}} stands deeper, or less deep, than its {{solution-start}} of "
            f"{where(start.first)}; write both side by side"
        )
    return gates[0].last


def shows_classes(block: Block) -> bool:
    """Whether a directive shows the file `CLASSES`."""
    return posixpath.basename(block.argument.strip()) == posixpath.basename(CLASSES)


def replace_listing(lines: list[str], block: Block, text: str) -> None:
    """Replace the listing of a class by a sentence that says who writes the class."""
    shown = re.search(r"^pyobject:[ \t]*(\w+)[ \t]*$", block.options, re.M)
    updates = UPDATE.findall("\n".join(text.split("\n")[: block.first]))
    exercise = exercise_of(text, updates[-1] if updates else "")
    where = f", in {{ref}}`{exercise}`" if exercise else ""
    instead = [
        f"You write the class `{shown[1]}` yourself{where}." if shown else f"You write this code yourself{where}."
    ]
    if shown and not block.parents and not block.level:
        # A notebook puts a stub of the class in place of this comment.
        instead = [WRITE.format(shown[1]), *([""] if block.last - block.first > 2 else []), *instead]
    before, rest = prefixes(lines[block.first], block)
    instead += [""] * (block.last - block.first)
    for number in range(block.first, block.last):
        lines[number] = f"{before if number == block.first else rest}{instead[number - block.first]}".rstrip()


def exercise_of(text: str, update: str) -> str:
    """The label of the exercise to write the class that a section prints; empty if it has none.

    Args:
        text: the section.
        update: the name of the update equation that stands last above the class. Of several exercises it is the one
            whose ``check`` names it.
    """
    found = list(EXERCISE.finditer(text))
    for exercise, following in zip_longest(found, found[1:]):
        asked = text[exercise.end() : following.start() if following else None]
        if update and f'check("{update}"' in asked:
            return exercise[1]
    return found[0][1] if found else ""


# --- the edition of a page --------------------------------------------------------------------------------------------


def is_for_teachers(page: Page) -> bool:
    """Whether the front matter of a page says so, even if it is misspelt, which the check of the sources refuses."""
    return any(says_edition(key, value, EDITIONS[:1]) for key, value in page.front.items())


def says_edition(key: object, value: object, editions: Sequence[str] = EDITIONS) -> bool:
    """Whether an entry was meant to say that a page is for one of these editions."""
    return bool(near(str(key), ["edition"]) and near(str(value), editions))


def place_of_edition(page: Page) -> str:
    """File and line of the entry ``edition`` in the front matter of a page."""
    return page.where(next((number for number, line in enumerate(page.lines) if "edition" in line), 0))


def class_files(root: Path) -> list[Path]:
    """The files that students do not get: `CLASSES`, and all other modules that define an optimizer."""
    files = [root / CLASSES]
    for path in python_files(root / "optim_code"):
        for node in ast.parse(read_text(path, root)).body:
            methods = {method.name for method in node.body if isinstance(method, ast.FunctionDef)} if isinstance(
                node, ast.ClassDef) else set()  # fmt: skip
            if "my_step" in methods and getattr(node, "name", "").endswith("Optimizer") and path not in files:
                files.append(path)
    return [path for path in files if path.is_file()]


def student_contents(contents: Any, root: Path) -> Any:
    """The student's table of contents: without the pages whose front matter says ``edition: teacher``.

    The pages below such a page are for teachers, too. The pages that a glob finds take its place.

    Args:
        contents: the table of contents of the book.
        root: the top of the book.

    Raises:
        SectionError: if the first page, or a page for students, would be removed.
    """
    first = read_page(root, contents["root"].removesuffix(".md"))
    if is_for_teachers(first):
        what = "the first page of the book is for teachers, so students have none"
        raise SectionError(f"{place_of_edition(first)}: {what}; take edition: out, or name another as root in _toc.yml")
    return entries_for_students(contents, root, {*named_pages(contents)})


def entries_for_students(entry: dict[str, Any], root: Path, named: set[str]) -> dict[str, Any]:
    """A part of a table of contents without pages for teachers, and without lists that are empty then.

    Args:
        entry: the part.
        root: the top of the book.
        named: the pages that the table names elsewhere, to which those of globs are added: no page stands there twice.
    """
    student_entry: dict[str, Any] = {}
    for key, value in entry.items():
        if not isinstance(value, list):
            student_entry[key] = value
            continue
        kept = [new for item in value for new in entry_for_students(item, root, named)]
        if kept or not value:
            student_entry[key] = kept
    return student_entry


def entry_for_students(item: Any, root: Path, named: set[str]) -> Iterator[Any]:
    """What replaces an item of a list in the student's table of contents: itself, a part of it, nothing, or several."""
    if not isinstance(item, dict):
        yield item
    elif "glob" in item:
        for docname in sorted(pages_of({"glob": item["glob"]}, root)):  # in Sphinx's order
            if docname not in named:
                named.add(docname)
                if not is_for_teachers(read_page(root, docname)):
                    yield {"file": docname}
    elif "file" in item and is_for_teachers(read_page(root, item["file"].removesuffix(".md"))):
        check_below(item, root)
    else:
        kept = entries_for_students(item, root, named)
        if "file" in item or "url" in item or any(isinstance(value, list) for value in kept.values()):
            yield kept


def check_below(item: dict[str, Any], root: Path) -> None:
    """Refuse a page for students below one for teachers."""
    for docname in [*pages_of(item, root)][1:]:
        page = read_page(root, docname)
        if page.front.get("edition") == EDITIONS[1]:
            above = item["file"].removesuffix(".md")
            raise SectionError(
                f"{place_of_edition(page)}: this page is for students, but _toc.yml has it below {above}, which is for "
                "teachers; move it there"
            )


def named_pages(contents: Any) -> Iterator[str]:
    """The pages that a table of contents names one by one, without those of globs."""
    if isinstance(contents, list):
        for entry in contents:
            yield from named_pages(entry)
    elif isinstance(contents, dict):
        for key, value in contents.items():
            yield from [value.removesuffix(".md")] if key in ("root", "file") else named_pages(value)


def check_included(page: Page, root: Path) -> None:
    """Refuse a page for students that includes one for teachers."""
    for path in page.included:
        name, text = name_of(path, root.resolve()), read_text(path, root.resolve())
        lines = text.split("\n")
        file = Page(name, lines, [(name, number + 1) for number in range(len(lines))])
        if is_for_teachers(file):
            raise SectionError(
                f"{place_of_edition(file)}: this is for teachers, but {page.docname}.md, which is for students, "
                "includes it; put what both say in a file of its own"
            )


# --- in the build --------------------------------------------------------------------------------------------------


def set_edition(app: Sphinx, config: Config) -> None:
    """Check the setting ``edition``."""
    if config["edition"] not in EDITIONS:
        raise ValueError(f"edition: {config['edition']}: there are two, {' and '.join(EDITIONS)}")


def cut_edition(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give Sphinx the text of a page in this edition."""
    from sphinx.errors import SphinxError

    root = Path(app.srcdir)
    page = read_page(root, docname)
    try:
        if app.config.edition == EDITIONS[1]:
            check_included(page, root)
        source[0] = edition_text(source[0], app.config.edition, page.where)
    except SectionError as error:
        raise SphinxError(str(error)) from error


def setup(app: Sphinx) -> None:
    app.add_config_value("edition", EDITIONS[0], "env", str)
