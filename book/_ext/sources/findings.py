"""What the check of the sources finds, and what its parts share."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from optim_code.equations.sections import Page

ESCAPED = r"(?<!\\)(?:\\\\)*"
"""What stands before a sign that no backslash takes away."""


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


def near(name: str, names: Iterable[str]) -> str:
    """The question whether another name is meant; empty if none is like it."""
    found = difflib.get_close_matches(name.lower(), list(names), 1, 0.7)
    return f"did you mean {found[0]}?" if found else ""


def line_of(page: Page, first: int, key: str) -> int:
    """The line, from a first one on, that gives a key its value."""
    pattern = re.compile(rf"[\s>:]*['\"]?{re.escape(key)}['\"]?\s*:")
    return next((n for n in range(first, len(page.lines)) if pattern.match(page.lines[n])), first)
