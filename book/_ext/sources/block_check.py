"""Check a directive, a cell, a fence, a table or an equation; `checking` calls this for each block of a page."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from book._ext.sources.asserts import empty_asserts
from book._ext.sources.findings import ESCAPED, Book, Names, SourceFault, key_line, near
from book._ext.sources.yaml_faults import read_plain, read_yaml
from optim_code.equations.sections import Block, Page

EXERCISES = ("exercise", "exercise-start")
SOLUTIONS = ("solution", "solution-start")
CELLS = ("code-cell", "raw-cell")
TAGS = {
    "remove-cell", "remove-input", "remove-output", "remove-stdout", "remove-stderr", "hide-cell", "hide-input",
    "hide-output", "scroll-output", "output_scroll", "full-width", "margin", "popout", "parameters",
    "injected-parameters", "thebe-init", "thebe-interactive", "beside",
}  # fmt: skip
"""The tags that MyST-NB, the theme, Jupyter and `figures.beside` know."""
PASSING_TAGS = ("raises-exception", "skip-execution")
"""The tags with which Jupyter lets a cell pass that fails."""
EQUATION_TAGS = ("update-", "identity-", "claim-", "def-")
"""The beginnings of tags that name an equation."""
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
LABEL = re.compile(r"\w[\w.:+-]*")


def check_block(book: Book, page: Page, block: Block, notebook: bool) -> Iterator[SourceFault]:
    """The faults of a block.

    Args:
        book: the book.
        page: the page.
        block: the block.
        notebook: whether the cells of the page run.
    """
    if block.kind == "directive":
        yield from check_directive(book, page, block, notebook)
    elif block.kind == "code":
        yield from check_code(book, page, block)
    elif block.kind == "table":
        yield from check_table(page, block)
    elif block.kind == "equation":
        yield from check_equation(page, block)


def not_closed(page: Page, block: Block) -> str:
    """What is wrong with a fence that is not closed, and what to do."""
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


def check_directive(book: Book, page: Page, block: Block, notebook: bool) -> Iterator[SourceFault]:
    """The faults of a directive: its name, its options, its label."""
    name, line = block.name, block.first
    if name.lower() not in book.names.directives:
        yield SourceFault(page, line, unknown_directive(name, book.names))
        return
    head = page.lines[line]
    if f"{block.markup}{{{name}}}" not in head:
        if name in CELLS:
            yield SourceFault(page, line, f"a space before {{{name}}}, so it is not run; take it out")
    elif re.search(re.escape(f"{{{name}}}") + r"[^\s]", head):
        yield SourceFault(page, line, f"no space after {{{name}}}; write one")
    options: Any = None
    if block.options:
        start = block.start - block.options.count("\n") - has_dashes(page, block)
        read = read_yaml if name in CELLS else read_plain
        options, faults = read(page, block.options, start, f"{{{name}}}: its options")
        yield from faults
        if not faults and not isinstance(options, dict):
            yield SourceFault(page, start, f"{{{name}}}: its options are not of the form name: value; write them so")
    above = [*check_above_body(page, block)]
    yield from above
    if name == "toctree":
        text = "{toctree}: the contents of the book are in _toc.yml; list the pages there, and take it out"
        yield SourceFault(page, line, text)
    known = book.names.directives[name.lower()]
    if isinstance(options, dict) and known and name not in CELLS:
        for key in options:
            if key not in known:
                where = key_line(page, line, str(key))
                hint = near(str(key), known) or f"it takes {', '.join(known)}"
                yield SourceFault(page, where, f"{{{name}}}: there is no option {key}; {hint}")
    read_well = not above and (not block.options or isinstance(options, dict))
    if name in ("figure", "image") and read_well and not (options or {}).get("alt"):
        yield SourceFault(page, line, f"{{{name}}} has no text for those who cannot see it; write :alt: what it shows")
    if name in CELLS:
        yield from check_cell(page, block, options, notebook)
    yield from check_labels(book, page, block)


def has_dashes(page: Page, block: Block) -> bool:
    """Whether the options of a directive are between lines of dashes."""
    return block.start > 0 and page.lines[block.start - 1].strip(" >").startswith("---")


def unknown_directive(name: str, names: Names) -> str:
    """A message about a directive that does not exist."""
    fault = f"there is no directive {{{name}}}"
    if name.lower() in ("python", "ipython", "ipython3", "py", "code_cell", "codecell", "cell", "r", "julia"):
        return f"{fault}; write ```{{code-cell}} to run code, or ```python to show it"
    if name.startswith("."):
        return f"{fault}; write the name without a dot, and what else it is as options below it"
    return f"{fault}; {near(name, names.directives) or 'fix its name, or write it as text'}"


# Lines at the head of a directive's content that look like options.
ABOVE_BODY = re.compile(r"\s*:(?P<short>[\w-]+)(?::(?:\s|$)|\s|$)|\s*(?P<long>---)\s*$|\s*(?P<quarto>#\|)")
BARE = re.compile(r"\s*(?P<bare>tags|mystnb|name|caption|label|figure)\s*:")


def check_above_body(page: Page, block: Block) -> Iterator[SourceFault]:
    """The faults of options that MyST reads as content."""
    if block.name in ("eval-rst", "code", "code-block", "sourcecode", "literalinclude", "parsed-literal", "raw"):
        return
    lines = block.body.split("\n")
    first = next((n for n, text in enumerate(lines) if text.strip()), None)
    if first is None:
        return
    of, line, text = f"{{{block.name}}}", block.start + first, lines[first]
    if found := ABOVE_BODY.match(text):
        if found["long"]:
            yield SourceFault(page, line, f"{of}: the options are not closed; put a line --- below them")
        elif found["quarto"]:
            yield SourceFault(page, line, f"{of} takes no options as comments; write :tags: [remove-cell] and the like")
        elif first:
            yield SourceFault(page, line, f"{of}: the options must follow at once; take out the empty line above them")
        elif found["short"]:
            yield SourceFault(
                page, line, f"{of}: the option has one colon only; write :{found['short']}: and its value"
            )
    elif block.name in CELLS and (found := BARE.match(text)):
        yield SourceFault(page, line, f"{of}: an option needs a colon before it, too; write :{found['bare']}: …")


def check_cell(page: Page, block: Block, options: Any, notebook: bool) -> Iterator[SourceFault]:
    """The faults of a code cell: its place, its options, its tags."""
    of, line = f"{{{block.name}}}", block.first
    around = block.parents
    if around or block.level > 0 or block.markup.startswith(":"):
        inside = f"{{{around[-1]}}}" if around else "a fence of colons" if block.level == 0 else "a list or a quotation"
        how = "write it with backticks" if inside.startswith("a fence") else "put it below that, at the left margin"
        yield SourceFault(page, line, f"{of} is not run inside {inside}; {how}")
        return
    if not notebook:
        front = "file_format: mystnb, kernelspec: and, indented, name: python3"
        text = f"{of} is not run, as the page has no front matter; begin the page with {front} between lines ---"
        yield SourceFault(page, line, text)
    for number, asserted in empty_asserts(block.body):
        how = "assert a comparison, with no brackets around it and its message"
        yield SourceFault(page, block.start + number, f"assert {asserted:.40} is always true; {how}")
    if not isinstance(options, dict):
        return
    for parents, known, given in (
        ("", CELL_OPTIONS, options),
        ("mystnb: ", MYSTNB_OPTIONS, options.get("mystnb")),
        ("mystnb: figure: ", FIGURE_OPTIONS, in_mystnb(options, "figure")),
        ("mystnb: image: ", IMAGE_OPTIONS, in_mystnb(options, "image")),
    ):
        if given is None:
            continue
        if not isinstance(given, dict):
            name = parents.rstrip(": ").split(": ")[-1]
            where = key_line(page, line, name)
            yield SourceFault(page, where, f"{of}: {name} takes options of its own; write them below it, indented")
            continue
        for key in given:
            if key not in known:
                where = key_line(page, line, str(key))
                hint = near(str(key), known) or right_place(str(key)) or f"it takes {', '.join(sorted(known))}"
                yield SourceFault(page, where, f"{of}: there is no option {parents}{key}; {hint}")
    tags = options.get("tags")
    where = key_line(page, line, "tags")
    if tags is not None and not isinstance(tags, list):
        yield SourceFault(page, where, f"{of}: tags is no list; write :tags: [{tags}]")
        return
    for tag in tags or ():
        if str(tag) in PASSING_TAGS:
            how = "take it out, and catch an error that the page shows"
            yield SourceFault(page, where, f"{of}: with the tag {tag} a cell passes whatever it does; {how}")
        elif str(tag) not in TAGS and not str(tag).startswith(EQUATION_TAGS):
            hint = near(str(tag).replace("_", "-"), TAGS) or "take it out, or fix its name"
            yield SourceFault(page, where, f"{of}: there is no tag {tag}; {hint}")


def in_mystnb(options: dict[str, Any], name: str) -> Any:
    """The value of an option below ``mystnb:``; None if it is not given."""
    mystnb = options.get("mystnb")
    return mystnb.get(name) if isinstance(mystnb, dict) else None


def right_place(key: str) -> str:
    """Where an option belongs that stands in the wrong place; empty if it belongs nowhere."""
    if key in FIGURE_OPTIONS:
        return f"write mystnb: and, indented, figure: and, indented, {key}: …"
    if key in ("figure", "image", *IMAGE_OPTIONS):
        return f"write mystnb: and, indented, {key}: …"
    return ""


def label_in(block: Block) -> tuple[str, str]:
    """The option of a directive that gives it a label, ``label`` or ``name``, and the label; or two empty strings."""
    for name in ("label", "name"):
        if found := re.search(rf"^[ \t]*{name}[ \t]*:[ \t]*(\S[^\n]*)$", block.options, re.M):
            if block.name not in CELLS or re.search(r"^\s*figure\s*:", block.options, re.M):
                return name, found[1].strip().strip("'\"")
            break
    return "", ""


def check_labels(book: Book, page: Page, block: Block) -> Iterator[SourceFault]:
    """The faults of a directive's label, and of the label in a solution that names its exercise."""
    of, line = f"{{{block.name}}}", block.first
    option, label = label_in(block)
    if block.name in EXERCISES and not label:
        yield SourceFault(page, line, f"{of} has no label; write :label: ex-… below it, to refer to it")
    if block.name in SOLUTIONS:
        exercise = block.argument
        if not exercise:
            yield SourceFault(page, line, f"{of} does not say of what; write the label of its exercise after it")
        elif exercise not in book.exercises:
            hint = near(exercise, book.exercises) or "fix it, or write the exercise"
            yield SourceFault(page, line, f"{of}: there is no exercise {exercise}; {hint}")
    if label and block.name != "math":
        yield from check_label(book, page, key_line(page, line, option), label)


def check_label(book: Book, page: Page, line: int, label: str) -> Iterator[SourceFault]:
    """The faults of a label. A right one is added to the labels of the book."""
    if not LABEL.fullmatch(label):
        yield SourceFault(page, line, f"the label {label} has a character that breaks it; use letters, digits and -")
        return
    key = label.lower()
    if key in book.labels:
        text = f"the label {label} is used at {book.labels[key]} already; give one of the two another"
        yield SourceFault(page, line, text)
    else:
        book.labels[key] = page.where(line)


# --- fences that are no directives ---------------------------------------------------------------------------------


def check_code(book: Book, page: Page, block: Block) -> Iterator[SourceFault]:
    """The faults of a fence that is no directive, but may have been meant as one."""
    info, mark = block.argument, block.markup
    word = info.split()[0] if info else ""
    known = book.names.directives
    if "{" in info or "}" in info:
        name = next((name for name in re.findall(r"[\w:-]+", info) if name in known), "")
        how = f"write {mark}{{{name}}}" if name else "write the name of a directive in braces, or of a language without"
        yield SourceFault(page, block.first, f"{mark}{info} is no directive; {how}")
    elif word in known and (mark.startswith(":") or not is_language(word)):
        yield SourceFault(page, block.first, f"{mark}{word} shows its content as it is; write {mark}{{{word}}}")
    elif not mark.startswith(":") and word and not is_language(word) and (hint := near(word, known)):
        yield SourceFault(page, block.first, f"{mark}{word}: there is no language {word}; {braced(hint)}")


def braced(question: str) -> str:
    """The question of `near` with braces around the proposed name."""
    return re.sub(r"mean (\S+)\?", r"mean {\1}?", question)


@functools.cache
def is_language(name: str) -> bool:
    """Whether Pygments or this book has a language of this name."""
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


def check_table(page: Page, block: Block) -> Iterator[SourceFault]:
    """The faults of the rows of a table."""
    columns = cells_of(page.lines[block.first])
    for number in range(block.first, min(block.last, len(page.lines))):
        row = page.lines[number]
        if cut := cut_by_a_bar(row):
            yield SourceFault(page, number, cut)
        elif cells_of(row) > columns:
            text = f"a row of {cells_of(row)} cells in a table of {columns}: the last are lost; take them out"
            yield SourceFault(page, number, text)


def cells_of(row: str) -> int:
    """How many cells a row of a table has."""
    row = re.sub(r"^[\s>]*\|?|\|?\s*$", "", row)
    return len(re.findall(rf"{ESCAPED}\|", row)) + 1


def cut_by_a_bar(row: str) -> str:
    """A message about a row in which a bar inside a formula or code ends a cell; empty if there is none."""
    for found in CODE_OR_MATH.finditer(row):
        if found["math"] is not None and "|" in found["math"] and is_formula(found["math"]):
            if re.search(ESCAPED + r"\|", found["math"]) and not re.search(r"[\\^_=]|^\|[^|]+\|$", found["math"]):
                continue
            return r"in a table | inside a formula ends the cell; write \vert, and \Vert for \|"
        if found["code"] is not None and re.search(ESCAPED + r"\|", found["code"]):
            return r"in a table | inside code ends the cell; write \|"
    return ""


def is_formula(text: str) -> bool:
    """Whether the text between two dollars is a formula, not a text between two prices."""
    words = re.sub(r"\\[A-Za-z]+(\{[^{}]*\})?", "", text)
    if re.search(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}", words):
        return False
    return bool(text.strip()) and (bool(re.search(r"[\\^_=]", text)) or not re.search(r"^\s*\d|[A-Za-z]{3,}", words))


# --- equations -----------------------------------------------------------------------------------------------------


def check_equation(page: Page, block: Block) -> Iterator[SourceFault]:
    """The faults of the way in which a displayed equation is written."""
    if block.name == "amsmath":
        what = re.match(r"\\begin\{(\w+\*?)\}", block.body)
        name = f"\\begin{{{what[1]}}}" if what else "an equation"
        text = f"{name} outside dollars stands raw on the page; write $$ before it and $$ (label) after it"
        yield SourceFault(page, block.first, f"{text}, with aligned in the place of align")
    elif block.level < 0:
        text = "an equation in the middle of a paragraph; put an empty line above it, and $$ in lines of its own"
        yield SourceFault(page, block.first, text)
    elif "\n\n" in re.sub(r"\n[ \t]+(?=\n)", "\n", block.body) or holds_text(block.body):
        text = "an equation with text or an empty line in it: a $$ lacks its partner; close it, or take the line out"
        yield SourceFault(page, block.first, text)


def holds_text(latex: str) -> bool:
    """Whether there is text in a formula: a role, code, or four words in a row."""
    bare = re.sub(
        r"\\(?:text|math(?:rm|it|sf)|operatorname|mbox|hbox|label|tag)\w*\*?\{[^{}]*\}",
        "",
        latex,
    )
    return "`" in bare or bool(re.search(r"(?<![\\\w])[A-Za-z]{2,}(?:[,;]?\s+[A-Za-z]{2,}){3}", bare))
