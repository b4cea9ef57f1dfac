"""Two editions of one source: the teacher's, which is the book, and the student's, in which the solutions are not.

What a student must not see is taken out of a section's text before anything reads it. So it cannot turn up later, in a
page, in the index of the search, in a PDF or in a notebook. Code cells stay as they are, so both editions show one run;
only those that stand in a solution go with it. What is taken out is found by `optim_code.equations.sections`, at any
depth.
"""

from __future__ import annotations

import ast
import difflib
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optim_code.equations.sections import (
    Block,
    Page,
    SectionError,
    blocks,
    name_of,
    one_problem,
    pages_of,
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
"""What stands in the student's text, a comment in Markdown, where the teacher's prints a class."""
WRITTEN = re.compile(WRITE.format(r"(\w+)"))
EXERCISE = re.compile(r"^:label:\s*(ex-[\w-]+-my-step)\s*$", re.M)
FRONT = re.compile(r"\A(?P<mark>-{3,})[^\n]*\n(?P<yaml>.*?)^(?: {0,3}(?P=mark)-*|\.\.\.)[ \t]*(?:\n|\Z)", re.M | re.S)
HTML_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
EMPTY = "<!-- -->"
"""What is left where a list item began with what is gone: without it the item would end there."""
ALIKE = 0.8
"""From this likeness on, by difflib, a key of the front matter is taken as a misspelt ``edition``."""


# --- a section's text ----------------------------------------------------------------------------------------------


def text_of(text: str, edition: str, where: Callable[[int], str] = lambda line: f"line {line + 1}") -> str:
    """The text of a section in an edition, with as many lines as its source has.

    ``{only} teacher`` and ``{only} student`` hold what only one edition says; their content takes the place of the
    fence. In the student's edition there is no ``{solution}``, gated or not, and no comment, and where a class of
    `CLASSES` is shown, a sentence says who writes it.

    Args:
        text: the text with what it includes, as `read_page` gives it.
        edition: one of `EDITIONS`.
        where: file and line of a line of the text, counted from 0.

    Raises:
        SectionError: if what is to be taken out has no clear end, or ``{only}`` names no edition; with file and line.
    """
    if edition == EDITIONS[0] and "{only}" not in text.lower():
        return text
    lines = text.split("\n")
    found = list(blocks(text))
    gone = 0  # the lines before this one need no second look
    taken: list[int] = []
    for number, block in enumerate(found):
        name = block.name.lower()
        if block.first < gone:
            continue
        if name in ("only", "solution"):
            check_ends(block, found[number + 1 :], where)
        if name == "only" and chosen(block, edition, where):
            take_out(lines, block, block.first, block.first + 1)
            if block.closed:
                take_out(lines, block, block.last - 1, block.last)
        elif name == "only" or (edition == "student" and name == "solution"):
            take_out(lines, block, block.first, gone := block.last)
            taken.append(block.first)
        elif edition == "student" and name == "solution-start":
            take_out(lines, block, block.first, gone := end_of(block, found[number + 1 :], where))
            taken.append(block.first)
        elif edition == "student" and name in LISTINGS and shows_classes(block):
            put_instead(lines, block, text)
        elif edition == "student" and block.kind == "comment":
            take_out(lines, block, block.first, block.last)
            if block.parents:  # a directive must not be left with nothing in it
                lines[block.first] = around(text.split("\n")[block.first], block)[0] + EMPTY
        elif edition == "student" and "<!--" in block.body + block.argument + block.options:
            # Of a directive, in its title and its options; what is in it comes by itself.
            last = block.start if block.kind == "directive" else block.last
            if block.kind in ("directive", "html"):
                shown = "\n".join(lines[block.first : last])
                lines[block.first : last] = HTML_COMMENT.sub(without_words, shown).split("\n")
    for block in reversed(found):
        # What held nothing else, such as a box, goes with it.
        if any(block.first < first < block.last for first in taken) and is_empty(block, lines):
            take_out(lines, block, block.first, block.last)
    return "\n".join(lines)


def is_empty(block: Block, lines: list[str]) -> bool:
    """Whether nothing is left in a directive; an exercise is one without a text, too."""
    inside = lines[block.start : block.last - block.closed]
    left = any(line.replace(EMPTY, "").strip(" \t>") for line in inside)
    return block.kind == "directive" and not block.name.lower().startswith(("exercise", "only")) and not left


def take_out(lines: list[str], block: Block, first: int, last: int) -> None:
    """Empty some lines of a block, and leave what holds the lists and quotations around it together."""
    before, rest = around(lines[block.first], block)
    begins = before + EMPTY if before.strip(" \t>") else rest.rstrip()
    lines[first:last] = [begins if number == block.first else rest.rstrip() for number in range(first, last)]


def around(line: str, block: Block) -> tuple[str, str]:
    """What stands before a block in its first line, and what keeps the lines after it in the same container."""
    before = line[: line.index(block.markup)] if block.markup in line else ""
    return before, re.sub(r"[^\s>]", " ", before)


def without_words(comment: re.Match[str]) -> str:
    """What is left of an HTML comment: its marks, its line ends, and the marks of quotations after them."""
    return EMPTY + "".join(re.findall(r"\n[ \t>]*", comment[0]))


def chosen(block: Block, edition: str, where: Callable[[int], str]) -> bool:
    """Whether an ``{only}`` is for an edition."""
    if block.argument not in EDITIONS:
        what = f"{{only}} {block.argument}".rstrip()
        raise SectionError(
            f"{where(block.first)}: {what}: there are two editions, {' and '.join(EDITIONS)}; name one of them"
        )
    return block.argument == edition


def check_ends(block: Block, after: list[Block], where: Callable[[int], str]) -> None:
    """Refuse a fence that ends where one inside it was to end: what comes next would stay."""
    for inner in after:
        if inner.first >= block.last:
            return
        if inner.markup and not inner.closed:
            raise SectionError(
                f"{where(inner.first)}: no end of this fence inside the {{{block.name}}} of {where(block.first)}; "
                f"end it, and make the fence of {{{block.name}}} longer than those in it"
            )


def end_of(start: Block, after: list[Block], where: Callable[[int], str]) -> int:
    """The line after the end of a gated solution."""
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
    return posixpath.basename(block.argument.strip()) == posixpath.basename(CLASSES)


def put_instead(lines: list[str], block: Block, text: str) -> None:
    """Say in the student's edition, in the place of a class, who writes it."""
    shown = re.search(r"^pyobject:[ \t]*(\w+)[ \t]*$", block.options, re.M)
    exercise = EXERCISE.search(text)
    where = f", in {{ref}}`{exercise[1]}`" if exercise else ""
    said = [f"You write the class `{shown[1]}` yourself{where}." if shown else f"You write this code yourself{where}."]
    if shown and not block.parents and not block.level:
        # A notebook has a stub there.
        said = [WRITE.format(shown[1]), *([""] if block.last - block.first > 2 else []), *said]
    before, rest = around(lines[block.first], block)
    said += [""] * (block.last - block.first)
    for number in range(block.first, block.last):
        lines[number] = f"{before if number == block.first else rest}{said[number - block.first]}".rstrip()


def fences(lines: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """The outermost directives of a text: first line, last line, name, argument."""
    for block in blocks("\n".join(lines)):
        if block.kind == "directive" and not block.parents and not block.level:
            yield block.first, block.last - 1, block.name, block.argument


# --- whom a page is for --------------------------------------------------------------------------------------------


def edition_of(page: Page) -> str:
    """What the front matter of a page says about its edition: one of `EDITIONS`, or nothing.

    Raises:
        SectionError: if it names no edition, or only seems to say something about it; with file and line.
    """
    import yaml

    front = FRONT.match(page.text)
    if front is None:
        check_front(page)
        return ""
    try:
        tree = yaml.compose(front["yaml"], getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = page.where(mark.line + 1 if mark else 0)
        raise SectionError(f"{place}: the front matter is not YAML ({one_problem(error)}); fix it") from error
    found = ""
    for key, value, depth in keys_of(tree):
        place = page.where(key.start_mark.line + 1)
        if not like_edition(key.value):
            continue
        if depth:  # another thing may be called so there, such as a substitution
            if isinstance(value.value, str) and difflib.get_close_matches(value.value.casefold(), EDITIONS):
                raise SectionError(f"{place}: {key.value} stands inside another entry; begin its line with edition:")
            continue
        if key.value != "edition":
            raise SectionError(f"{place}: {key.value} is unknown; whom a page is for is said by edition:")
        if found:
            raise SectionError(f"{place}: a second edition; take one of the two out")
        if value.value not in EDITIONS:
            said = value.value if isinstance(value.value, str) else "…"
            raise SectionError(
                f"{place}: edition: {said}: there are two editions, {' and '.join(EDITIONS)}; name one of them"
            )
        found = value.value
    return found


def place_of_edition(page: Page) -> str:
    """File and line of what the front matter says about the edition."""
    return page.where(next((number for number, line in enumerate(page.lines) if "edition" in line), 0))


def check_front(page: Page) -> None:
    """Refuse what was meant as front matter, and says something about the edition, but is shown as text."""
    inside = False
    for number, line in enumerate(page.lines):
        key = re.match(r"[ \t{\"']*([\w -]+?)[\"']?[ \t]*:[ \t\"']*(\w+)", line)
        if inside and key and like_edition(key[1]) and difflib.get_close_matches(key[2].casefold(), EDITIONS):
            raise SectionError(
                f"{page.where(number)}: this is not in the front matter, which begins with --- in the first line of a "
                "page and ends with ---; move it there"
            )
        if line.startswith("#") or (inside and re.match(r"[ \t]*(?:---|\.\.\.)", line)):
            return
        inside = inside or re.match(r"[ \t]*---", line) is not None


def keys_of(tree: Any, depth: int = 0) -> Iterator[tuple[Any, Any, int]]:
    """All keys in a tree of YAML with their values, and how deep they stand."""
    for entry in tree.value if tree is not None and tree.id != "scalar" else ():
        key, value = entry if isinstance(entry, tuple) else (None, entry)
        if key is not None and key.id == "scalar":
            yield key, value, depth
        yield from keys_of(value, depth + 1)


def like_edition(key: str) -> bool:
    """Whether a key is ``edition``, or somebody's attempt at it."""
    key = key.strip().casefold()
    return "edition" in key or difflib.SequenceMatcher(None, key, "edition").ratio() > ALIKE


def class_files(root: Path) -> list[Path]:
    """The files that students do not get: `CLASSES`, and each module that has an optimizer, wherever it lies."""
    found = [root / CLASSES]
    for path in sorted((root / "optim_code").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            methods = {method.name for method in node.body if isinstance(method, ast.FunctionDef)} if isinstance(
                node, ast.ClassDef) else set()  # fmt: skip
            if "my_step" in methods and getattr(node, "name", "").endswith("Optimizer") and path not in found:
                found.append(path)
    return [path for path in found if path.is_file()]


def contents_of(contents: Any, root: Path) -> Any:
    """A table of contents for students: without the pages whose front matter says ``edition: teacher``.

    The pages that stand below such a page are for teachers, too. A glob becomes the pages that it finds.

    Raises:
        SectionError: if the front matter of a page is wrong, or the first page, or one that is for students, would go.
    """
    first = read_page(root, contents["root"].removesuffix(".md"))
    if edition_of(first) == EDITIONS[0]:
        what = "the first page of the book is for teachers, so students have none"
        raise SectionError(f"{place_of_edition(first)}: {what}; take edition: out, or name another as root in _toc.yml")
    return entries_for_students(contents, root, {*named(contents)})


def entries_for_students(entry: dict[str, Any], root: Path, once: set[str]) -> dict[str, Any]:
    """A part of a table of contents without what is for teachers, and without lists that are empty then."""
    found: dict[str, Any] = {}
    for key, value in entry.items():
        if not isinstance(value, list):
            found[key] = value
            continue
        kept = [new for item in value for new in kept_of(item, root, once)]
        if kept or not value:
            found[key] = kept
    return found


def kept_of(item: Any, root: Path, once: set[str]) -> Iterator[Any]:
    """What becomes of an entry in the table of contents for students: itself, less of it, nothing, or several."""
    if not isinstance(item, dict):
        yield item
    elif "glob" in item:
        for docname in sorted(pages_of({"glob": item["glob"]}, root)):  # in Sphinx's order
            # No page can stand there twice.
            if docname not in once:
                once.add(docname)
                if edition_of(read_page(root, docname)) != EDITIONS[0]:
                    yield {"file": docname}
    elif "file" in item and edition_of(read_page(root, item["file"].removesuffix(".md"))) == EDITIONS[0]:
        check_below(item, root)
    else:
        kept = entries_for_students(item, root, once)
        if "file" in item or "url" in item or any(isinstance(value, list) for value in kept.values()):
            yield kept


def check_below(item: dict[str, Any], root: Path) -> None:
    """Refuse a page for students below one for teachers."""
    for docname in [*pages_of(item, root)][1:]:
        page = read_page(root, docname)
        if edition_of(page) == EDITIONS[1]:
            above = item["file"].removesuffix(".md")
            raise SectionError(
                f"{place_of_edition(page)}: this page is for students, but _toc.yml has it below {above}, which is for "
                "teachers; move it there"
            )


def named(contents: Any) -> Iterator[str]:
    """The pages that a table of contents names one by one."""
    if isinstance(contents, list):
        for entry in contents:
            yield from named(entry)
    elif isinstance(contents, dict):
        for key, value in contents.items():
            yield from [value.removesuffix(".md")] if key in ("root", "file") else named(value)


def check_included(page: Page, root: Path) -> None:
    """Refuse a page for students that includes one for teachers."""
    for path in page.included:
        name, text = name_of(path, root.resolve()), read_text(path, root.resolve())
        lines = text.split("\n")
        file = Page(name, lines, [(name, number + 1) for number in range(len(lines))])
        if edition_of(file) == EDITIONS[0]:
            raise SectionError(
                f"{place_of_edition(file)}: this is for teachers, but {page.docname}.md, which is for students, "
                "includes it; put what both say in a file of its own"
            )


# --- in the build --------------------------------------------------------------------------------------------------


def set_edition(app: Sphinx, config: Config) -> None:
    if config["edition"] not in EDITIONS:
        raise ValueError(f"edition: {config['edition']}: there are two, {' and '.join(EDITIONS)}")


def cut_edition(app: Sphinx, docname: str, source: list[str]) -> None:
    from sphinx.errors import SphinxError

    root = Path(app.srcdir)
    page = read_page(root, docname)
    try:
        edition_of(page)
        if app.config.edition == EDITIONS[1]:
            check_included(page, root)
        source[0] = text_of(source[0], app.config.edition, page.where)
    except SectionError as error:
        raise SphinxError(str(error)) from error


def setup(app: Sphinx) -> None:
    app.add_config_value("edition", EDITIONS[0], "env", str)
