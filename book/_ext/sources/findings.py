"""The faults that the check of the sources finds, and what the parts of that check share."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from optim_code.equations.sections import Page

ESCAPED = r"(?<!\\)(?:\\\\)*"
"""Put before a pattern: the sign is not escaped, so an even number of backslashes stands before it."""


@dataclass(frozen=True)
class SourceFault:
    """A fault of a page.

    Attributes:
        page: the page.
        line: the line of the fault, counted from 0.
        text: what is wrong, and what to do.
    """

    page: Page
    line: int
    text: str

    @property
    def where(self) -> str:
        """File and line."""
        return self.page.where(self.line)

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True)
class Names:
    """The directives and roles that exist.

    Attributes:
        directives: for each directive its options; None if it takes any.
        roles: the names of the roles.
    """

    directives: Mapping[str, list[str] | None]
    roles: Collection[str]


@dataclass
class Book:
    """What the check of one page needs to know about the other pages.

    Attributes:
        root: the top of the book.
        names: the directives and roles.
        pages: the pages by their names.
        labels: the place of each label.
        exercises: the labels of the exercises.
        references: the keys of the bibliography.
        definitions: the footnotes and link addresses that the page being checked defines.
    """

    root: Path
    names: Names
    pages: dict[str, Page] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    exercises: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)
    definitions: set[str] = field(default_factory=set)


def near(name: str, names: Iterable[str]) -> str:
    """A question that proposes the most similar name; empty if no name is similar."""
    similar = difflib.get_close_matches(name.lower(), list(names), 1, 0.7)
    return f"did you mean {similar[0]}?" if similar else ""


def key_line(page: Page, first: int, key: str) -> int:
    """The line at or after `first` that gives a key of YAML its value; `first` if there is none."""
    pattern = re.compile(rf"[\s>:]*['\"]?{re.escape(key)}['\"]?\s*:")
    return next((n for n in range(first, len(page.lines)) if pattern.match(page.lines[n])), first)
