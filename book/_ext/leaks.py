"""Whether a folder gives away what students are to find out: the words of a solution, or the code of a class.

It looks at everything: pages, scripts, notebooks and their metadata, the text and the titles of PDFs, what is in an
archive. Words are compared without marks and case, a few in a row; code by its tokens, whatever its layout and however
its variables are called.
"""

from __future__ import annotations

import ast
import html
import io
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from optim_code.sections import read_pages

from .editions import CLASSES, fences, text_of
from .faults import Fault

IN_A_ROW = 6
"""So many words of a solution, one after another, are a leak, if they are nowhere in what students may read."""
FEWEST = 12
"""Tokens; a piece of code with fewer is too common to be anybody's."""

SHOWN = re.compile(r"^(?P<fence>`{3,}|~{3,})\s*(?:python|\{code-block\}.*)\n(?P<code>.*?)^(?P=fence)", re.M | re.S)
COMMENT = re.compile(r"(?<!\S)#\s.*")
WORD = re.compile(r"[a-z0-9]+")
TOKEN = re.compile(
    r"""(?P<text>"[^"\n]*"|'[^'\n]*')|(?P<attribute>(?<=\.)[A-Za-z_]\w*)|(?P<name>[A-Za-z_]\w*)"""
    r"|(?P<number>\d[\w.]*)|(?P<sign>[^\s\w])"
)
KEPT = {"def", "class", "if", "else", "not", "in", "is", "for", "return", "while", "with", "and", "or", "self"}
"""Names that nobody can change."""
# How print writes what code has.
AS_TYPED = str.maketrans({"−": "-", "–": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "ﬁ": "fi", "ﬂ": "fl", "\xad": ""})


def words(text: str) -> list[str]:
    """The words of a text; a word broken at the end of a line is one."""
    return WORD.findall(re.sub(r"(?<=\w)-\n\s*(?=\w)", "", text.translate(AS_TYPED)).lower())


def rows(text: str) -> set[tuple[str, ...]]:
    """All rows of `IN_A_ROW` words."""
    found = words(text)
    return {tuple(found[n : n + IN_A_ROW]) for n in range(len(found) - IN_A_ROW + 1)}


@dataclass(frozen=True)
class Tokens:
    """A piece of code, or a text that may hold code, as its tokens."""

    code: str

    @cached_property
    def found(self) -> list[tuple[str, str]]:
        """Each token with its kind; what can be renamed is of the kind ``name`` or ``text``."""
        matches = TOKEN.finditer(COMMENT.sub("", self.code.translate(AS_TYPED)))
        pairs = [(str(match.lastgroup), match.group()) for match in matches]
        return [("sign", token) if kind == "name" and token in KEPT else (kind, token) for kind, token in pairs]

    @cached_property
    def kinds(self) -> str:
        """One line in which equal code looks equal, whatever its names."""
        return "\n" + "\n".join(kind if kind in ("name", "text") else token for kind, token in self.found) + "\n"

    def holds(self, other: Tokens) -> bool:
        """Whether the other's code is in it, up to names, each of which must stand for one of the other's."""
        place = self.kinds.find(other.kinds)
        while place >= 0:
            first = self.kinds.count("\n", 0, place + 1) - 1
            here = self.found[first : first + len(other.found)]
            if len({*zip(here, other.found, strict=True)}) == len({*here}) == len({*other.found}):
                return True
            place = self.kinds.find(other.kinds, place + 1)
        return False


@dataclass(frozen=True)
class Secrets:
    """What a folder must not tell.

    Attributes:
        solutions: the rows of words by the exercise that they solve.
        code: the pieces of code by their names.
    """

    solutions: dict[str, set[tuple[str, ...]]]
    code: dict[str, Tokens]

    @classmethod
    def of(cls, root: Path) -> Secrets:
        """The secrets of a book: all that its teacher's edition says and its student's does not."""
        solutions: dict[str, set[tuple[str, ...]]] = {}
        code: dict[str, Tokens] = {}
        texts = {root / f"{docname}.md": page.text for docname, page in read_pages(root).items()}
        allowed = {row for text in texts.values() for row in rows(text_of(text, "student"))}
        for path, text in texts.items():
            lines = text.split("\n")
            for first, last, name, argument in fences(lines):
                if name == "solution":
                    inside = "\n".join(lines[first + 1 : last])
                    solutions[f"{path.name}: {argument}"] = rows(inside) - allowed
                    code |= {f"{path.name}: {argument}": Tokens(piece) for piece in listings(inside)}
        if (root / CLASSES).is_file():
            code |= steps((root / CLASSES).read_text(encoding="utf-8"))
        return cls(solutions, {name: tokens for name, tokens in code.items() if len(tokens.found) >= FEWEST})

    def told_by(self, text: str) -> list[str]:
        """The names of the secrets that a text tells."""
        found, tokens = rows(text), Tokens(text)
        told = [name for name, secret in self.solutions.items() if secret & found]
        return told + [name for name, secret in self.code.items() if tokens.holds(secret)]


def listings(solution: str) -> list[str]:
    """The code that a solution itself shows."""
    return [shown["code"] for shown in SHOWN.finditer(solution)]


def steps(source: str) -> dict[str, Tokens]:
    """What each class of a module has in its ``my_step``, by the name of the class."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "my_step":
                    first = method.body[ast.get_docstring(method) is not None :][0]
                    found[node.name] = Tokens("\n".join(source.splitlines()[first.lineno - 1 : method.end_lineno]))
    return found


def leaks(folder: Path, secrets: Secrets) -> list[str]:
    """Where a folder tells one of the secrets: file and secret, one line each."""
    said = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for place, text in texts_of(path.relative_to(folder).as_posix(), path.read_bytes()):
            said += [f"{place} tells {secret}" for secret in secrets.told_by(text)]
    return said


def texts_of(name: str, content: bytes) -> Iterator[tuple[str, str]]:
    """The texts that a file holds, each with the name of its place."""
    suffix = name.rpartition(".")[2]
    if suffix == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from texts_of(f"{name}: {member}", archive.read(member))
    elif suffix == "pdf":
        yield name, text_of_pdf(content)
    elif suffix in ("ipynb", "json"):
        # As it is read, not as it is written: a line is broken into strings there.
        yield name, "\n".join(strings(json.loads(content)))
    elif b"\0" not in content[:1000]:
        text = content.decode("utf-8", errors="replace")
        yield name, html.unescape(re.sub(r"<[^>]*>", "", text)) if suffix in ("html", "svg") else text


def strings(value: Any) -> Iterable[str]:
    """All texts in a value of JSON; those of a list are lines of one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        yield "".join(value)
    elif isinstance(value, (list, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from strings(entry)


def text_of_pdf(content: bytes) -> str:
    read = subprocess.run(["pdftotext", "-layout", "-", "-"], input=content, capture_output=True, check=True)
    return read.stdout.decode("utf-8", errors="replace")


def check_poppler() -> None:
    """Ask for what looks into PDFs before anything is computed."""
    if shutil.which("pdftotext") is None:
        raise Fault("make student searches its PDFs with pdftotext, which is not there; apt-get install poppler-utils")
