"""Two editions of one source: the teacher's, which is the book, and the student's, in which the solutions are not.

What a student must not see is taken out of a section's text before anything reads it. So it cannot turn up later, in a
page, in the index of the search, in a PDF or in a notebook. Code cells stay as they are: both editions show one run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optim_code.sections import read_page

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx
    from sphinx.config import Config

EDITIONS = ("teacher", "student")
CLASSES = "optim_code/optimizers.py"
"""The file whose classes students write themselves."""

OPENING = re.compile(r"(?P<fence>`{3,}|~{3,}|:{3,})\s*\{(?P<name>[\w:-]+)\}[ \t]*(?P<argument>.*)")
WRITE = "% the class {} is left to the student"
"""What stands in the student's text, a comment in Markdown, where the teacher's prints a class."""
WRITTEN = re.compile(WRITE.format(r"(\w+)"))
EXERCISE = re.compile(r"^:label:\s*(ex-[\w-]+-my-step)\s*$", re.M)
FRONT = re.compile(r"\A---\n(.*?)^---\n", re.M | re.S)


def text_of(text: str, edition: str) -> str:
    """The text of a section in an edition, with as many lines as its source has.

    ``{only} teacher`` and ``{only} student`` hold what only one edition says; their content takes the place of the
    fence. In the student's edition there is no ``{solution}``, and where a class of `CLASSES` is included, a sentence
    says who writes it.
    """
    lines = text.split("\n")
    for first, last, name, argument in reversed(list(fences(lines))):
        if name == "only":
            if argument not in EDITIONS:
                raise ValueError(f"{{only}} {argument}: there are two editions, {' and '.join(EDITIONS)}")
            inside = lines[first + 1 : last]
            # What is kept may hold fences of its own.
            kept = text_of("\n".join(inside), edition).split("\n") if argument == edition else [""] * len(inside)
            lines[first : last + 1] = ["", *kept, ""]
        elif edition == "student" and name == "solution":
            lines[first : last + 1] = [""] * (last + 1 - first)
        elif edition == "student" and name == "literalinclude" and argument.endswith(CLASSES):
            lines[first : last + 1] = instead(lines[first : last + 1], text)
    return "\n".join(lines)


def instead(listing: list[str], text: str) -> list[str]:
    """What the student's edition says in the place of a class, in as many lines."""
    name = next((line.partition(":pyobject:")[2].strip() for line in listing if ":pyobject:" in line), "class")
    exercise = EXERCISE.search(text)
    where = f", in {{ref}}`{exercise[1]}`" if exercise else ""
    said = [WRITE.format(name), "", f"You write the class `{name}` yourself{where}."]
    return (said + [""] * len(listing))[: max(len(listing), len(said))]


def fences(lines: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """The outermost fences of a text that are directives: first line, last line, name, argument."""
    number = 0
    while number < len(lines):
        fence = re.match(r"(`{3,}|~{3,}|:{3,})", lines[number])
        if fence is None:
            number += 1
            continue
        end = re.compile(rf"{re.escape(fence[1])}{re.escape(fence[1][0])}*\s*")
        last = next((n for n in range(number + 1, len(lines)) if end.fullmatch(lines[n])), len(lines) - 1)
        if opening := OPENING.fullmatch(lines[number].rstrip()):
            yield number, last, opening["name"], opening["argument"].strip()
        number = last + 1


def contents_of(contents: Any, root: Path) -> Any:
    """A table of contents for students: without the pages whose front matter says ``edition: teacher``."""
    if isinstance(contents, dict):
        return {key: contents_of(value, root) for key, value in contents.items()}
    if isinstance(contents, list):
        return [contents_of(entry, root) for entry in contents if not for_teachers(root, entry)]
    return contents


def for_teachers(root: Path, entry: Any) -> bool:
    if not isinstance(entry, dict) or "file" not in entry:
        return False
    front = FRONT.match(read_page(root, entry["file"].removesuffix(".md")).text)
    return front is not None and re.search(r"^edition:\s*teacher\s*$", front[1], re.M) is not None


def choose(app: Sphinx, config: Config) -> None:
    if config["edition"] not in EDITIONS:
        raise ValueError(f"edition: {config['edition']}: there are two, {' and '.join(EDITIONS)}")


def leave_out(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = text_of(source[0], app.config.edition)


def setup(app: Sphinx) -> None:
    app.add_config_value("edition", EDITIONS[0], "env", str)
    app.connect("config-inited", choose)
    app.connect("source-read", leave_out, priority=100)
