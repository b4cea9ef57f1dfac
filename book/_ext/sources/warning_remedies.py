"""Add to Sphinx's warnings what to do, and make each of them one line with its file and line.

The book's own warnings say what to do themselves.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.logging import get_node_location

from book._ext.compat import warning_handlers
from book._ext.sources.checking import bibliography_keys, names_of
from book._ext.sources.findings import near

OWN = "sphinx.book._ext."
"""The beginning of the names of the book's own loggers."""
GENERAL = "fix that line, or take it out"

# The first pattern that is in a warning gives its remedy.
REMEDIES: tuple[tuple[str, str], ...] = (
    (r"undefined label: '?(?P<label>[^']+)'?", "{labels}write ({label})= above what it means"),
    (r"(caption not found|number is not assigned|number is assigned for \w+): '?(?P<label>[^']+?)'?\.?$",
     "it is there without a title or a number; write {{ref}}`text <{label}>`"),
    (r"equation not found: '?(?P<equation>[^' ]+)'?", "{equations}label that equation"),
    (r"could not find bibtex key [\"']?(?P<key>[^\"' ]+)", "{keys}write it in book/references.bib"),
    (r"cross-reference target not found: '(?P<file>[^']*\.\w+)'", "fix the name, counted from the page's folder"),
    (r"cross-reference target not found: '(?P<label>[^']+)'", "{labels}write (name)= above what it means"),
    (r"local id not found", "fix what stands behind the #, or write {{ref}}`text <label>`"),
    (r"top-level '(?P<key>\w+)' key is deprecated", "write myst: and, indented below it, {key}:"),
    (r"(?i)unknown (source )?document", "fix the name, counted from the page's folder, or add the page to _toc.yml"),
    (r"[Nn]o key|[Kk]ey .* not found|glue", "glue it in a cell, or fix its name"),
    (r"(include|Include) file .*(not found|failed)", "fix the name, counted from the page's folder"),
    (r"image file not readable", "put the picture there, or fix the name, counted from the page's folder"),
    (r"download file not readable", "put the file there, or fix the name, counted from the page's folder"),
    (r"Object named '.*' not found|No such (class|function|object)", "fix the name, as the module has it"),
    (r"Line spec .* no lines|start-after pattern not found|end-before pattern not found|pattern not found",
     "fix the option, as the file has it"),
    (r"Unknown directive type:? ['\"](?P<directive>[^'\"]+)", "{directives}write it as text"),
    (r"Unknown interpreted text role ['\"](?P<role>[^'\"]+)", "{roles}write it as text"),
    (r"Unknown option keys|unknown option", "fix the name, or take it out"),
    (r"[Ii]nvalid option (value|data)|Invalid options format", "fix its value"),
    (r"has # comments|has comments", "take the comment out, or put the text in quotes"),
    (r"argument\(s\) required", "write it behind the name of the directive"),
    (r"maximum \d+ argument", "take the others out"),
    (r"none permitted", "take the content out"),
    (r"Content block expected|no content|[Hh]as no content", "write its content, or take it out"),
    (r"Splitting content", "begin the content below the options"),
    (r"Non-consecutive header level increase; H(?P<from>\d) to H(?P<to>\d)",
     "write one # more than the heading above has"),
    (r"Document headings start at H\d", "write the title with one #"),
    (r"duplicate label|Duplicate explicit target|Duplicate implicit target|duplicate object description",
     "give one of the two another"),
    (r"duplicate citation", "take one of the two out"),
    (r"Multiple footnote definitions|[Dd]uplicate (footnote|reference)", "take one of the two out"),
    (r"[Ff]ootnote .*not referenced|is not referenced", "write [^name] where it belongs, or take it out"),
    (r"[Nn]o footnote", "write [^name]: and its text below"),
    (r"Pygments lexer name", "name a language such as python, or text"),
    (r"[Ll]exing literal_block", "write text instead of that language, or fix the code"),
    (r"uniform two-level bullet list|Error parsing content block", "write all its rows alike"),
    (r"toctree contains (reference|ref)", "fix the name in _toc.yml"),
    (r"[Ss]ubstitution", "define it in the front matter, below myst: substitutions:, or write \\{{"),
    (r"unknown config value", "fix its name below sphinx: config:, or take it out"),
    (r"config value .* has type", "fix it below sphinx: config:"),
    (r"stderr was found", "take out what writes there, or tag the cell remove-stderr"),
    (r"term not in glossary", "write it in a {{glossary}}, or fix it"),
    (r"py:\w+ reference target not found|reference target not found: (optim_code|torch)",
     "fix the name, as the module has it"),
    (r"autodoc: failed to import", "fix the name, or what the module imports"),
    (r"nonlocal image", "save the picture beside the page"),
    (r"\bconf(ig)? value\b", "set it in _config.yml, below sphinx: config:"),
    (r"topmatter|[Mm]alformed YAML|front-?matter", "fix the front matter"),
    (r"(?i)unexpected indentation|block quote ends|definition list ends", "put an empty line there"),
    (r"Inline .* start-string without end-string", "close it, or put a backslash before it"),
    (r"[Tt]itle underline too short", "make the line below it as long as the title"),
    (r"Anonymous hyperlink|Unknown target name", "fix the name, or write the address"),
)  # fmt: skip


class Remedies(logging.Filter):
    """Adds to a warning of Sphinx what to do about it.

    Attributes:
        given: the places and texts of all warnings so far; each warning is given once.
    """

    def __init__(self, app: Sphinx) -> None:
        super().__init__()
        self.app = app
        self.given: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = " ".join(record.getMessage().split("\n\n")[0].split())
        # An editor has no use for the traceback.
        message = re.sub(r"the following exception was raised:? Traceback .*?(\w+(Error|Exception): )", r"\1", message)
        location = getattr(record, "location", None)
        if isinstance(location, str):
            record.location = self.page_of(location) if ":" not in location else location
        if not record.name.startswith(OWN):
            message = re.sub(r" \[[\w.-]+\]$", "", message).rstrip(". ")
            record.msg, record.args = f"{message}; {self.remedy(message)}", ()
        # MyST and MyST-NB both warn of the front matter.
        at = get_node_location(location) if isinstance(location, nodes.Node) else location
        warning = (str(at), message)
        is_new = warning not in self.given
        self.given.add(warning)
        return is_new

    def page_of(self, location: str) -> str:
        """The name of a page, if a place is the path of a page without its suffix, as some extensions write it."""
        path = Path(re.sub(r"(\.rst)+$", "", location))
        root = Path(self.app.srcdir)
        return path.relative_to(root).as_posix() if path.is_absolute() and path.is_relative_to(root) else location

    def remedy(self, message: str) -> str:
        """What to do about a warning."""
        for pattern, remedy in REMEDIES:
            if found := re.search(pattern, message):
                words = {name: text.strip() for name, text in found.groupdict().items() if text}
                if words.get("label") in set(self.names("labels")):
                    return f"it is there without a title or a number; write {{ref}}`text <{words['label']}>`"
                return remedy.format_map(Words(words, self.names))
        return GENERAL

    def names(self, kind: str) -> Iterable[str]:
        """All names that a reference of a kind can have."""
        if kind in ("directives", "roles"):
            known: Iterable[str] = getattr(names_of(self.app), kind)
            return known
        if kind == "equations":
            return list(self.app.env.domains["math"].equations)
        if kind == "keys":
            return bibliography_keys(Path(self.app.srcdir))
        standard: Any = self.app.env.domains["std"]
        return [*standard.labels, *standard.anonlabels]


class Lines(logging.Filter):
    """Gives a warning without a line, or without a file, the place of the words that it quotes."""

    def __init__(self, app: Sphinx) -> None:
        super().__init__()
        self.app = app

    def filter(self, record: logging.LogRecord) -> bool:
        # Where a directive names its file as its place, Sphinx takes it for the name of a page.
        location = str(getattr(record, "location", None) or "").rstrip(":").replace(".md.rst", ".md")
        record.location = location or None
        if not re.search(r":\d+$", location):
            root = Path(self.app.srcdir)
            message = record.getMessage()
            if location:
                files = [Path(location)]
            elif re.search(r"\bconf(ig)? value\b", message):
                files = [root / "_config.yml"]
            else:
                files = self.files(root)
            places = [place for file in files for place in self.lines(file, message)]
            # The line with most of the words.
            record.location = max(places, key=lambda place: place[0])[1] if places else location or None
        return True

    def files(self, root: Path) -> list[Path]:
        """The files that a warning without a place can be about."""
        env = getattr(self.app, "env", None)  # a setting can be warned of before there is one
        pages = [Path(env.doc2path(name)) for name in sorted(env.found_docs)] if env else []
        return [*pages, root / "_config.yml", *sorted((root / "book").glob("*.bib"))]

    def lines(self, file: Path, message: str) -> Iterator[tuple[int, str]]:
        """The lines of a file with words that the message quotes: the number of words, and file and line."""
        with contextlib.suppress(OSError, ValueError):
            words = re.findall(r"['\"]([^'\"]+)['\"]", message)
            for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
                count = sum(bool(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line)) for word in words)
                if count:
                    yield count, f"{file}:{number}"


class Words(dict[str, str]):
    """The words of a warning that its remedy uses; ``{labels}`` and the like become a question with a similar name."""

    def __init__(self, words: dict[str, str], names: Callable[[str], Iterable[str]]) -> None:
        super().__init__(words)
        self.names = names

    def __missing__(self, kind: str) -> str:
        question = near(next(iter(self.values()), ""), set(self.names(kind)))
        return f"{question} If not, " if question else "fix it, or "


def setup(app: Sphinx) -> None:
    for handler in warning_handlers():
        # Before Sphinx counts it.
        handler.filters.insert(0, Remedies(app))
        # After Sphinx has turned its place into a text.
        handler.filters.append(Lines(app))
